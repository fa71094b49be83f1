# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Egress, and the ports of a NAT
#
# Calls of a partner's API leave the mesh through an egress gateway. Its CPU is nearly idle, and yet more than half of the calls fail in production. What runs out
# are the source ports of the NAT in front of the nodes: each connection takes one, and each port rests for a while afterwards. The YAML and the load are
# those of `scenarios/egress-nat`.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import gwsim as gw

egress = gw.load("../scenarios/egress-nat").with_("run.duration=100s", "run.replications=2", "budgets=[]")
egress.question

# %%
today = egress.run()
today

# %% [markdown]
# ## Why no test finds it
# The NAT keeps 64 ports for each machine and destination, and a port rests 30 s. The first 64 calls of each of the two gateway pods go well. From then on a
# port is free only when another has rested: 64 / 30 s, some two a second for each pod, whatever is asked for. Ports come back as they were taken, so
# failures come in waves of thirty seconds.

# %%
today.timeline()

# %% [markdown]
# ## Arithmetic, and what is simulated
# Connections that a NAT carries at the most: ports over rest, for each pod. The simulated rate of good answers follows from below: a pool that waits for a
# connection for which there is no port opens no further one, and free ports go unused meanwhile.

# %%
PORTS = (64, 128, 256, 512)
rows = []
for ports in PORTS:
    total = egress.with_(f"nat.cloud.ports={ports}").run().results.throughput
    rows.append({"ports": ports, "derived_rps": min(10.0, 2 * ports / 30.17), "simulated_rps": total.good_rps.value})
table = pd.DataFrame(rows).round(2)
table

# %%
drawn, axes = plt.subplots(figsize=(6.2, 3.0))
axes.plot(table.ports, table.derived_rps, color="#59636f", linestyle=(0, (4, 3)), label="ports / rest")
axes.plot(table.ports, table.simulated_rps, "o-", color="#2f6fd0", label="simulated")
axes.set(title="Calls answered well (rps), of 10 asked for", xlabel="ports of a machine", ylim=(0, 11))
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
drawn.tight_layout()

# %% [markdown]
# ## What to change
# More ports help only as long as the load does not grow. One field ends it: the DestinationRule closes each connection after one request. With
# connections that are kept, ten calls a second of fifty milliseconds need one port, most of the time.

# %%
kept = egress.with_("DestinationRule/shop/partner:spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection=0").run()
kept

# %%
kept.anatomy()

# %% [markdown]
# Nothing fails, and the handshake that every call paid is gone with the ports. Where a call spends its time is now the partner: network and service.
