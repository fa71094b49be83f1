"""What users have said they know: annotations on objects, comments in files, options of the command.

- `galley.istio.io/analyze-suppress: IST0103,IST0108` (or `*`) on an object, as istioctl reads it;
- `gwsim.dev/ignore: GW0109,IST0132` (or `*`) on an object;
- `# gwsim: ignore[GW0109]` at the end of a line, or on a line of its own before the one it is about;
  `# gwsim: ignore` for all codes; `# gwsim: ignore-file[...]` for the whole file.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gwsim.diagnostics import CODES, Finding
from gwsim.resources.raw import RawObject

ANNOTATIONS = ("galley.istio.io/analyze-suppress", "gwsim.dev/ignore")
_COMMENT = re.compile(r"#\s*gwsim:\s*(ignore(?:-file)?)\s*(?:\[([^\]]*)\])?")
_FIRST_FIELD = re.compile(r"^\s*(?:-\s+)?#")


def names(finding: Finding) -> set[str]:
    """What a finding can be called: its code, its symbolic name, and istioctl's code."""
    row = CODES[finding.code]
    return {name for name in (row.code, row.name, row.istio) if name}


@dataclass(slots=True)
class Suppressions:
    """Everything said in the files."""

    objects: dict[str, list[tuple[int, int, frozenset[str]]]] = field(default_factory=dict)
    lines: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    files: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, contents: Iterable[tuple[str, str]], objects: Iterable[RawObject]) -> Suppressions:
        """Read from the texts of the files and the objects in them."""
        made = cls()
        for name, content in contents:
            if "gwsim:" in content:
                made._read_comments(name, content)
        for one in objects:
            annotations = one.annotations
            words = [word for name in ANNOTATIONS for word in annotations.get(name, "").split(",") if word.strip()]
            if words:
                place = (one.origin.line, one.last_line, codes_of(",".join(words)))
                made.objects.setdefault(one.origin.file, []).append(place)
        return made

    def _read_comments(self, name: str, content: str) -> None:
        for number, line in enumerate(content.split("\n"), 1):
            found = _COMMENT.search(line)
            if not found:
                continue
            codes = codes_of(found[2] or "*")
            if found[1] == "ignore-file":
                self.files[name] = self.files.get(name, frozenset()) | codes
            else:
                about = number + 1 if _FIRST_FIELD.match(line) else number
                self.lines[(name, about)] = codes

    def cover(self, finding: Finding) -> bool:
        """Whether the finding is suppressed."""
        if finding.span is None:
            return False
        called, span = names(finding), finding.span
        given = [self.files.get(span.file, frozenset()), self.lines.get((span.file, span.line), frozenset())]
        given += [codes for first, last, codes in self.objects.get(span.file, []) if first <= span.line <= last]
        return any("*" in codes or called & codes for codes in given)


def codes_of(text: str) -> frozenset[str]:
    """A list of codes as written: `GW0101, ist0132`."""
    return frozenset(word.strip().upper() for word in text.split(",") if word.strip())


@dataclass(frozen=True, slots=True)
class Selection:
    """`--select` and `--ignore`: codes, parts of codes (`GW04`), or `CODE=Kind/namespace/name` with wildcards."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def keeps(self, finding: Finding) -> bool:
        """Whether the finding is wanted. Codes that are only reported on request have to be selected by name."""
        if any(self._says(word, finding) for word in self.ignore):
            return False
        if finding.code in ON_REQUEST:
            return any(word.partition("=")[0].upper() in names(finding) for word in self.select)
        return not self.select or any(self._says(word, finding) for word in self.select)

    @staticmethod
    def _says(word: str, finding: Finding) -> bool:
        code, equals, where = word.partition("=")
        code = code.strip().upper()
        if not any(name == code or (len(code) >= 2 and name.startswith(code)) for name in names(finding)):
            return False
        ref = (finding.object_ref or "").partition(" ")[0]
        return not equals or fnmatch.fnmatchcase(ref, where.strip())


ON_REQUEST = frozenset({"GW0445", "GW0466"})
"""Codes of too little use to be reported unasked."""

__all__ = ["ANNOTATIONS", "ON_REQUEST", "Selection", "Suppressions", "codes_of", "names"]
