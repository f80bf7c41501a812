"""Variants of a run: chosen turns in people's words, or descriptions in place of pictures. A new run folder each."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w

from synth.corpora.attributes import facets
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Product, Record, Turn
from synth.errors import SynthError
from synth.traces.judgements import HumanReply, latest
from synth.traces.run import RunFolder, row

CHANGES = "variant.jsonl"
"""Every changed turn, before and after; the sign of a variant."""
_FIRST = ("colour", "pattern", "material", "type")
_UNSEEN = frozenset({"gender", "age_group", "department", "brand", "season", "usage"})
"""Attributes that no picture shows."""
_COPIED = ("scenarios.jsonl", "profiles.jsonl", "rejected.jsonl")


class Change(Record):
    """What became of one turn."""

    conversation: str
    turn: int
    made_by: Literal["reply", "caption"]
    annotator: str
    """Whose words they are; empty for captions."""
    before: str
    after: str


class Variant(Record):
    """What was written."""

    conversations: int
    changed: int
    """Conversations with a changed turn."""
    replies: int
    captions: int


def make_variant(run: RunFolder, out: Path, *, replies: Iterable[HumanReply] = (), captions: bool = False) -> Variant:
    """Writes the variant, whole or not at all.

    Turns keep their products and searches, and conversations their drafts; `variant.jsonl` has every text that was
    replaced, and each changed conversation's provenance says so. What the agents did is copied as it was. A variant
    is not gone on with: `synth generate` leaves it alone.

    Args:
        replies: texts for turns, at most one each; their act must be the turn's.
        captions: turns show no pictures, and say in brackets what each would have shown.

    Raises:
        SynthError: nothing would change, a reply is not to this run, `out` exists, or the run is being written.
    """
    if out.exists():
        raise SynthError(f"{out} exists already.", "Choose another --out.")
    if run.running():
        raise SynthError(f"{run.path} is being written.", "Wait for it, or stop it with `synth run stop` first.")
    texts = _by_conversation(replies)
    changes: list[Change] = []
    rows: list[str] = []
    catalogue = run.catalogue()
    for conversation in run.conversations():
        made = _changed(conversation, texts.pop(conversation.id, {}), catalogue if captions else None, changes)
        rows.append(row(made) + "\n")
    if texts:
        raise SynthError(f"{run.path} has no accepted conversation {min(texts)!r}.", "The reply is to another run.")
    if not changes:
        raise SynthError(f"Nothing in {run.path} would change.", "Collect replies in `synth view`, or use --captions.")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(run, partial, rows, changes, pictures=not captions)
        os.replace(partial, out)
    except OSError as error:
        raise SynthError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    kinds = Counter(change.made_by for change in changes)
    return Variant(
        conversations=len(rows),
        changed=len({change.conversation for change in changes}),
        replies=kinds["reply"],
        captions=kinds["caption"],
    )


def chosen_replies(run: Path, annotator: str | None = None) -> list[HumanReply]:
    """One reply a turn: the last that was given.

    Args:
        annotator: only this one's.

    Raises:
        SynthError: there is none.
    """
    found = [r for r in latest(run) if isinstance(r, HumanReply) and annotator in (None, r.annotator)]
    if not found:
        whose = f" by {annotator}" if annotator else ""
        raise SynthError(f"{run} has no human replies{whose}.", f"Collect some: `synth view {run}`, Judge, Replies.")
    return list({reply.subject: reply for reply in sorted(found, key=lambda reply: reply.at)}.values())


def _by_conversation(replies: Iterable[HumanReply]) -> dict[str, dict[int, HumanReply]]:
    found: defaultdict[str, dict[int, HumanReply]] = defaultdict(dict)
    for reply in replies:
        if reply.turn in found[reply.conversation]:
            raise SynthError(f"There are two replies to turn {reply.turn} of {reply.conversation}.")
        found[reply.conversation][reply.turn] = reply
    return dict(found)


def _changed(
    conversation: Conversation, replies: Mapping[int, HumanReply], catalogue: Catalogue | None, changes: list[Change]
) -> Conversation:
    """
    Args:
        catalogue: that captions are taken from; None leaves the pictures.
    """
    turns = list(conversation.turns)
    models = dict(conversation.provenance.models)
    for number, reply in replies.items():
        if number >= len(turns) or turns[number].act != reply.act:
            raise SynthError(
                f"Turn {number} of {conversation.id} is no {reply.act.replace('_', '-')} turn.",
                "The run was changed since the reply was written.",
            )
        turns[number] = _said(conversation.id, turns[number], reply.text, "reply", reply.annotator, changes)
    if replies:
        places = ", ".join(f"{number} ({reply.annotator})" for number, reply in sorted(replies.items()))
        models["replies"] = f"human: turns {places}"
    for turn in turns if catalogue else ():
        if turn.images and catalogue:
            text = f"{turn.text} {' '.join(_captions(turn, catalogue))}"
            bare = turn.model_copy(update={"images": ()})
            turns[turn.index] = _said(conversation.id, bare, text, "caption", "", changes)
            models["pictures"] = "captions"
    if models == conversation.provenance.models:
        return conversation
    provenance = conversation.provenance.model_copy(update={"models": models})
    return conversation.model_copy(
        update={
            "turns": tuple(turns),
            "provenance": provenance,
            "opening": "text" if "pictures" in models else conversation.opening,
        }
    )


def _said(
    conversation: str,
    turn: Turn,
    text: str,
    made_by: Literal["reply", "caption"],
    annotator: str,
    changes: list[Change],
) -> Turn:
    changes.append(
        Change(
            conversation=conversation,
            turn=turn.index,
            made_by=made_by,
            annotator=annotator,
            before=turn.text,
            after=text,
        )
    )
    return turn.model_copy(update={"text": text})


def _captions(turn: Turn, catalogue: Catalogue) -> list[str]:
    """What each picture of a turn would have shown."""
    owners = {
        picture.hash: product
        for product_id in turn.products
        if product_id in catalogue
        for product in [catalogue[product_id]]
        for picture in product.images
    }
    return [f"[Picture: {_caption(owners[image]) if image in owners else 'not on record'}]" for image in turn.images]


def _caption(product: Product) -> str:
    """A model's description where there is one, else what the record says of the looks: neither title nor brand."""
    written = product.descriptions.get("llava") or product.descriptions.get("summary")
    if written:
        return written
    looks = {name: value for name, value in facets(product).items() if name not in _UNSEEN}
    kind = " ".join(looks.pop(name) for name in _FIRST if name in looks) or " ".join(product.categories[-1:])
    parts = [kind, *looks.values(), *(f"{name}: {value}" for name, value in product.visual.items())]
    return "; ".join(part.replace("_", " ") for part in parts if part)


