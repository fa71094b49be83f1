"""What running systems recorded: access logs, Prometheus, load generators' reports; and how a prediction compares.

`access_log`, `prometheus`, `generators` read; `traffic`, `rates` make parts of a scenario of them; `backtest` replays
what was observed against the configuration and holds the prediction against what happened.
"""
