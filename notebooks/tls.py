# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # What TLS costs a gateway, and what can be done about it
#
# A handshake is the dearest thing that a gateway does: it blocks the worker that does it, and every other request of that worker waits. How dear depends on
# the key in the certificate; how often, on how long connections live and whether clients resume.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import gwsim as gw
from gwsim import costs

# %% [markdown]
# ## The price list
# CPU of the server for one handshake, from the cost profile; each number has a range and a source.

# %%
profile = costs.load()
kinds = {
    "RSA-4096": "tls.handshake.rsa4096.tls13_full_us", "RSA-3072": "tls.handshake.rsa3072.tls13_full_us", "RSA-2048": "tls.handshake.rsa2048.tls13_full_us",
    "P-384": "tls.handshake.p384.tls13_full_us", "P-256": "tls.handshake.p256.tls13_full_us", "resumed": "tls.handshake.tls13_resumed_us",
}
prices = pd.DataFrame({name: {"us": profile[path].value, "low": profile[path].low, "high": profile[path].high} for name, path in kinds.items()}).T
prices

# %%
figure, axes = plt.subplots(figsize=(6.2, 2.6))
axes.barh(prices.index, prices.us, color="#2f6fd0", xerr=[prices.us - prices.low, prices.high - prices.us], ecolor="#59636f")
axes.set_title("TLS 1.3 handshake, server CPU (us)", loc="left")
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()

# %% [markdown]
# A request costs some hundred microseconds. One RSA-2048 handshake costs as much as several requests, one of RSA-4096 as a whole page of them. Resumption saves
# two thirds of an RSA-2048 handshake, and next to nothing of a P-256 one.
#
# ## How long connections live
# The same 3,600 requests a second from browsers, in connections of one request up to fifty. One pod more or less is not the point here, so the fleet is fixed.

# %%
base = gw.load("../scenarios/ingress-bookinfo").with_(
    "run.duration=4s", "run.warmup=1s", "run.replications=3", "budgets=[]", "gateway.istio-ingressgateway.replicas=4", fix_replicas=True,
)
lives = base.sweep("clients.web.connection.requests=1,2,4,8,16,50")
lives.frame[["clients.web.connection.requests", "gateway_cpu_cores", "busiest_worker_utilisation", "gateway_overhead_p99_s", "client_latency_p99_s"]].round(4)

# %%
lives.curve("gateway_cpu_cores")

# %% [markdown]
# ## The key
# The certificate's key is P-256. What if it were RSA-2048? A certificate is not needed to ask: the price of its handshake is.

# %%
def with_key(name):
    """The scenario with the price of another key."""
    full = prices.us[name]
    return base.with_(f"costs.overrides.tls.handshake.p256.tls13_full_us={full}")


runs = {name: with_key(name).run() for name in ("P-256", "RSA-2048", "RSA-4096")}
pd.DataFrame({
    name: {
        "cores": one.results.fleets[0].cpu_cores.value, "busy": one.results.fleets[0].utilisation.value,
        "overhead p50 ms": one.results.total.gateway_overhead.p50.value * 1e3, "overhead p99 ms": one.results.total.gateway_overhead.p99.value * 1e3,
    }
    for name, one in runs.items()
}).round(2)

# %% [markdown]
# The mean is not where it hurts. A request that arrives during a handshake waits for all of it, and at RSA-4096 that is five milliseconds at a time.

# %%
figure, axes = plt.subplots(figsize=(6.2, 3.4))
for (name, one), color in zip(runs.items(), ("#2a9d6f", "#2f6fd0", "#c4302b"), strict=True):
    latency = one.results.total.gateway_overhead
    shares = [p / 100 for p in range(50, 100)] + [0.995, 0.999]
    axes.plot([p * 100 for p in shares], [latency.histogram.quantile_s(p) * 1e3 for p in shares], color=color, label=name)
axes.set_xlabel("percentile")
axes.set_title("What the gateway adds (ms)", loc="left")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Tickets
# Clients that come back may offer a session ticket. Each gateway pod has ticket keys of its own, and the load balancer sends a client to any pod: with *n* pods
# about one ticket in *n* can be used. That is why offering more tickets saves less than one hopes, even with an RSA-2048 key.

# %%
tickets = with_key("RSA-2048").sweep("gateway.istio-ingressgateway.replicas=2,4,8", "clients.web.connection.offers_ticket=0%,50%,100%")
tickets.frame.pivot(index="gateway.istio-ingressgateway.replicas", columns="clients.web.connection.offers_ticket", values="gateway_cpu_cores").round(2)

# %% [markdown]
# **What to take away.** Use P-256 keys. Let connections live. Count on tickets only where the load balancer keeps clients with their pod.
