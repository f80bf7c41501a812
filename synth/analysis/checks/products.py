"""What was shown: products from nowhere, products shown again."""

from __future__ import annotations

from collections.abc import Iterator

from synth.analysis.checks.case import Case, Finding

NOT_RETRIEVED = "products not retrieved in their turn"
TWICE = "products recommended twice"
CHECKS = (NOT_RETRIEVED, TWICE)


def products(case: Case) -> Iterator[Finding]:
    conversation = case.conversation
    shown: set[str] = set()
    for turn in case.recommendations:
        handed_over = conversation.ended_by == "forced" and turn is case.recommendations[-1]
        retrieved = {candidate.id for candidate in turn.retrieval.candidates} if turn.retrieval else set()
        for product_id in turn.products:
            if product_id in shown:
                yield case.found(TWICE, turn.index, f"{product_id} was recommended before")
            if product_id not in retrieved and not (handed_over and turn.retrieval is None):
                yield case.found(NOT_RETRIEVED, turn.index, f"{product_id} is not among {len(retrieved)} candidates")
        shown.update(turn.products)
