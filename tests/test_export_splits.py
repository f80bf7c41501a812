"""Splits of exports: near 8:1:1, and nothing on two sides."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_catalogue, make_conversation, make_run
from typer.testing import CliRunner

from synth.cli import app
from synth.corpora.export.splits import SPLITS, assign, report, split, split_of
from synth.corpora.records import Conversation

FORMATS = ("hf", "lavic", "messages", "muse", "redial", "sharegpt")


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """400 over 300 targets; 50 of them share a target and a person with an earlier one."""
    catalogue = make_catalogue(tmp_path_factory.mktemp("made") / "catalogue", products=300)
    made = [make_conversation(n % 300 if n < 350 else n, catalogue) for n in range(400)]
    return [c.model_copy(update={"id": f"c{n}"}) for n, c in enumerate(made)]


def leaks(conversations: list[Conversation], side: dict[str, str]) -> Counter[str]:
    """Targets and persons on two sides, counted in another way than the exporter does."""
    found = Counter[str]()
    for kind, key in (("targets", lambda c: c.target_id), ("persons", lambda c: c.profile.person)):
        keys = {name: {key(c) for c in conversations if side[c.id] == name} for name in SPLITS}
        shared = set[Any]().union(*(keys[a] & keys[b] for a in SPLITS for b in SPLITS if a < b))
        found[kind] = len(shared)
    return found


def components(conversations: list[Conversation]) -> set[frozenset[str]]:
    """Connected components, by spreading from each conversation until nothing is added."""
    left = {c.id: {c.target_id, repr(c.profile.person)} for c in conversations}
    found = set()
    while left:
        name, keys = left.popitem()
        members = {name}
        while touched := [other for other, its in left.items() if its & keys]:
            for other in touched:
                keys |= left.pop(other)
                members.add(other)
        found.add(frozenset(members))
    return found


def test_groups_are_the_connected_components(conversations: list[Conversation]) -> None:
    made = split(conversations, 3)
    groups: dict[str, set[str]] = {}
    for name, first in made.group.items():
        groups.setdefault(first, set()).add(name)
    assert {frozenset(members) for members in groups.values()} == components(conversations)
    assert len(groups) > 100


def test_nothing_is_on_two_sides_and_sizes_are_near(conversations: list[Conversation]) -> None:
    made = split(conversations, 3)
    assert leaks(conversations, made.split) == {"targets": 0, "persons": 0} == made.leaks
    sizes = Counter(made.split.values())
    largest = max(Counter(made.group.values()).values())
    for name, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(sizes[name] - 400 * share) <= largest, sizes
        held = [c for c in conversations if made.split[c.id] == name]
        assert made.held[name] == {
            "conversations": len(held),
            "targets": len({c.target_id for c in held}),
            "persons": len({c.profile.person for c in held}),
        }


def test_planted_leakage_is_found(conversations: list[Conversation]) -> None:
    made = split(conversations, 3)
    keys = {c.id: (c.target_id, c.profile.person.model_dump_json()) for c in conversations}
    assert report(keys, made.split, made.group).leaks == {"targets": 0, "persons": 0}
    pair = next(name for name, first in made.group.items() if name != first and keys[name][0] == keys[first][0])
    moved = {**made.split, pair: "test" if made.split[pair] != "test" else "train"}
    planted = report(keys, moved, made.group).leaks
    assert planted == leaks(conversations, moved) and planted["targets"] >= 1


@pytest.mark.parametrize("seed", range(5))
def test_sizes_are_exact_where_groups_are_small(seed: int) -> None:
    random_ = random.Random(seed)
    sizes = {f"g{n}": random_.choice((1, 1, 1, 2, 3, 8)) for n in range(500)}
    total = sum(sizes.values())
    chosen = assign(sizes, seed)
    held = Counter[int]()
    for name, place in chosen.items():
        held[place] += sizes[name]
    assert [abs(held[place] - total * share) <= 1 for place, share in enumerate((0.8, 0.1, 0.1))] == [True] * 3
    kept = sum(chosen[name] == split_of(name, seed) for name in sizes)
    assert kept > 0.8 * len(sizes), "the hash decides, sizes only correct it"
    large = {chosen[name] for name, size in sizes.items() if size == 8}
    assert large == {0, 1, 2}, "large groups are on all sides"


def test_a_group_larger_than_a_split() -> None:
    assert assign({"giant": 900, "a": 60, "b": 40}, 0)["giant"] == 0
    assert set(assign({"one": 7}, 0).values()) == {0}
    assert assign({}, 0) == {}
    assert Counter(assign({f"c{n}": 1 for n in range(10)}, 0).values()) == {0: 8, 1: 1, 2: 1}


def test_hash_shares_and_seed() -> None:
    drawn = [split_of(f"c{n}", 0) for n in range(5000)]
    counts = Counter(drawn)
    assert abs(counts[0] / 5000 - 0.8) < 0.02 and abs(counts[1] / 5000 - 0.1) < 0.015
    assert drawn != [split_of(f"c{n}", 1) for n in range(5000)]


def test_every_format_splits_alike(tmp_path: Path) -> None:
    """What is in a format's test split is in no other format's train split; each file says the same."""
    catalogue = make_catalogue(tmp_path / "many", products=80)
    run = make_run(tmp_path / "run", [make_conversation(n, catalogue) for n in range(80)], catalogue)
    said = set()
    for format in FORMATS:
        out = tmp_path / format
        result = CliRunner().invoke(app, ["export", str(run.path), "--format", format, "--out", str(out)])
        assert result.exit_code == 0, result.output
        facts = json.loads((out / "splits.json").read_text("utf-8"))
        said.add(json.dumps(facts))
        assert facts["in_two_splits"] == {"targets": 0, "persons": 0}
        held = {name: row["conversations"] for name, row in facts["splits"].items()}
        assert held == {"train": 64, "validation": 8, "test": 8} == in_files(out, facts["conversations"])
        assert json.loads((out / "export.json").read_text("utf-8"))["rows"] == held
        assert "| validation | 8 | 8 (10.0%) | 8 | " in (out / "README.md").read_text("utf-8")
    assert len(said) == 1


def in_files(folder: Path, expected: dict[str, str]) -> Counter[str]:
    """Rows by split as the files have them, each checked against `splits.json`."""
    found = Counter[str]()
    for path in [*folder.glob("[tv]*.jsonl"), *folder.glob("detail_convs/*.json"), *folder.rglob("*.parquet")]:
        if path.parent.name == "products":
            continue
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            names = pq.read_table(path, columns=["id"])["id"].to_pylist()
        elif path.suffix == ".jsonl":
            read = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            names = [row.get("id") or row.get("conversation") or row["synth"]["conversation"] for row in read]
        else:
            names = [json.loads(path.read_text("utf-8"))["Synth"]["conversation"]]
        for name in names:
            found[expected[name]] += 1
            assert path.suffix == ".json" or path.name.startswith(expected[name][:5])
    return found
