"""A request's way from proxy to proxy, as answers: from a client's sidecar through every gateway to the end."""

from __future__ import annotations

from dataclasses import replace

from gwsim.queries.ask import Answer, Configuration, ask
from gwsim.topology import journey


def follow(configuration: Configuration, first: Answer) -> list[Answer]:
    """The answers of the proxies after the first one, in order; the heaviest destination is followed."""
    hops = journey(configuration.topology, first.proxy, first.ports.listening, first.request)
    answers = [ask(configuration, hop.proxy, hop.dialled, hop.request) for hop in hops[1:]]
    if answers and hops[-1].end == "loop":
        note = f"the request comes back to {hops[-1].proxy.key}: it goes round in a circle"
        answers[-1] = replace(answers[-1], notes=(*answers[-1].notes, note))
    return answers
