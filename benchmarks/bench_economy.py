"""What a conversation costs in calls, pictures and tokens, beside MUSE's released code.

Under MUSE's control flow: six rounds, the first a recommendation, the last the target handed over, small talk now and
then between and never twice running; the target is among the ten candidates each time, and one in ten is chosen.
The offline simulator speaks; prompts and pictures are those that a model would get, counted by gpt-4o-mini's rule.
Opening, rewriter and reviewer are counted apart, as they have no counterpart there.

    python benchmarks/bench_economy.py [--convs 300]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from synth.agents import profile as profile_agent
from synth.agents.dialogue import Dialogue
from synth.agents.manager import Schedule
from synth.agents.scenario import seeds
from synth.corpora.attributes import brands
from synth.corpora.catalogue import Catalogue
from synth.corpora.drawing import draw_catalogue
from synth.corpora.records import Candidate
from synth.graphs.context import Context, Rules, asker, comparer
from synth.graphs.conversation import MAX_STEPS, conversation_graph
from synth.graphs.profiles import Surroundings, profiles_graph
from synth.index import Searcher, build_index
from synth.llm.budget import Budget
from synth.llm.courier import Direct, Tariff
from synth.llm.gateway import Gateway
from synth.llm.limiter import Limits
from synth.llm.offline import OfflineProvider
from synth.llm.pictures import Pictures
from synth.llm.provider import ImageData, ModelName
from synth.llm.structured import schema_text
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens
from synth.prompts.calls import (
    CALLS,
    REJECT,
    RERANK,
    Reason,
    RejectInput,
    RejectOutput,
    RerankInput,
    RerankOutput,
    Role,
)
from synth.prompts.cards import Cards
from synth.prompts.templates import Prompts, Sight
from synth.randomness import rng
from synth.text import opening
from synth.traces.store import RunStore

MUSE = {"calls": 25.4, "images": 10.1, "text": 15_100.0, "image tokens": 85_900.0, "output": 1_360.0}
"""Measured on its released code with small pictures, against a fake server; its 13.9 utterances included."""
MODEL = ModelName("openai", "gpt-4o-mini")
APART = ("chatter.greet", "chatter.ask", "user.need", "user.answer", "manager.outfit")
ROUNDS = 6
SMALL_TALK = 0.36
"""Chance of small talk in one of the four rounds between, where the one before was none: 1.16 a conversation, which is
what MUSE's 32.2 calls and 16 utterances at no hits come from."""


def muse_schedule(draw: random.Random) -> Schedule:
    chats = []
    for _ in range(ROUNDS - 2):
        chats.append(not (chats and chats[-1]) and draw.random() < SMALL_TALK)
    after: list[bool] = [False]
    for chat in chats:
        if chat:
            after[-1] = True
        else:
            after.append(False)
    return Schedule((*after, False), settle_from=ROUNDS + 1, recommendations=len(after) + 1)


