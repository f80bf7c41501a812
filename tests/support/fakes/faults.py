"""Faults on demand, drawn so that they repeat: by the request, how often it has come, and a seed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

CONTENT = ("bad_json", "empty", "refused", "cut")
"""Answers that are billed and of no use; rows of batches have them too."""
TRANSPORT = ("drop", "half", "hang")
"""Answers that are made and billed and never (or late) arrive."""
STATUS = ("401", "quota", "429", "429_retry_after", "500", "502", "503", "529")
"""Refusals, not billed."""
ROWS = ("row_errored", "row_expired")
"""Rows of batches."""
BATCH = ("batch_failed", "batch_lost")
"""Whole batches: one that fails, and one whose creation is not answered: the connection drops."""
STATES = ("401", "quota", "down", "die")

_OPTIONS = {"seed": 0, "hang_s": 600.0, "retry_after": 1.0, "after": None, "then": "die"}


class Faults:
    """Shares of requests by fault, and what happens for good after a number of answers.

    Besides the names above: `seed`; `hang_s`, seconds; `retry_after`, seconds told in `429_retry_after`;
    `after` (answers) and `then` (one of `STATES`: keys are refused, the quota is used up, every connection drops,
    the process ends).

    Raises:
        ValueError: there is no such fault, or the shares of one kind of request are more than 1.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        known = (*CONTENT, *TRANSPORT, *STATUS, *ROWS, *BATCH, *_OPTIONS)
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"no such fault: {', '.join(unknown)} (known: {', '.join(known)})")
        options = {**_OPTIONS, **given}
        if options["then"] not in STATES:
            raise ValueError(f"then: one of {', '.join(STATES)}")
        self.seed = options["seed"]
        self.hang_s = float(options["hang_s"])
        self.retry_after = float(options["retry_after"])
        self._after = options["after"]
        self._then = str(options["then"])
        self._shares = {name: float(given[name]) for name in known if name in given and name not in _OPTIONS}
        self._come: Counter[tuple[str, str]] = Counter()
        for kinds in ((*CONTENT, *TRANSPORT, *STATUS), (*CONTENT, *ROWS), BATCH):
            if sum(self._shares.get(name, 0.0) for name in kinds) > 1.0:
                raise ValueError(f"the shares of {', '.join(kinds)} are more than 1")

    def call(self, key: str) -> str | None:
        """The fault of a call online, if it has one."""
        return self._draw("call", key, (*CONTENT, *TRANSPORT, *STATUS))

    def row(self, key: str) -> str | None:
        """The fault of a batch's row. Calls online and rows are counted together."""
        return self._draw("call", key, (*CONTENT, *ROWS))

    def batch(self, key: str) -> str | None:
        """The fault of a batch as a whole."""
        return self._draw("batch", key, BATCH)

    def state(self, answers: int) -> str | None:
        """What has happened for good after so many answers, if it has."""
        return self._then if self._after is not None and answers >= self._after else None

    def _draw(self, kind: str, key: str, names: tuple[str, ...]) -> str | None:
        if not self._shares:
            return None
        self._come[kind, key] += 1
        text = f"{self.seed} {kind} {key} {self._come[kind, key]}"
        drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
        for name in names:
            drawn -= self._shares.get(name, 0.0)
            if drawn < 0:
                return name
        return None
