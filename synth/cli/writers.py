"""The model that an evaluation asks, opened by its name; and the options that all such commands share.

    @takes_writer
    def command(data: Data, writer: WriterOptions) -> None:
        with Bar() as bar, kept():
            opened = open_writer(writer, bar)
            if writer.dry_run:
                rehearse([Part(opened, asked, folder)], bar)
            opened.write(asked, folder, bar)

gives the command `--model` and every field of `WriterOptions` as an option of its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, get_type_hints

import typer

from synth.cli.generate import Images, Mode
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.graphs.rehearsal import Expected
    from synth.graphs.survey import Confirm
    from synth.recommender.asking import Asked, Writer

_PROVIDERS = ("openai", "anthropic", "offline")


@dataclass(frozen=True)
class WriterOptions:
    """What a user can say about a model that answers; each field is a command's option."""

    model: Annotated[
        str,
        typer.Option(
            help="A folder or a hub's name of any transformers model (image-text-to-text, or text only); or "
            "openai:MODEL, anthropic:MODEL, offline (words at random)."
        ),
    ]
    batch: Annotated[int, typer.Option(min=1, help="Local: questions at once.")] = 8
    precision: Annotated[str, typer.Option(help="Local: auto, bf16, fp16 or fp32.")] = "auto"
    quantise: Annotated[str | None, typer.Option(help="Local: 4bit (NF4 by bitsandbytes, on a CUDA GPU).")] = None
    device: Annotated[str, typer.Option(help="Local: auto, cpu, cuda, cuda:1, …")] = "auto"
    base_url: Annotated[
        str | None,
        # Its default, from synth.toml, may hold a password.
        typer.Option(help="Gateway: address of an OpenAI-compatible server; it needs no key.", show_default=False),
    ] = None
    sight: Annotated[
        Images,
        typer.Option(help="Gateway: pictures in full, low (small, four to a picture) or described (each once)."),
    ] = Images.full
    thinking_tokens: Annotated[int, typer.Option(help="Gateway: what a reasoning model may think first.")] = 0
    mode: Annotated[Mode, typer.Option(help="Gateway: online, batch (half price) or auto.")] = Mode.online
    max_usd: Annotated[float | None, typer.Option(help="Gateway: stop before more than this is spent.")] = None
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=IN/OUT", help="Gateway: a price in USD per million tokens; may repeat."),
    ] = None
    prompts: Annotated[Path | None, typer.Option(help="Gateway: folder with a writer.write.md of your own.")] = None
    in_flight: Annotated[int, typer.Option(help="Gateway: questions at once.")] = 64
    max_concurrency: Annotated[int, typer.Option(help="Gateway: calls at once at most; 0: found by itself.")] = 0
    rpm: Annotated[int, typer.Option(help="Gateway: calls a minute at most; 0 for no limit.")] = 0
    tpm: Annotated[int, typer.Option(help="Gateway: tokens a minute at most; 0 for no limit.")] = 0
    timeout: Annotated[float, typer.Option(help="Gateway: seconds for one call.")] = 120.0
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Gateway: print what it would cost, and stop.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Gateway: do not ask before money is spent.")] = False


def is_gateway(model: str) -> bool:
    """Whether a model's name is one of the gateway's: `PROVIDER:MODEL` or `offline`."""
    return model.partition(":")[0].strip() in _PROVIDERS and not Path(model).is_dir()


