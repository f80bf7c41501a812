"""LaViC from nothing on a CPU, stage by stage: real pictures, the tiny preset, two cores, under an hour.

    python benchmarks/lavic_cpu.py --data FOLDER --out DIR      # FOLDER has fashion/products.csv and fashion/images.zip
    python benchmarks/lavic_cpu.py --quick                      # the whole path on drawn pictures, in two minutes

FOLDER is by default that of SYNTH_TEST_DATA. Every gate is printed with its threshold; what comes after one that failed
is run all the same and can be read in its light. Stopped anywhere, the same command goes on; what is finished in --out
is not made again, and its seconds are those it took.

Two things differ from LaViC, both because this model starts from nothing: candidates are named by letters, one token
each, on the same code path as ids; and the model is warmed up: the language model to match and to describe in words,
the projector to make pictures' embeddings read as words (`synth.recommender.matching`, `aligning`), all on training
products alone. All arms of stage 2 start from that one checkpoint and see the same examples, as often, with the same
loss.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.colour_shop import Shop, conversations, open_shop
from synth.cli.progress import Bar
from synth.corpora.catalogue import Catalogue
from synth.corpora.drawing import draw_catalogue
from synth.corpora.importer import import_catalogue
from synth.errors import SynthError
from synth.recommender.adapters import Lora, apply_distilled, fingerprint
from synth.recommender.aligning import Alignment, AlignSettings
from synth.recommender.answering import Pictures, PromptSettings, Recommender
from synth.recommender.architecture import Architecture, load
from synth.recommender.checkpoint import as_json, replacing
from synth.recommender.crops import crops, image_hash, open_image
from synth.recommender.data import RecExample
from synth.recommender.describe import INSTRUCTION, Picture, describe, generate, read_descriptions
from synth.recommender.distill import Distill, DistillSettings, described_images, hold_out
from synth.recommender.features import FeatureCache, build, key_of
from synth.recommender.items import Item
from synth.recommender.matching import Matching, MatchingSettings, verdict_head
from synth.recommender.method import Method, TrainSettings
from synth.recommender.metrics import evaluate
from synth.recommender.presets import build_tiny
from synth.recommender.probe import coarse_colour, histogram, pooled, probe
from synth.recommender.prompts import DESCRIBE, TASK, Show
from synth.recommender.ranking_metrics import MICRO
from synth.recommender.recommend import Recommend, RecommendSettings
from synth.recommender.retrieval import make_retriever, rank_candidates
from synth.recommender.runs import RunFile, queries_of, read_run, write_run
from synth.recommender.table import TESTS, print_tables
from synth.recommender.training import train
from synth.recommender.warmup import ATTRIBUTE_SETTINGS, AttributeWarmup, CaptionWarmup

GATES = {"probe": 0.55, "captions": 0.70, "words": 0.60}
"""Least share that is right, by gate; chosen beforehand."""
PRECISION = "bf16"
PROMPT = PromptSettings(labels="letters")
ARMS: dict[str, tuple[Show, bool]] = {
    "without images": ("nothing", False),
    "without self-distillation": ("features", False),
    "LaViC": ("features", True),
}
"""By name what is shown of a picture, and whether the tower is the distilled one."""


@dataclass(frozen=True)
class Lesson:
    """One lesson of the matching warm-up; see `MatchingSettings`."""

    examples: int
    candidates: tuple[int, int]
    batch: int = 32
    plain: bool = False
    """Only the colour stands in a slot, only the type in a title; else a few words and the whole title."""
    brief: bool = False
    captions: bool = False
    own: float = 0.25
    """Share of conversations that use the shop's own names of colours."""
    schedule: str = "constant"


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    drawn: int = 0
    """Products of the drawn catalogue; 0 for the real one."""
    held: int = 3000
    valid: int = 1000
    candidates: int = 10
    tower_epochs: int = 12
    words: tuple[Lesson, ...] = (
        Lesson(9600, (2, 3), 48, plain=True, brief=True, own=0.0),
        Lesson(6400, (2, 6), plain=True, brief=True, own=0.0),
        Lesson(4800, (4, 10), plain=True, brief=True, own=0.0),
        Lesson(3200, (3, 8), own=0.0),
        Lesson(9600, (6, 10), captions=True),
        Lesson(8000, (10, 10), captions=True, schedule="cosine"),
    )
    looks: int = 20
    distill_epochs: int = 1
    examples: int = 3200
    epochs: int = 2
    asked_valid: int = 300
    asked_test: int = 1000


