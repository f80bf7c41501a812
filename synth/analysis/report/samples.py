"""Ten conversations to look at: drawn so that all openings and endings are seen, texts masked, pictures inside."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from synth.analysis.report.thumbs import thumbs
from synth.corpora.catalogue import Catalogue
from synth.corpora.export.masking import mask, masked
from synth.corpora.records import Conversation, Product, Scenario, Turn

SAMPLES = 10
_GROUPS = [(opening, ending) for ending in ("hit", "fit", "forced") for opening in ("multimodal", "text")]
"""In this order one is taken from each, then again from each."""


@dataclass(frozen=True, slots=True)
class Card:
    """A product as it is shown."""

    title: str
    price: str
    picture: str | None
    """Data URI; None where there is no picture (any more)."""
    target: bool = False
    accepted: bool = False
    own: bool = False
    """The buyer's own, in a multimodal opening."""


@dataclass(frozen=True, slots=True)
class Line:
    """One turn."""

    speaker: str
    act: str
    text: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation, ready to be shown."""

    conversation: Conversation
    """Masked."""
    scenario: str
    target: Card
    lines: tuple[Line, ...]

    @property
    def rounds(self) -> int:
        """Recommendations."""
        return sum(line.act == "recommend" for line in self.lines)


@dataclass
class Drawing:
    """Draws the sample while conversations go by; holds `SAMPLES` of each opening and ending at most."""

    seed: int
    _held: dict[tuple[str, str], list[tuple[int, int, Conversation]]] = field(default_factory=dict)
    _seen: int = 0

    def add(self, conversation: Conversation) -> None:
        group = self._held.setdefault((conversation.opening, conversation.ended_by), [])
        rank = hashlib.blake2b(f"{self.seed}:{conversation.id}".encode(), digest_size=8).digest()
        self._seen += 1
        # Negative, for the heap gives away its least; the count decides between rows of the same id.
        entry = (-int.from_bytes(rank), -self._seen, conversation)
        (heapq.heappush if len(group) < SAMPLES else heapq.heappushpop)(group, entry)

    def drawn(self) -> list[Conversation]:
        """At most `SAMPLES`, one of each group, then a second, and so on; in the run's order."""
        groups = [sorted(self._held.get(key, []), reverse=True) for key in _GROUPS]
        by_turns = [group[place] for place in range(SAMPLES) for group in groups if place < len(group)]
        return [conversation for *_, conversation in sorted(by_turns[:SAMPLES], key=lambda entry: -entry[1])]


def samples(conversations: Iterable[Conversation], scenarios: dict[str, Scenario], shop: Catalogue) -> list[Sample]:
    """The conversations with their products and pictures."""
    found = [masked(conversation) for conversation in conversations]
    pictures = {picture.hash: picture for product in shop for picture in product.images}
    seen = {hash_ for conversation in found for turn in conversation.turns for hash_ in turn.images}
    targets = [product for c in found if (product := _product(shop, c.target_id)) and product.images]
    wanted = sorted(seen | {product.images[0].hash for product in targets})
    uris = thumbs(shop, [pictures[hash_] for hash_ in wanted if hash_ in pictures])
    return [_sample(conversation, scenarios, shop, uris) for conversation in found]


def _product(shop: Catalogue, product_id: str) -> Product | None:
    try:
        return shop[product_id]
    except KeyError:
        return None


def _sample(
    conversation: Conversation, scenarios: dict[str, Scenario], shop: Catalogue, uris: dict[str, str]
) -> Sample:
    scenario = scenarios.get(conversation.profile.scenario_id)
    product = _product(shop, conversation.target_id)
    first = product.images[0].hash if product and product.images else ""
    return Sample(
        conversation,
        mask(scenario.text) if scenario else "",
        _card(conversation, conversation.target_id, product, uris.get(first)),
        tuple(_line(conversation, turn, shop, uris) for turn in conversation.turns),
    )


def _line(conversation: Conversation, turn: Turn, shop: Catalogue, uris: dict[str, str]) -> Line:
    """Products are shown where a picture is, or where the assistant recommends one."""
    cards = []
    left = list(turn.images)
    for product_id in turn.products if turn.images or turn.act == "recommend" else ():
        product = _product(shop, product_id)
        own = {picture.hash for picture in product.images} if product else set()
        hash_ = next((image for image in left if image in own), None)
        if hash_ is not None:
            left.remove(hash_)
        cards.append(_card(conversation, product_id, product, uris.get(hash_ or ""), own=turn.speaker == "user"))
    return Line(turn.speaker, turn.act, turn.text, tuple(cards))


def _card(
    conversation: Conversation, product_id: str, product: Product | None, picture: str | None, *, own: bool = False
) -> Card:
    price = ""
    if product is not None and product.price is not None:
        price = f"{product.price:,.2f} {product.currency or ''}".strip()
    return Card(
        title=mask(product.title) if product else product_id,
        price=price,
        picture=picture,
        target=product_id == conversation.target_id,
        accepted=product_id == conversation.accepted_id,
        own=own,
    )
