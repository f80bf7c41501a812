"""Runs to show and to test pages with: by models that cost something, with retries and repairs, and no network.

An offline run is made, and then made again from a fake server that gives the same replies, with tokens to count, time
to take, and a fault now and then.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from synth.graphs.generation import generate
from synth.graphs.options import Options
from tests.support.fakes import Fake

_PRICES = ("gpt-4o-mini=0.15/0.075/0.60", "gpt-4.1-mini=0.40/0.10/1.60")


def make_paid(offline: Options, out: Path, latency: tuple[float, float] = (0.0, 0.0)) -> Path:
    """A run with the same replies as an offline one's, which is made if it is not there, and as if they were paid.

    Args:
        offline: with its `out`.
        latency: seconds from a request to its reply, drawn evenly between the two.
    """
    assert offline.out is not None
    generate(offline)
    faults = {"500": 0.01, "bad_json": 0.015, "drop": 0.005}
    os.environ.setdefault("OPENAI_API_KEY", "sk-fake")
    with Fake(answers="replay", replay=str(offline.out / "run.db"), latency=latency, faults=faults) as server:
        models = {"llm": "openai:gpt-4o-mini", "rewriter": "openai:gpt-4.1-mini"}
        paid = replace(offline, out=out, base_url=server.openai_url, prices=_PRICES, in_flight=256, **models)
        generate(paid)
    return out