QUICK = Size(
    drawn=400, held=90, valid=60, candidates=3, tower_epochs=1,
    words=(Lesson(32, (2, 3), 16, plain=True, brief=True), Lesson(32, (2, 3), 16, captions=True)),
    looks=2,
    examples=32, epochs=1, asked_valid=20, asked_test=40,
)  # fmt: skip


class Bench:
    """A benchmark's folder: each stage is done once, its result and seconds kept."""

    def __init__(self, out: Path, size: Size, seed: int, bar: Bar) -> None:
        self.out, self.size, self.seed, self.bar = out, size, seed, bar
        out.mkdir(parents=True, exist_ok=True)
        self._path = out / "stages.json"
        self.stages: dict[str, dict[str, Any]] = json.loads(self._path.read_text()) if self._path.is_file() else {}
        asked = as_json({"size": asdict(size), "seed": seed})
        if self.stages.setdefault("settings", asked) != asked:
            raise SynthError(f"{out} holds a benchmark of another size or seed.", "Choose another --out.")

    def stage(self, name: str, work: Callable[[], Any]) -> Any:
        """The result of `work`, which is JSON; kept from an earlier call where there was one."""
        entry = self.stages.setdefault(name, {"seconds": 0.0})
        if "result" not in entry:
            with self._timed(entry):
                entry["result"] = work()
            self._write()
            print(f"[{entry['seconds']:6.0f} s] {name}", flush=True)
        else:
            print(f"[{entry['seconds']:6.0f} s] {name} (kept)", flush=True)
        return entry["result"]

    @contextmanager
    def _timed(self, entry: dict[str, Any]) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            entry["seconds"] = round(entry["seconds"] + time.perf_counter() - start, 1)
            self._write()

    def _write(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.stages, indent=2) + "\n")
        part.replace(self._path)

    @property
    def seconds(self) -> float:
        return sum(float(entry.get("seconds", 0.0)) for entry in self.stages.values())

    def train(self, method: Method, name: str, **settings: Any) -> dict[str, Any]:
        """Trains into the folder `name`; the figures of the best epoch."""
        every = {"precision": PRECISION, "seed": self.seed, "warmup": 0.05, "workers": 1, "trackers": ()}
        done = train(method, TrainSettings(**{**every, **settings}), self.out / name, self.bar)
        best = done.metrics["best"]["epoch"]
        return next(entry for entry in done.metrics["history"] if entry["epoch"] == best)


def gate(name: str, what: str, value: float, aim: float | None, beside: str = "") -> None:
    verdict = "" if aim is None else f"  aim {aim:.2f}: {'passed' if value >= aim else 'FAILED'}"
    print(f"  gate {name}: {what} {value:.3f}{verdict}{beside}", flush=True)


def open_data(bench: Bench, data: Path | None) -> Shop:
    folder = bench.out / "catalogue"

    def made() -> int:
        if data is None:
            return len(draw_catalogue(folder, products=bench.size.drawn, seed=bench.seed))
        shop = data / "fashion"
        import_catalogue(shop / "products.csv", folder, images=shop / "images.zip")
        return len(Catalogue.open(folder))

    bench.stage("catalogue", made)
    size = bench.size
    return open_shop(Catalogue.open(folder), size.held, size.valid, bench.seed)


def in_words(shop: Shop, *, plain: bool = False) -> dict[str, Item]:
    """The items with what is said of their pictures as their description."""
    if plain:
        return {
            key: replace(item, title=shop.kind(key)[0], descriptions={"": shop.colour(key)})
            for key, item in shop.items.items()
        }
    return {key: replace(item, descriptions={"": said(shop, key)}) for key, item in shop.items.items()}


def said(shop: Shop, item: str) -> str:
    """A short caption, the colour first: about as many tokens as a picture has [CLS] embeddings."""
    kind, wearer = shop.kind(item)
    return f"{shop.colour(item)} {kind} for {wearer}"


def features(bench: Bench, architecture: Architecture, shop: Shop, adapter: str = "") -> Pictures:
    """All products' cached [CLS] features, by this tower."""
    paths = [item.images[0] for item in shop.items.values()]
    key = key_of(architecture, adapter=adapter)
    made = build(architecture, paths, bench.out / "features", key, progress=bench.bar, workers=1)
    return pictures(shop, made.cache)


def pictures(shop: Shop, cache: FeatureCache) -> Pictures:
    return Pictures(cache, {key: image_hash(item.images[0]) for key, item in shop.items.items()})


