"""`synth eval muse`: MUSE's two tasks on a run's conversations; `synth train muse` is in `muse_train`."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from synth.cli.muse_systems import System, name_of, resolve
from synth.cli.train_data import Quiet, one_of
from synth.cli.values import check_folder
from synth.cli.writers import Part, WriterOptions, kept, open_writer, rehearse, takes_writer
from synth.errors import SynthError
from synth.recommender.asking import ANSWERS

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.recommender.asking import Asked
    from synth.recommender.compared import Compared
    from synth.recommender.muse.data import Division, MuseData
    from synth.recommender.muse.prompts import Task
    from synth.recommender.muse.querying import Finder
    from synth.recommender.muse.tuned import Tuned
    from synth.recommender.runs import Query, RunFile

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its export (`--format hf`).")]
Convs = Annotated[int, typer.Option(min=0, help="Conversations to learn from, which are not tested on.")]
Test = Annotated[int | None, typer.Option(min=1, help="Conversations to test on.", show_default="the rest")]
Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        metavar="NAME[=MODEL]",
        help="Encoder of the index that is asked: bm25, minilm, bge, …; may repeat.",
        show_default="the run's",
    ),
]
Catalog = Annotated[
    Path | None, typer.Option(help="The catalogue to recall from.", show_default="what the run or the export holds")
]
Shown = Annotated[int, typer.Option(min=0, help="Of a conversation's pictures, the latest so many; 0 for none.")]
Split = Annotated[int, typer.Option("--seed", help="Of the split, first weights and order.")]


def _asks_writers(command: Callable[..., None]) -> Callable[..., None]:
    """`takes_writer` for a command whose models are named otherwise than by `--model`."""
    flat = takes_writer(command)

    @functools.wraps(flat)
    def several(**given: Any) -> None:
        flat(model="", **given)

    own = inspect.signature(flat)
    parameters = [parameter for name, parameter in own.parameters.items() if name != "model"]
    several.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    several.__annotations__ = {name: kind for name, kind in flat.__annotations__.items() if name != "model"}
    return several


@_asks_writers
def evaluate(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for answers, runs, tables and the index. It goes on where it was.")],
    writer: WriterOptions,
    task: Annotated[str, typer.Option(help="recommend (Table 4), respond (Table 5) or both.")] = "both",
    methods: Annotated[
        str,
        typer.Option(
            help="By commas: last-turn, run (its own queries), bm25, minilm, bge (the whole context asked of an index "
            "of that encoder); any model as in docs/local-models.md and docs/models.md; what `synth train muse` made."
        ),
    ] = "last-turn,bm25",
    convs: Convs = 200,
    test: Test = None,
    encoder: Encoders = None,
    catalog: Catalog = None,
    pictures: Shown = 3,
    against: Annotated[
        str | None,
        typer.Option(metavar="SYSTEM", help="Of --methods, tested against all others.", show_default="the last"),
    ] = None,
    seed: Split = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    quiet: Quiet = False,
) -> None:
    """MUSE's tasks: queries that recall each turn's product, and what the assistant says next.

    Every definition is in docs/muse.md.
    """
    one_of(task, "--task", ("recommend", "respond", "both"))
    if as_json and as_markdown:
        raise SynthError("--json and --markdown exclude each other.", "Choose one.")
    check_folder(out)
    from synth.cli.progress import Bar
    from synth.recommender.extras import require
    from synth.recommender.muse.data import read_muse
    from synth.recommender.muse.prompts import TASKS

    # Before anything is paid: the tables at the end need them.
    require("eval", "ir_measures", "scipy", *(() if task == "recommend" else ("sacrebleu", "rouge_score")))
    data = read_muse(run, catalog)
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if not names:
        raise SynthError("--methods names nothing.", "For example: --methods last-turn,bm25.")
    with Bar(quiet=quiet) as bar, kept():
        work = _Evaluation(data, data.divide(convs, test, seed), out, pictures, tuple(encoder or data.encoders), bar)
        for reason, number in data.left_out.items():
            bar.note(f"{number:,} left out: {reason}.")
        tasks: tuple[Task, ...] = TASKS if task == "both" else (task,)  # type: ignore[assignment]
        systems = resolve(names, tasks, data, work.asked, writer, bar, quiet=quiet)
        base = name_of(systems, against)
        if writer.dry_run:
            work.rehearse(systems)
        for system in systems:
            work.add(system, writer, quiet)
        results = work.compare(base, seed)
    _write(out, results)
    if as_json:
        print(json.dumps([result.json() for result in results], indent=2, ensure_ascii=False))
    elif as_markdown:
        print(_markdown(results), end="")
    else:
        from synth.recommender.table import print_tables

        print_tables([table for result in results for table in result.tables()])


class _Evaluation:
    """Systems asked one after the other; each run is written as soon as it is whole."""

    def __init__(
        self, data: MuseData, division: Division, out: Path, pictures: int, encoders: Sequence[str], bar: Bar
    ) -> None:
        self.data, self.out, self.pictures, self.encoders, self.bar = data, out, pictures, encoders, bar
        self.asked = {"recommend": data.queries(division.test), "respond": data.responses(division.test)}
        self.runs: dict[str, dict[str, RunFile]] = {}
        self._finders: dict[tuple[str, ...], Finder] = {}
        self._facts = {"data": data.name, "split": "test", "generator": data.generator, "encoders": list(encoders)}

    def rehearse(self, systems: Sequence[System]) -> NoReturn:
        """`--dry-run`: what all models of the gateway would cost."""
        parts = [
            Part(system.writer, self._questions_for(which, self.pictures), self.out / ANSWERS)
            for system in systems
            if system.writer
            for which in system.tasks
        ]
        rehearse(parts, self.bar)

    def add(self, system: System, options: WriterOptions, quiet: bool) -> None:
        """Asks one system."""
        if system.kind in ("rule", "retriever"):
            from synth.recommender.muse.querying import asks

            retriever = system.kind == "retriever"
            queries = asks("context" if retriever else system.name, self.asked["recommend"])
            finder = self.finder((system.name,) if retriever else tuple(self.encoders))
            self._recall(system.name, queries, finder, {"family": "retrieval"})
            return
        if "recommend" in system.tasks:
            self.finder(tuple(self.encoders))  # What is wrong with the index is, before anything is paid.
        tuned = _open_tuned(system, options) if system.kind == "tuned" else None
        # What is said of servers is for models of the gateway.
        own = replace(options, model=system.given, base_url=None)
        writer = tuned.writer if tuned else system.writer or open_writer(own, self.bar, quiet=quiet)
        # Of a writer in this process it is known beforehand whether it takes pictures.
        speaker = getattr(writer, "speaker", None)
        pictures = self.pictures if speaker is None or speaker.sees else 0
        if pictures < self.pictures:
            self.bar.note(f"{system.name} takes no pictures; it is asked without.")
        facts: dict[str, Any] = {"family": "zero-shot", "pictures": pictures}
        if tuned:
            facts = {"family": "tuned", "trained": [tuned.card["data"]], "pictures": tuned.card["pictures"]}
        for which in system.tasks:
            moments = self.asked[which]
            if tuned:
                questions = [tuned.reading.ask(moment, self.data) for moment in moments]
            else:
                questions = self._questions_for(which, pictures)
            answers = writer.write(questions, self.out / ANSWERS, self.bar)
            said = {moment.id: answers.get(asked.id, "") for moment, asked in zip(moments, questions, strict=True)}
            self._keep(which, system.name, said, facts)

    def _questions_for(self, task: Task, pictures: int) -> list[Asked]:
        from synth.recommender.muse.prompts import ask

        return [ask(task, moment, self.data, pictures) for moment in self.asked[task]]

    def compare(self, against: str | None, seed: int) -> list[Compared]:
        """A comparison for each task that some system was asked.

        Args:
            against: a system's name; a task that it was not asked is tested against its last.
        """
        from synth.cli.eval import reporter
        from synth.recommender.compare import compare

        results = []
        for task, runs in self.runs.items():
            asked = self._questions(task)
            base = against if against in runs else None
            results.append(compare(runs, asked, None, base, seed, reporter(self.bar)))
        return results

    def _questions(self, task: str) -> list[Query]:
        from synth.recommender.muse import querying, responding

        if task == "recommend":
            return querying.questions(self.asked[task])
        return responding.questions(self.asked[task])

    def finder(self, encoders: tuple[str, ...]) -> Finder:
        from synth.cli.eval import reporter
        from synth.recommender.muse.querying import open_finder

        if encoders not in self._finders:
            self._finders[encoders] = open_finder(self.data, encoders, self.out, reporter(self.bar))
        return self._finders[encoders]

    def _keep(self, task: str, name: str, said: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        from synth.recommender.muse import responding
        from synth.recommender.muse.prompts import read_query, read_response

        if task == "recommend":
            queries = {moment: read_query(text) for moment, text in said.items()}
            self._recall(name, queries, self.finder(tuple(self.encoders)), facts)
            return
        words = {moment: read_response(text) for moment, text in said.items()}
        self._write(task, responding.said(name, words, self.asked[task], {**self._facts, **facts}))

    def _recall(self, name: str, queries: Mapping[str, str], finder: Finder, facts: Mapping[str, Any]) -> None:
        from synth.recommender.muse.querying import recall

        moments = self.asked["recommend"]
        self.bar.stage(f"recall: {name}", len(moments))
        run = recall(name, queries, moments, finder, {**self._facts, **facts}, self.bar.advance)
        self._write("recommend", run)

    def _write(self, task: str, run: RunFile) -> None:
        from synth.recommender.runs import folder_name, write_run

        self.runs.setdefault(task, {})[run.name] = run
        write_run(self.out / task / folder_name(run.name), run, self._questions(task))


def _open_tuned(system: System, options: WriterOptions) -> Tuned:
    from synth.recommender.muse.tuned import open_tuned

    kind: Any = options.precision
    return open_tuned(Path(system.given), kind, options.device, options.quantise, options.batch)  # type: ignore[arg-type]


def _write(out: Path, results: Sequence[Compared]) -> None:
    from synth.recommender.runs import write_whole

    text = json.dumps([result.json() for result in results], indent=2, ensure_ascii=False) + "\n"
    write_whole(out / "metrics.json", text)
    write_whole(out / "metrics.md", _markdown(results))


def _markdown(results: Sequence[Compared]) -> str:
    from synth.analysis.statistics.table import markdown

    return "\n".join(markdown(table) for result in results for table in result.tables())
