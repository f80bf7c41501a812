"""Answers from the log of an offline run."""

from __future__ import annotations

import tomllib
from pathlib import Path

from synth.randomness import rng
from synth.traces.store import RunStore
from tests.support.fakes.ask import Ask, prompt_hash


class Replay:
    """The replies of a run, by what was asked.

    Where several calls asked the same, the OpenAI provider's `seed` tells them apart: it is drawn from the run's seed
    and the call's place without its attempt. A client without seeds (Anthropic's) gets the first reply: it comes upon
    calls that the run never made once two conversations were greeted alike.

    Args:
        store: path of a run.db; the run's seed is read from the config.toml beside it.
    """

    def __init__(self, store: str) -> None:
        path = Path(store)
        seed = int(tomllib.loads((path.parent / "config.toml").read_text("utf-8"))["seed"])
        self._replies: dict[bytes, str] = {}
        self._by_seed: dict[tuple[bytes, int], str] = {}
        """Of all calls but the first that asked the same, and that first one."""
        places: dict[bytes, tuple[str, int, str]] = {}
        log = RunStore(path, readonly=True)
        for call in log.calls():
            asked = prompt_hash(call.messages)
            place = (call.place.stage, call.place.item, call.place.step)
            if asked not in self._replies:
                self._replies[asked] = call.reply
                places[asked] = place
                continue
            if asked in places:
                self._by_seed[asked, _seed(seed, places.pop(asked))] = self._replies[asked]
            self._by_seed.setdefault((asked, _seed(seed, place)), call.reply)
        log.close()

    def reply(self, ask: Ask) -> str | None:
        """None where the run has asked no such thing."""
        if ask.seed is not None:
            reply = self._by_seed.get((ask.asked, ask.seed))
            if reply is not None:
                return reply
        return self._replies.get(ask.asked)


def _seed(run_seed: int, place: tuple[str, int, str]) -> int:
    return rng(run_seed, *place).getrandbits(31)
