"""Speed of training and answering: cached features, length-grouped batches, scoring; each against what it replaces.

    python benchmarks/bench_training.py [--preset tiny|small] [--quick] [--device cpu]

One machine, one model with random weights, one run; what is compared takes turns, and the ratio is that of the median
times. The code that is timed is the package's; words and pictures are drawn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rig import (
    SIZES,
    Steps,
    alike,
    clock,
    crop_pool,
    draw,
    make_architecture,
    stage_2,
    twin,
)
from synth.recommender.batches import efficiency, plan
from synth.recommender.devices import pick_device
from synth.recommender.precision import choose_precision


def turns(rounds: int, device: torch.device, *dos: Callable[[], Any]) -> list[float]:
    """Median seconds of each, taken in turns after one round that is not counted."""
    for do in dos:
        do()
    times: list[list[float]] = [[] for _ in dos]
    for number in range(rounds):
        # Whoever goes first changes, so that a machine that slows down favours nobody.
        for index in range(len(dos)) if number % 2 == 0 else reversed(range(len(dos))):
            times[index].append(clock(dos[index], device))
    return [statistics.median(taken) for taken in times]


def cached(method: Any, device: torch.device, dtype: torch.dtype, size: Any, batch: int, rounds: int) -> None:
    chosen = alike(method, batch)
    again, held = twin(method, None), twin(method, crop_pool(size, 50, device, dtype))
    step = Steps(method, device, dtype)
    a, b, c = turns(
        rounds,
        device,
        lambda: step(method, method.collate(chosen)),
        lambda: step(again, again.collate(chosen)),
        lambda: step(held, held.collate(chosen)),
    )
    pixels = len(again.collate(chosen)["pixels"]) / batch
    print(
        f"stage 2, batch {batch}: cached features {batch / a:.2f} examples/s; {pixels:.0f} crops an example encoded "
        f"again, with opening and cropping as the released code {batch / b:.2f} (x{b / a:.2f}), the tower alone "
        f"{batch / c:.2f} (x{c / a:.2f})",
        flush=True,
    )


def grouped(method: Any, device: torch.device, dtype: torch.dtype, batch: int, rounds: int) -> None:
    examples = method.examples("train")
    lengths = [method.length(example) for example in examples]
    step = Steps(method, device, dtype)
    plans = [plan(lengths, batch, seed=0, epoch=0, grouped=kind) for kind in (True, False)]

    def epoch(batches: list[list[int]]) -> Callable[[], None]:
        def do() -> None:
            for chosen in batches:
                step(method, method.collate([examples[i] for i in chosen]))

        return do

    a, b = turns(rounds, device, *map(epoch, plans))
    shares = [1 - efficiency(lengths, batches) for batches in plans]
    print(
        f"batches of {batch}, {len(examples)} examples of {min(lengths)} to {max(lengths)} tokens: grouped by length "
        f"{len(examples) / a:.2f} examples/s, padding {shares[0]:.1%}; random {len(examples) / b:.2f}, padding "
        f"{shares[1]:.1%}: x{b / a:.2f}",
        flush=True,
    )


def scored(method: Any, device: torch.device, batch: int, rounds: int) -> None:
    asked = [entry.example for entry in alike(method, batch)]
    recommender = method.recommender
    a, b = turns(rounds, device, lambda: recommender.rank(asked, batch), lambda: recommender.respond(asked, batch))
    spelt = max(len(answer) for example in asked for answer in recommender.prompt.answers(example))
    print(
        f"answers, batch {batch}: scoring all 10 ids {batch / a:.2f} examples/s (a whole ranking, always valid); "
        f"greedy generation of up to {spelt} tokens {batch / b:.2f}: x{b / a:.2f}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["tiny", "small"], default="tiny")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and examples")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    device = pick_device(args.device)
    precision = choose_precision("auto", device)
    size, rounds = SIZES[args.preset], 3 if args.quick else 9
    with tempfile.TemporaryDirectory() as folder:
        data = draw(size, 48 if args.quick else 200, Path(folder))
        architecture = make_architecture(size, data, device, precision.dtype)
        method = stage_2(architecture, data)
        where = (
            torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
        )
        mean = statistics.mean(map(method.length, method.examples("train")))
        print(f"{args.preset} preset, {where}, {precision.name}; prompts of {mean:.0f} tokens on average", flush=True)
        for batch in (1, args.batch):
            cached(method, device, precision.dtype, size, batch, rounds)
        grouped(method, device, precision.dtype, args.batch, max(1, rounds // 3))
        scored(method, device, args.batch, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
