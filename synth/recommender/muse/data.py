"""A run's conversations as examples: every moment at which the assistant recommends something, or says anything."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from synth.corpora.export.masking import masked
from synth.corpora.records import Act, Product, Speaker, Turn
from synth.errors import SynthError
from synth.randomness import rng

if TYPE_CHECKING:
    from synth.corpora.catalogue import Catalogue

CONVS = 200
"""Conversations to learn from: MUSE's number (§5)."""
_OFFLINE = "Synth's offline simulator"


class Talked(Protocol):
    """A conversation as far as the tasks need it; `Conversation` is one."""

    @property
    def id(self) -> str: ...
    @property
    def outfit_id(self) -> str | None: ...
    @property
    def turns(self) -> tuple[Turn, ...]: ...


@dataclass(frozen=True)
class Line:
    """An utterance of the context."""

    speaker: Speaker
    text: str
    pictures: tuple[Path, ...] = ()
    """Files of the pictures shown with it."""


@dataclass(frozen=True)
class Moment:
    """An assistant turn: what came before it, and what the run has in its place."""

    id: str
    """`CONVERSATION:TURN`."""
    conversation: str
    act: Act
    context: tuple[Line, ...]
    """Every turn before it, oldest first; never empty."""
    text: str
    """What the assistant said in the run."""
    product: str = ""
    """Id of the product recommended in this turn; empty where none is."""
    query: str = ""
    """The run's own query of this turn; empty where nothing was searched for."""
    shown: tuple[str, ...] = ()
    """Products the conversation has shown before: no search returns them, the run's own did not either."""

    @property
    def last(self) -> str:
        """The last thing the user said."""
        return next((line.text for line in reversed(self.context) if line.speaker == "user"), "")

    @property
    def whole(self) -> str:
        """The whole context, an utterance a line."""
        return "\n".join(line.text for line in self.context)


