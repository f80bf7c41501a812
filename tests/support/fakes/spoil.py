"""Answers that are of no use."""

from __future__ import annotations

import json

from tests.support.fakes.ask import Ask


def spoil(fault: str, text: str, ask: Ask) -> str:
    """A good answer gone wrong.

    Args:
        fault: one of `faults.CONTENT`.
    """
    if fault == "bad_json":
        ways = (_broken, _prose, _missing, _renamed)
        return ways[ask.asked[0] % len(ways)](text)
    if fault == "cut":
        return text[: len(text) // 2]
    return ""  # empty; refused


def _broken(text: str) -> str:
    return text[:-2]


def _prose(text: str) -> str:
    return f"Sure, here you go. {_strings(text)}"


def _missing(text: str) -> str:
    value = json.loads(text)
    value.pop(next(iter(value)))
    return json.dumps(value)


def _renamed(text: str) -> str:
    return json.dumps({f"{name}_": value for name, value in json.loads(text).items()})


def _strings(text: str) -> str:
    return " ".join(str(value) for value in json.loads(text).values() if not isinstance(value, list | dict))
