"""Distinct-n and the commonest n-grams, against counting by hand and with nltk."""

from __future__ import annotations

import random

import pytest
from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]
from nltk.util import ngrams  # type: ignore[import-untyped]

from synth.analysis.diversity import Corpus, NGram, distinct, diversity, top_ngrams
from synth.corpora.records import Conversation, Person, Provenance, Requirement, Scores, Turn, UserProfile

TURNS = ["The red coat, the red hat.", "a red coat", "", "Don't!"]


def test_distinct_by_hand() -> None:
    # the red | red coat | coat , | , the | the red | red hat | hat . || a red | red coat || do n't | n't !
    assert distinct(TURNS, 2) == 9 / 11
    assert distinct(TURNS, 1) == 10 / 14
    assert distinct(["one two three", "four five six"], 4) == 0
    assert distinct([], 2) == 0


def test_an_ngram_counts_once_per_turn() -> None:
    assert top_ngrams(TURNS, 2, 2) == [NGram("red coat", 2 / 4), NGram("the red", 1 / 4)]
    assert top_ngrams(TURNS, 1, 1) == [NGram("red", 2 / 4)]
    assert top_ngrams(["a b"], 3, 5) == []


def test_no_ngram_reaches_over_two_turns() -> None:
    assert {ngram.text for ngram in top_ngrams(["a b", "c d"], 2, 9)} == {"a b", "c d"}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_same_as_counting_one_by_one(n: int) -> None:
    rng = random.Random(n)
    turns = [" ".join(rng.choices("a b c d e don't , .".split(), k=rng.randrange(12))) for _ in range(400)]
    tokenized = [NLTKWordTokenizer().tokenize(turn.lower()) for turn in turns]
    grams = [gram for tokens in tokenized for gram in ngrams(tokens, n)]
    assert distinct(turns, n) == len(set(grams)) / len(grams)
    shares = {" ".join(g): sum(g in set(ngrams(t, n)) for t in tokenized) / len(turns) for g in set(grams)}
    best = top_ngrams(turns, n, 10)
    assert [ngram.share for ngram in best] == sorted(shares.values(), reverse=True)[:10]
    assert all(shares[ngram.text] == ngram.share for ngram in best)


def test_conversations() -> None:
    measured = diversity([conversation("Hello there", "I want a red coat, please."), conversation("Hello there")])
    assert (measured.conversations, measured.turns, measured.utterances) == (2, 3, 1.5)
    assert measured.words == 10 / 3
    assert measured.distinct[2] == 8 / 9
    assert measured.top[0].share == 1 / 3
    drafts = diversity([conversation("Hello there", "I want a red coat, please.")], drafts=True)
    assert drafts.distinct[2] == 1 / 2


def test_nothing_is_nothing() -> None:
    assert Corpus().measure(0).distinct == {2: 0.0, 3: 0.0, 4: 0.0}
    with pytest.raises(ValueError, match="n is 0"):
        distinct(TURNS, 0)


def conversation(*texts: str) -> Conversation:
    requirement = Requirement(text="warm")
    return Conversation(
        id="c000000",
        profile=UserProfile(
            id="p000000",
            person=Person(name="Ida Berg", gender=None, age=30, profession="baker"),
            scenario_id="s00000",
            target_id="1",
            recipient=None,
            backstory="",
            requirements=(requirement, requirement),
        ),
        opening="text",
        outfit_id=None,
        turns=tuple(Turn(index=n, speaker="user", act="need", text=text) for n, text in enumerate(texts)),
        drafts=("so so",) * len(texts),
        ended_by="hit",
        accepted_id="1",
        target_id="1",
        scores=Scores(content_quality=0, logical_fluency=0, user_consistency=0),
        provenance=Provenance(seed=0, models={}, prompts="", synth="0"),
    )
