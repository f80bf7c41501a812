"""What the exports cost: seconds, peak memory and bytes of each format, and how fast `datasets` opens `hf`.

A run of the drawn sample catalogue is made offline; its conversations are repeated under new ids and persons until
there are as many as asked for. Each export runs in a process of its own, so that its peak is its own. Ratios are to
reading the same conversations, and to a tenth of them for memory: an export that held its rows would need ten times.

    python benchmarks/bench_export.py [--convs 7000] [--made 400] [--run RUN] [--formats hf,messages]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from synth.corpora.export import Images, Options, RunFacts, Source, export, formats
from synth.corpora.records import Conversation
from synth.traces.run import RunFolder


def repeated(run: RunFolder, wanted: int) -> Iterator[Conversation]:
    """The run's conversations again and again; in each round people are others."""
    numbers = iter(range(wanted))
    for turn in count():
        for conversation in run.conversations():
            number = next(numbers, None)
            if number is None:
                return
            person = conversation.profile.person.model_copy(
                update={"name": f"{conversation.profile.person.name} {turn}"}
            )
            profile = conversation.profile.model_copy(update={"person": person})
            yield conversation.model_copy(update={"id": f"c{number:06d}", "profile": profile})


def source_of(path: Path, wanted: int) -> Source:
    run = RunFolder.open(path)
    catalogue = run.catalogue()
    folders = [catalogue.images, *(folder / "images" for folder in Path("catalogues").glob("*"))]
    rejected = dict(Counter(rejected.filter for rejected in run.rejected()))
    facts = RunFacts(run.path.name, run.config(), rejected)
    return Source(facts, catalogue, lambda: repeated(run, wanted), run.scenarios(), folders)


def measured(task: str, path: Path, wanted: int, out: Path, answer: Any) -> None:
    """Runs a task in this process: `make`, `read`, `pixels`, `datasets`, or a format."""
    began = time.perf_counter()
    rows = 0
    if task == "make":
        from synth.graphs.generation import generate
        from synth.graphs.options import Options as RunOptions

        generate(RunOptions(scenarios=60, convs=wanted, out=path))
    elif task == "read":
        rows = sum(1 for _ in source_of(path, wanted).conversations())
    elif task == "datasets":
        rows = opened(out)
    elif task == "pixels":
        rows = pixels(out)
    else:
        rows = sum(export(source_of(path, wanted), task, out, Options(Images.files)).rows.values())
    answer.put((time.perf_counter() - began, peak(), rows))


def opened(folder: Path) -> int:
    """Opens an `hf` export with `datasets` and decodes every picture; returns how many."""
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(str(folder), cache_dir=cache)
        return sum(image.size[0] > 0 for rows in loaded.values() for row in rows for image in row["images"] if image)


def pixels(folder: Path) -> int:
    """Decodes the same pictures from the Parquet files without `datasets`; returns how many."""
    import pyarrow.parquet as pq

    done = 0
    for path in sorted((folder / "conversations").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(100, columns=["images"]):
            for cell in (cell for row in batch.to_pylist() for cell in row["images"] if cell):
                Image.open(io.BytesIO(cell["bytes"])).load()
                done += 1
    return done


def peak() -> float:
    """This process' peak memory in MB; nothing where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def apart(task: str, path: Path, wanted: int, out: Path) -> tuple[float, float, int]:
    """Seconds, peak MB and rows of a task in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=measured, args=(task, path, wanted, out, answer))
    process.start()
    result: tuple[float, float, int] = answer.get()
    process.join()
    return result


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convs", type=int, default=7000)
    parser.add_argument("--made", type=int, default=400, help="Conversations to make; the rest repeats them.")
    parser.add_argument("--run", type=Path, help="Use this run instead of making one.")
    parser.add_argument("--formats", default=",".join(formats()))
    arguments = parser.parse_args()
    given = arguments.run and arguments.run.resolve()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        place = Path(folder)
        run = given or place / "run"
        if given is None:
            # In a process of its own, too: on Linux a process starts with the peak of the one that started it.
            apart("make", run, arguments.made, place / "out")
        alone = partial(apart, path=run, out=place / "out")
        reading, base, rows = alone("read", wanted=arguments.convs)
        print(f"reading {rows} conversations, masked: {reading:.1f} s, {base:.0f} MB")
        for name in arguments.formats.split(","):
            _, tenth, _ = alone(name, wanted=arguments.convs // 10)
            shutil.rmtree(place / "out")
            seconds, top, rows = alone(name, wanted=arguments.convs)
            print(
                f"{name:<9} {rows} rows: {seconds:5.1f} s ({seconds / reading:.1f} x reading), peak {top:.0f} MB "
                f"({top / tenth:.2f} x that of a tenth), {size(place / 'out'):.0f} MB written"
            )
            if name == "hf":
                by_hand, _, _ = alone("pixels", wanted=0)
                seconds, top, pictures = alone("datasets", wanted=0)
                print(
                    f"  datasets.load_dataset, {pictures} pictures decoded: {seconds:.1f} s "
                    f"({seconds / by_hand:.2f} x decoding them from the Parquet files), peak {top:.0f} MB"
                )
            shutil.rmtree(place / "out")


if __name__ == "__main__":
    main()
