"""Which conversations are put side by side: about the same wish where there are such, and the same for everybody."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from synth.analysis.talks import Brief, Talks
from synth.traces.judgements import Side, pair_subject

_CLOSENESS: tuple[Callable[[Brief], Hashable], ...] = (
    lambda brief: brief.person and brief.scenario and brief.target and (brief.person, brief.scenario, brief.target),
    lambda brief: brief.scenario and brief.target and (brief.scenario, brief.target),
    lambda brief: brief.target,
    lambda brief: brief.scenario,
    lambda brief: "any",
)
"""What two conversations may have in common, the best first; empty where it is not known."""


class Pair(NamedTuple):
    """Two conversations to be compared."""

    a: Side
    b: Side
    closeness: int
    """0: the same person, scenario and target; 4: nothing in common."""

    @property
    def key(self) -> str:
        """An id that does not say what the pair is."""
        return hashlib.blake2b(
            (self.a.model_dump_json() + self.b.model_dump_json()).encode(), digest_size=8
        ).hexdigest()

    @property
    def subject(self) -> Hashable:
        return pair_subject(self.a, self.b)


class Comparison:
    """Two sets of conversations that are compared pair by pair."""

    def __init__(self, name: str, a: Talks, b: Talks) -> None:
        self.name = name
        self.a, self.b = a, b
        self._state: Hashable = None
        self._pairs: list[Pair] = []

    def pairs(self, sample: int) -> list[Pair]:
        """The same for everybody, in the same order; a larger sample begins with the smaller one.

        The order is by hash, but pairs that have more in common come first.

        Raises:
            SynthError: a file cannot be read.
        """
        state = self.a.state(), self.b.state()
        if state != self._state:
            self._pairs = sorted(self._all(), key=lambda pair: (pair.closeness, pair.key))
            self._state = state
        return self._pairs[:sample]

    def _all(self) -> Iterator[Pair]:
        one, other = self.a.briefs(), self.b.briefs()
        if self.a.path == self.b.path:
            for brief in one.values():
                if brief.rewritten:
                    yield self._pair(brief, brief, 0)
            return
        for a, b, closeness in matched(one.values(), other.values()):
            # Of two that say the same, neither is better.
            if a.said != b.said:
                yield self._pair(a, b, closeness)

    def _pair(self, a: Brief, b: Brief, closeness: int) -> Pair:
        one, other = (
            Side(source=talks.name, conversation=brief.id, version=talks.version)
            for talks, brief in ((self.a, a), (self.b, b))
        )
        return Pair(one, other, closeness)


def matched(one: Iterable[Brief], other: Iterable[Brief]) -> Iterator[tuple[Brief, Brief, int]]:
    """Pairs from two sets, each conversation once; those with most in common first.

    Those of the same id are preferred where several have the same in common.
    """
    left, right = {brief.id: brief for brief in one}, {brief.id: brief for brief in other}
    for closeness, common in enumerate(_CLOSENESS):
        groups: defaultdict[Hashable, dict[str, Brief]] = defaultdict(dict)
        for brief in right.values():
            if key := common(brief):
                groups[key][brief.id] = brief
        waiting = []
        found = []
        for brief in left.values():
            group = groups.get(common(brief) or None, {})
            if brief.id in group:
                found.append((brief, group.pop(brief.id)))
            elif group:
                waiting.append((brief, group))
        for brief, group in waiting:
            if group:
                found.append((brief, group.pop(next(iter(group)))))
        for a, b in found:
            del left[a.id], right[b.id]
            yield a, b, closeness