def probed(shop: Shop, seen: Pictures) -> float:
    """Accuracy of coarse colour on the test's products, read linearly from their features."""

    def read(ids: Sequence[str]) -> tuple[torch.Tensor, list[str]]:
        return torch.stack([pooled(seen.get(key)) for key in ids]), [shop.colour(key) for key in ids]

    return probe(read(shop.train), read(shop.held))


def by_histogram(shop: Shop) -> float:
    def read(ids: Sequence[str]) -> tuple[torch.Tensor, list[str]]:
        rows = [torch.from_numpy(histogram(open_image(shop.items[key].images[0]))) for key in ids]
        return torch.stack(rows), [shop.colour(key) for key in ids]

    return probe(read(shop.train), read(shop.held))


def warm_up_tower(bench: Bench, shop: Shop) -> dict[str, Any]:
    base = bench.out / "base"
    if not base.is_dir():
        told = [e.text for e in conversations(shop, shop.train, bench.size.examples, "words", bench.seed, most=2)]
        shown = [f"{each.title}\n{each.caption}" for key in shop.train for each in [shop.known[key]]]
        build_tiny([INSTRUCTION, TASK, DESCRIBE, "Candidates: Conversation: Answer:", *told, *shown], base, bench.seed)
    architecture = load(base, "fp32", "cpu")
    method = AttributeWarmup(architecture, shop.labelled(shop.train), shop.labelled(shop.valid))
    plan = replace(ATTRIBUTE_SETTINGS, epochs=bench.size.tower_epochs)
    return bench.train(
        method, "tower", epochs=plan.epochs, batch=plan.batch, lr=plan.lr, weight_decay=plan.weight_decay,
        schedule=plan.schedule, grouped=False,
    )  # fmt: skip


def learn_to_match(bench: Bench, shop: Shop, start: Path) -> dict[str, Any]:
    """The lessons one after the other on one model, which the folder `words` has in the end."""
    architecture = load(start, "fp32", "cpu")
    verdicts = verdict_head(architecture)
    size, seed = bench.size, bench.seed
    valid = conversations(shop, shop.valid, size.asked_valid, "valid", seed, most=size.candidates)
    figures: dict[str, Any] = {}
    for number, lesson in enumerate(size.words, 1):
        fewest, most = lesson.candidates
        asked = conversations(
            shop, shop.train, lesson.examples, f"words {number}", seed, fewest=fewest, most=most, own=lesson.own
        )
        method = Matching(
            architecture, asked, [] if lesson.plain else valid, in_words(shop, plain=lesson.plain),
            MatchingSettings(PROMPT, brief=lesson.brief), verdicts=verdicts,
            captions=CaptionWarmup(architecture, shop.labelled(shop.train), []) if lesson.captions else None,
        )  # fmt: skip
        figures = bench.train(
            method, f"words-{number}", epochs=1, batch=lesson.batch, lr=1e-3, weight_decay=0.01,
            schedule=lesson.schedule,
        )  # fmt: skip
        bench.bar.note(f"lesson {number} in words: {figures}")
    with replacing(bench.out / "words") as folder:
        architecture.save(folder)
    return figures


def align(bench: Bench, shop: Shop, start: Path) -> dict[str, Any]:
    """Makes embeddings read as words; the folder `model` has the model in the end."""
    architecture = load(start, "fp32", "cpu")
    seen = features(bench, architecture, shop)
    captions = CaptionWarmup(architecture, shop.labelled(shop.train), [])
    words = {key: said(shop, key) for key in shop.items}
    settings = AlignSettings(looks=bench.size.looks)
    method = Alignment(architecture, shop.train, shop.valid, words, seen, settings, captions=captions)
    figures = bench.train(
        method, "alignment", epochs=1, batch=512, lr=3e-3, weight_decay=0.01, schedule="cosine", grouped=False
    )
    with replacing(bench.out / "model") as folder:
        architecture.save(folder)
    return figures


def words_right(bench: Bench, shop: Shop, model: Path, asked: Sequence[RecExample]) -> float:
    """HR@1 with the shop's own colours as captions in the slots: what matching is worth without eyes."""
    architecture = load(model, "fp32", "cpu", tower=False)
    reader = Recommender(architecture, in_words(shop), Pictures(None, {}), replace(PROMPT, show="descriptions"))
    run = reader.rank(asked, 32)
    return sum(max(run[e.id], key=run[e.id].__getitem__) == e.gt for e in asked) / len(asked)


