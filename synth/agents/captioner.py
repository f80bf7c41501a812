"""The captioner: the summary under which a product is found (MUSE A.1)."""

from __future__ import annotations

from synth.agents.dialogue import Ask
from synth.corpora.records import Product
from synth.prompts import calls
from synth.prompts.calls import CaptionInput


async def caption(product: Product, ask: Ask) -> Product:
    """The product with its `summary` description."""
    reply = await ask(calls.CAPTION, CaptionInput(product), "caption")
    return product.model_copy(update={"descriptions": {**product.descriptions, "summary": reply.summary}})
