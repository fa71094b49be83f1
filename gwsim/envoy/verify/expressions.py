"""A text that a regular expression takes, drawn at random from the expression itself."""

from __future__ import annotations

import random
import re
import warnings
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

LETTERS = "abcxyzABC0123456789-_."
MOST = 4
"""Repetitions of what may be repeated for ever."""


def matching(pattern: str, rng: random.Random) -> str:
    """A text that the pattern takes as a whole; anything, when the pattern is of a kind not known here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "".join(_text(item, rng) for item in _parser.parse(pattern))
    except (re.error, ValueError, KeyError, OverflowError, RecursionError):
        return "x"


def _text(item: Any, rng: random.Random) -> str:
    kind, value = item
    if kind is codes.LITERAL:
        return chr(value)
    if kind is codes.NOT_LITERAL:
        return rng.choice([one for one in LETTERS if ord(one) != value])
    if kind is codes.ANY:
        return rng.choice(LETTERS)
    if kind is codes.IN:
        return _one_of(value, rng)
    if kind is codes.BRANCH:
        return "".join(_text(one, rng) for one in rng.choice(value[1]))
    if kind is codes.SUBPATTERN:
        return "".join(_text(one, rng) for one in value[3])
    if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        low, high, what = value
        count = rng.randint(low, max(low, min(int(high), low + MOST)))
        return "".join(_text(one, rng) for _ in range(count) for one in what)
    if kind is codes.AT:
        return ""
    raise ValueError(f"{kind} is not known here")


def _one_of(choices: Any, rng: random.Random) -> str:
    if choices and choices[0][0] is codes.NEGATE:
        taken = {one for one in LETTERS if any(_in(one, choice) for choice in choices[1:])}
        return rng.choice([one for one in LETTERS if one not in taken] or ["x"])
    kind, value = rng.choice(choices)
    if kind is codes.LITERAL:
        return chr(value)
    if kind is codes.RANGE:
        return chr(rng.randint(*value))
    return rng.choice([one for one in LETTERS if _in(one, (kind, value))] or ["x"])


def _in(letter: str, choice: Any) -> bool:
    kind, value = choice
    if kind is codes.LITERAL:
        return bool(ord(letter) == value)
    if kind is codes.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    pattern = {
        codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_SPACE: r"\s", codes.CATEGORY_NOT_DIGIT: r"\D",
        codes.CATEGORY_NOT_WORD: r"\W", codes.CATEGORY_NOT_SPACE: r"\S",
    }[value]  # fmt: skip
    return re.fullmatch(pattern, letter) is not None


__all__ = ["matching"]