def colours_named(bench: Bench, shop: Shop, model: Path, ids: Sequence[str]) -> float:
    """Share of pictures whose caption names the right coarse colour; titles name none."""
    architecture = load(model, "fp32", "cpu")
    right = 0
    bench.bar.stage("captions", len(ids))
    for start in range(0, len(ids), 64):
        part = ids[start : start + 64]
        opened = [open_image(shop.items[key].images[0]) for key in part]
        shown = [crops(image, architecture.image_processor) for image in opened]
        sizes = [(image.height, image.width) for image in opened]
        said = generate(architecture, [shop.items[key].title for key in part], shown, sizes, 24)
        named = [coarse_colour(text.replace(".", " ")) for text in said]
        right += sum(name == shop.colour(key) for name, key in zip(named, part, strict=True))
        bench.bar.advance(start + len(part))
    return right / len(ids)


def describe_all(bench: Bench, shop: Shop, model: Path) -> int:
    wanted = [Picture(key, shop.items[key].title, shop.items[key].images[0]) for key in shop.train]
    architecture = load(model, "fp32", "cpu")
    told = describe(architecture, wanted, bench.out / "descriptions.jsonl", batch=64, max_new_tokens=24,
                    progress=bench.bar, workers=1)  # fmt: skip
    return told.written + told.kept - told.empty


def distill(bench: Bench, shop: Shop, model: Path) -> dict[str, Any]:
    said = read_descriptions(bench.out / "descriptions.jsonl")
    items = {key: replace(shop.items[key], descriptions=said.get(key, {})) for key in shop.train}
    on, valid = hold_out(described_images(items)[0], 256, bench.seed)
    stage = DistillSettings(Lora(), evaluation_batch=64, workers=1)
    method = Distill(load(model, "fp32", "cpu"), on, valid, stage, seed=bench.seed)
    epochs = bench.size.distill_epochs
    return bench.train(method, "distilled", epochs=epochs, batch=32, lr=1e-4, schedule="cosine", evaluate_first=True)


def recommend(bench: Bench, shop: Shop, model: Path, arm: str, test: Sequence[RecExample]) -> float:
    """Trains one arm and writes its run; its HR@1 on the validation products."""
    show, distilled = ARMS[arm]
    size, seed = bench.size, bench.seed
    seen = opened(bench, shop, model, show, distilled)
    architecture = load(model, "fp32", "cpu", tower=False)
    asked = conversations(shop, shop.train, size.examples, "train", seed, fewest=size.candidates, most=size.candidates)
    valid = conversations(shop, shop.valid, size.asked_valid, "valid", seed, most=size.candidates)
    stage = RecommendSettings(replace(PROMPT, show=show), Lora(), evaluation_batch=32)
    method = Recommend(
        architecture, asked, valid, shop.items, seen, stage,
        distilled=bench.out / "distilled" if distilled else None, seed=seed,
    )  # fmt: skip
    found = bench.train(
        method, f"recommend {arm}", epochs=size.epochs, batch=16, lr=3e-4, schedule="cosine", evaluate_first=True
    )
    write(bench, RunFile(arm, method.recommender.rank(test, 32), facts=facts("trained")), test)
    return float(found["hr1"])


def facts(family: str) -> dict[str, Any]:
    return {"data": "colour shop", "split": "test", "generator": "templates", "family": family}


def write(bench: Bench, run: RunFile, test: Sequence[RecExample]) -> None:
    write_run(bench.out / "runs" / run.name, run, queries_of(test))


def baseline(bench: Bench, shop: Shop, name: str, test: Sequence[RecExample]) -> str:
    """Ranks by the titles; says why where it cannot."""
    named = shop.items if name == "bm25" else {key: shop.items[key] for e in test for key in e.candidates}
    try:
        retriever = make_retriever(name, named)
    except SynthError as error:
        return error.what
    write(bench, RunFile(name, rank_candidates(retriever, test), facts=facts("retrieval")), test)
    return ""


