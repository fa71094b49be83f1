"""Planning: how often, with how many replicas, on how many cores a scenario is run.

    results = simulate(resolved, workers=2)

`replications` runs a scenario, `replicas` finds the pods an autoscaler settles at, `executors` spreads the work.
"""

from gwsim.planning.executors import Executor, executor
from gwsim.planning.replicas import Settled, settle_replicas
from gwsim.planning.replications import Progress, simulate

__all__ = ["Executor", "Progress", "Settled", "executor", "settle_replicas", "simulate"]