@dataclass(frozen=True)
class Division:
    """Conversations by part, in the order in which they were drawn; none is in two."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    spare: tuple[str, ...]
    """What is left: for a model made from nothing to read."""


@dataclass
class MuseData:
    """The moments of a run, by conversation, and the products they are about."""

    name: str
    catalogue: Catalogue
    moments: dict[str, list[Moment]]
    """By conversation, in the run's order."""
    generator: str = ""
    """What made the conversations."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Turns that are no example, and pictures that are not at hand, by reason."""
    encoders: tuple[str, ...] = ("bm25",)
    """Of the index that the run was made with."""

    def divide(self, convs: int = CONVS, test: int | None = None, seed: int = 0) -> Division:
        """Draws conversations to learn from, a tenth as many to choose the best epoch by, and the rest to test on.

        Args:
            convs: to learn from; 0 tests on all.
            test: at most; None takes the rest. A smaller number gives the first of the same.

        Raises:
            SynthError: there are too few conversations.
        """
        order = sorted(self.moments)
        rng(seed, "muse", "split").shuffle(order)
        held = max(convs // 10, 1) if convs else 0
        if len(order) <= convs + held:
            raise SynthError(
                f"{self.name} has {len(order):,} conversations: {convs:,} to learn from and {held:,} to validate on "
                "leave none to test on.",
                "Give a smaller --convs, or generate more conversations.",
            )
        rest = order[convs + held :]
        most = len(rest) if test is None else test
        return Division(
            train=tuple(order[:convs]),
            valid=tuple(order[convs : convs + held]),
            test=tuple(rest[:most]),
            spare=tuple(rest[most:]),
        )

    def queries(self, conversations: Iterable[str]) -> list[Moment]:
        """The turns that recommend what a search has found."""
        return [moment for name in conversations for moment in self.moments[name] if moment.query]

    def responses(self, conversations: Iterable[str]) -> list[Moment]:
        """All turns of the assistant but its greeting, which answers nothing."""
        return [moment for name in conversations for moment in self.moments[name]]

    def picture(self, product: str) -> Path | None:
        """The file of a product's first picture, where it is at hand."""
        found = self.catalogue[product].images[:1]
        path = self.catalogue.image_path(found[0]) if found else None
        return path if path and path.is_file() else None

    def hash(self, conversation: str) -> str:
        """24 hex digits over a conversation's words, whatever run or export it is in and what it is called there."""
        digest = hashlib.blake2b(digest_size=12)
        for last in self.moments[conversation][-1:]:
            for line in (*last.context, Line("assistant", last.text)):
                digest.update(f"{line.speaker}\0{line.text}\0".encode())
        return digest.hexdigest()

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all texts: which data a model was trained on."""
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(self.moments):
            for moment in self.moments[name]:
                digest.update(f"{moment.id}\0{moment.text}\0{moment.query}\0".encode())
        return digest.hexdigest()


def read_muse(path: Path, catalog: Path | None = None) -> MuseData:
    """Reads a run (`synth generate`), or what `synth export --format hf` made of one.

    Args:
        catalog: the catalogue that products are recalled from. None: the run's own copy, or the products that an export
            holds, which are only those that were shown or found.

    Raises:
        SynthError: it is neither, it has no conversation, or one names a product that the catalogue lacks.
    """
    from synth.recommender.muse.exported import read_export, recognises
    from synth.traces.run import RunFolder

    conversations: Iterable[Talked]
    if recognises(path):
        conversations, catalogue, facts = read_export(path)
    else:
        run = RunFolder.open(path)
        conversations, catalogue, facts = map(masked, run.conversations()), run.catalogue(), run.config()
    if catalog is not None:
        from synth.corpora.catalogue import Catalogue as Opened

        catalogue = Opened.open(catalog)
    return examine(path.resolve().name, conversations, catalogue, facts)


def examine(name: str, conversations: Iterable[Talked], catalogue: Catalogue, facts: Mapping[str, Any]) -> MuseData:
    """The moments of conversations.

    Args:
        facts: `models`: by role.

    Raises:
        SynthError: there is none, or a product is not in the catalogue.
    """
    paths = {
        picture.hash: path
        for product in catalogue
        for picture in product.images
        if (path := catalogue.image_path(picture)).is_file()
    }
    left_out: Counter[str] = Counter()
    moments = {conversation.id: _moments(conversation, paths, left_out) for conversation in conversations}
    if not moments:
        raise SynthError(f"{name} has no accepted conversation yet.", "Go on with `synth generate`.")
    for found in moments.values():
        for moment in found:
            if moment.product and moment.product not in catalogue:
                raise SynthError(
                    f"{moment.id} recommends {moment.product}, which is not in the catalogue.",
                    "Name the catalogue that the run was made from with --catalog.",
                )
    models = set(dict(facts.get("models", {})).values()) - {"none"}
    made = _OFFLINE if models == {"offline"} else ", ".join(sorted(models))
    encoders = tuple(facts.get("encoders", ("bm25",)))
    return MuseData(name, catalogue, moments, made, {k: n for k, n in left_out.items() if n}, encoders)


def _moments(conversation: Talked, paths: Mapping[str, Path], left_out: Counter[str]) -> list[Moment]:
    lines: list[Line] = []
    shown: list[str] = [conversation.outfit_id] if conversation.outfit_id else []
    found = []
    for turn in conversation.turns:
        if turn.speaker == "assistant":
            if lines:
                found.append(_moment(conversation.id, turn, lines, shown))
                if turn.act == "recommend" and turn.retrieval is None:
                    left_out["recommended without a search (the target was handed over)"] += 1
            else:
                left_out["greeting"] += 1
        pictures = [paths[image] for image in turn.images if image in paths]
        left_out["picture is not at hand"] += len(turn.images) - len(pictures)
        lines.append(Line(turn.speaker, turn.text, tuple(pictures)))
        if turn.act == "recommend":
            shown += turn.products
    return found


def _moment(conversation: str, turn: Turn, lines: Sequence[Line], shown: Sequence[str]) -> Moment:
    recommended = turn.products[0] if turn.act == "recommend" and turn.products else ""
    search = turn.retrieval if recommended else None
    return Moment(
        id=f"{conversation}:{turn.index}",
        conversation=conversation,
        act=turn.act,
        context=tuple(lines),
        text=turn.text,
        product=recommended,
        query=search.query if search else "",
        shown=tuple(search.excluded if search else shown),
    )


def card(product: Product) -> str:
    """A product in words, as the index knows it."""
    from synth.corpora.summary import summary

    return f"{product.title}\n{summary(product)}"
