"""The report: what it says, what it hides, that it needs nothing else, and when it is written."""

from __future__ import annotations

import math
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock
from fixtures import make_catalogue, make_conversation, make_run
from PIL import Image
from typer.testing import CliRunner

from synth.analysis.evaluation import Evaluation, keep_evaluation
from synth.analysis.reliability import Estimate
from synth.analysis.report import FILE, clouds, figures, is_current, page, write_report
from synth.analysis.report.facts import collect
from synth.analysis.report.samples import SAMPLES, Drawing
from synth.analysis.report.thumbs import thumbs
from synth.analysis.scores import AspectScore, DataScores
from synth.analysis.statistics import statistics
from synth.cli import app
from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Conversation, Product
from synth.errors import Exit, SynthError
from synth.graphs import generation
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces.judgements import Verdict, add
from synth.traces.run import RunFolder

EVIL = '</p></style><script>alert(1)</script><img src=x onerror="alert(2)">\' " &amp; {{ 7*7 }}'
VOID = frozenset("meta link img br input hr line rect".split())


class Page(HTMLParser):
    """A page taken apart: tags, attributes, text; whether all that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]


def shown(run: RunFolder, out: Path | None = None) -> str:
    return write_report(run.path, out).read_text("utf-8")


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def html(run: RunFolder) -> str:
    return shown(run)


def test_the_file_needs_nothing_else(html: str) -> None:
    found = Page(html)
    assert not found.open
    assert not found.tags["script"] and not found.tags["iframe"] and not found.tags["object"]
    assert len(found.ids()) == len(set(found.ids()))
    for _tag, name, value in found.attributes:
        assert not name.startswith("on")
        if name == "href":
            assert value.startswith(("#", "data:image/svg+xml")) and (value[0] != "#" or value[1:] in found.ids())
        if name in ("src", "poster", "data", "action", "srcset"):
            assert value.startswith("data:image/webp;base64,")
    assert all(url.startswith("data:") for url in re.findall(r"url\((.*?)\)", html))
    assert "@import" not in html
    policy = next(value for tag, _, value in found.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'") and "http" not in policy
    assert len(html.encode()) < 3_000_000


def test_it_says_what_the_statistics_say(run: RunFolder, html: str) -> None:
    text = squeezed(Page(html).text)
    s = statistics(run.path)
    assert s.final and s.drafts and s.funnel
    for row in (s.final.all, s.drafts.all):
        assert f"{row.ngrams[4]:,} {row.different[4]:,}".replace(" ", "") in text.replace(" ", "")
        assert all(f"{row.distinct[n]:.3f}" in text and f"{row.specificity[n]:.3f}" in text for n in (2, 3, 4))
    for name in ("MUSE, Table 2", "MUSE, Tables 2 and 8", "MUSE, Fig. 4", "MUSE, Fig. 7", "MUSE, Fig. 9"):
        assert name in text
    assert f"{s.funnel.conversations} of {s.funnel.draws}" in text
    assert "hitthetargetwastaken50.0%20" in re.sub(r"\s", "", text)
    assert "there are fewer, so not to be compared" in text
    assert "CC BY-SA 4.0" in text and "All persons are synthetic" in text and "Offline simulator." in text
    assert "0123456789abcdef" in text


def test_pictures_are_described_for_those_who_do_not_see_them(html: str) -> None:
    found = Page(html)
    drawn = [attributes for attributes in found.attributes if attributes[0] == "svg" and attributes[1] == "role"]
    assert drawn and found.tags["title"] >= len(drawn)
    alts = [value for tag, name, value in found.attributes if tag == "img" and name == "alt"]
    assert len(alts) == found.tags["img"] > SAMPLES and all(alts)


def test_texts_of_a_run_are_no_markup(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "plain")
    products = [
        product.model_copy(update={"title": f"{EVIL} {n}", "attributes": {"type": EVIL}})
        for n, product in enumerate(catalogue)
    ]
    evil = catalogue.rewritten(catalogue.folder, products)
    conversations = []
    for n in range(12):
        made = make_conversation(n, evil)
        person = made.profile.person.model_copy(update={"name": EVIL, "profession": EVIL})
        profile = made.profile.model_copy(update={"person": person, "backstory": EVIL})
        turns = tuple(turn.model_copy(update={"text": EVIL * 4}) for turn in made.turns)
        conversations.append(made.model_copy(update={"profile": profile, "turns": turns}))
    html = shown(make_run(tmp_path / "run", conversations, evil))
    found = Page(html)
    assert not found.open and not found.tags["script"]
    assert not any(name.startswith("on") or value == "x" for _, name, value in found.attributes)
    assert "alert(1)" in found.text and "{{ 7*7 }}" in found.text


def test_addresses_are_masked(html: str) -> None:
    assert "[email]" in html and "[handle]" in html
    assert not re.search(r"@\w*mail\.example|@nina|nina\d+ ?@|@ ?mail\.example|@bag_shop|shop\d@", html)
    assert not clouds.words({"mail.example.org": 9, "@": 9, "a@b": 9, "it.": 9, "5": 9, "x": 9})
    assert clouds.words({"navy.": 2, "navy": 3, "(blue": 1}) == {"navy": 5, "blue": 1}


def test_the_sample_spans_openings_and_endings(run: RunFolder) -> None:
    def drawn(seed: int, conversations: list[Conversation]) -> list[str]:
        drawing = Drawing(seed)
        for conversation in conversations:
            drawing.add(conversation)
        return [conversation.id for conversation in drawing.drawn()]

    everything = list(run.conversations())
    chosen = drawn(3, everything)
    by_id = {conversation.id: conversation for conversation in everything}
    kinds = Counter((by_id[id_].opening, by_id[id_].ended_by) for id_ in chosen)
    assert len(chosen) == len(set(chosen)) == SAMPLES
    assert (
        set(kinds) == {(c.opening, c.ended_by) for c in everything} and max(kinds.values()) - min(kinds.values()) <= 1
    )
    assert chosen == drawn(3, everything) == sorted(chosen)
    assert chosen != drawn(4, everything)
    assert set(chosen) == set(drawn(3, everything[::-1]))
    assert drawn(3, everything[:3]) == [conversation.id for conversation in everything[:3]]


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", wanted=100, finished=False)
    text = squeezed(Page(shown(run)).text)
    assert "Not finished." in text and "40 of 100" in text
    with FileLock(run.path / "lock"):
        text = squeezed(Page(shown(run)).text)
    assert "Still going." in text and "Not finished." not in text


def test_a_finished_run_does_not_say_that_it_is_not(html: str) -> None:
    assert "Not finished." not in html and "Still going." not in html


def test_pictures_and_records_may_be_gone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    images = sorted((run.path / "images").rglob("*.*"))
    images[0].unlink()
    images[1].write_bytes(b"no picture")
    images[2].write_bytes(images[2].read_bytes()[:40])
    assert "no picture at hand" in shown(run)
    (run.path / "catalogue" / "products.jsonl").unlink()
    found = Page(shown(run))
    assert not found.tags["img"] and "does not state its licence" in found.text


def test_many_large_pictures_stay_small(tmp_path: Path) -> None:
    rng = random.Random(1)
    writer = CatalogueWriter(tmp_path / "noise")
    pictures = []
    for _ in range(50):
        image = Image.frombytes("RGB", (320, 320), rng.randbytes(320 * 320 * 3))
        path = tmp_path / "noise.jpg"
        image.save(path, "JPEG", quality=90)
        pictures.append(writer.store_image(path.read_bytes(), "image/jpeg", 320, 320))
    product = Product(id="p", title="Noise", images=tuple(pictures))
    catalogue = writer.finish(CatalogueInfo(name="noise", source="noise"), [product])
    found = thumbs(catalogue, pictures)
    assert len(found) == 50 and sum(map(len, found.values())) < 2_000_000


def test_what_judges_and_people_say(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "The judge’s scores" not in shown(run) and "People’s verdicts" not in shown(run)
    score = AspectScore(
        aspect="naturalness", conversations=9, score=Estimate(mean=1.234, low=1.1, high=1.3), alpha=0.7, difference=0.1
    )
    empty = score.model_copy(update={"aspect": "image_text", "score": None, "alpha": None})
    scores = DataScores(
        data=f"run {EVIL}", conversations=9, of=40, pictured=0, failed=0, aspects=(score, empty), single={}
    )
    evaluation = Evaluation(
        data=("run",),
        model="openai:gpt-x",
        offline=False,
        seed=0,
        sample=9,
        rounds=3,
        temperatures={},
        images="low",
        prompts={},
        synth="0.1.0",
        scores=(scores,),
        notes=("Mind <b>this</b>.",),
    )
    keep_evaluation(run.path, evaluation)
    add(run.path, Verdict(annotator="ann", at=1.0, conversation="c000001", verdict="good"))
    assert not is_current(run.path)
    found = Page(shown(run))
    text = squeezed(found.text)
    assert is_current(run.path) and not found.open and not found.tags["script"]
    assert "1.2341.100 to 1.3000.70" in text and "By openai:gpt-x: 3 rounds" in text and "Mind <b>this</b>." in text
    assert "People’s verdicts" in text and "good: 1" in text


def test_rows_of_a_type_and_a_group_against_chance(run: RunFolder) -> None:
    s = statistics(run.path)
    heat = figures.heat(s)
    assert heat
    persons = Counter((c.profile.person.gender, c.profile.person.age) for c in run.conversations())
    assert sum(cell.count for _, _, cells in heat.rows for cell in cells) == persons.total() == 40
    assert sum(span for _, span in heat.genders) == len(heat.ages)
    s.persons.gender_age_type = Counter({("female", "18–24", "a"): 30, ("male", "18–24", "b"): 10})
    heat = figures.heat(s)
    assert heat and [kind for kind, _, _ in heat.rows] == ["a", "b"]
    cell = heat.rows[1][2][1]
    assert (cell.count, cell.expected, cell.tone) == (10, 2.5, "more")
    assert cell.strength == pytest.approx(min((10 - 2.5) / math.sqrt(2.5) / 4, 1))
    assert heat.rows[0][2][1].tone == "less" and heat.rows[0][2][0].tone == "more"


@pytest.mark.parametrize(
    "lengths", [{6: 3}, {6: 3, 8: 1, 22: 2}, {1: 1, 2: 1, 300: 5}, {n: n for n in range(1, 90)}, {}]
)
def test_every_length_is_in_one_column(run: RunFolder, lengths: dict[int, int]) -> None:
    s = statistics(run.path)
    s.acts.lengths = Counter(lengths)
    columns = figures.lengths(s)
    assert sum(column.total for column in columns) == sum(lengths.values()) and len(columns) <= 25
    for column in columns:
        low, _, high = column.label.partition("–")
        assert column.total == sum(n for length, n in lengths.items() if int(low) <= length <= int(high or low))


def test_columns_stack_to_their_total() -> None:
    first, second = figures.columns({"1": {"hit": 3, "fit": 1}, "2": {"hit": 0, "fit": 8}})
    assert first.parts == (("hit", 3, 0.0, 3 / 8), ("fit", 1, 3 / 8, 1 / 8)) and (first.total, second.total) == (4, 8)


def test_endings_by_round_add_up(run: RunFolder) -> None:
    rounds = figures.rounds(statistics(run.path))
    assert [(column.label, column.total, column.note) for column in rounds] == [("2", 40, "100%")]
    assert dict(part[:2] for part in rounds[0].parts) == {"hit": 20, "fit": 10, "forced": 10}


def test_clouds_lie_in_their_box_and_are_the_same_again() -> None:
    rng = random.Random(2)
    counts = {"".join(rng.choices("abcdefghij", k=rng.randrange(3, 11))): 400 // n for n in range(1, 70)}
    counts |= {"Привет": 90, "καλημέρα": 80, "日本語": 70, "مرحبا": 60}
    placed = clouds.cloud(counts, clouds.NARROW)
    assert placed == clouds.cloud(counts, clouds.NARROW) and len(placed) > 25
    assert {"Привет", "日本語"} <= {word.text for word in placed}
    for word in placed:
        across = 0 if word.upright else word.length
        assert -3 <= word.x <= word.x + across <= clouds.NARROW.width + 3 and 0 <= word.y <= clouds.NARROW.height + 3
    assert clouds.font_face(placed).startswith("data:font/woff;base64,")
    assert clouds.cloud({}, clouds.NARROW) == [] and clouds.font_face([]) == ""


def test_one_conversation_and_no_words(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    made = make_conversation(0, catalogue, "forced")
    turns = tuple(turn.model_copy(update={"text": ""}) for turn in made.turns)
    for name, one in (("one", made), ("silent", made.model_copy(update={"turns": turns}))):
        found = Page(shown(make_run(tmp_path / name, [one], catalogue)))
        assert not found.open and "1 shopping conversation between" in found.text


def test_a_run_without_conversations_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [], finished=False)
    with pytest.raises(SynthError, match="has no conversation in it"):
        write_report(run.path)
    done = CliRunner().invoke(app, ["report", str(run.path)])
    assert isinstance(done.exception, SynthError) and not (run.path / FILE).exists()
    with pytest.raises(SynthError, match="is not a run"):
        write_report(tmp_path)


def test_other_files_are_not_replaced(run: RunFolder, tmp_path: Path) -> None:
    mine = tmp_path / "thesis.html"
    mine.write_text("<h1>Mine</h1>")
    with pytest.raises(SynthError, match="is no report"):
        write_report(run.path, mine)
    assert mine.read_text() == "<h1>Mine</h1>"
    with pytest.raises(SynthError):
        write_report(run.path, tmp_path)
    with pytest.raises(SynthError, match="cannot be written"):
        write_report(run.path, mine / "below.html")
    out = tmp_path / "new" / "report.html"
    assert shown(run, out) == shown(run, out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["report.html"]


def test_the_command(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    done = CliRunner().invoke(app, ["report", str(run.path), "--out", str(out), "--json"])
    assert done.exit_code == Exit.DONE and f'"bytes": {out.stat().st_size}' in done.stdout
    done = CliRunner().invoke(app, ["report", str(run.path), "--out", str(out)])
    assert "Open it in a browser." in done.stdout
    assert not CliRunner().invoke(app, ["report", str(run.path), "--out", str(out), "--quiet"]).stdout


def test_secrets_stay_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    config = (run.path / "config.toml").read_text("utf-8")
    config = config.replace('base_url = ""', 'base_url = "http://me:hunter2@models.example:8000/v1"\napi_key = "sk-1"')
    (run.path / "config.toml").write_text(config, "utf-8")
    html = shown(run)
    assert "http://models.example:8000/v1" in html and "hunter2" not in html and "sk-1" not in html


# ---- written at the end of a run


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Options]:
    was = Path.cwd()
    os.chdir(tmp_path)
    catalogue = make_catalogue(tmp_path / "catalogue")
    yield Options(catalog=catalogue.folder, scenarios=6, convs=3, out=tmp_path / "run", per_product=25, duplicate=1.0)
    os.chdir(was)


def test_a_run_ends_with_its_report(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = generate(options)
    assert summary.report == summary.run / FILE and summary.report.is_file()
    assert "finished" in Page(summary.report.read_text("utf-8")).text
    # Nothing changed: it is left as it is, and nothing is counted again.
    written = []
    monkeypatch.setattr(page, "collect", lambda *args, **more: written.append(args) or collect(*args, **more))
    was = summary.report.stat().st_mtime_ns
    assert generate(options).report == summary.report
    assert summary.report.stat().st_mtime_ns == was and not written
    # More conversations: it is written anew.
    from dataclasses import replace

    assert generate(replace(options, convs=4)).report
    assert written and "4 shopping conversations" in Page(summary.report.read_text("utf-8")).text
    summary.report.unlink()
    assert generate(options).report == summary.report and len(written) == 2


def test_a_run_does_not_fail_for_its_report(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(page, "collect", broken)
    summary = generate(options)
    assert summary.accepted == 3 and summary.finished and summary.report is None
    assert not (summary.run / FILE).exists()
    assert "no report was written: planted" in (summary.run / "run.log").read_text("utf-8")
    assert generation.generate(options).report is None


def test_the_catalogue_of_a_report_is_the_runs_own(run: RunFolder) -> None:
    facts = collect(run)
    assert isinstance(run.catalogue(), Catalogue) and facts.catalogue == run.catalogue().info
