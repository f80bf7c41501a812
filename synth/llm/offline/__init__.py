"""The offline simulator: a provider that needs no key and no download.

An agenda-based simulator (goal and agenda, as in Schatzmann et al., 2007) that reads the typed inputs of every agent
call and speaks through a grammar. It is for tests, first looks, and training data whose answer is known; what it
makes is marked as its own wherever it is shown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from synth.corpora.attributes import facets
from synth.corpora.records import Product
from synth.llm.offline.assistant import Assistant
from synth.llm.offline.jury import Jury
from synth.llm.offline.optimizer import Optimizer
from synth.llm.offline.shop import Shop
from synth.llm.offline.shopper import Shopper
from synth.llm.offline.staff import Staff
from synth.llm.provider import Reply, Request
from synth.prompts import calls
from synth.prompts.calls import Output
from synth.randomness import rng

Handler = Callable[[Any, random.Random], Output]


class OfflineProvider:
    """Answers every agent call from its typed input; the same place and seed give the same answer."""

    name = "offline"

    def __init__(self, products: Iterable[Product]) -> None:
        products = list(products)
        shop = Shop(products, {product.id: facets(product) for product in products})
        shopper, assistant, staff = Shopper(shop), Assistant(shop), Staff(shop)
        optimizer, jury = Optimizer(shop), Jury(shop)
        self.shop = shop
        self.handlers: dict[str, Handler] = {
            calls.EXPAND.name: staff.expand,
            calls.MATCH.name: staff.match,
            calls.BACKSTORY.name: staff.backstory,
            calls.OUTFIT.name: staff.outfit,
            calls.CAPTION.name: staff.caption,
            calls.LOOK.name: staff.look,
            calls.GREET.name: assistant.greet,
            calls.ASK.name: assistant.ask,
            calls.QUERY.name: assistant.query,
            calls.RERANK.name: assistant.rerank,
            calls.RECOMMEND.name: assistant.recommend,
            calls.CHAT_REPLY.name: assistant.chit_chat,
            calls.NEED.name: shopper.need,
            calls.ANSWER.name: shopper.answer,
            calls.JUDGE_FIT.name: shopper.judge,
            calls.REJECT.name: shopper.reject,
            calls.DIFFER.name: shopper.differ,
            calls.ACCEPT.name: shopper.accept,
            calls.USER_CHAT.name: shopper.chit_chat,
            calls.REWRITE.name: optimizer.rewrite,
            calls.CHECK.name: optimizer.check,
            calls.REVIEW.name: optimizer.review,
            calls.ASPECTS.name: jury.aspects,
            calls.COMPARE.name: jury.compare,
            calls.ELEMENTS.name: jury.elements,
            calls.WRITE.name: jury.write,
        }

    async def complete(self, request: Request) -> Reply:
        place = request.place
        own = rng(request.seed, request.call.name, place.stage, place.item, place.step, place.attempt)
        return Reply(self.handlers[request.call.name](request.given, own).model_dump_json())

    async def close(self) -> None:
        return None
