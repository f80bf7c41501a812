"""Queries made into recommendations: the index recalls products for whatever a system asks it (MUSE §5, Table 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.errors import SynthError
from synth.recommender.muse.data import Moment, MuseData
from synth.recommender.runs import Query, Response, RunFile

if TYPE_CHECKING:
    from synth.index import Index

TASK = "muse.recommend"
DEPTH = 20
"""Products that are recalled: what Recall@20 looks at."""
METRICS = ("recall@10", "recall@20", "mrr@10", "mrr@20")
"""MUSE's: against the one product that the run recommended in that turn."""
RETRIEVERS = ("bm25", "minilm", "bge", "bge-hybrid")
"""Baselines that are asked the whole context, each over an index of its own."""
RULES = ("last-turn", "run")
"""Baselines over the index that models ask: the user's last words, and the run's own query, which found the product."""
_BATCH = 256
_STEP = 1e-7
"""Less than two scores of an index can differ by."""


class Finder:
    """An index that is asked for products not yet shown."""

    def __init__(self, index: Index) -> None:
        self._index = index
        # BM25 fills up with products that share no word with the query, in the order of their ids: no recall of its.
        self._sparse = all(encoder.name == "bm25" for encoder in index.encoders)

    @property
    def name(self) -> str:
        """Of its encoders."""
        return "+".join(encoder.name for encoder in self._index.encoders)

    def find(self, queries: Mapping[str, str], moments: Sequence[Moment]) -> Iterator[dict[str, dict[str, float]]]:
        """Scores of the products recalled at each moment, in parts; none where nothing is asked.

        Args:
            queries: by the moment's id; one without a word recalls nothing.
        """
        from synth.index.index import Search

        for start in range(0, len(moments), _BATCH):
            part = moments[start : start + _BATCH]
            found: dict[str, dict[str, float]] = {moment.id: {} for moment in part}
            asked = [moment for moment in part if queries.get(moment.id, "").strip()]
            searches = [Search(queries[moment.id], DEPTH, moment.shown) for moment in asked]
            for moment, ranked in zip(asked, self._index.search_many(searches) if searches else [], strict=True):
                listed = [c for c in ranked if c.score > 0 or not self._sparse]
                # Equal scores keep the order in which the search shows them.
                found[moment.id] = {c.id: c.score - c.rank * _STEP for c in listed}
            yield found


def open_finder(data: MuseData, encoders: Sequence[str], folder: Path, report: Any = None) -> Finder:
    """The index of the products over these encoders, built where there is none.

    Args:
        encoders: of `synth.index`.
        folder: what is built is kept below it.
        report: called with (encoder, done, in all).

    Raises:
        SynthError: an encoder is unknown, or what it needs is not here.
    """
    from synth.index import Index, build_index
    from synth.index.encoders import concrete, split

    specs = concrete(encoders, len(data.catalogue))
    place = folder / ("index-" + "-".join(split(spec)[0] for spec in specs))
    try:
        return Finder(Index.open(place, data.catalogue, specs))
    except SynthError:
        return Finder(build_index(data.catalogue, place, specs, report))


def questions(moments: Sequence[Moment]) -> list[Query]:
    """What systems are asked: one right answer each, of the whole catalogue."""
    return [Query(moment.id, moment.conversation, moment.product, ()) for moment in moments]


def asks(rule: str, moments: Sequence[Moment]) -> dict[str, str]:
    """The queries of a baseline, by the moment's id.

    Args:
        rule: `last-turn`, `run`, or `context` for all that was said.
    """
    if rule == "last-turn":
        return {moment.id: moment.last for moment in moments}
    return {moment.id: moment.query if rule == "run" else moment.whole for moment in moments}


def recall(
    name: str,
    queries: Mapping[str, str],
    moments: Sequence[Moment],
    finder: Finder,
    facts: Mapping[str, Any],
    advance: Any = None,
) -> RunFile:
    """A system's run: what the index recalls for its queries, which are kept as its responses.

    Args:
        facts: what tables say of the system.
        advance: called with how many moments are done.
    """
    scores: dict[str, dict[str, float]] = {}
    for found in finder.find(queries, moments):
        scores |= found
        if advance:
            advance(len(scores))
    said = {moment.id: Response(queries.get(moment.id, ""), bool(scores[moment.id])) for moment in moments}
    return RunFile(name, scores, said, {"task": TASK, "metrics": list(METRICS), "index": finder.name, **facts})


def hits(found: Mapping[str, Mapping[str, float]], moments: Sequence[Moment]) -> dict[str, float]:
    """`mrr@10` and `recall@10` by hand: what the best checkpoint is chosen by, without the extra `eval`."""
    reciprocal = recalled = 0.0
    for moment in moments:
        scores = found.get(moment.id, {})
        own = scores.get(moment.product)
        if own is None:
            continue
        place = sum(score >= own for score in scores.values())
        if place <= 10:
            recalled, reciprocal = recalled + 1, reciprocal + 1 / place
    count = max(len(moments), 1)
    return {"mrr@10": reciprocal / count, "recall@10": recalled / count}
