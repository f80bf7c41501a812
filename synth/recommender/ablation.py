"""Variants of LaViC that differ in one thing (KDD 2025, Table 7), trained on one domain or on all (Table 8).

What makes a comparison fair is enforced: every variant learns from the same words of the same examples, in the same
batches and order, with the same labels, number of steps and seeds. A variant that would not is refused.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from synth.errors import SynthError
from synth.recommender import batches
from synth.recommender.adapters import apply_distilled, fingerprint
from synth.recommender.answering import Pictures
from synth.recommender.candidates import evaluation_examples, training_examples
from synth.recommender.checkpoint import write_json
from synth.recommender.data import Dataset, RecExample
from synth.recommender.feature_key import FeatureKey, key_of
from synth.recommender.features import FeatureCache, build
from synth.recommender.items import Item
from synth.recommender.method import Progress, TrainSettings
from synth.recommender.pictured import pictured
from synth.recommender.recommend import Recommend, RecommendSettings, write_answers
from synth.recommender.runs import FACTS
from synth.recommender.training import train
from synth.recommender.variants import Study, Variant, merged_items, named_in

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture


class Open(Protocol):
    """Loads the base model afresh."""

    def __call__(self, *, tower: bool) -> Architecture: ...


def run_study(
    study: Study, variants: Sequence[Variant], open_model: Open, out: Path, progress: Progress | None = None
) -> list[Path]:
    """Trains every variant and answers the test split; stopped anywhere, the same call goes on.

    A model lies in `out/VARIANT/TRAINED_ON`, its answers in `runs/TESTED_ON` there.

    Returns:
        The folders of all `scored` runs.

    Raises:
        SynthError: features or stage 1 are needed and not named, data sets that cannot stand together, a variant
            whose batches would not be those of the others, or what training refuses.
    """
    study.check(variants)
    items = merged_items(study.datasets)
    named = [items[item] for item in sorted(named_in(study.datasets))]
    keys = _build_features(study, variants, named, open_model, progress)
    runs: list[Path] = []
    for variant in variants:
        for trained_on in study.trainings:
            label = "+".join(dataset.name for dataset in trained_on)
            if progress:
                progress.note(f"{variant.title}, trained on {label}")
            folder = out / variant.name / label
            architecture = open_model(tower=False)
            pictures = _pictures(study, keys[variant.name], named)
            method = _method(study, variant, trained_on, architecture, items, pictures)
            _check_equal(method, study.settings, out / "plan.json", label)
            train(method, study.settings, folder, progress)
            for tested_on in study.datasets if study.combined else trained_on:
                runs += _answer(method, study, variant, trained_on, tested_on, folder, progress)
            del method, architecture
            _free()
    return runs


def plan_of(method: Recommend, settings: TrainSettings) -> str:
    """16 hex digits over what is learnt and when: examples, their words and labels, batches, steps.

    Equal for two variants means that they differ in nothing but what they are shown of a picture.
    """
    digest = blake2b(digest_size=8)
    examples = method.examples("train")
    grouping = [method.grouping(entry) for entry in examples]
    for entry in examples:
        prompt = entry.prompt
        words = len(prompt.ids) - prompt.pictures
        digest.update(repr((entry.example.id, entry.example.candidates, prompt.answer, prompt.cut, words)).encode())
    for epoch in range(settings.epochs):
        plan = batches.plan(grouping, settings.batch, seed=settings.seed, epoch=epoch, grouped=settings.grouped)
        digest.update(repr(plan).encode())
    same = {"settings": settings.identity(), "lora": asdict(method.settings.lora), "seed": method.seed}
    digest.update(json.dumps(same, sort_keys=True).encode())
    return digest.hexdigest()


def _build_features(
    study: Study, variants: Sequence[Variant], named: Sequence[Item], open_model: Open, progress: Progress | None
) -> dict[str, FeatureKey | None]:
    """The key of each variant's features, which are there afterwards; None for one that looks at no picture."""
    plain = open_model(tower=False)
    keys = {variant.name: _key(study, variant, plain) for variant in variants}
    del plain
    _free()
    for variant in variants:
        key = keys[variant.name]
        if key is None or study.features is None or _complete(study.features, key, named):
            continue
        if progress:
            progress.note(f"{variant.title}: encodes the pictures")
        architecture = open_model(tower=True)
        if variant.distilled and study.distilled:
            apply_distilled(architecture, study.distilled)
        paths = [image for item in named for image in item.images[:1]]
        build(architecture, paths, study.features, key, progress=progress, chunk=study.feature_batch)
        del architecture
        _free()
    return keys