def _write(run: RunFolder, folder: Path, rows: list[str], changes: list[Change], *, pictures: bool) -> None:
    (folder / "conversations.jsonl").write_text("".join(rows), "utf-8", newline="\n")
    (folder / CHANGES).write_text("".join(row(change) + "\n" for change in changes), "utf-8", newline="\n")
    for name in _COPIED:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, folder / name)
    shutil.copytree(run.path / "catalogue", folder / "catalogue")
    if pictures and (run.path / "images").is_dir():
        shutil.copytree(run.path / "images", folder / "images")
    kinds: Counter[str] = Counter(change.made_by for change in changes)
    config = run.config()
    models = dict(config["models"])
    if kinds["reply"]:
        models["replies"] = "human"
    if kinds["caption"]:
        models["pictures"] = "captions"
    variant: dict[str, Any] = {
        "of": run.path.resolve().name,
        "annotators": sorted({change.annotator for change in changes if change.annotator}),
        **{made_by: kinds[made_by] for made_by in sorted(kinds)},
    }
    text = tomli_w.dumps({**config, "models": models, "variant": variant})
    (folder / "config.toml").write_text(text, "utf-8", newline="\n")
    # SQLite's own copy, since part of the run's data may still be in its write-ahead log.
    with (
        contextlib.closing(sqlite3.connect(f"{(run.path / 'run.db').resolve().as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(folder / "run.db")) as target,
    ):
        source.backup(target)
