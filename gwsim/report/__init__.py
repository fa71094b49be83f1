"""Reports: renderers over one `Results`, and nothing computed that is not in it.

    report = Report.of(results, resolved)
    text.plain(text.compact(report))        # the terminal
    html.render(report)                     # one self-contained file
    json.render(report.results)             # run.json

`report` holds what every renderer reads, `headline` the answer in a word, `advice` the next command to try, `names`
the short names; `figures` and `picture` draw. Each renderer is imported by itself, because they need different things.
"""
