# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Two clusters, and a service that fails
#
# Orders, in the cluster *east*, calls payments, which runs in *east* and in *west*, 30 ms away. Every call passes the sidecar of orders; those that cross also pass
# the east-west gateway of west. Three questions: what does a call cost at home and across, who stays at home, and what is lost when the payments of east fail?
# The YAML and the load are those of `scenarios/cluster-failover`.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import gwsim as gw

pair = gw.load("../scenarios/cluster-failover")
pair.question

# %%
home = pair.run()
home

# %% [markdown]
# ## At home
# All calls stay: with `outlierDetection` in the DestinationRule the endpoints of the own locality are the first priority. The time of a call, by where it goes and
# why; what is at further proxies is told with its proxy.

# %%
home.anatomy()

# %% [markdown]
# ## Without locality
# One field decides. Without locality load balancing the two endpoints that the sidecar sees are equal: the pod at home, and the gateway of the other
# cluster, which stands for the pod behind it. Half of the calls cross all the time.

# %%
spread = pair.with_("DestinationRule/shop/payments:spec.trafficPolicy.loadBalancer.localityLbSetting.enabled=false").run()
spread.anatomy()

# %% [markdown]
# ## When home fails
# From the third second on, the payments of east answer every call with 503. Each sidecar ejects the endpoint after five errors in a row, and goes on with
# the next priority.

# %%
failing = pair.with_("backends.east/payments.shop.faults=[{from: 3s, for: 60s, errors: {503: 100%}}]", "run.warmup=0s", "budgets=[]").run()
lost = int(round((failing.results.total.errors.value or 0.0) * failing.results.total.requests / failing.results.replications))
f"{lost} calls are lost in each run"

# %%
failing.timeline()

# %% [markdown]
# Twenty calls are lost, and not more however long it lasts: five for each of the four sidecars that call, since each learns by itself. Then the calls cross, and
# take some 30 ms longer: the round trip. The gateway that they pass on the way adds a fifth of a millisecond.

# %%
runs = {"at home": home, "half across": spread, "home fails": failing}
figures = pd.DataFrame({
    name: {
        "p50 ms": one.results.total.client_latency.p50.value * 1e3, "p99 ms": one.results.total.client_latency.p99.value * 1e3,
        "errors %": (one.results.total.errors.value or 0.0) * 100.0,
    }
    for name, one in runs.items()
}).round(2)
figures

# %%
drawn, axes = plt.subplots(figsize=(6.2, 2.4))
axes.barh(list(figures.columns), figures.loc["p99 ms"], color="#d9731a", height=0.35, align="edge", label="p99")
axes.barh(list(figures.columns), figures.loc["p50 ms"], color="#2f6fd0", height=-0.35, align="edge", label="p50")
axes.set_title("A call of payments (ms)", loc="left")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
drawn.tight_layout()

# %% [markdown]
# What to take home: locality load balancing needs `outlierDetection`, which is also what the failover costs: `consecutive5xxErrors` times the pods that call. A
# call that must not be lost needs a retry besides.
