"""Reads a run of ours: `conversations.jsonl`, with the catalogue's records beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from synth.corpora.catalogue import Catalogue
from synth.corpora.readers.dialogue import Buyer, Data, Dialogue, Utterance
from synth.corpora.records import Conversation, Product, UserProfile
from synth.errors import SynthError

FILE = "conversations.jsonl"


def recognises(path: Path) -> bool:
    return (path / "config.toml").is_file()


def read(path: Path) -> Data:
    """
    Raises:
        SynthError: the folder is no run.
    """
    if not recognises(path):
        raise SynthError(f"{path} is not a run (no config.toml in it).", "See `synth run list`.")
    catalogue = _catalogue(path)

    def product(product_id: str) -> Product | None:
        return catalogue[product_id] if catalogue and product_id in catalogue else None

    counts = None
    if catalogue is not None:
        counts = len(catalogue), len({image.hash for product in catalogue for image in product.images})
    return Data(path.resolve().name, "run", path, lambda: _dialogues(path / FILE), product, counts)


def _catalogue(path: Path) -> Catalogue | None:
    try:
        return Catalogue.open(path / "catalogue", images=path / "images")
    except SynthError:
        return None


def _dialogues(path: Path) -> Iterator[Dialogue]:
    """Accepted conversations; a last line that is still being written is left out."""
    if not path.is_file():
        raise SynthError(f"{path} does not exist.", "The run has not got that far; run the same command again.")
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            try:
                yield dialogue(Conversation.model_validate_json(line))
            except (ValidationError, ValueError) as error:
                problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                raise SynthError(
                    f"{path}, line {number} is broken: {problem}.", "Run the same command again to mend it."
                ) from error


def dialogue(conversation: Conversation) -> Dialogue:
    """A conversation as all readers give it."""
    drafts: tuple[str | None, ...] = conversation.drafts
    drafts += (None,) * (len(conversation.turns) - len(drafts))
    digits = conversation.id[1:]
    return Dialogue(
        id=conversation.id,
        turns=tuple(
            Utterance(turn.speaker, turn.text, turn.act, draft, turn.products, turn.images)
            for turn, draft in zip(conversation.turns, drafts, strict=False)
        ),
        users=(who(conversation.profile),),
        buyer=buyer(conversation.profile),
        target=conversation.target_id,
        opening=conversation.opening,
        ended_by=conversation.ended_by,
        number=int(digits) if digits.isdecimal() else None,
    )


def buyer(profile: UserProfile) -> Buyer:
    person = profile.person
    return Buyer(
        person.name,
        person.gender,
        person.age,
        person.profession,
        profile.backstory,
        tuple(requirement.text for requirement in profile.requirements),
    )


def who(profile: UserProfile) -> str:
    """The same for equal persons."""
    person = profile.person
    return f"{person.name}|{person.gender}|{person.age}|{person.profession}"