class OneInTen(OfflineProvider):
    """The offline simulator, but for a reranker that has no idea and a user who takes nothing but the target."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._reject = self.handlers[REJECT.name]
        self.handlers[RERANK.name] = cast(Any, self._rerank)
        self.handlers[REJECT.name] = self._turn_down

    def _rerank(self, given: RerankInput, draw: random.Random) -> RerankOutput:
        return RerankOutput(id=draw.choice(given.candidates).id, reason="drawn")

    def _turn_down(self, given: RejectInput, draw: random.Random) -> RejectOutput:
        rejection = cast(RejectOutput, self._reject(given, draw))
        if rejection.reasons and opening(rejection.text) not in given.openings:
            return rejection
        said = f"{len(given.openings) + 1} looks in, this is still not the one that I would wear to it, sorry."
        return RejectOutput(reasons=[Reason(text=said, attribute=None, wanted=None)], text=said)


async def play(
    catalogue: Catalogue, folder: Path, convs: int, *, sight: Sight, rerank: bool, shared: bool
) -> dict[str, float]:
    """Sums per conversation."""
    pictures = {picture.hash: picture for product in catalogue for picture in product.images}
    sent = Pictures(
        lambda image: ImageData(catalogue.image_path(pictures[image]).read_bytes(), pictures[image].mime),
        "full" if sight == "full" else "low",
    )
    cards, own = Cards(catalogue), brands(catalogue)
    searcher = Searcher(build_index(catalogue, folder / "index", ("bm25",)))
    ids = [product.id for product in catalogue if product.images]
    prompts = Prompts(None, sight)
    utterances = chats = done = 0
    with closing(RunStore(folder / "run.db")) as store:
        budget, tariff = Budget(store), Tariff({}, None)
        offline = ModelName.parse("offline")
        roles: tuple[Role, ...] = ("simulator", "rewriter", "checker", "judge", "captioner")
        gateway = Gateway(
            prompts,
            dict.fromkeys(roles, offline),
            Direct({"offline": OneInTen(catalogue)}, Limits(), budget, tariff),
            tariff,
            budget,
            store,
            seed=0,
            described=sight == "described",
        )
        for number in range(convs):
            target = cards[ids[number % len(ids)]]
            draw = rng(0, "economy", number)
            here = Surroundings(
                f"p{number}",
                profile_agent.draw(draw, seeds(), target),
                own.get(target.id),
                asker(gateway, "profile", number),
            )
            await profiles_graph().ainvoke({}, context=here)
            if here.profile is None:
                continue

            async def search(
                query: str, k: int, exclude: Collection[str], target: str = target.id, draw: random.Random = draw
            ) -> list[Candidate]:
                found = await searcher.search(query, k, exclude=exclude)
                others = [candidate for candidate in found if candidate.id != target][: k - 1]
                last = others[-1].model_copy(update={"id": target})
                mixed = [*others, last]
                draw.shuffle(mixed)
                return mixed

            schedule = muse_schedule(draw)
            scenario = next(s.text for s in seeds() if s.id == here.profile.scenario_id)
            context = Context(
                dialogue=Dialogue(here.profile, scenario, cards),
                ask=asker(gateway, "conversation", number),
                search=search,
                cards=cards,
                product_ids=ids,
                schedule=schedule,
                rules=Rules("target", rerank, 10, 0.5, 24.0),
                seed=0,
                item=number,
                compare=comparer(gateway) if shared else None,
            )
            await conversation_graph().ainvoke({}, context=context, config={"recursion_limit": MAX_STEPS})
            done += 1
            utterances += context.dialogue.step
            chats += sum(turn.act == "chit_chat" for turn in context.dialogue.turns) // 2
        await gateway.aclose()
        sums = Counter[str]()
        for row in store.calls():
            if row.place.stage == "profile":
                continue
            kind = "opening " if row.call in APART else ""
            seen = sent.tokens(row.images, MODEL)
            texts = sum(estimate_tokens(text) + MESSAGE_TOKENS for text in row.messages)
            sums[f"{kind}calls"] += 1
            sums[f"{kind}images"] += len(sent.prepare(row.images, MODEL))
            sums[f"{kind}text"] += texts + estimate_tokens(schema_text(CALLS[row.call].output))
            sums[f"{kind}image tokens"] += seen
            sums[f"{kind}output"] += estimate_tokens(row.reply)
    return {
        **{name: count / done for name, count in sums.items()},
        "utterances": utterances / done,
        "small talk": chats / done,
        "conversations": float(done),
    }


def show(name: str, sums: dict[str, float]) -> None:
    tokens = sums["text"] + sums["image tokens"]
    theirs = MUSE["text"] + MUSE["image tokens"]
    print(
        f"{name:44} {sums['calls']:5.1f} calls ({sums['calls'] / MUSE['calls']:.0%} of MUSE's), "
        f"{sums['images']:4.1f} images, {sums['text']:7,.0f} text + {sums['image tokens']:7,.0f} image tokens in "
        f"({tokens / theirs:.0%}), {sums['output']:5,.0f} out, {sums['utterances']:.1f} utterances"
    )
    if "opening calls" in sums:
        print(
            f"{'    apart, the opening':44} {sums['opening calls']:5.1f} calls, {sums['opening images']:4.1f} images, "
            f"{sums['opening text']:7,.0f} text + {sums['opening image tokens']:7,.0f} image tokens in"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convs", type=int, default=300)
    convs = parser.parse_args().convs
    print(
        f"MUSE's released code: {MUSE['calls']} calls, {MUSE['images']} images, {MUSE['text']:,.0f} text + "
        f"{MUSE['image tokens']:,.0f} image tokens in, {MUSE['output']:,.0f} out, 13.9 utterances"
    )
    ways: list[tuple[str, Sight, bool, bool]] = [
        ("--images low", "low", True, False),
        ("--images low --rerank none", "low", False, False),
        ("--images low --comparisons shared", "low", True, True),
        ("--images described", "described", True, False),
        ("--images full", "full", True, False),
    ]
    with tempfile.TemporaryDirectory() as folder:
        draw_catalogue(Path(folder) / "catalogue", 600)
        catalogue = Catalogue.open(Path(folder) / "catalogue")
        for number, (name, sight, rerank, shared) in enumerate(ways):
            place = Path(folder) / str(number)
            place.mkdir()
            show(name, asyncio.run(play(catalogue, place, convs, sight=sight, rerank=rerank, shared=shared)))


if __name__ == "__main__":
    main()
