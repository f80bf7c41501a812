"""What exporters read: a run's records, masked, and where its pictures lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from synth.corpora.catalogue import Catalogue, CatalogueInfo
from synth.corpora.export.masking import masked
from synth.corpora.export.rows import JudgedPart
from synth.corpora.export.splits import Splits, split
from synth.corpora.records import Conversation, Picture, Product, Scenario
from synth.errors import SynthError


class Images(StrEnum):
    """What an export holds of the pictures."""

    none = "none"
    links = "links"
    """Web addresses; for pictures that have none, their path below the run's folder."""
    files = "files"


@dataclass(frozen=True)
class Options:
    """What a user can say about an export."""

    images: Images = Images.files
    """From the command line: `default_images` of the catalogue."""
    forced: bool = False
    """`lavic`: also conversations that were handed their target."""


@dataclass(frozen=True)
class Report:
    """What an export holds."""

    rows: dict[str, int]
    """Rows by split; one entry where there are no splits."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Conversations left out, by reason."""
    missing_pictures: int = 0
    """Pictures that were asked for and are neither in the run nor in a catalogue at hand."""


@dataclass(frozen=True)
class Spent:
    """What a run's model calls came to."""

    usd: float
    calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class RunFacts:
    """What is said about the run as a whole."""

    name: str
    config: dict[str, Any]
    """`config.toml`: models by role, seed, prompts' hash, settings."""
    rejected: dict[str, int]
    """Draws that were rejected, by filter."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Hash of the prompt file by agent call; empty where the log is gone."""
    spent: Spent | None = None
    """None where the log is gone."""

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def models(self) -> dict[str, str]:
        """Model by role; roles that nothing was asked for (`none`) are left out."""
        return {role: model for role, model in self.config["models"].items() if model != "none"}

    @property
    def offline(self) -> bool:
        """Whether the offline simulator had a part in it."""
        return "offline" in self.models.values()


_UNJUDGED = JudgedPart(verdict="unjudged", verdicts=[], human_replies=[])


class Source:
    """A run as exporters see it. Texts are masked.

    Args:
        conversations: opens the accepted conversations anew, in order.
        images: folders with pictures by content hash, the first that has one counts.
        judged: what people said, by conversation.
        verdicts: only conversations of which people say so; None: whatever they say.
    """

    def __init__(
        self,
        facts: RunFacts,
        catalogue: Catalogue,
        conversations: Callable[[], Iterable[Conversation]],
        scenarios: Iterable[Scenario],
        images: Sequence[Path],
        judged: Mapping[str, JudgedPart] = MappingProxyType({}),
        verdicts: Collection[str] | None = None,
    ) -> None:
        self.facts = facts
        self.catalogue = catalogue.info
        self._catalogue = catalogue
        self._conversations = conversations
        self._scenarios = {scenario.id: masked(scenario) for scenario in scenarios}
        self._images = images
        self._pictures = {picture.hash: picture for product in catalogue for picture in product.images}
        self._products: dict[str, Product] = {}
        self._judged = judged
        self._verdicts = verdicts
        self.left_out: Counter[str] = Counter()
        """Accepted conversations that people's verdicts kept out, by reason; known once all were read."""

    def conversations(self) -> Iterator[Conversation]:
        """Accepted conversations, as far as people's verdicts let them through.

        Raises:
            SynthError: there is none.
        """
        self.left_out = Counter()
        empty = True
        for conversation in self.accepted():
            if self._lets_through(conversation.id):
                empty = False
                yield conversation
            else:
                self.left_out[f"people's verdict: {self.judged(conversation.id).verdict}"] += 1
        if empty:
            wanted = ", ".join(sorted(self._verdicts or ()))
            raise SynthError(
                f"{self.facts.name} has no conversation whose verdict is {wanted}.",
                f"Judge some: `synth view {self.facts.name}`.",
            )

    def accepted(self) -> Iterator[Conversation]:
        """All accepted conversations, whatever people say of them.

        Raises:
            SynthError: there is none.
        """
        empty = True
        for conversation in self._conversations():
            empty = False
            yield masked(conversation)
        if empty:
            raise SynthError(f"{self.facts.name} has no accepted conversation yet.", "Go on with `synth generate`.")

    @cached_property
    def splits(self) -> Splits:
        """Train, validation and test, the same for every format, and whatever people say of conversations."""
        return split(self.accepted(), self.facts.seed, self._lets_through)

    @property
    def product_ids(self) -> list[str]:
        """Ids of the whole catalogue, in its order."""
        return [product.id for product in self._catalogue]

    def judged(self, conversation_id: str) -> JudgedPart:
        """What people said of a conversation."""
        return masked(self._judged.get(conversation_id, _UNJUDGED))

    def _lets_through(self, conversation_id: str) -> bool:
        return self._verdicts is None or self._judged.get(conversation_id, _UNJUDGED).verdict in self._verdicts

    def scenario(self, scenario_id: str) -> Scenario:
        """
        Raises:
            SynthError: the run's scenarios do not have it.
        """
        if scenario_id not in self._scenarios:
            raise SynthError(f"{self.facts.name} has no scenario {scenario_id!r}.", "Its scenarios.jsonl was changed.")
        return self._scenarios[scenario_id]

    def product(self, product_id: str) -> Product:
        """
        Raises:
            SynthError: the run's catalogue does not have it.
        """
        if product_id not in self._products:
            if product_id not in self._catalogue:
                raise SynthError(f"{self.facts.name} has no product {product_id!r}.", "Its catalogue was changed.")
            self._products[product_id] = masked(self._catalogue[product_id])
        return self._products[product_id]

    def picture(self, image: str) -> Picture | None:
        """A picture by its content hash."""
        return self._pictures.get(image)

    def picture_path(self, picture: Picture) -> Path | None:
        """The picture's file, if it is at hand."""
        for folder in self._images:
            path = folder / picture.filename
            if path.is_file():
                return path
        return None


def default_images(catalogue: CatalogueInfo) -> Images:
    """`files` for the drawn sample, `links` for an imported catalogue: its pictures are somebody's property."""
    return Images.files if catalogue.source.startswith("drawn (seed ") else Images.links


def link(picture: Picture) -> str:
    """Where a picture is: its web address, or its path below the run's folder."""
    return picture.url or f"images/{picture.filename}"


def named_products(conversation: Conversation) -> list[str]:
    """Ids of all products a conversation names: shown, retrieved, target, accepted and outfit; each once, in order."""
    names = [conversation.target_id, conversation.accepted_id, conversation.outfit_id]
    for turn in conversation.turns:
        names += turn.products
        if turn.retrieval:
            names += [candidate.id for candidate in turn.retrieval.candidates]
    return list(dict.fromkeys(name for name in names if name))