def run(bench: Bench, data: Path | None) -> None:
    """All stages."""
    out, size, seed = bench.out, bench.size, bench.seed
    shop = open_data(bench, data)
    test = conversations(shop, shop.held, size.asked_test, "test", seed, fewest=size.candidates, most=size.candidates)
    print(
        f"{len(shop.train):,} products to learn from, {len(shop.valid):,} to choose checkpoints by, {len(shop.held):,} "
        f"held out for {len(test):,} conversations; {torch.get_num_threads()} threads, {PRECISION}",
        flush=True,
    )
    told = bench.stage("tower: attributes", lambda: warm_up_tower(bench, shop))
    print(f"  accuracy on validation products: {json.dumps(told)}", flush=True)
    tower, words, model = out / "tower" / "best", out / "words", out / "model"

    told = bench.stage("matching in words, then with captions", lambda: learn_to_match(bench, shop, tower))
    print(f"  on validation products: {json.dumps(told)}", flush=True)
    value = bench.stage("gate c", lambda: words_right(bench, shop, words, test))
    gate("c", "text-slot matching in stage 2's format, HR@1", value, GATES["words"])
    told = bench.stage("alignment of the projector", lambda: align(bench, shop, words))
    print(f"  on validation products: {json.dumps(told)}", flush=True)

    def raw() -> float:
        return probed(shop, features(bench, load(model, "fp32", "cpu"), shop))

    value = bench.stage("features, not distilled; gate a", raw)
    beside = f"; a 64-bin histogram gives {bench.stage('histogram', lambda: by_histogram(shop)):.3f}"
    gate("a", "coarse colour by a linear probe of [CLS]", value, GATES["probe"], beside)
    value = bench.stage("gate b", lambda: colours_named(bench, shop, model, shop.held[:1000]))
    gate("b", "colour named right in held-out captions", value, GATES["captions"])

    number = bench.stage("stage 0: describe", lambda: describe_all(bench, shop, model))
    print(f"  {number:,} descriptions", flush=True)
    told = bench.stage("stage 1: distill", lambda: distill(bench, shop, model))
    print(f"  on held-out pictures: {json.dumps(told)}", flush=True)

    def distilled_features() -> float:
        architecture = load(model, "fp32", "cpu")
        adapter = apply_distilled(architecture, out / "distilled")
        return probed(shop, features(bench, architecture, shop, adapter))

    value = bench.stage("features, distilled", distilled_features)
    gate("a", "the same probe after stage 1", value, None)
    for arm in ARMS:
        value = bench.stage(f"stage 2: {arm}", partial(recommend, bench, shop, model, arm, test))
        print(f"  HR@1 {value:.3f} on validation products", flush=True)
    for name in ("bm25", "minilm"):
        reason = bench.stage(name, partial(baseline, bench, shop, name, test))
        if reason:
            print(f"  left out: {reason}", flush=True)
    runs = {path.parent.name: read_run(path)[0] for path in sorted((out / "runs").glob("*/run.json"))}
    report({name: runs[name] for name in ("bm25", "minilm", *ARMS) if name in runs}, test)
    print(f"{bench.seconds:.0f} s in all, of stages made now or before.", flush=True)


def opened(bench: Bench, shop: Shop, model: Path, show: Show, distilled: bool) -> Pictures:
    if show == "nothing":
        return Pictures(None, {})
    adapter = fingerprint(bench.out / "distilled") if distilled else ""
    architecture = load(model, "fp32", "cpu", tower=False)
    return pictures(shop, FeatureCache.open(bench.out / "features", key_of(architecture, adapter=adapter)))


def report(runs: Mapping[str, RunFile], test: Sequence[RecExample]) -> None:
    """The table, and what was aimed at in one line."""
    table = evaluate(runs, queries_of(test), "LaViC")
    print_tables(table.tables())
    one = next(c for c in table.comparisons if c.system == "without images" and c.metric == MICRO)
    reached = one.gain < 0 and one.p_holm < 0.05
    print(
        f"Aim: LaViC above without images, p < 0.05 ({TESTS[one.test]}; Holm): "
        f"{'REACHED' if reached else 'NOT reached'} "
        f"(difference {-one.gain:+.4f}, p {one.p_holm:.3g}).",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None, size: Size | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with fashion/ in it; default: SYNTH_TEST_DATA")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, a handful of everything")
    parser.add_argument("--out", type=Path, help="what is finished there is kept; default: a folder that is removed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    data = args.data or (Path(os.environ["SYNTH_TEST_DATA"]) if "SYNTH_TEST_DATA" in os.environ else None)
    if not args.quick and (data is None or not (data / "fashion" / "products.csv").is_file()):
        print("No real pictures: give --data, a folder with fashion/products.csv, or --quick.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch, Bar() as bar:
        try:
            run(
                Bench(args.out or Path(scratch) / "out", size or (QUICK if args.quick else Size()), args.seed, bar),
                None if args.quick else data,
            )
        except SynthError as error:
            print(f"{error.what} {error.fix or ''}".strip(), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
