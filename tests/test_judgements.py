"""The file of people's judgements: append-only, and readable whatever happened to its writer."""

from __future__ import annotations

from pathlib import Path

from synth.traces.judgements import FILE, Verdict, add, latest_verdicts, verdicts


def verdict(conversation: str, word: str, annotator: str = "wren", at: float = 1.0) -> Verdict:
    return Verdict.model_validate({"conversation": conversation, "annotator": annotator, "verdict": word, "at": at})


def test_later_words_replace_earlier_ones_and_nothing_is_erased(tmp_path: Path) -> None:
    for word in ("bad", "unsure", "good"):
        add(tmp_path, verdict("c000001", word))
    add(tmp_path, verdict("c000002", "bad"))
    assert latest_verdicts(tmp_path) == {"c000001": "good", "c000002": "bad"}
    assert [v.verdict for v in verdicts(tmp_path)] == ["bad", "unsure", "good", "bad"]


def test_half_a_line_of_a_killed_process_costs_only_itself(tmp_path: Path) -> None:
    add(tmp_path, verdict("c000001", "good"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"kind":"verdict","conver')
    add(tmp_path, verdict("c000002", "bad"))
    assert latest_verdicts(tmp_path) == {"c000001": "good", "c000002": "bad"}


def test_a_run_that_nobody_judged(tmp_path: Path) -> None:
    assert latest_verdicts(tmp_path) == {}
