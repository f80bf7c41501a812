"""The file of people's judgements: append-only, and readable whatever happened to its writer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from synth.errors import SynthError
from synth.traces.judgements import (
    FILE,
    HumanReply,
    PairChoice,
    Side,
    Verdict,
    add,
    consensus,
    latest,
    latest_verdicts,
    pseudonym,
    read,
)


def verdict(conversation: str, word: str | None, annotator: str = "wren", note: str = "") -> Verdict:
    return Verdict.model_validate(
        {"conversation": conversation, "annotator": annotator, "verdict": word, "note": note, "at": 1.0}
    )


def choice(one: str, other: str, annotator: str = "wren", natural: str = "a") -> PairChoice:
    sides = {"a": Side(source="run", conversation=one), "b": Side(source="run2", conversation=other)}
    return PairChoice.model_validate(
        {**sides, "left": "a", "choices": {"natural": natural}, "annotator": annotator, "seconds": 3, "at": 1.0}
    )


def reply(turn: int, text: str) -> HumanReply:
    return HumanReply(conversation="c000001", turn=turn, act="reject", text=text, annotator="wren", at=1.0)


def test_later_words_replace_earlier_ones_and_nothing_is_erased(tmp_path: Path) -> None:
    for word in ("bad", "unsure", "good"):
        add(tmp_path, verdict("c000001", word))
    add(tmp_path, verdict("c000002", "bad"))
    assert latest_verdicts(tmp_path) == {"c000001": "good", "c000002": "bad"}
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 4


def test_all_kinds_come_back_as_they_were(tmp_path: Path) -> None:
    records = [verdict("c000001", "good", note="„schön“\n"), choice("c000001", "c000002"), reply(3, "Nein, danke.")]
    for record in records:
        add(tmp_path, record)
    assert list(read(tmp_path)) == records


def test_a_pair_is_the_same_the_other_way_round(tmp_path: Path) -> None:
    first = choice("c000001", "c000002")
    add(tmp_path, first)
    add(tmp_path, first.model_copy(update={"a": first.b, "b": first.a, "choices": {"natural": "tie"}}))
    add(tmp_path, choice("c000001", "c000002", annotator="jay"))
    assert [record.annotator for record in latest(tmp_path)] == ["wren", "jay"]
    for text in ("No.", "No, thanks."):
        add(tmp_path, reply(3, text))
    add(tmp_path, reply(5, "Never."))
    assert [record.text for record in latest(tmp_path) if isinstance(record, HumanReply)] == ["No, thanks.", "Never."]


def test_annotators_speak_together(tmp_path: Path) -> None:
    add(tmp_path, verdict("c000001", "good", "wren"))
    add(tmp_path, verdict("c000001", "bad", "jay"))
    assert latest_verdicts(tmp_path) == {"c000001": "unsure"}
    add(tmp_path, verdict("c000001", "bad", "heron"))
    assert latest_verdicts(tmp_path) == {"c000001": "bad"}
    for annotator in ("jay", "heron", "wren"):
        add(tmp_path, verdict("c000001", None, annotator, note="no verdict, but a note"))
    assert latest_verdicts(tmp_path) == {}
    assert consensus(["good", "good", "bad", "bad", "unsure"]) == "unsure"
    assert consensus([]) is None


def test_half_a_line_of_a_killed_process_costs_only_itself(tmp_path: Path) -> None:
    add(tmp_path, verdict("c000001", "good"))
    half = verdict("c000003", "good").model_dump_json().encode()
    for left in (b'{"kind":"verdict","conver', half):
        with (tmp_path / FILE).open("ab") as file:
            file.write(left)
        # Not even a whole record counts before its line is ended: its writer may still be at work.
        assert "c000003" not in latest_verdicts(tmp_path)
        add(tmp_path, verdict("c000002", "bad"))
        assert latest_verdicts(tmp_path)["c000002"] == "bad"
    lines = (tmp_path / FILE).read_bytes().splitlines()
    assert lines[1] == b'{"kind":"verdict","conver'
    assert len(lines) == 5


def test_lines_that_are_no_record_are_passed_over(tmp_path: Path) -> None:
    lines = [b"", b"null", b'{"kind":"hymn"}', b"\xff\xfe", b'{"kind":"verdict","conversation":"../x"}', b"[1,2"]
    (tmp_path / FILE).write_bytes(b"\n".join(lines) + b"\n")
    add(tmp_path, verdict("c000002", "bad"))
    assert latest_verdicts(tmp_path) == {"c000002": "bad"}


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(annotator: str) -> None:
        for number in range(25):
            add(tmp_path, verdict(f"c{number:06d}", "good", annotator, note="x" * 1_500))

    threads = [threading.Thread(target=write, args=(f"bird {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(latest(tmp_path)) == 100


def test_a_run_that_nobody_judged(tmp_path: Path) -> None:
    assert latest_verdicts(tmp_path) == {}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(SynthError, match="cannot be written"):
        add(tmp_path, verdict("c000001", "good"))


@pytest.mark.parametrize("text", ["", "   ", "nina@example.org", "@nina", "x" * 41, "<b>", "a\u202eb", "-", "a/b"])
def test_pseudonyms_that_are_none(text: str) -> None:
    with pytest.raises(SynthError):
        pseudonym(text)


@pytest.mark.parametrize("text", ["wren", "Grey Heron 7", "Zaunkönig", "鹪鹩", "o'reed", "r2-d2"])
def test_pseudonyms_that_are_taken(text: str) -> None:
    assert pseudonym(f"  {text} ") == text
    assert verdict("c000001", "good", text).annotator == text


def test_records_refuse_what_is_none() -> None:
    for changes in ({"conversation": "x"}, {"annotator": "a@b.c"}, {"verdict": "fine"}, {"note": "x" * 2_001}):
        with pytest.raises(ValidationError):
            Verdict.model_validate({**verdict("c000001", "good").model_dump(), **changes})
    with pytest.raises(ValidationError):
        reply(1, "")
