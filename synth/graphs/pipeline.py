"""Drives a run: captions, scenarios, then draws until enough conversations are accepted.

A draw has a number; everything random about it comes from (run seed, number). Duplicates and acceptance are decided
by number. There are never more draws under way than conversations are still missing, so which draws a run makes
does not depend on how many are in flight, and none is made in vain; in batches, as many more as will be rejected.

A shard makes every n-th draw, and decides on its own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection

from synth import __version__
from synth.agents import manager
from synth.agents import profile as profile_agent
from synth.agents.dialogue import Dialogue
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import (
    Candidate,
    Conversation,
    Provenance,
    Rejected,
    Scenario,
    Turn,
    UserProfile,
)
from synth.errors import Exit, SynthError
from synth.graphs.context import Context, Recorder, Rules, asker, comparer
from synth.graphs.conversation import MAX_STEPS, conversation_graph
from synth.graphs.decisions import Decisions, Totals, put_right, read_outcome, read_profile, refuse, verdict
from synth.graphs.optimizer import optimizer_graph
from synth.graphs.profiles import Surroundings, profiles_graph
from synth.graphs.progress import Progress
from synth.graphs.scenarios import make_scenarios
from synth.graphs.sequence import Sequence
from synth.graphs.settings import Settings
from synth.graphs.shard import Shard
from synth.llm.gateway import CallFailed, Gateway
from synth.prompts.cards import Cards
from synth.randomness import rng
from synth.traces.events import FilterEvent
from synth.traces.run import RunFolder, row, write_atomically

Search = Callable[[str, int, Collection[str]], Awaitable[list[Candidate]]]
_USUAL_PROFILES, _USUAL_REVIEWS = (17, 20), (19, 20)
"""What passes and of how many, at the two filters; counts beside what is observed, when draws are made beforehand."""
_SPARE = 1.64
"""Standard deviations by which these draws are more than what is just expected to do."""
_MOST_LIVE = 20_000


class Pipeline:
    """One run, or a shard of one, in this process.

    Args:
        convs: conversations wanted of this shard.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: Settings,
        catalogue: Catalogue,
        brands: dict[str, str],
        gateway: Gateway,
        search: Search,
        progress: Progress,
        *,
        convs: int,
        in_flight: int,
        batched: bool = False,
        shard: Shard = Shard(),  # noqa: B008
    ) -> None:
        self.run_folder = run
        self.settings = settings
        self.catalogue = catalogue
        self.brands = brands
        self.gateway = gateway
        self.store = gateway.store
        self.search = search
        self.progress = progress
        self.convs = convs
        self.in_flight = in_flight
        self.batched = batched
        """Whether all draws are live at once, those expected to be rejected included, since a wave takes long."""
        self.shard = shard
        self.cards = Cards(catalogue)
        self.ids = [product.id for product in catalogue if product.images]
        self.targets = list(self.ids)
        rng(settings.seed, "targets").shuffle(self.targets)
        self._profiled = self._passed = self._reviewed = self._good = 0
        """Draws whose profile is decided, and passed; whose conversation has ended, and is good: both in any order."""
        self._news: asyncio.Queue[asyncio.Task[None] | None] = asyncio.Queue()
        """Draws that are decided; None where another may be wanted before."""
        self._working = 0
        """Draws that are not only waiting for a decision on earlier ones."""
        self.scenarios: list[Scenario] = []
        numbers = shard.number(0), shard.of
        self._profiles: dict[int, str] = {}
        self._finished: dict[int, str] = {}
        self._gate: Sequence[UserProfile | None, str | None] = Sequence(self._decide_profile, *numbers)
        self._acceptance: Sequence[Conversation | Rejected, None] = Sequence(self._decide_conversation, *numbers)
        self._provenance = Provenance(
            seed=settings.seed, models=settings.models, prompts=gateway.prompts.hash, synth=__version__
        )
        self._compare = comparer(gateway) if settings.comparisons == "shared" else None
        self._rules = Rules(
            settings.accept, settings.rerank == "model", settings.k, settings.colloquial, settings.threshold
        )

    async def run(self) -> Totals:
        """Brings the run to `convs` accepted conversations.

        Raises:
            SynthError: it cannot get there; what is done is kept.
        """
        await self._make_scenarios()
        self._profiles = self.store.results("profile")
        self._finished = self.store.results("conversation")
        self.decisions = Decisions(self.run_folder, self.catalogue, self.settings.duplicate, self.convs)
        self.progress.stage("conversations", self.convs)
        try:
            await self._draw_all()
        finally:
            self.decisions.close()
        return self.decisions.totals

    async def _make_scenarios(self) -> None:
        path = self.run_folder.path / "scenarios.jsonl"
        if self.store.meta("scenarios") == self.settings.scenarios and path.is_file():
            self.scenarios = self.run_folder.scenarios()
            return
        self.progress.stage("scenarios", self.settings.scenarios)
        self.scenarios = await make_scenarios(
            self.gateway, self.settings.seed, self.settings.scenarios, self.settings.duplicate, self.progress.advance
        )
        write_atomically(path, "".join(row(scenario) + "\n" for scenario in self.scenarios))
        self.store.set_meta("scenarios", self.settings.scenarios)

    async def _draw_all(self) -> None:
        live: set[asyncio.Task[None]] = set()
        drawn = 0
        try:
            while not self.decisions.enough:
                while self._wants_more(drawn, len(live)):
                    number = self.shard.number(drawn)
                    self._check_yield(number)
                    task = asyncio.create_task(self._draw(number))
                    task.add_done_callback(self._news.put_nowait)
                    live.add(task)
                    self._working += 1
                    drawn += 1
                finished = await self._news.get()
                if finished is not None:
                    live.discard(finished)
                    finished.result()
        finally:
            for task in live:
                task.cancel()
            await asyncio.gather(*live, return_exceptions=True)

    def _wants_more(self, drawn: int, live: int) -> bool:
        """Whether another draw should be under way.

        In batches, as long as those under way are not likely to end in all that is missing.
        """
        if not self.batched:
            undecided = drawn - self._profiled < 2 * self.in_flight
            return self._working < self.in_flight and undecided and live < self.convs - self.decisions.totals.accepted
        passing = (self._passed + _USUAL_PROFILES[0]) / (self._profiled + _USUAL_PROFILES[1])
        accepted = (self._good + _USUAL_REVIEWS[0]) / (self._reviewed + _USUAL_REVIEWS[1])
        # A profile too few shows after two waves, a conversation too few after dozens: only these are worth spares.
        conversations = self._passed - self._reviewed + (drawn - self._profiled) * passing
        spread = math.sqrt(conversations * accepted * (1 - accepted))
        return live < _MOST_LIVE and self._good + conversations * accepted - _SPARE * spread < self.convs

    async def _draw(self, number: int) -> None:
        """One draw, from person to verdict."""
        outcome = await self._bring_about(number)
        self._rest()
        await self._acceptance.offer(number, outcome)

    def _rest(self) -> None:
        """A draw waits for a decision on earlier ones: another may work meanwhile."""
        self._working -= 1
        self._news.put_nowait(None)

    async def _bring_about(self, number: int) -> Conversation | Rejected:
        """What a draw comes to; what an earlier process finished is taken from the store."""
        profile = await self._profile(number)
        if isinstance(profile, Rejected):
            return profile
        if number in self._finished:
            outcome = read_outcome(self._finished.pop(number))
        else:
            outcome = await self._converse(number, profile)
        self._reviewed += 1
        self._good += isinstance(outcome, Conversation)
        return outcome

    async def _profile(self, number: int) -> UserProfile | Rejected:
        stored = self._profiles.pop(number, None)
        recorder = Recorder(self.store, "profile", number)
        made = read_profile(stored) if stored else await self._make_profile(number, recorder)
        self._rest()
        duplicate = await self._gate.offer(number, made if isinstance(made, UserProfile) else None)
        self._working += 1
        if isinstance(made, Rejected):
            result: UserProfile | Rejected = made
        elif duplicate is not None:
            result = refuse(made, duplicate)
        else:
            result = made
        if stored:
            put_right(self.store, number, stored, result)
            return result
        if isinstance(result, Rejected):
            recorder.append(FilterEvent(filter=result.filter, reason=result.reason))
        recorder.finish(row(made), verdict(result))
        return result

    async def _make_profile(self, number: int, recorder: Recorder) -> UserProfile | Rejected:
        target = self.cards[self.targets[number % len(self.targets)]]
        drawn = profile_agent.draw(rng(self.settings.seed, "profile", number), self.scenarios, target)
        ask = asker(self.gateway, "profile", number, recorder)
        here = Surroundings(f"p{number:06d}", drawn, self.brands.get(target.id), ask)
        try:
            await profiles_graph().ainvoke({}, context=here)
        except CallFailed as error:
            return Rejected(id=here.id, filter="failed", reason=str(error))
        if here.profile is None:
            return Rejected(id=here.id, filter=here.filter, reason=here.reason)
        return here.profile

    async def _converse(self, number: int, profile: UserProfile) -> Conversation | Rejected:
        scenario = self.scenarios[int(profile.scenario_id[1:])].text
        recorder = Recorder(self.store, "conversation", number)
        dialogue = Dialogue(profile, scenario, self.cards, recorder)
        context = Context(
            dialogue=dialogue,
            ask=asker(self.gateway, "conversation", number, recorder),
            search=self.search,
            cards=self.cards,
            product_ids=self.ids,
            schedule=manager.schedule(rng(self.settings.seed, "schedule", number)),
            rules=self._rules,
            seed=self.settings.seed,
            item=number,
            compare=self._compare,
        )
        try:
            await conversation_graph().ainvoke({}, context=context, config={"recursion_limit": MAX_STEPS})
            await optimizer_graph().ainvoke({}, context=context)
        except CallFailed as error:
            outcome: Conversation | Rejected = Rejected(
                id=f"c{number:06d}", filter="failed", reason=str(error), profile=profile
            )
            dialogue.events.append(FilterEvent(filter="failed", reason=str(error)))
        else:
            outcome = self._outcome(number, context)
        recorder.finish(row(outcome), verdict(outcome))
        return outcome

    def _outcome(self, number: int, context: Context) -> Conversation | Rejected:
        dialogue = context.dialogue
        assert context.review is not None and context.ended_by is not None
        turns = tuple(
            Turn.model_construct(**{**dict(turn), "text": text})
            for turn, text in zip(dialogue.turns, context.texts, strict=True)
        )
        conversation = Conversation(
            id=f"c{number:06d}",
            profile=dialogue.profile,
            opening=dialogue.opening,
            outfit_id=dialogue.outfit.id if dialogue.outfit else None,
            turns=turns,
            drafts=tuple(turn.text for turn in dialogue.turns),
            ended_by=context.ended_by,
            accepted_id=dialogue.shown[-1],
            target_id=dialogue.target.id,
            scores=context.review.scores,
            provenance=self._provenance,
        )
        if context.review.accepted:
            return conversation
        reason = "; ".join(context.review.problems) or f"total {conversation.scores.total:g}"
        return Rejected(id=conversation.id, filter="review", reason=reason, conversation=conversation)

    def _decide_profile(self, number: int, profile: UserProfile | None) -> str | None:
        """Why the profile repeats an earlier one, if it does. Strictly by number."""
        self._profiled += 1
        duplicate = self.decisions.profile(profile) if profile else None
        if profile is None or duplicate is not None:
            self._news.put_nowait(None)
        else:
            self._passed += 1
        return duplicate

    def _decide_conversation(self, number: int, outcome: Conversation | Rejected) -> None:
        """Counts and writes an outcome. Strictly by number."""
        self.decisions.outcome(outcome)
        if isinstance(outcome, Conversation):
            self.progress.advance(self.decisions.totals.accepted)

    def _check_yield(self, number: int) -> None:
        """
        Raises:
            SynthError: the filters let nothing, or next to nothing, through.
        """
        draws = 8 * self.settings.per_product * len(self.targets)
        why = self.decisions.dry or (f"{draws} draws were made" if number >= draws else "")
        if not why:
            return
        totals = self.decisions.totals
        reasons = ", ".join(f"{n} {name}" for name, n in totals.rejected.most_common())
        raise SynthError(
            f"Stopped at {totals.accepted} of {self.convs} conversations: {why} (rejected so far: {reasons}).",
            f"What is done is in {self.run_folder.path}; see rejected.jsonl there for the reasons.",
            Exit.LIMIT,
        )
