"""Large fleets: time and memory grow gently."""

import time

from gwsim.diagnostics import Collector
from gwsim.resources import read_text

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs-%d, namespace: shop}
spec:
  hosts: [h%d.example.com]
  gateways: [istio-system/gw]
  http:
  - match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}]
    route:
    - {destination: {host: a, port: {number: 80}}, weight: 90}
    - {destination: {host: b, port: {number: 80}}, weight: 10}
    timeout: 5s
  - route: [{destination: {host: a, port: {number: 80}}}]
"""


def test_five_thousand_virtual_services_take_seconds():
    text = "---\n".join(SERVICE % (number, number) for number in range(5000))
    start = time.process_time()
    collector = Collector()
    objects = read_text(text, collector=collector)
    for service in objects.virtual_services:
        service.span_of("http[0].route[1].weight")
    # About 2.5 s of CPU on a 2020s laptop; the bound leaves room for a busy CI machine.
    assert time.process_time() - start < 20
    assert len(objects) == 5000 and not list(collector)
    assert objects.virtual_services[-1].span_of("http[1]").line == 4999 * 14 + 13
