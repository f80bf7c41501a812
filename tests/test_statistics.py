"""Every figure of `synth stats` against an independent, naive computation, on random and on edge cases."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_run
from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]
from nltk.util import ngrams  # type: ignore[import-untyped]
from typer.testing import CliRunner

from synth.analysis.diversity import Corpus
from synth.analysis.statistics import Context, Element, Statistics, elements, label, statistics
from synth.analysis.statistics.elements import Agreement, cued
from synth.analysis.statistics.persons import association, band
from synth.analysis.statistics.table import markdown
from synth.analysis.statistics.tables import tables
from synth.analysis.statistics.wording import Texts
from synth.analysis.tokens import Tokenizer
from synth.cli import app
from synth.corpora.readers import Buyer, Data, Dialogue, Utterance
from synth.corpora.records import Rejected
from synth.errors import SynthError
from synth.text import sentences, split_sentences
from synth.traces.events import ChoiceEvent, RewriteEvent
from synth.traces.judgements import Verdict, add
from synth.traces.run import RunFolder, row

NLTK = NLTKWordTokenizer().tokenize
NASTY = [
    *"ab'\"`.,:;!?()[]*-–“”‘’«» 1$&%—_Σßé",
    *("wanna", "cannot", "'tis", "gonna", "n't", "'s", "d'ye", "more'n", "it's", "'ll", "…", " ", " ", " ", "\n", "''"),
    *("``", "日本", "\u00a0", "...", "--", ".)", '."', "\u0645\u0631\u062d\u0628\u0627", "Привет", "🙂"),
]
EDGES = [
    "",
    " ",
    "Word",
    "one",
    "Don't!",
    "日本語のテキスト。とても良い。",
    "مرحبا بالعالم",
    "a  b",
    "Ende. ”",
    "x y.",
    "\u2028",
]


def nasty(rng: random.Random, most: int = 14) -> str:
    return "".join(rng.choices(NASTY, k=rng.randrange(most)))


def data(turns: Sequence[Sequence[str]], **more: Any) -> Data:
    """Conversations of texts, the assistant first."""
    said = [
        Dialogue(
            id=str(number),
            turns=tuple(Utterance("user" if n % 2 else "assistant", text, **more) for n, text in enumerate(texts)),
        )
        for number, texts in enumerate(turns)
    ]
    return Data("some", "messages", Path("some.jsonl"), lambda: iter(said))


# ---- tokens


def test_tokens_are_nltks() -> None:
    rng = random.Random(5)
    kept = Tokenizer()
    for number in range(6000):
        text = EDGES[number] if number < len(EDGES) else nasty(rng)
        for tokenizer in (kept, Tokenizer()) if number % 8 == 0 else (kept,):
            numbers, words = tokenizer(text)
            names = list(tokenizer.vocabulary)
            assert [names[n] for n in numbers] == NLTK(text.lower()), repr(text)
            assert words == len(text.split())


def test_tokens_of_whole_texts(tmp_path: Path) -> None:
    rng = random.Random(6)
    tokenizer = Tokenizer()
    for _ in range(300):
        text = " ".join(nasty(rng, 5) or "x" for _ in range(rng.randrange(30)))
        numbers, _ = tokenizer(text)
        names = list(tokenizer.vocabulary)
        assert [names[n] for n in numbers] == NLTK(text.lower()), repr(text)


# ---- wording


def naive(texts: Sequence[str], n: int) -> dict[str, float]:
    """Total, different, Distinct-n and specificity as they are defined, one turn after the other."""
    turns = [list(ngrams(NLTK(text.lower()), n)) for text in texts]
    turns = [turn for turn in turns if turn]
    every = [gram for turn in turns for gram in turn]
    having = Counter(gram for turn in turns for gram in set(turn))
    specific = 0.0
    if len(turns) > 1:
        rare = [[1 - math.log(having[gram]) / math.log(len(turns)) for gram in turn] for turn in turns]
        specific = sum(sum(turn) / len(turn) for turn in rare) / len(turns)
    return {
        "total": len(every),
        "different": len(set(every)),
        "distinct": len(set(every)) / len(every) if every else 0.0,
        "specificity": specific,
    }


CORPORA = {
    "edges": EDGES,
    "one word": ["Word"],
    "one word twice": ["Word", "word"],
    "one turn": ["a b c d a b c d"],
    "equal turns": ["a b c d e"] * 5,
    "nothing": ["", "", " "],
    **{
        f"random {seed}": [
            " ".join(random.Random(f"{seed} {n}").choices("a b c don't red , . coat".split(), k=n % 13))
            for n in range(150)
        ]
        for seed in range(3)
    },
    **{f"nasty {seed}": [nasty(random.Random(f"n{seed} {n}"), 30) for n in range(150)] for seed in range(2)},
}


@pytest.mark.parametrize("name", CORPORA)
def test_wording_is_as_counted_one_by_one(name: str) -> None:
    texts = CORPORA[name]
    found = statistics(data([texts[:40], [], texts[40:]]))
    assert found.final is not None and found.drafts is None
    wording = found.final.all
    for n in (2, 3, 4):
        expected = naive(texts, n)
        assert wording.ngrams[n] == expected["total"]
        assert wording.different[n] == expected["different"]
        assert wording.distinct[n] == pytest.approx(expected["distinct"], abs=1e-12)
        assert wording.specificity[n] == pytest.approx(expected["specificity"], abs=1e-9)
        assert -1e-9 <= wording.specificity[n] <= 1 + 1e-9
    assert wording.tokens == sum(len(NLTK(text.lower())) for text in texts)
    assert wording.turns == len(texts)
    assert wording.words_per_turn == pytest.approx(sum(len(text.split()) for text in texts) / len(texts))
    assert json.loads(json.dumps(found.to_json()))["wording"]["final"]["all"]["distinct"]["4"] == wording.distinct[4]


def test_top_ngrams_and_words_are_as_counted_one_by_one() -> None:
    rng = random.Random(1)
    texts = [" ".join(rng.choices("the red coat or the blue hat".split(), k=rng.randrange(12))) for _ in range(200)]
    found = statistics(data([texts]))
    counts = Counter(gram for text in texts for gram in set(ngrams(NLTK(text), 4)))
    assert [gram.share for gram in found.top] == [n / 200 for _, n in counts.most_common(25)]
    assert all(counts[tuple(gram.text.split())] / 200 == gram.share for gram in found.top)
    words = Counter(word for text in texts for word in text.split() if word in ("red", "coat", "blue", "hat"))
    assert found.words and found.words.all == dict(words)
    mine = Counter(word for text in texts[1::2] for word in text.split() if word in words)
    assert found.words.user == dict(mine)
    assert {w: n + found.words.assistant[w] for w, n in found.words.user.items()} == found.words.all


def test_the_sample_is_whole_conversations_cut_at_the_token() -> None:
    texts = Texts(Tokenizer())
    conversations = [[f"w{number} " * 7] * 3 for number in range(50)]
    for conversation in conversations:
        for text in conversation:
            texts.add(text, user=False)
        texts.end()
    sample = texts.sample(100, 3)
    assert int(sample.lengths.sum()) == 100 and list(sample.lengths) == [7] * 14 + [2]
    assert sample.words == 100
    shown = [sample.vocabulary[token] for token in sample.tokens]
    assert len(set(shown)) == 5 and max(Counter(shown).values()) == 21
    assert [sample.vocabulary[t] for t in texts.sample(100, 3).tokens] == shown
    assert [sample.vocabulary[t] for t in texts.sample(100, 4).tokens] != shown
    # A smaller sample is the beginning of a larger one.
    assert [sample.vocabulary[t] for t in texts.sample(40, 3).tokens] == shown[:40]
    assert int(texts.sample(10_000, 3).lengths.sum()) == 50 * 21


def test_a_sample_that_is_short_says_so() -> None:
    found = statistics(data([["a b c d e f"]]), tokens=4)
    assert found.final and found.final.sample.tokens == 4 and found.final.sample.complete
    assert found.final.sample.ngrams[4] == 1
    found = statistics(data([["a b c d e f"]]), tokens=7)
    assert found.final and found.final.sample.tokens == 6 and not found.final.sample.complete
    assert any(cell == "<7" for table in tables([found]) for row in table.rows for cell in row)
    with pytest.raises(SynthError, match="sample of 0"):
        statistics(data([["a"]]), tokens=0)


def test_an_empty_corpus_measures_nothing() -> None:
    (level,) = Corpus().levels(1)
    assert (level.total, level.kinds, level.distinct, level.specificity) == (0, 0, 0.0, 0.0)


# ---- sentences and elements


@pytest.mark.parametrize("text", [*EDGES, "A. B? C!", "At 3.50 e.g. now. “Yes.” he said", "no end", "Mr. X is No. 5."])
def test_sentences_are_as_many_as_counted(text: str) -> None:
    found = split_sentences(text)
    assert len(found) == sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_elements_of_turns() -> None:
    turns = [
        Utterance("assistant", "Hello! How can I help?"),
        Utterance("user", "My cousin's wedding is in June. I am looking for a blue dress."),
        Utterance("assistant", "Which material would you like?"),
        Utterance("user", "I'd like something in silk."),
        Utterance("assistant", "I recommend the Mira Dress. It is made of silk, because you asked for that."),
        Utterance("user", "Sorry, this is not for me. It is too bright."),
        Utterance("assistant", "I suggest the Ada Dress then. The picture shows a dark blue."),
        Utterance("user", "That is perfect, I'll take it! Thank you."),
    ]
    kinds = [[element.kind for element in found] for found in label(turns)]
    assert kinds[0] == ["greeting", "greeting", "question"]
    assert {"scenario", "requirement"} <= set(kinds[1])
    assert kinds[2] == ["question"] and kinds[3] == ["requirement"]
    assert {"recommendation", "explanation"} <= set(kinds[4])
    assert {"rejection", "reason"} & set(kinds[5]) and "acceptance" not in kinds[5]
    assert {"recommendation", "picture"} <= set(kinds[6])
    assert {"acceptance", "thanks"} <= set(kinds[7])


@pytest.mark.parametrize("text", EDGES)
def test_elements_of_anything(text: str) -> None:
    for speaker in ("user", "assistant"):
        for context in (Context(), Context(True), Context(True, True)):
            _, found = elements(Utterance(speaker, text), context)
            assert {element.text for element in found} == set(split_sentences(text))


def test_no_cue_takes_long() -> None:
    """Patterns of untrusted text must not blow up."""
    for text in ("a " * 20_000, "no " * 20_000, "too too " * 10_000, "nice " * 10_000, "“" * 20_000, "it is " * 9_000):
        cued(text)


def test_another_labeller_takes_the_rules_place() -> None:
    found = statistics(
        data([["Hi.", "Hm."]]), labeller=lambda turns: [[Element("thanks", turn.text)] for turn in turns]
    )
    assert found.elements.counts == {"assistant": Counter(thanks=1), "user": Counter(thanks=1)}
    assert found.elements.agreement.turns == 0


def test_kappa_by_hand() -> None:
    agreement = Agreement(Counter({("ask", "ask"): 20, ("ask", "chat"): 5, ("chat", "ask"): 10, ("chat", "chat"): 15}))
    assert agreement.share == 0.7 and agreement.kappa == pytest.approx(0.4)
    assert Agreement().kappa == Agreement().share == 0
    assert Agreement(Counter({("ask", "ask"): 3})).kappa == 0


def test_rules_agree_with_the_simulators_acts(simulated: RunFolder) -> None:
    """The rules were fitted on another run; here they read sentences that they have not seen."""
    agreement = statistics(simulated.path).elements.agreement
    assert agreement.turns > 200
    assert agreement.share > 0.85 and agreement.kappa > 0.8


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> RunFolder:
    """A small run of the offline simulator."""
    from synth.graphs.generation import generate
    from synth.graphs.options import Options

    folder = tmp_path_factory.mktemp("statistics") / "run"
    generate(Options(catalog=catalogue, scenarios=30, convs=30, seed=11, out=folder))
    return RunFolder.open(folder)


# ---- a run


def test_counts_of_a_run_are_as_counted_one_by_one(simulated: RunFolder) -> None:
    found = statistics(simulated.path)
    conversations = list(simulated.conversations())
    turns = [turn for c in conversations for turn in c.turns]
    size = found.size
    assert (size.conversations, size.turns, size.profiles) == (30, len(turns), 30)
    assert size.users == len({c.profile.person for c in conversations})
    assert size.items == len({p for t in turns for p in t.products} | {c.target_id for c in conversations})
    assert size.images == len({image for turn in turns for image in turn.images})
    assert size.catalogue_items == 160
    assert found.acts.acts == Counter((turn.speaker, turn.act) for turn in turns)
    assert found.acts.lengths == Counter(len(c.turns) for c in conversations)
    assert found.acts.openings == Counter(c.opening for c in conversations)
    rounds = Counter((sum(t.act == "recommend" for t in c.turns), c.ended_by) for c in conversations)
    assert found.rounds.by_round == rounds
    assert found.persons.gender == Counter(c.profile.person.gender for c in conversations)
    assert found.types.targets.total() == 30 and "unknown" not in found.types.targets
    assert found.offline
    for version, texts in (
        (found.final, [turn.text for turn in turns]),
        (found.drafts, [draft for c in conversations for draft in c.drafts]),
    ):
        assert version and version.all.tokens == sum(len(NLTK(text.lower())) for text in texts)
        assert version.all.distinct[4] == pytest.approx(naive(texts, 4)["distinct"])


def test_funnel_of_a_run(simulated: RunFolder) -> None:
    funnel = statistics(simulated.path).funnel
    assert funnel is not None
    refused = Counter(rejected.filter for rejected in simulated.rejected())
    stages = {stage.name: stage for stage in funnel.stages}
    for name in ("match", "backstory", "duplicate", "failed", "review"):
        assert stages[name].entered - stages[name].passed == refused[name]
    assert funnel.draws == 30 + refused.total() and funnel.conversations == 30
    assert stages["match"].entered == funnel.draws
    assert stages["review"].passed == 30
    assert funnel.profiles == stages["failed"].entered
    store = simulated.store()
    numbers = [int(c.id[1:]) for c in simulated.conversations()]
    numbers += [int(r.id[1:]) for r in simulated.rejected() if r.conversation]
    events = [event for number in numbers for event in store.events("conversation", number)]
    choices = Counter(e.choice for e in events if isinstance(e, ChoiceEvent) and e.step == "0")
    assert (stages["multimodal opening"].entered, stages["multimodal opening"].passed) == (
        choices.total(),
        choices["multimodal"],
    )
    kept = sum(event.kept for event in events if isinstance(event, RewriteEvent))
    assert stages["rewrite check"].entered - stages["rewrite check"].passed == kept
    assert stages["outfit"].entered == store.call_counts()["manager.outfit"]
    assert stages["scenario"].entered == 0 and stages["scenario"].rate is None
    store.close()


def test_what_people_and_models_refuse_is_in_the_funnel(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for number, verdict in enumerate(("good", "bad", "unsure", "good")):
        add(run.path, Verdict(conversation=f"c{number:06d}", annotator="a", verdict=verdict, at=float(number)))  # type: ignore[arg-type]
    add(run.path, Verdict(conversation="c000000", annotator="b", verdict="bad", at=9.0))
    profile = next(run.conversations()).profile
    more = [
        Rejected(id="p000103", filter="failed", reason="no answer"),
        Rejected(id="c000104", filter="failed", reason="no answer", profile=profile),
    ]
    with (run.path / "rejected.jsonl").open("a", encoding="utf-8", newline="\n") as file:
        file.writelines(row(rejected) + "\n" for rejected in more)
    funnel = statistics(run.path).funnel
    assert funnel is not None
    stages = {stage.name: (stage.entered, stage.passed) for stage in funnel.stages}
    assert stages["people"] == (4, 1)
    assert stages["profile failed"] == (45, 44) and stages["duplicate"] == (44, 43)
    assert stages["failed"] == (43, 42) and stages["review"] == (42, 40)
    assert (funnel.draws, funnel.profiles, funnel.conversations) == (45, 43, 40)
    assert funnel.profile_yield == 43 / 45 and funnel.conversation_yield == 40 / 45


def test_generated_scenarios_are_counted_up_to_the_last_that_was_needed(tmp_path: Path, catalogue: Path) -> None:
    from synth.agents.scenario import seeds
    from synth.graphs.generation import generate
    from synth.graphs.options import Options

    wanted = len(seeds()) + 7
    generate(Options(catalog=catalogue, scenarios=wanted, convs=2, seed=3, out=tmp_path / "run"))
    funnel = statistics(tmp_path / "run").funnel
    assert funnel is not None
    scenario = funnel.stages[0]
    assert scenario.passed == 7 <= scenario.entered


def test_an_empty_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [])
    with pytest.raises(SynthError, match="no conversation in it"):
        statistics(run.path)


# ---- persons


@pytest.mark.parametrize(
    ("age", "name"),
    [(None, "not stated"), (0, "under 18"), (17, "under 18"), (18, "18–24"), (24, "18–24"), (25, "25–34"),
     (64, "55–64"), (65, "65 and over"), (130, "65 and over")],
)  # fmt: skip
def test_age_bands(age: int | None, name: str) -> None:
    assert band(age) == name


def test_association() -> None:
    one_tells_the_other = Counter({("female", "dress"): 50, ("male", "tie"): 50})
    assert association(one_tells_the_other) == pytest.approx(1)
    nothing = Counter({("female", "dress"): 25, ("female", "tie"): 25, ("male", "dress"): 25, ("male", "tie"): 25})
    assert association(nothing) == 0
    assert association(Counter({("female", "dress"): 9})) is None
    assert association(Counter()) is None
    # By hand: chi² = 100 (40·40 - 10·10)² / 50⁴ = 36, phi² = 0.36; 0.36 - 1/99 over 1 - 1/99.
    some = Counter({("f", "a"): 40, ("f", "b"): 10, ("m", "a"): 10, ("m", "b"): 40})
    assert association(some) == pytest.approx(math.sqrt((0.36 - 1 / 99) / (1 - 1 / 99)))


def test_persons_and_types(tmp_path: Path) -> None:
    buyers = [Buyer("A", "female", 30, "baker"), Buyer("B", "male", None), Buyer("C", None, 70, "baker")]
    said = [Dialogue(str(n), (), buyer=buyer, target="gone") for n, buyer in enumerate(buyers)]
    found = statistics(Data("profiles", "muse", tmp_path, lambda: iter(said)))
    assert found.final is None and found.words is None and found.size.conversations == 0
    assert found.persons.to_json()["gender"] == {"female": 1, "male": 1, "not stated": 1}
    assert list(found.persons.to_json()["age"]) == ["25–34", "65 and over", "not stated"]
    assert found.types.targets == Counter(unknown=3)
    assert found.persons.professions == Counter(baker=2)
    assert json.loads(json.dumps(found.to_json()))["wording"] == {"final": None, "drafts": None}


# ---- tables and the command


def test_drafts_of_some_turns_are_no_version() -> None:
    turns = (Utterance("user", "a", draft="b"), Utterance("assistant", "c"))
    said = [Dialogue("1", turns[:1]), Dialogue("2", turns), Dialogue("3", turns[:1])]
    found = statistics(replace(data([["x"]]), dialogues=lambda: iter(said)))
    assert found.drafts is None and found.final and found.final.all.turns == 4


def test_data_sets_stand_side_by_side(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    chat = tmp_path / "chat.jsonl"
    chat.write_text(json.dumps({"messages": [{"role": "user", "content": "a | b [x](y)"}]}) + "\n", "utf-8")
    runner = CliRunner()
    result = runner.invoke(app, ["stats", str(run.path), str(chat), "--tokens", "50"])
    assert result.exit_code == 0, result.output
    titles = "Size,Wording,Turns by act,Elements,Product types,Funnel,Endings,Persons,Most frequent"
    for title in titles.split(","):
        assert title in result.output
    assert "run*" in result.output and "chat*" not in result.output
    found = json.loads(runner.invoke(app, ["stats", str(run.path), str(chat), "--json"]).output)
    assert [one["name"] for one in found] == ["run", "chat"]
    assert found[0]["funnel"]["draws"] == 43 and found[1]["funnel"] is None
    assert found[0]["sample"] == {"tokens": 300_000, "seed": 0}
    text = runner.invoke(app, ["stats", str(run.path), str(chat), "--markdown"]).output
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in text.split("**")]
    assert sum(map(bool, blocks)) == 10
    for block in filter(None, blocks):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1
    assert runner.invoke(app, ["stats", str(run.path), "--json", "--markdown"]).exit_code == 1


def test_two_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / name / "run").path for name in ("one", "two")]
    found = json.loads(CliRunner().invoke(app, ["stats", *map(str, paths), "--json"]).output)
    assert [one["name"] for one in found] == [str(path) for path in paths]


def test_what_data_say_steers_no_terminal(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run\x1b[31m[bold]")
    result = CliRunner().invoke(app, ["stats", str(run.path)])
    assert result.exit_code == 0 and "\x1b" not in result.output and "[bold]" in result.output


def test_markdown_cannot_be_broken() -> None:
    found: Statistics = replace(statistics(data([["a b c d"] * 2])), name="x|y\n<b>*")
    for table in tables([found]):
        text = markdown(table)
        assert "x|y" not in text and "\n<b>" not in text and "x\\|y \\<b>\\*" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-there"], "There is no nothing-there"),
        (["pyproject.toml", "--format", "csv"], "no format 'csv'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["stats", *arguments])
    assert isinstance(result.exception, SynthError) and said in str(result.exception)
    assert "\n" not in str(result.exception)
