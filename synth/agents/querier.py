"""The querier: from the conversation alone to a query, candidates, and the product to show next (MUSE §3.3.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from synth.agents.dialogue import Ask, Dialogue
from synth.corpora.records import Candidate, Retrieval
from synth.llm.gateway import CallFailed
from synth.prompts import calls
from synth.prompts.calls import QueryInput, RerankInput
from synth.traces.events import RetrievalEvent

Search = Callable[[str, int, Collection[str]], Awaitable[list[Candidate]]]
"""(query, k, excluded ids) → candidates."""


async def choose(dialogue: Dialogue, ask: Ask, search: Search, *, k: int, rerank: bool) -> Retrieval:
    """Writes a query, retrieves `k` products not shown yet, and picks one.

    Raises:
        CallFailed: the reranker named a product that was not retrieved, twice.
    """
    step = f"{dialogue.step}"
    view = dialogue.assistant_view()
    query = await ask(calls.QUERY, QueryInput(view), f"{step}.query")
    excluded = tuple(dialogue.shown) + ((dialogue.outfit.id,) if dialogue.outfit else ())
    found = await search(query.query, k, excluded)
    if not found:
        raise CallFailed("querier: the catalogue has no product left to show")
    chosen, reason = found[0].id, "first in the index's order"
    if rerank and len(found) > 1:
        candidates = tuple(dialogue.cards[c.id] for c in found)
        chosen, reason = await _rerank(ask, RerankInput(view, query.needs, tuple(query.clarified), candidates), step)
    retrieval = Retrieval(
        needs=query.needs, query=query.query, candidates=tuple(found), excluded=excluded, chosen=chosen, reason=reason
    )
    rank = next((c.rank for c in found if c.id == dialogue.profile.target_id), None)
    dialogue.events.append(RetrievalEvent(step=step, retrieval=retrieval, target_rank=rank))
    return retrieval


async def _rerank(ask: Ask, given: RerankInput, step: str) -> tuple[str, str]:
    ids = {card.id for card in given.candidates}
    for attempt in ("rerank", "rerank.again"):
        reply = await ask(calls.RERANK, given, f"{step}.{attempt}")
        if reply.id in ids:
            return reply.id, reply.reason
    raise CallFailed(f"querier: the reranker chose {reply.id!r}, which was not retrieved")
