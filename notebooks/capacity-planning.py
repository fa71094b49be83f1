# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # From a forecast to replicas
#
# Marketing expects the shop to grow by half each half-year, from 3,000 requests a second at peak. How many gateway pods is that, what should the
# autoscaler be told, and when does something else than the gateway give out?

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import gwsim as gw

shop = gw.load("../scenarios/ingress-bookinfo").with_("run.duration=4s", "run.warmup=1s", "run.replications=3")
budgets = ["gateway.overhead p(95) < 5ms", "errors rate < 0.1%", "gateway.cpu mean < 60%"]
forecast = pd.DataFrame({"half_year": range(4), "peak_rps": 3000 * 1.5 ** np.arange(4)}).round()
forecast

# %% [markdown]
# ## What one pod carries, on paper and simulated
# On paper: cores divided by CPU per request. The profile's CPU per request falls as workers get busier, because wake-ups are shared; so it is taken from
# a run, not from a table.

# %%
now = shop.run()
fleet = now.results.fleets[0]
per_request_us = fleet.cpu_cores.value / now.results.throughput.served_rps.value * 1e6
print(f"{per_request_us:.0f} us a request at {fleet.utilisation.value:.0%} busy: on paper {0.6 * 2 / per_request_us * 1e6:,.0f} rps a pod of two workers at 60 %")

# %% [markdown]
# ## The plan
# Every number of pods is tried, not computed: connections stay with a worker for life, so load is uneven, and the worst pod decides. The answer is confirmed
# with fresh random numbers, and *carries* says by how much the fleet would still grow.

# %%
plan = shop.plan(load=list(forecast.peak_rps), budgets=budgets, replicas=(1, 20), headroom=False)
plan

# %%
plan.staircase()

# %% [markdown]
# ## With a zone lost
# Pods stand in three zones. If the fullest is gone, the rest must hold the same budgets. That is the number to write down, if losing a zone at peak is to be
# an event and not an outage. Where no fleet holds, the plan says what fails: pods of a gateway do not replace those of a backend that stood in the same zone.

# %%
robust = shop.plan(load=[float(forecast.peak_rps.iloc[2])], budgets=budgets, replicas=(1, 20), headroom=False, zone_lost=True)
robust

# %% [markdown]
# ## Costs are a range, and so is the answer
# The cost profile was measured on one kind of machine. Until it is calibrated on yours, a request may cost 0.7 to 1.4 times as much. A plan for both ends:

# %%
ends = {}
for name, speed in (("cheap end", 1.4), ("as measured", 1.0), ("dear end", 0.7)):
    made = shop.with_(f"costs.speed={speed}").plan(load=[float(forecast.peak_rps.iloc[2])], budgets=budgets, replicas=(1, 20), headroom=False)
    ends[name] = made.frame.iloc[0]
pd.DataFrame(ends).T[["load_rps", "replicas", "gateway_cpu_cores", "busiest_worker_utilisation", "fails_with_one_less"]]

# %% [markdown]
# ## What to write
# Settings with the place they belong to, and why.

# %%
plan.settings

# %% [markdown]
# ## The forecast on one page

# %%
figure, axes = plt.subplots(figsize=(6.2, 3.4))
plan.staircase(ax=axes)
for _, row in forecast.iterrows():
    axes.axvline(row.peak_rps, color="#dfe3e8", zorder=0)
    axes.annotate(f"half-year {row.half_year:.0f}", (row.peak_rps, 0.2), rotation=90, fontsize=7, color="#59636f")
