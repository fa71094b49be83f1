"""What a request costs on this machine, measured on a real Envoy, as a cost profile.

One gateway Envoy with a listener for each thing to be measured, one worker pinned to a core; backend and load generator
on another. Relative costs come from short slices in shuffled order, the loop's costs and the service time from
open-loop Poisson load. `bench` starts and pins, `subjects` says what is measured, `closed` drives the slices,
`rounds` judges them, `service_time` fits the worker's loop, `profile` writes the answer.
"""
