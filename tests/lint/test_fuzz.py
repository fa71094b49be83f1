"""Whatever stands in a field, rules say what they can and never fail: the examples with values put in at random."""

import copy
import json
import random

import yaml
from lint_calls import lint

from gwsim.topology.lint import catalogue

ODD = [None, "", "*", 0, -1, 1.5, True, [], {}, [None], [{}], ["x"], {"x": None}, {"x": {"y": []}}, "a/b/c", "${X}", "é", 10**30, [[]], "true", {"": ""}]


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _places(one, (*path, key))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _places(one, (*path, at))


def _put(value, path, odd):
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = odd


def test_no_value_makes_a_rule_fail():
    random_ = random.Random(20300101)
    for rule in catalogue():
        texts = (rule.bad,) if isinstance(rule.bad, str) else rule.bad
        originals = [[one for one in yaml.safe_load_all(text) if one] for text in texts]
        for _ in range(12):
            changed = json.loads(json.dumps(originals, default=str))
            for _ in range(random_.choice((1, 1, 2))):
                objects = random_.choice(changed)
                one = random_.choice(objects)
                path = random_.choice([path for path in _places(one) if path])
                _put(one, path, copy.deepcopy(random_.choice(ODD)))
            lint(*["\n---\n".join(json.dumps(one) for one in objects) for objects in changed])
