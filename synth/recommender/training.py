"""The one training loop: every method brings its examples, its step and its evaluation, and nothing else.

It runs on 1..N processes under `accelerate launch`. The gradient of an optimizer step is the mean over all label tokens
of its batches, whichever process or accumulation step held them (a mean of means would weigh short answers more). Each
batch draws its dropout from a seed made of its number, so that a resumed run repeats an uninterrupted one and several
processes repeat a single one. Trained weights are kept in float32, and their gradients are summed by hand: they are
small where adapters are trained, and a method's step may then call any part of the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor

from synth.errors import SynthError
from synth.recommender import batches, checkpoint
from synth.recommender.around import Stop, check_trackers, seed_of, stoppable
from synth.recommender.method import Method, Progress, Trained, TrainSettings, rate
from synth.recommender.precision import (
    autocast,
    be_deterministic,
    choose_precision,
    memory_guard,
    peak_flops,
    peak_memory,
)

__all__ = ["Method", "Progress", "TrainSettings", "Trained", "train"]


def train(method: Method, settings: TrainSettings, out: Path, progress: Progress | None = None) -> Trained:
    """Trains, or goes on with what `out` holds of the same run; a finished run is returned as it is.

    Writes `best/` (the method's checkpoint), `metrics.json`, `logs/` for the trackers, and `state.pt`, from which the
    same call resumes after Ctrl-C or a kill, in the middle of an epoch, to the same losses.

    Raises:
        SynthError: nothing to train on, an empty label, another run in `out`, no memory, a loss that is no number.
        KeyboardInterrupt: after Ctrl-C, with the state written.
    """
    return _Run(method, settings, out, progress).go()


@dataclass
class _State:
    """Where a run is; everything here is saved."""

    epoch: int = 0
    step: int = 0
    """Optimizer steps done in this epoch."""
    done: int = 0
    """Optimizer steps done in all."""
    loss: float = 0.0
    """Summed over this epoch's label tokens."""
    labels: int = 0
    examples: int = 0
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    """Spent in optimizer steps, from waiting for their batches on."""
    waiting: float = 0.0
    """Of those seconds, spent waiting for batches."""
    best_value: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class _Run:
    def __init__(self, method: Method, settings: TrainSettings, out: Path, progress: Progress | None) -> None:
        self.method, self.settings, self.out, self.progress = method, settings, out, progress
        self.model = method.model
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.examples = method.examples("train")
        if not self.examples:
            raise SynthError("There is no example to train on.")
        if not self.trained:
            raise SynthError(f"{method.name} trains no parameter of this model.")
        if wrong := [name for name, p in self.trained.items() if p.dtype != torch.float32]:
            raise SynthError(f"Trained weights must be float32; {wrong[0]} is not.")
        self.device = next(iter(self.trained.values())).device
        self.precision = choose_precision(settings.precision, self.device)
        self.lengths = [method.length(example) for example in self.examples]
        self.grouping = [method.grouping(example) for example in self.examples]
        self.rank, self.world = 0, 1
        self.state = _State()
        self.best: dict[str, Tensor] = {}
        self.stop = Stop()

    def go(self) -> Trained:
        from accelerate import Accelerator, PartialState
        from accelerate.utils import ProjectConfiguration

        PartialState(cpu=self.device.type == "cpu")
        self.rank, self.world = batches.processes()
        if (metrics := checkpoint.finished(self.out, self._identity())) is not None:
            self._load(checkpoint.read_trained(self.out / "best"))
            return Trained(self.out, self.out / "best", metrics)
        if self.settings.deterministic:
            be_deterministic()
        check_trackers(self.settings.trackers)
        self.accelerator = Accelerator(
            cpu=self.device.type == "cpu",
            mixed_precision="no",
            log_with=list(self.settings.trackers) or None,
            project_config=ProjectConfiguration(str(self.out), logging_dir=str(self.out / "logs")),
        )
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=self.settings.lr, weight_decay=self.settings.weight_decay
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision.name == "fp16")
        if self.settings.gradient_checkpointing:
            # transformers renamed it in the course of version 5.
            enable = getattr(self.model, "activation_checkpointing_enable", None)
            (enable or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        self._resume()
        self.accelerator.init_trackers(
            self.method.name,
            {name: value for name, value in asdict(self.settings).items() if name != "trackers"},
            {"tensorboard": {"purge_step": self.state.done}} if "tensorboard" in self.settings.trackers else {},
        )
        self.peak, self.peak_source = peak_flops(self.device, self.precision)
        try:
            with stoppable() as self.stop:
                self._epochs()
        finally:
            for tracker in self.accelerator.trackers:
                tracker.finish()
        self._load(self.best)
        metrics = self._metrics(finished=True)
        if self.rank == 0:
            checkpoint.write_json(self.out / "metrics.json", metrics)
            (self.out / "state.pt").unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
        return Trained(self.out, self.out / "best", metrics)

    def _identity(self) -> dict[str, Any]:
        lengths = blake2b(repr(self.lengths).encode(), digest_size=8).hexdigest()
        return {
            "method": self.method.name,
            "settings": self.settings.identity(),
            # A state counts optimizer steps, and this says which batches a step has.
            "batches_a_step": self._together,
            "examples": len(self.examples),
            "lengths": lengths,
            **self.method.signature(),
        }

    @property
    def _together(self) -> int:
        """Batches of an optimizer step, over all processes."""
        return self.world * self.settings.accumulate

    def _epochs(self) -> None:
        state, settings = self.state, self.settings
        if settings.evaluate_first and not state.history:
            self._evaluate()
        self._saved = time.monotonic()
        steps_an_epoch = math.ceil(math.ceil(len(self.examples) / settings.batch) / self._together)
        while state.epoch < settings.epochs:
            plan = batches.plan(
                self.grouping, settings.batch, seed=settings.seed, epoch=state.epoch, grouped=settings.grouped
            )
            self.efficiency = batches.efficiency(self.lengths, plan)
            todo = batches.updates(plan, self._together)[state.step :]
            if self.progress:
                self.progress.stage(f"{self.method.name}, epoch {state.epoch + 1}", steps_an_epoch)
                self.progress.advance(state.step)
            shares = [update[self.rank :: self.world] for update in todo]
            made = batches.prefetch([entry for share in shares for entry in share], self._collate, settings.workers)
            for share in shares:
                self._step(len(share), made, steps_an_epoch * settings.epochs)
                if self.progress:
                    self.progress.advance(state.step)
            self._save()
            state.epoch += 1
            self._evaluate()
            state.step, state.loss, state.labels = 0, 0.0, 0
            self._save()

    def _collate(self, entry: tuple[int, list[int]]) -> tuple[int, list[int], Any]:
        number, chosen = entry
        return number, chosen, self.method.collate([self.examples[i] for i in chosen])

    def _step(self, count: int, made: Iterator[tuple[int, list[int], Any]], steps: int) -> None:
        """One optimizer step on this process' share of its batches, the next `count`: none at the end of an epoch."""
        from accelerate.utils import send_to_device

        settings, state = self.settings, self.state
        start = time.perf_counter()
        share = [next(made) for _ in range(count)]
        state.waiting += time.perf_counter() - start
        self.model.train()
        loss = torch.zeros((), device=self.device)
        sums = [0.0] * 6  # label tokens, examples, tokens with padding, operations, stop, save
        for number, chosen, batch in share:
            longest = max(self.lengths[i] for i in chosen)
            torch.manual_seed(seed_of(settings.seed, state.epoch, number))
            with self._memory(len(chosen), longest):
                batch = send_to_device(batch, self.device)
                with self._autocast():
                    summed, labels = self.method.step(self.model, batch)
                if labels < 1:
                    raise SynthError(f"A batch of {self.method.name} has no label to learn.")
                self.scaler.scale(summed).backward()
            loss += summed.detach().float()
            for i, value in enumerate((labels, len(chosen), len(chosen) * longest, self.method.flops(batch))):
                sums[i] += value
        sums[4] = float(self.stop.wanted)
        # The first process' clock decides for all.
        sums[5] = float(self.rank == 0 and time.monotonic() - self._saved > settings.save_minutes * 60)
        tokens_learnt, examples, tokens, flops, stop, save = self._summed(loss, sums)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * rate(state.done, steps, settings)
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.trained.values() if p.grad is not None]
        for gradient in gradients:
            gradient /= tokens_learnt
        norm = torch.nn.utils.clip_grad_norm_(self.trained.values(), settings.clip or math.inf)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        state.step, state.done = state.step + 1, state.done + 1
        value = float(loss)
        state.loss, state.labels = state.loss + value, state.labels + int(tokens_learnt)
        state.examples, state.tokens = state.examples + int(examples), state.tokens + int(tokens)
        state.flops, state.seconds = state.flops + flops, state.seconds + time.perf_counter() - start
        if not math.isfinite(value) and not self.scaler.is_enabled():
            raise SynthError(
                f"The loss of optimizer step {state.done} is not a number.",
                "Use a lower --lr, or start from another checkpoint.",
            )
        if state.done % settings.log_every == 0:
            self._log({"loss": value / tokens_learnt, "norm": float(norm), "lr": group["lr"], **self._speed()})
        if stop or save:
            self._save()
        if stop:
            raise KeyboardInterrupt

    def _summed(self, loss: Tensor, sums: list[float]) -> list[float]:
        """The step's sums over all processes; the loss and the gradients are summed in place."""
        if self.world == 1:
            return sums
        for parameter in self.trained.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in self.trained.values() if p.grad is not None]
        flat = torch.cat([loss.view(1), *(gradient.flatten() for gradient in gradients)])
        distributed.all_reduce(flat)
        loss.copy_(flat[0])
        parts = flat[1:].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        total = torch.tensor(sums, dtype=torch.float64 if self.device.type != "mps" else None, device=self.device)
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def _autocast(self) -> Any:
        return autocast(self.device, self.precision.dtype)

    def _memory(self, examples: int, longest: int) -> Any:
        halve = "--gradient-checkpointing, --quantise 4bit or a lower --max-length"
        if self.settings.batch > 1:
            halve = f"--batch {self.settings.batch // 2} --accumulate {2 * self.settings.accumulate}, {halve}"
        return memory_guard(f"{examples} examples of up to {longest:,} tokens", f"Try {halve}.")

    def _evaluate(self) -> None:
        """Evaluates, notes the figures and keeps the checkpoint where it is the best so far."""
        state = self.state
        self.model.eval()
        with torch.no_grad(), self._autocast(), self._memory(self.settings.batch, max(self.lengths)):
            figures = self.method.evaluate(self.model)
        entry: dict[str, float] = {"epoch": state.epoch, "step": state.done, **figures}
        if state.labels:
            entry["train_loss"] = state.loss / state.labels
        state.history.append(entry)
        self._log({f"valid/{name}": value for name, value in figures.items()})
        if self.progress and figures:
            named = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.progress.note(f"{self.method.name}, epoch {state.epoch}: {named}")
        value = figures.get(self.method.metric)
        if value is not None and state.best_value is not None:
            better = value > state.best_value if self.method.higher else value < state.best_value
        else:
            better = value is not None or state.best_value is None
        if not better:
            return
        state.best_value, state.best_epoch = value, state.epoch
        self.best = {name: p.detach().cpu().clone() for name, p in self.trained.items()}
        if self.rank == 0:
            with checkpoint.replacing(self.out / "best") as folder:
                self.method.save(folder)
                checkpoint.write_trained(folder, self.best)

    def _metrics(self, *, finished: bool) -> dict[str, Any]:
        state = self.state
        return {
            "method": self.method.name,
            "finished": finished,
            "best": {"metric": self.method.metric, "value": state.best_value, "epoch": state.best_epoch},
            "history": state.history,
            **self._speed(),
            "mfu_against": self.peak_source,
            "unpadded_share": round(self.efficiency, 4),
            "seconds": round(state.seconds, 3),
            "processes": self.world,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else self.device.type,
            "precision": self.precision.name,
            "trained_parameters": sum(p.numel() for p in self.trained.values()),
            "identity": self._identity(),
        }

    def _speed(self) -> dict[str, float]:
        state = self.state
        seconds = max(state.seconds, 1e-9)
        return {
            "examples_per_second": round(state.examples / seconds, 4),
            "tokens_per_second": round(state.tokens / seconds, 2),
            "mfu": round(state.flops / seconds / (self.peak * self.world), 4),
            "waiting_share": round(state.waiting / seconds, 4),
            "peak_memory_bytes": peak_memory(self.device),
        }

    def _log(self, values: dict[str, float]) -> None:
        self.accelerator.log(values, step=self.state.done)

    efficiency = 1.0
    """Share of the last epoch's tokens that were not padding."""
    _saved = 0.0

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self.rank == 0:
            checkpoint.write_state(
                self.out / "state.pt",
                {
                    "identity": checkpoint.as_json(self._identity()),
                    "state": asdict(self.state),
                    "trained": {name: p.detach().cpu() for name, p in self.trained.items()},
                    "best": self.best,
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": self.scaler.state_dict(),
                },
            )
            checkpoint.write_json(self.out / "metrics.json", self._metrics(finished=False))
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        if self.rank == 0:
            checkpoint.recover(self.out / "best")
        saved = checkpoint.read_state(self.out, self._identity())
        if saved is None:
            if self.rank == 0:
                self.out.mkdir(parents=True, exist_ok=True)
            return
        self.state = _State(**saved["state"])
        self.best = saved["best"]
        self._load(saved["trained"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.progress:
            self.progress.note(f"Goes on after optimizer step {self.state.done}.")

    def _load(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in weights.items():
                self.trained[name].copy_(value)
