"""Conversations of any data set as a judge is to read them: who said what, what was shown, which pictures there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from synth.analysis.pairing import matched
from synth.analysis.talks import Brief
from synth.corpora.catalogue import Catalogue
from synth.corpora.readers import Data, Dialogue, Utterance
from synth.corpora.records import Act, Product
from synth.errors import SynthError
from synth.prompts.calls import Line, ProductCard, Talk
from synth.prompts.cards import product_card
from synth.randomness import rng
from synth.traces.run import RunFolder

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


class Transcripts:
    """The held conversations of a data set, drawn by seed.

    Attributes:
        data: the data set.
        held: how many conversations with turns it has.
        products: what is known of products: those that the offline simulator can speak of.
        pictures: where a picture lies, by content hash; filled as conversations are read.

    Raises:
        SynthError: it cannot be read, or has no conversation in it.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.pictures: dict[str, Path] = {}
        self._files = _files(data.path)
        self._hashes: dict[Path, str] = {}
        self._cards: dict[str, ProductCard] = {}
        found: dict[str, Product] = {}
        self.held = 0
        for dialogue in self._held():
            self.held += 1
            found.update((i, product) for i in dialogue.items if (product := data.product(i)))
        if not self.held:
            raise SynthError(f"{data.path} has no conversation in it.", "Name a run or a file with conversations.")
        self.products = list(_catalogue(data)) or list(found.values())

    def drawn(self, sample: int, seed: int) -> dict[int, Dialogue]:
        """So many conversations by their place in the data set, in a drawn order; a larger sample holds the smaller."""
        wanted = drawn_order(self.held, seed)[:sample]
        kept = self.dialogues(wanted)
        return {number: kept[number] for number in wanted}

    def dialogues(self, numbers: Iterable[int]) -> dict[int, Dialogue]:
        """Conversations by their places in the data set."""
        wanted = set(numbers)
        return {number: dialogue for number, dialogue in enumerate(self._held()) if number in wanted}

    def talk(self, dialogue: Dialogue) -> Talk:
        """A conversation as it is read, with the pictures that are at hand."""
        lines, images = [], []
        for number, turn in enumerate(dialogue.turns):
            seen = tuple(filter(None, map(self._picture, turn.images)))
            card = self._card(turn)
            act = turn.act or _act(turn, dialogue.turns[:number])
            recommended = card if turn.speaker == "assistant" and act == "recommend" else None
            outfit = card if turn.speaker == "user" and seen else None
            lines.append(Line(turn.speaker, act, turn.text, recommended, outfit))
            images.append(seen)
        return Talk(tuple(lines), tuple(images))

    def briefs(self, seed: int, *, scenarios: bool) -> list[Brief]:
        """What pairing needs to know of each conversation, in a drawn order; ids are places in the data set.

        Args:
            scenarios: read the scenarios of a run; else the backstory stands for them.
        """
        texts = _scenarios(self.data.path) if scenarios else {}
        found = [self._brief(number, dialogue, texts) for number, dialogue in enumerate(self._held())]
        return [found[number] for number in drawn_order(self.held, seed)]

    def _brief(self, number: int, dialogue: Dialogue, scenarios: dict[str, str]) -> Brief:
        buyer = dialogue.buyer
        product = self.data.product(dialogue.target) if dialogue.target is not None else None
        said = "\n".join(turn.text for turn in dialogue.turns)
        return Brief(
            id=str(number),
            start=0,
            length=0,
            scenario=scenarios.get(dialogue.id, "") or (buyer.backstory if buyer else ""),
            # Two catalogues may count their products alike.
            target=f"{dialogue.target}|{product.title if product else ''}" if dialogue.target is not None else "",
            person=f"{buyer.name}|{buyer.gender}|{buyer.age}" if buyer else "",
            said=hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=8).digest(),
            rewritten=False,
        )

    def _held(self) -> Iterator[Dialogue]:
        return (dialogue for dialogue in self.data.dialogues() if dialogue.turns)

    def _card(self, turn: Utterance) -> ProductCard | None:
        if not turn.items:
            return None
        known = self._cards.get(turn.items[0])
        if known is None and (product := self.data.product(turn.items[0])):
            known = self._cards[product.id] = product_card(product)
        return known

    def _picture(self, name: str) -> str | None:
        """The content hash of a turn's picture; None where it is not at hand."""
        path = self._files.get(Path(name).stem)
        if path is None:
            return None
        if path not in self._hashes:
            self._hashes[path] = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
            self.pictures[self._hashes[path]] = path
        return self._hashes[path]


def drawn_order(count: int, seed: int) -> list[int]:
    """Places in a data set of so many conversations, in the order in which they are drawn: the same everywhere."""
    return sorted(range(count), key=lambda number: rng(seed, "sample", number).random())


def pairs(a: Transcripts, b: Transcripts, sample: int, seed: int) -> list[tuple[int, int, int]]:
    """Places in A and in B, and closeness: those with most in common first, then in a drawn order.

    Two that say the same are no pair, for neither is better.
    """
    runs = a.data.format == b.data.format == "run"
    one, other = (side.briefs(seed, scenarios=runs) for side in (a, b))
    places = {brief.id: place for place, brief in enumerate(one)}
    found = [(left, right, closeness) for left, right, closeness in matched(one, other) if left.said != right.said]
    found.sort(key=lambda pair: (pair[2], places[pair[0].id]))
    return [(int(left.id), int(right.id), closeness) for left, right, closeness in found[:sample]]


def bare(talk: Talk) -> Talk:
    """The words alone."""
    lines = tuple(replace(line, shown=None, outfit=None) for line in talk.lines)
    return Talk(lines, ((),) * len(lines))


def _act(turn: Utterance, before: Sequence[Utterance]) -> Act:
    """What a turn most likely is, where the data set does not say."""
    if turn.speaker == "assistant":
        if not any(earlier.speaker == "user" for earlier in before):
            return "greet"
        return "recommend" if turn.items else "ask"
    if not any(earlier.speaker == "user" for earlier in before):
        return "need"
    return "reject" if any(earlier.items and earlier.speaker == "assistant" for earlier in before) else "answer"


def _files(path: Path) -> dict[str, Path]:
    """Pictures in the data set's `images/`, by name without suffix. Nothing else on this machine is ever sent."""
    folder = (path if path.is_dir() else path.parent) / "images"
    return {file.stem: file for file in sorted(folder.rglob("*")) if file.suffix.lower() in _SUFFIXES}


def _catalogue(data: Data) -> Iterable[Product]:
    if data.format != "run":
        return ()
    try:
        return Catalogue.open(data.path / "catalogue", images=data.path / "images")
    except SynthError:
        return ()


def _scenarios(path: Path) -> dict[str, str]:
    """Text of the scenario by conversation; empty for a run that has lost its scenarios."""
    run = RunFolder(path)
    try:
        texts = {scenario.id: scenario.text for scenario in run.scenarios()}
    except SynthError:
        return {}
    return {c.id: texts.get(c.profile.scenario_id, "") for c in run.conversations()}
