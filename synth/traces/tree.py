"""A draw as a tree: its turns, and under each the agents' steps, searches and choices, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from synth.corpora.records import Act, Ending, Opening, Record, Retrieval, Scores, Speaker, UserProfile
from synth.traces.events import ChoiceEvent, Event, RetrievalEvent, ReviewEvent, RewriteEvent
from synth.traces.reader import ACCEPTED, Draw, RunReader, Step, turn_of

ROLES = {"s": "system", "u": "user", "a": "assistant"}
VERDICTS = (ACCEPTED, "rejected", "match", "duplicate", "review", "failed")
"""What draws can be selected by: `rejected` is all that a filter refused."""
_OPENINGS = ("multimodal", "text")
_SUMS = "count(*), sum(input_tokens + output_tokens), sum(usd), sum(seconds), sum(tries > 1 OR attempt > 0)"


class Message(Record):
    """A message of a prompt."""

    role: str
    text: str


class StepLeaf(Record):
    """One model call."""

    anchor: str
    """Fragment of a deep link to it."""
    agent: str
    call: str
    side: str
    model: str
    prompt: str
    """Hash of the prompt file."""
    temperature: float
    max_tokens: int
    input_tokens: int
    cached_tokens: int
    image_tokens: int
    output_tokens: int
    usd: float
    seconds: float
    tries: int
    repair: bool
    """Whether it repeats a call whose reply broke the schema."""
    logged: bool
    """Whether a later start of the run took the reply from the log."""
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    reply: str


class Shown(Record):
    """A product as a turn shows it."""

    id: str
    title: str


class Search(Record):
    """What the querier's search found."""

    retrieval: Retrieval
    titles: dict[str, str]
    target_rank: int | None
    """From 0; None if the target was not found."""


class Rewrite(Record):
    """What the rewriter made of a turn."""

    before: str
    after: str
    kept: bool
    """True if the check failed, and the draft stands."""
    reason: str


class Chosen(Record):
    """What the manager decided."""

    choice: str
    reason: str


class Branch(Record):
    """A turn, or what came before the first and after the last."""

    name: str
    """`profile`, the turn's number, or `optimizer`."""
    speaker: Speaker | None = None
    act: Act | None = None
    text: str = ""
    products: tuple[Shown, ...] = ()
    images: tuple[str, ...] = ()
    choices: tuple[Chosen, ...] = ()
    search: Search | None = None
    rewrite: Rewrite | None = None
    steps: tuple[StepLeaf, ...] = ()


class Review(Record):
    """The reviewer's verdict."""

    scores: Scores
    total: float
    accepted: bool
    problems: tuple[str, ...]


class DrawTree(Record):
    """A draw from its profile to its review."""

    id: str
    verdict: str
    reason: str
    """The filter's, of a refused draw."""
    scenario: str
    family: str
    profile: UserProfile | None
    target: Shown | None
    opening: Opening | None
    ending: Ending | None
    accepted: Shown | None
    review: Review | None
    branches: tuple[Branch, ...]

    def steps(self) -> Iterator[StepLeaf]:
        for branch in self.branches:
            yield from branch.steps


class Overview(Record):
    """A draw in one line."""

    id: str
    verdict: str
    ending: str
    scenario: str
    """Its id."""
    family: str
    category: str
    """The target's path."""
    turns: int
    calls: int
    tokens: int
    """Read and written."""
    usd: float
    seconds: float
    """Waiting for replies, summed."""
    errors: int
    """Calls that were tried again, or repaired."""
    first: str
    """What the user says first; of a draw without conversation, why it was refused."""


class Selection(NamedTuple):
    """Which draws to show; empty fields take all."""

    scenario: str = ""
    """Id, family, or a part of the scenario's text."""
    category: str = ""
    """A part of the target's category path."""
    verdict: str = ""
    """`accepted`, `rejected`, or a filter's name."""
    ending: str = ""
    error: bool = False
    """Only draws with calls that were tried again or repaired, and those that failed."""

    def takes(self, line: Overview, scenario_text: str) -> bool:
        if self.verdict == "rejected":
            if line.verdict == ACCEPTED:
                return False
        elif self.verdict and self.verdict != line.verdict:
            return False
        wanted = self.scenario.lower()
        return (
            (not wanted or wanted in (line.scenario.lower(), line.family.lower()) or wanted in scenario_text.lower())
            and self.category.lower() in line.category.lower()
            and (not self.ending or self.ending == line.ending)
            and (not self.error or line.errors > 0 or line.verdict == "failed")
        )


def select(reader: RunReader, selection: Selection) -> Iterator[tuple[Draw, Overview]]:
    """Draws that a selection takes, accepted ones first, each with its line."""
    where = "stage IN ('profile', 'conversation')"
    sums = {item: rest for item, *rest in reader.store.sums(_SUMS, "item", where)}
    for draw in reader.draws():
        line = _overview(reader, draw, sums.get(draw.number, [0, 0, 0.0, 0.0, 0]))
        scenario = reader.scenarios.get(line.scenario)
        if selection.takes(line, scenario.text if scenario else ""):
            yield draw, line


