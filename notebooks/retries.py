# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Retries: when they help, and when they only cost
#
# A retry hides a failure that is rare and independent. Where the failure is overload, a retry is one more request for a service that already has too many. The
# same setting does both; which one, depends on why requests fail.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import gwsim as gw
from gwsim.scenario import write_template

folder = Path(tempfile.mkdtemp()) / "demo"
write_template(folder)
base = gw.load(folder).with_("run.duration=5s", "run.warmup=1s", "run.replications=3", "budgets=[]")


def retries(attempts):
    """The setting for so many retries of checkout at the gateway."""
    policy = f'{{attempts: {attempts}, perTryTimeout: 1s, retryOn: "5xx"}}' if attempts else "{attempts: 0}"
    return f"VirtualService/shop/shop:spec.http[0].retries={policy}"


def row(run):
    """What matters of a run, one number each."""
    total = run.results.total
    return {
        "errors %": total.errors.value * 100, "gateway retries %": total.gateway_retries.value * 100,
        "gateway p50 ms": total.gateway_latency.p50.value * 1e3, "gateway p99 ms": total.gateway_latency.p99.value * 1e3,
        "cores": run.results.fleets[0].cpu_cores.value,
    }


# %% [markdown]
# ## When failures are rare and independent
# Two percent of the answers of checkout are 503, whatever the load.

# %%
flaky = base.with_("backends.east/checkout.shop.errors={503: 2%}")
pd.DataFrame({attempts: row(flaky.with_(retries(attempts)).run()) for attempts in (0, 1, 2)}).T.rename_axis("attempts").round(3)

# %% [markdown]
# Half of the requests are checkouts, so one percent fails without retries. Each retry divides that by about fifty, for one percent more work. So far retries are a bargain.
#
# ## When failures are overload
# Now checkout has no fault of its own, but short queues: a pod that has 32 requests in service and 8 waiting answers 503 at once. The load goes up, with
# and without retries.

# %%
QUEUE = "backends.east/checkout.shop.queue=8"
loads = "clients.web.arrivals.poisson=4krps,6krps,8krps,10krps,12krps"
short = base.with_(QUEUE, "run.duration=3s", "run.replications=2")
swept = {attempts: short.with_(retries(attempts)).sweep(loads) for attempts in (0, 2)}

figure, axes = plt.subplots(figsize=(6.2, 3.4))
for (attempts, one), color in zip(swept.items(), ("#2f6fd0", "#c4302b"), strict=True):
    axes.plot(one.frame["clients.web.arrivals.poisson"], one.frame["good_rps"], marker="o", color=color, label=f"{attempts} retries")
axes.set_title("Good answers per second, by load", loc="left")
axes.set_xlabel("offered, rps")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
pd.concat({f"{attempts} retries": one.frame.set_index("clients.web.arrivals.poisson")[["errors_share", "gateway_retries_share", "gateway_cpu_cores"]] for attempts, one in swept.items()}, axis=1).round(3)

# %% [markdown]
# Below capacity nothing differs. Beyond it, every refused request is asked again: the share of retries is the amplification that the backend sees, the
# gateway pays CPU for each, and the good answers hardly become more: the backend has no more servers than before.
#
# ## Two tiers multiply
# If the client retries too, the tiers multiply: with two retries each, one request may become nine. Errors fall, because each request tries longer; look at what
# the gateway does for it, a client's attempt each time.

# %%
CLIENT = "clients.web.retries={attempts: 2, retry_on: [5xx], back_off: {base: 25ms, max: 250ms}}"
over = short.with_(retries(2), "clients.web.arrivals.poisson=10krps")
both = {"gateway only": over.run(), "gateway and client": over.with_(CLIENT).run()}
pd.DataFrame({
    name: {
        "errors %": one.results.total.errors.value * 100, "gateway retries a stream": one.results.total.gateway_retries.value,
        "client retries a request": one.results.total.client_retries.value, "cores": one.results.fleets[0].cpu_cores.value,
    }
    for name, one in both.items()
}).round(2)

# %% [markdown]
# **What to take away.** Retry at one tier. Retry what is rare, not what is refused. Istio's default of two retries is on for every route that does not say
# otherwise, and `gwsim lint` finds routes that retry at several tiers.