def _key(study: Study, variant: Variant, architecture: Architecture) -> FeatureKey | None:
    if variant.show != "features":
        return None
    adapter = fingerprint(study.distilled) if variant.distilled and study.distilled else ""
    return key_of(architecture, adapter=adapter, layer=variant.layer, pooling=variant.pooling)


def _complete(features: Path, key: FeatureKey, named: Sequence[Item]) -> bool:
    try:
        pictured(named, FeatureCache.open(features, key))
    except SynthError:
        return False
    return True


def _pictures(study: Study, key: FeatureKey | None, named: Sequence[Item]) -> Pictures:
    if key is None or study.features is None:
        return Pictures(None, {})
    cache = FeatureCache.open(study.features, key)
    return Pictures(cache, pictured(named, cache).hashes)


def _method(
    study: Study,
    variant: Variant,
    trained_on: Sequence[Dataset],
    architecture: Architecture,
    items: Mapping[str, Item],
    pictures: Pictures,
) -> Recommend:
    seed = study.settings.seed
    settings = RecommendSettings(
        prompt=replace(study.prompt, show=variant.show, apart=True),
        lora=study.lora,
        metric=study.metric,
        evaluation_batch=study.evaluation_batch,
        features=str(study.features.resolve()) if study.features and variant.show == "features" else "",
        layer=variant.layer,
        pooling=variant.pooling,
    )
    several = len(trained_on) > 1
    return Recommend(
        architecture,
        [e for dataset in trained_on for e in _of(dataset, training_examples(dataset, seed), several)],
        [
            e
            for dataset in trained_on
            for e in _of(dataset, evaluation_examples(dataset, "valid", seed, study.others), several)
        ],
        items,
        pictures,
        settings,
        distilled=study.distilled if variant.distilled else None,
        seed=seed,
    )


def _of(dataset: Dataset, examples: Sequence[RecExample], several: bool) -> list[RecExample]:
    """Examples by ids that no other data set has."""
    if not several:
        return list(examples)
    return [replace(e, id=f"{dataset.name}/{e.id}", conversation=f"{dataset.name}/{e.conversation}") for e in examples]


def _check_equal(method: Recommend, settings: TrainSettings, path: Path, label: str) -> None:
    """Refuses a variant that would not learn from the batches of those before it."""
    known: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    plan = plan_of(method, settings)
    if known.setdefault(label, plan) != plan:
        raise SynthError(
            f"The batches on {label} are not those of the variants that {path.parent} holds.",
            "Give the same data and settings, or another --out.",
        )
    if batches.processes()[0] == 0:
        write_json(path, known)


def _answer(
    method: Recommend,
    study: Study,
    variant: Variant,
    trained_on: Sequence[Dataset],
    tested_on: Dataset,
    folder: Path,
    progress: Progress | None,
) -> list[Path]:
    """The `scored` run of a trained model on one domain, made where it is not there yet."""
    asked = evaluation_examples(tested_on, "test", study.settings.seed, study.others)
    names = [dataset.name for dataset in trained_on]
    own = names == [tested_on.name]
    how = "" if own else ", combined" if len(names) > 1 else f", trained on {names[0]}"
    runs = folder / "runs" / tested_on.name
    facts = {
        "data": tested_on.name,
        "split": "test",
        "generator": tested_on.generator,
        "trained": names,
        "variant": variant.name,
        "candidates": study.candidates,
        "others": study.others,
        "checkpoint": fingerprint(folder),
    }
    if not _answered(runs / "written" / FACTS, facts):
        write_answers(method, asked, f"{variant.title}{how}", facts, runs, progress)
    return [runs / "scored"]


def _answered(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a run there is this model's, asked the same."""
    return path.is_file() and facts.items() <= json.loads(path.read_text("utf-8"))["facts"].items()


def _free() -> None:
    """Gives the memory of a model back that nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
