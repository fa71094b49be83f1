"""Latency and utilisation: a real Envoy under open-loop load, and the model driven by the arrivals that were recorded.

`cases` says what is run, `measuring` runs it twice and throws away what the machine disturbed, `modelling` simulates the
same arrivals with service times from the same run or from a calibration, `judging` holds them against each other.
"""
