# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # What if? One gateway, turned around
#
# A shop's ingress gateway at the evening peak: browsers over HTTP/2 and TLS, an API over HTTP/1.1, a canary of one review in ten. The YAML is in
# `scenarios/ingress-bookinfo/istio`, the load in `scenario.yaml`. We change one thing at a time and see what follows. Runs are short here, so that
# the whole tour takes a minute; intervals say what that costs.

# %%
import gwsim as gw

shop = gw.load("../scenarios/ingress-bookinfo").with_("run.duration=4s", "run.warmup=1s", "run.replications=3")
shop.question

# %%
today = shop.run()
today

# %% [markdown]
# The answer in one look: verdict, budgets with intervals, routes, where the time went. Everything is also data, with units in the names.

# %%
today.routes[["route", "served_rps", "p50_ms", "p99_ms", "gateway_p99_ms", "errors_pct"]].round(2)

# %% [markdown]
# ## Where does the time go?
# Percentiles on an axis on which every factor of ten in rarity is one step. The client's curves and the gateway's are far apart: most of what users
# wait for is the network and, in the tail, new TLS connections.

# %%
today.percentiles()

# %%
today.where_time_went()

# %% [markdown]
# ## What if twice as many come?
# `with_` gives another scenario; the first stays as it is. Comparing pairs the replications: both see the same random numbers, so the difference is
# the load and not luck.

# %%
twice = shop.with_("clients.web.arrivals.poisson=7200rps", "clients.api.arrivals.poisson=4800rps")
load = shop.compare(twice)
load

# %% [markdown]
# ## What if the canary were slow?
# Version 2 of reviews has one pod. Ten times its service time, and the route's p99 is the canary's. The interesting figure is how little of it shows in
# the median: one request in ten.

# %%
slow = shop.with_("backends.east/reviews.bookinfo.subsets.v2.service_time={lognormal: {median: 200ms, p99: 1s}}").run()
slow.routes.set_index("route")[["p50_ms", "p95_ms", "p99_ms", "errors_pct"]].round(1).loc[["api-reviews"]]

# %% [markdown]
# ## What if the route gave up earlier?
# A time-out of half a second on the route bounds what the gateway waits, and turns slowness into errors. `--set` on the command line takes the same
# path: an object of the configuration, and a field of it.

# %%
bounded = shop.with_(
    "backends.east/reviews.bookinfo.subsets.v2.service_time={lognormal: {median: 200ms, p99: 1s}}",
    "VirtualService/bookinfo/bookinfo:spec.http[2].timeout=300ms",
).run()
bounded.frame("errors")

# %% [markdown]
# ## Where is the edge?
# A sweep: the load of the browsers from half to four times of today's. Colours of the marks are verdicts.

# %%
edge = shop.with_("run.duration=3s", "run.replications=2").sweep("clients.web.arrivals.poisson=2krps..14krps:5")
edge.curve("busiest_worker_utilisation")

# %%
edge.frame[["clients.web.arrivals.poisson", "verdict", "gateway_pods", "gateway_cpu_cores", "client_latency_p99_s", "bottleneck"]].round(3)

# %% [markdown]
# The autoscaler adds pods on the way, so the curve has steps. What it cannot add is backends: the last column names what is fullest.