def tree(reader: RunReader, draw: Draw) -> DrawTree:
    """Everything that is known of a draw."""
    events = reader.events("conversation", draw.number)
    conversation, profile = draw.conversation, draw.profile
    scenario = reader.scenarios.get(profile.scenario_id) if profile else None
    review = next((event for event in events if isinstance(event, ReviewEvent)), None)
    return DrawTree(
        id=draw.id,
        verdict=draw.verdict,
        reason=draw.reason,
        scenario=scenario.text if scenario else "",
        family=scenario.family if scenario else "",
        profile=profile,
        target=_shown(reader, profile.target_id) if profile else None,
        opening=conversation.opening if conversation else None,
        ending=conversation.ended_by if conversation else None,
        accepted=_shown(reader, conversation.accepted_id) if conversation and conversation.accepted_id else None,
        review=_review(review) if review else None,
        branches=tuple(_branches(reader, draw, reader.steps(draw.number), events)),
    )


def leaf(step: Step) -> StepLeaf:
    """A step as plain data."""
    call = step.call
    roles = call.roles.ljust(len(call.messages))
    return StepLeaf(
        anchor=step.anchor,
        agent=step.span.agent if step.span else call.call.partition(".")[0],
        repair=call.place.attempt > 0,
        logged=bool(step.span and step.span.logged),
        messages=tuple(
            Message(role=ROLES.get(role, "user"), text=text) for role, text in zip(roles, call.messages, strict=True)
        ),
        **{name: getattr(call, name) for name in _SAME},
    )


_SAME = (
    *("call", "side", "model", "prompt", "temperature", "max_tokens", "input_tokens", "cached_tokens", "image_tokens"),
    *("output_tokens", "usd", "seconds", "tries", "images", "reply"),
)


def _branches(reader: RunReader, draw: Draw, steps: Sequence[Step], events: Sequence[Event]) -> Iterator[Branch]:
    turns = {turn.index: turn for turn in draw.conversation.turns} if draw.conversation else {}
    drafts = draw.conversation.drafts if draw.conversation else ()
    searches = {turn_of("conversation", e.step): e for e in events if isinstance(e, RetrievalEvent)}
    rewrites = {event.turn: event for event in events if isinstance(event, RewriteEvent)}
    choices: dict[int, list[Chosen]] = {}
    for event in events:
        if isinstance(event, ChoiceEvent):
            # The opening is chosen once the assistant has said hello.
            at = 1 if event.choice in _OPENINGS else turn_of("conversation", event.step)
            choices.setdefault(at, []).append(Chosen(choice=event.choice, reason=event.reason))
    for index in sorted({*turns, *searches, *choices, *(step.turn for step in steps)}):
        turn = turns.get(index)
        phase = next((step.phase for step in steps if step.turn == index), "conversation")
        found, rewrite = searches.get(index), rewrites.get(index)
        before = drafts[index] if turn and index < len(drafts) else ""
        yield Branch(
            name=str(index) if phase == "conversation" else phase,
            speaker=turn.speaker if turn else None,
            act=turn.act if turn else None,
            text=turn.text if turn else "",
            products=tuple(_shown(reader, product) for product in turn.products) if turn else (),
            images=turn.images if turn else (),
            choices=tuple(choices.get(index, ())),
            search=_search(reader, found) if found else None,
            rewrite=Rewrite(before=before, after=rewrite.rewrite, kept=rewrite.kept, reason=rewrite.reason)
            if rewrite
            else None,
            steps=tuple(leaf(step) for step in steps if step.turn == index),
        )


def _overview(reader: RunReader, draw: Draw, sums: Sequence[float]) -> Overview:
    conversation, profile = draw.conversation, draw.profile
    scenario = reader.scenarios.get(profile.scenario_id) if profile else None
    target = reader.product(profile.target_id) if profile else None
    turns = conversation.turns if conversation else ()
    calls, tokens, usd, seconds, errors = sums
    return Overview(
        id=draw.id,
        verdict=draw.verdict,
        ending=conversation.ended_by if conversation else "",
        scenario=profile.scenario_id if profile else "",
        family=scenario.family if scenario else "",
        category=" › ".join(target.categories) if target else "",
        turns=len(turns),
        calls=int(calls),
        tokens=int(tokens),
        usd=usd,
        seconds=seconds,
        errors=int(errors),
        first=next((turn.text for turn in turns if turn.speaker == "user"), draw.reason),
    )


def _shown(reader: RunReader, product_id: str) -> Shown:
    product = reader.product(product_id)
    return Shown(id=product_id, title=product.title if product else "")


def _search(reader: RunReader, event: RetrievalEvent) -> Search:
    titles = {found.id: _shown(reader, found.id).title for found in event.retrieval.candidates}
    return Search(retrieval=event.retrieval, titles=titles, target_rank=event.target_rank)


def _review(event: ReviewEvent) -> Review:
    return Review(scores=event.scores, total=event.scores.total, accepted=event.accepted, problems=event.problems)
