"""`synth recommend`: a trained recommender answers one conversation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.train_data import Data, Device, Images, Meta, Model, Precision, Quantise, one_of, open_data
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.data import Dataset, RecExample
    from synth.recommender.generate import Response


def recommend(
    checkpoint: Annotated[Path, typer.Argument(help="What `synth train recommend` made.")],
    said: Annotated[
        list[str], typer.Argument(metavar="TEXT…", help="The conversation: user, assistant, user, … in turn.")
    ],
    data: Data,
    model: Model,
    candidates: Annotated[
        str | None, typer.Option(help="Ids to choose from, by commas.", show_default="the nearest by --retriever")
    ] = None,
    retriever: Annotated[str, typer.Option(help="bm25, minilm, … as in `synth eval recommend`.")] = "bm25",
    k: Annotated[int, typer.Option("-k", min=2, help="Candidates of the retriever.")] = 10,
    features: Annotated[
        Path | None, typer.Option(help="What `synth train features` made.", show_default="as in training")
    ] = None,
    meta: Meta = None,
    images: Images = None,
    precision: Precision = "auto",
    quantise: Quantise = None,
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ranks the candidates for a conversation by their ids' likelihood, and shows what the model would write."""
    one_of(precision, "--precision", ("auto", "bf16", "fp16", "fp32"))
    one_of(quantise, "--quantise", ("4bit",))
    if not any(text.strip() for text in said):
        raise SynthError("The conversation is empty.", 'For example: synth recommend CHECKPOINT "A red summer dress"')
    from synth.recommender.extras import require_train

    require_train()
    from synth.cli.train_run import load_model, open_pictures
    from synth.recommender.adapters import check_base, find, read_card
    from synth.recommender.recommend import DISTILLED, load_recommender

    card = read_card(checkpoint, "recommend")
    dataset = open_data(data, meta, images)
    example = _example(said, _chosen(dataset, said, candidates, retriever, k))
    architecture = load_model(model, precision, device, quantise, tower=False)
    check_base(card, architecture, checkpoint)
    shown = [dataset.items[item] for item in example.candidates]
    looks = card["prompt"]["show"] == "features"
    cache = str(features or card["features"]) if looks else ""
    distilled = find(checkpoint) / DISTILLED if card["distilled"] else None
    pictures, _ = open_pictures(architecture, shown, cache, distilled, card["layer"], card["pooling"])
    recommender = load_recommender(architecture, checkpoint, dataset.items, pictures)
    scores = recommender.rank([example])[example.id]
    written = recommender.respond([example])[0]
    _print(dataset, scores, written, as_json=json)


def _chosen(dataset: Dataset, said: list[str], candidates: str | None, retriever: str, k: int) -> list[str]:
    """The candidates that are named, or the retriever's."""
    if candidates is None:
        from synth.recommender.retrieval import make_retriever

        found: list[str] = make_retriever(retriever, dataset.items).top(["\n".join(said)], k, [()])[0]
        return found
    chosen = list(dict.fromkeys(part.strip() for part in candidates.split(",") if part.strip()))
    unknown = [item for item in chosen if item not in dataset.items]
    if unknown:
        raise SynthError(f"{dataset.name} has no item {unknown[0]}.", "Give ids of its items with --candidates.")
    return chosen


def _example(said: list[str], candidates: list[str]) -> RecExample:
    from synth.recommender.data import RecExample, Utterance

    context = tuple(Utterance("assistant" if n % 2 else "user", text) for n, text in enumerate(said))
    return RecExample("asked", "asked", context, "", frozenset(), tuple(candidates))


def _print(dataset: Dataset, scores: dict[str, float], written: Response, *, as_json: bool) -> None:
    from math import exp, fsum

    best = max(scores.values())
    total = fsum(exp(score - best) for score in scores.values())
    rows: list[dict[str, Any]] = [
        {"id": i, "title": dataset.items[i].title, "log_likelihood": score, "share": exp(score - best) / total}
        for i, score in sorted(scores.items(), key=lambda pair: -pair[1])
    ]
    if as_json:
        from json import dumps

        answer = {"text": written.text, "item": written.item, "valid": written.valid}
        print(dumps({"ranking": rows, "written": answer}, ensure_ascii=False, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from synth.cli.plain import cut

    table = Table("rank", "id", "title", box=box.SIMPLE_HEAD)
    for name in ("log-likelihood", "share"):
        table.add_column(name, justify="right")
    for rank, row in enumerate(rows, 1):
        title = Text(cut(row["title"], 60) or "(no title)")
        table.add_row(str(rank), Text(row["id"]), title, f"{row['log_likelihood']:.3f}", f"{row['share']:.1%}")
    Console().print(table)
    said = "which names a candidate" if written.valid else "which names no candidate"
    print(f"Written by itself: {cut(written.text, 60)!r}, {said}.")