def open_writer(options: WriterOptions | str, bar: Bar | None = None, *, quiet: bool = False) -> Writer:
    """The model by its name: `PROVIDER:MODEL` of the gateway, else a folder or a hub's name that transformers loads.

    Args:
        options: or only the model's name.
        bar: steps aside where somebody is asked whether to go on.
        quiet: shows no estimate and asks nothing.

    Raises:
        SynthError: there is no such model, or the extra it needs is not installed.
    """
    if isinstance(options, str):
        options = WriterOptions(options)
    if is_gateway(options.model):
        return _gateway(options, bar, quiet)
    from synth.cli.train_data import one_of

    one_of(options.precision, "--precision", ("auto", "bf16", "fp16", "fp32"))
    one_of(options.quantise, "--quantise", ("4bit",))
    if options.dry_run or options.base_url:
        given = "--dry-run" if options.dry_run else "--base-url"
        raise SynthError(f"{given} is for models of the gateway, not for {options.model}.", "Write openai:MODEL.")
    from synth.recommender.extras import require

    require("train", "torch", "transformers", "safetensors", "accelerate")
    from synth.recommender.writer import LocalWriter

    return LocalWriter.open(
        options.model,
        options.precision,  # type: ignore[arg-type]
        options.device,
        options.quantise,  # type: ignore[arg-type]
        batch=options.batch,
    )


class Part(NamedTuple):
    """What a command asks of one model at once; `Writer.write` takes it."""

    writer: Writer
    asked: Sequence[Asked]
    folder: Path


def rehearse(parts: Sequence[Part], bar: Bar) -> NoReturn:
    """`--dry-run`: prints what all parts together would cost, and ends the command; nothing is sent or written.

    Parts of local models cost nothing and are passed over.
    """
    from synth.cli.survey import print_expected
    from synth.graphs.writing import GatewayWriter, together

    expected = [
        writer.expect(asked, folder, bar) for writer, asked, folder in parts if isinstance(writer, GatewayWriter)
    ]
    with bar.paused():
        print_expected(together(expected))
    raise typer.Exit


@contextmanager
def kept() -> Iterator[None]:
    """Says where a command that was stopped stands.

    Raises:
        SynthError: it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise SynthError(
            "Stopped. What is answered is kept.", "Run the same command to go on.", Exit.INTERRUPTED
        ) from None


def takes_writer(command: Callable[..., None]) -> Callable[..., None]:
    """A command with a parameter `writer: WriterOptions` as one with an option for each of its fields.

    The parameter's place is where the options stand in the help; `--model` needs no default, so it comes first.
    """
    hints = get_type_hints(WriterOptions, include_extras=True)
    own = inspect.signature(command, eval_str=True)
    names = [field.name for field in fields(WriterOptions)]
    taken = sorted(own.parameters.keys() & set(names))
    if taken:
        raise TypeError(f"{command.__name__} has options of the writer's: {', '.join(taken)}")

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        options = WriterOptions(**{name: given.pop(name) for name in names})
        command(**given, writer=options)

    listed = []
    for parameter in own.parameters.values():
        if parameter.name != "writer":
            listed.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for field in fields(WriterOptions):
            default = getattr(WriterOptions, field.name, inspect.Parameter.empty)
            kind = inspect.Parameter.KEYWORD_ONLY
            listed.append(inspect.Parameter(field.name, kind, default=default, annotation=hints[field.name]))
    flat.__signature__ = own.replace(parameters=listed)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
    return flat


def _gateway(options: WriterOptions, bar: Bar | None, quiet: bool) -> Writer:
    from synth.graphs.options import Options
    from synth.graphs.writing import GatewayWriter

    made = Options(
        llm=options.model,
        base_url=options.base_url,
        thinking=options.thinking_tokens,
        images=options.sight.value,
        mode=options.mode.value,
        max_usd=options.max_usd,
        prices=tuple(options.price or ()),
        prompts=options.prompts,
        in_flight=options.in_flight,
        max_concurrency=options.max_concurrency,
        rpm=options.rpm,
        tpm=options.tpm,
        timeout=options.timeout,
    )
    return GatewayWriter(made, _confirm(options, bar, quiet))


def _confirm(options: WriterOptions, bar: Bar | None, quiet: bool) -> Confirm | None:
    from synth.cli.survey import confirmer, print_expected

    if options.dry_run:

        def show(expected: Expected) -> bool:
            print_expected(expected)
            raise typer.Exit

        return show
    return confirmer(bar, ask=not options.yes, quiet=quiet) if bar and not quiet else None
