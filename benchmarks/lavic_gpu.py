"""LaViC at full size on a GPU: speed, model FLOPs utilisation and memory of its stages; a small one trained through.

    python benchmarks/lavic_gpu.py [--json out.json] [--with-images]          # the 7B model, random weights, bf16
    python benchmarks/lavic_gpu.py --preset small [--lm FOLDER] [--out DIR]   # trained through, with the table
    python benchmarks/lavic_gpu.py --model tiny                               # the same script on a CPU, a minute

The 7B model is LLaVA-NeXT Mistral's architecture, its weights drawn on the device: no file is read, nothing fetched.
Prompts have the lengths of the Reddit-Amazon data. Features are drawn and lie in the CPU's memory, from where a batch
takes them as from a cache; crops are drawn and lie on the device, so the uncached path is shown at its best: no picture
is decoded, resized or copied. `--with-images` adds that work, on JPEG files.
Every line is printed when it is known, and `--json` is written anew with each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import rig
from benchmarks.through import train_through
from synth.errors import SynthError
from synth.recommender.devices import pick_device
from synth.recommender.flops import decoder_forward, tower_forward
from synth.recommender.memory import gigabytes
from synth.recommender.precision import choose_precision, out_of_memory, peak_flops
from synth.recommender.scoring import pack

MFU_GOAL = 0.40
CACHE_GOAL = 3.0
SECTIONS = ("stage1", "stage2", "evaluation")
_UNCACHED = "scoring, uncached"
_OPENING = "scoring, uncached, with opening and cropping"
_POOL = 50
"""Different crops that are held on the device."""


@dataclass
class Report:
    """What was measured so far: printed at once, and kept in a file."""

    path: Path | None
    deadline: float
    facts: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def add(self, text: str, **row: Any) -> None:
        self.say(text)
        self.rows.append(row)
        if self.path:
            part = self.path.with_name(self.path.name + ".part")
            part.write_text(json.dumps({**self.facts, "rows": self.rows}, indent=2) + "\n", "utf-8")
            part.replace(self.path)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.deadline


class Bench:
    """One model on one device, measured stage by stage."""

    def __init__(self, args: argparse.Namespace, report: Report, device: torch.device, dtype: torch.dtype) -> None:
        self.args, self.report, self.device, self.dtype = args, report, device, dtype
        self.size = rig.SIZES[args.model]
        self.folder = tempfile.TemporaryDirectory() if args.with_images else None
        pictures = Path(self.folder.name) if self.folder else None
        self.data = rig.draw(self.size, args.examples, pictures)
        self.architecture = rig.make_architecture(self.size, self.data, device, dtype)
        self.peak, self.source = peak_flops(device, choose_precision(args.precision, device))
        parameters = sum(p.numel() for p in self.architecture.model.parameters())
        tower = sum(p.numel() * p.element_size() for p in self.architecture.vision_tower.parameters())
        report.add(
            f"{args.model}: {parameters / 1e9:.3f} billion parameters, {dtype}, tower {gigabytes(tower)}; "
            f"peak {self.peak / 1e12:.3g} TFLOP/s by {self.source}",
            section="model",
            parameters=parameters,
            peak_flops=self.peak,
            peak_source=self.source,
        )

    def stage1(self) -> None:
        """LoRA on tower and projector; gradients pass through the whole language model."""
        pool = rig.crop_pool(self.size, _POOL, self.device, self.dtype)
        method = rig.stage_1(self.architecture, self.data, pool)
        self.report.say("stage 1, crops drawn on the device:")
        try:
            for checkpointing in (False, True):
                self._checkpointing(method, checkpointing)
                self._sizes("stage1", method, {"": method}, checkpointing)
            if self.args.with_images:
                real = rig.Distill.__new__(rig.Distill)
                real.__dict__.update(method.__dict__)
                self._sizes("stage1", method, {"real pictures": real}, True, most=4)
        finally:
            rig.bare(self.architecture, method)

    def stage2(self) -> None:
        """LoRA on the language model: cached features against encoding 50 crops an example again."""
        method = rig.stage_2(self.architecture, self.data)
        pool = rig.crop_pool(self.size, _POOL, self.device, self.dtype)
        paths: dict[str, Any] = {"cached": method, "uncached": rig.twin(method, pool)}
        if self.args.with_images:
            paths["uncached, with opening and cropping"] = rig.twin(method, None)
        self.report.say("stage 2 (memory includes the tower here, which stage 2 itself does not load):")
        try:
            for checkpointing in (False, True):
                self._checkpointing(method, checkpointing)
                self._sizes("stage2", method, paths, checkpointing)
        finally:
            rig.bare(self.architecture, method)

    def evaluation(self) -> None:
        """All ids scored in one pass, against greedy generation, and against encoding 50 crops an example again."""
        method = rig.stage_2(self.architecture, self.data)
        recommender = method.recommender
        again = rig.twin(method, rig.crop_pool(self.size, _POOL, self.device, self.dtype)).recommender
        opening = rig.twin(method, None).recommender if self.args.with_images else None
        spelt = [len(a) for e in self.data.examples[:20] for a in recommender.prompt.answers(e)]
        self.report.say(
            f"evaluation (random weights end no answer: generation writes all of up to {max(spelt)} tokens):"
        )
        try:
            for batch in self._batches():
                chosen = rig.alike(method, min(batch * 2, len(self.data.examples)))
                asked = [entry.example for entry in chosen]
                forward, encoding = self._operations(recommender, chosen)
                needed = {"scoring": forward, _UNCACHED: forward + encoding, _OPENING: forward + encoding}
                ways: dict[str, Callable[[], Any]] = {
                    "scoring": lambda asked=asked, batch=batch: recommender.rank(asked, batch),
                    _UNCACHED: lambda asked=asked, batch=batch: again.rank(asked, batch),
                    "generation": lambda asked=asked, batch=batch: recommender.respond(asked, batch),
                }
                if opening:
                    ways[_OPENING] = lambda asked=asked, batch=batch, way=opening: way.rank(asked, batch)
                speeds = {}
                for name, do in ways.items():
                    found = self._clocked(do)
                    if found is None:
                        self.report.add(
                            f"  batch {batch}: {name} does not fit", section="evaluation", batch=batch, kind=name,
                            fits=False,
                        )  # fmt: skip
                        continue
                    seconds, memory, _ = found
                    speeds[name] = len(asked) / seconds
                    mfu = needed[name] / seconds / self.peak if name in needed else None
                    self.report.add(
                        f"  batch {batch}: {name} {speeds[name]:.2f} examples/s"
                        + (f", MFU {mfu:.1%}" if mfu is not None else "")
                        + f", peak memory {gigabytes(memory)}",
                        section="evaluation", batch=batch, kind=name, examples_per_second=speeds[name], mfu=mfu,
                        peak_memory_bytes=memory, fits=True,
                    )  # fmt: skip
                for name in [name for name in speeds if name != "scoring" and "scoring" in speeds]:
                    ratio = speeds["scoring"] / speeds[name]
                    self.report.add(
                        f"  batch {batch}: scoring x{ratio:.2f} over {name}", section="evaluation", batch=batch,
                        scoring_over=name, ratio=ratio,
                    )  # fmt: skip
                if not speeds:
                    return
        finally:
            rig.bare(self.architecture, method)

    def _operations(self, recommender: Any, chosen: Sequence[Any]) -> tuple[float, float]:
        """What scoring examples needs of the decoder, and what encoding their crops needs of the tower."""
        config = self.architecture.model.config
        answers = [recommender.prompt.answers(entry.example) for entry in chosen]
        packed = pack([entry.prompt for entry in chosen], answers, recommender.filler)
        lengths = (packed["parts"] >= 0).sum(1).tolist()
        slots = sum(len(entry.prompt.slots) for entry in chosen)
        return (
            decoder_forward(config.text_config, lengths, len(packed["labels"])),
            tower_forward(config.vision_config, slots),
        )

    def _batches(self) -> Iterator[int]:
        """1, 2, 4, … while there is time."""
        batch = 1
        while batch <= min(self.args.max_batch, self.args.examples):
            if self.report.over:
                self.report.say(f"  time is up (--minutes {self.args.minutes:g}): larger batches are left out")
                return
            yield batch
            batch *= 2

    def _checkpointing(self, method: Any, wanted: bool) -> None:
        model = method.model
        if wanted:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        else:
            disable = getattr(model, "activation_checkpointing_disable", None) or model.gradient_checkpointing_disable
            disable()

    def _sizes(self, stage: str, method: Any, paths: dict[str, Any], checkpointing: bool, most: int = 1 << 30) -> None:
        """Steps of batches of 1, 2, 4, … until none of the paths fits."""
        step = rig.Steps(method, self.device, self.dtype)
        how = "with gradient checkpointing" if checkpointing else "without gradient checkpointing"
        left = dict(paths)
        for batch in self._batches():
            if batch > most:
                return
            chosen = rig.alike(method, batch)
            tokens = statistics.mean(map(method.length, chosen))
            speeds: dict[str, float] = {}
            for name in list(left):
                path = left[name]
                found = self._clocked(lambda path=path, chosen=chosen: step(path, path.collate(chosen)))
                label = f"{how}, batch {batch} of {tokens:.0f} tokens" + (f", {name}" if name else "")
                row = {"section": stage, "checkpointing": checkpointing, "batch": batch, "kind": name, "tokens": tokens}
                if found is None:
                    step.optimizer.zero_grad(set_to_none=True)
                    del left[name]
                    self.report.add(f"  {label}: does not fit in memory", **row, fits=False)
                    continue
                seconds, memory, flops = found
                speeds[name] = batch / seconds
                mfu = flops / seconds / self.peak
                goal = f" (goal {MFU_GOAL:.0%}: {'reached' if mfu >= MFU_GOAL else 'not reached'})"
                self.report.add(
                    f"  {label}: {speeds[name]:.2f} examples/s, MFU {mfu:.1%}{goal}, peak memory {gigabytes(memory)}",
                    **row,
                    fits=True,
                    examples_per_second=speeds[name],
                    mfu=mfu,
                    peak_memory_bytes=memory,
                )
            for name, speed in speeds.items():
                if name != "cached" and "cached" in speeds:
                    ratio = speeds["cached"] / speed
                    word = "reached" if ratio >= CACHE_GOAL else "not reached"
                    self.report.add(
                        f"  {how}, batch {batch}: cached is x{ratio:.2f} over {name} (goal x{CACHE_GOAL:g}: {word})",
                        section=stage, checkpointing=checkpointing, batch=batch, cached_over=name, ratio=ratio,
                    )  # fmt: skip
            if not left:
                return

    def _clocked(self, do: Callable[[], Any]) -> tuple[float, int, Any] | None:
        """Median seconds after warm-up, the most memory held, and the result; None where the memory is not enough."""
        rig.free(self.device)
        try:
            for _ in range(self.args.warm):
                result = do()
            times: list[float] = []
            while len(times) < self.args.steps and sum(times) < self.args.seconds:
                times.append(rig.clock(do, self.device))
            return statistics.median(times), rig.peak(self.device), result
        except SynthError as error:
            if not error.what.startswith("Out of memory"):
                raise
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Only here: while the error is handled, its frames hold the tensors.
        rig.free(self.device)
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["7b", "small", "tiny"], default="7b")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="of stage1, stage2, evaluation")
    parser.add_argument("--max-batch", type=int, default=128)
    parser.add_argument("--examples", type=int, default=128, help="drawn; no batch is larger")
    parser.add_argument("--steps", type=int, default=6, help="timed, of each configuration")
    parser.add_argument(
        "--warm", type=int, default=2, choices=range(1, 10), metavar="N", help="steps before the clock runs"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="after which a configuration has been timed enough")
    parser.add_argument("--minutes", type=float, default=9.0, help="no further configuration is begun after these")
    parser.add_argument("--with-images", action="store_true", help="also with the work on JPEG files of 500x500 pixels")
    parser.add_argument("--precision", choices=["auto", "bf16", "fp32"], default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--preset", choices=["small", "tiny"], help="train this preset through instead")
    parser.add_argument("--lm", type=Path, help="for --preset small: folder of a language model, e.g. SmolLM2-135M")
    parser.add_argument("--convs", type=int, default=300, help="for --preset: conversations")
    parser.add_argument("--out", type=Path, help="for --preset: folder; the same command goes on in it")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    if args.preset:
        return train_through(args.preset, args.lm, args.convs, args.out, args.device)
    try:
        device = pick_device(args.device)
        precision = choose_precision(args.precision, device)
    except SynthError as error:
        print(error, file=sys.stderr)
        return 1
    if args.model == "7b" and device.type != "cuda":
        print("The 7B model needs a GPU; --model tiny runs this script on a CPU.", file=sys.stderr)
        return 1
    if device.type == "cuda":
        torch.cuda.set_device(device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    report = Report(args.json, time.monotonic() + 60 * args.minutes, {"model": args.model, "device": where})
    if args.model != "7b":
        report.say(f"This is the {args.model} model, to try the script: its figures say nothing about the 7B model.")
    if device.type != "cuda":
        report.say("This is a CPU: peak memory is that of the whole process, and only ever grows.")
    report.say(f"{where}, torch {torch.__version__}")
    bench = Bench(args, report, device, precision.dtype)
    for name in args.sections.split(","):
        if report.over:
            report.say(f"time is up (--minutes {args.minutes:g}): {name} is left out")
        elif name in SECTIONS:
            getattr(bench, name)()
            rig.free(device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
