"""A conversation in the making, and the two views of it."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Protocol, TypeVar

from synth.corpora.records import Act, Opening, Retrieval, Speaker, Turn, UserProfile
from synth.prompts.calls import AssistantView, Call, Line, Output, ProductCard, UserView
from synth.prompts.cards import Cards
from synth.traces.events import Event

I = TypeVar("I")  # noqa: E741
O = TypeVar("O", bound=Output)  # noqa: E741


class Ask(Protocol):
    """An agent's way to a model: bound to one item of one stage."""

    async def __call__(self, call: Call[I, O], given: I, step: str) -> O: ...


class Dialogue:
    """Turns so far, with what was shown; each side gets its own view.

    Attributes:
        shown: ids of the products the assistant has shown, in order.
        events: what happened besides what was said.
    """

    def __init__(
        self, profile: UserProfile, scenario: str, cards: Cards, events: MutableSequence[Event] | None = None
    ) -> None:
        self.profile = profile
        self.scenario = scenario
        self.cards = cards
        self.target = cards[profile.target_id]
        self.opening: Opening = "text"
        self.outfit: ProductCard | None = None
        self.turns: list[Turn] = []
        self.lines: list[Line] = []
        self.shown: list[str] = []
        self.openings: list[str] = []
        """First words of the user's rejections."""
        self.events: MutableSequence[Event] = [] if events is None else events

    @property
    def step(self) -> int:
        return len(self.turns)

    @property
    def last_shown(self) -> ProductCard:
        return self.cards[self.shown[-1]]

    def assistant_view(self) -> AssistantView:
        return AssistantView(tuple(self.lines))

    def user_view(self, lines: tuple[Line, ...] | None = None) -> UserView:
        profile = self.profile
        return UserView(
            person=profile.person,
            recipient=profile.recipient,
            scenario=self.scenario,
            backstory=profile.backstory,
            requirements=profile.requirements,
            target=self.target,
            lines=tuple(self.lines) if lines is None else lines,
        )

    def say(
        self,
        speaker: Speaker,
        act: Act,
        text: str,
        *,
        product: ProductCard | None = None,
        outfit: ProductCard | None = None,
        retrieval: Retrieval | None = None,
    ) -> None:
        """Adds a turn. `product` is what the turn is about; the assistant's recommendations show its picture."""
        about = product or outfit
        pictured = outfit or (product if act == "recommend" else None)
        self.turns.append(
            Turn(
                index=len(self.turns),
                speaker=speaker,
                act=act,
                text=text,
                products=(about.id,) if about else (),
                images=(pictured.image,) if pictured and pictured.image else (),
                retrieval=retrieval,
            )
        )
        if act == "recommend" and product:
            self.shown.append(product.id)
        self.lines.append(Line(speaker, act, text, product if act == "recommend" else None, outfit))
