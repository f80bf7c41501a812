"""A preset trained through every stage by the command line, from made conversations to the table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

_SPEED = ("examples/s", "pictures a second", "perplexity", "Best ", "conversations")
"""Lines of a command's output that are worth repeating."""


def train_through(
    preset: str, lm: Path | None, convs: int, out: Path | None, device: str, extra: tuple[str, ...] = ()
) -> int:
    """Runs the stages, each a `synth` command, and prints what each took; the last one prints the table.

    Args:
        lm: for `small`: the language model; None: one of SmolLM2-135M's shape that knows nothing.
        out: what is finished in it is not made again; None for a folder that is removed.
        extra: options of the stages that train, e.g. `--epochs 1`.

    Returns:
        The exit code of the command that failed, else 0.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return train_through(preset, lm, convs, Path(folder), device, extra)
    out.mkdir(parents=True, exist_ok=True)
    made = preset == "small" and lm is None
    if made:
        lm = out / "untrained-lm"
    data, model = out / "data", out / "model"
    on = ["--data", data, "--model", model]
    where = ["--device", device]
    loop = ["--tracker", "none", "--batch", "16", "--lr", "1e-3", *extra]
    steps: list[tuple[str, Path, list[object]]] = [
        (
            "generate", out / "nothing",
            ["generate", "--scenarios", 100, "--convs", convs, "--out", out / "run", "--no-report"],
        ),
        ("export", data / "item2meta.json", ["export", out / "run", "--format", "lavic", "--out", data]),
        (
            "warmup", model / "config.json",
            ["train", "warmup", "--preset", preset, "--data", data, "--out", model, *where,
             *(["--lm", lm] if lm else [])],
        ),
        (
            "describe", out / "nothing",
            ["train", "describe", *on, "--out", out / "descriptions.jsonl", "--batch", 32, "--max-new-tokens", 48,
             *where],
        ),
        (
            "distill", out / "nothing",
            ["train", "distill", *on, "--descriptions", out / "descriptions.jsonl", "--out", out / "distilled", *loop,
             *where],
        ),
        (
            "features", out / "nothing",
            ["train", "features", *on, "--adapter", out / "distilled", "--out", out / "features", *where],
        ),
        (
            "ablations", out / "nothing",
            ["train", "ablations", *on, "--features", out / "features", "--distilled", out / "distilled",
             "--out", out / "arms", "--arms", "lavic,without-images,without-distillation", *loop, *where],
        ),
    ]  # fmt: skip
    print(f"preset {preset}, {convs} conversations by the offline simulator, in {out}", flush=True)
    if made:
        print("No --lm: the language model knows nothing, so the table shows that it runs, not how well.", flush=True)
    for name, product, command in steps:
        if name == "warmup" and made and lm is not None and not lm.is_dir():
            _write_language_model(lm, data)
        if product.exists():
            print(f"{name}: was there", flush=True)
            continue
        start = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-m", "synth", *map(str, command)],
            capture_output=True,
            text=True,
        )
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
        if ran.returncode:
            print(ran.stderr.strip()[-2000:], file=sys.stderr, flush=True)
            return ran.returncode
        lines = ran.stdout.splitlines()
        if name == "ablations":
            print(ran.stdout, flush=True)
        else:
            print("\n".join(f"  {line}" for line in lines if any(mark in line for mark in _SPEED)), flush=True)
    return 0


def _write_language_model(folder: Path, data: Path) -> None:
    """A Llama of SmolLM2-135M's shape with random weights, its tokenizer trained on the data."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from benchmarks.rig import SIZES
    from synth.recommender.data import read_lavic
    from synth.recommender.extras import quiet
    from synth.recommender.prompts import DESCRIBE, TASK
    from synth.recommender.tokenizer import build_tokenizer

    dataset = read_lavic(data)
    texts = [TASK, DESCRIBE, *(item.text for item in dataset.items.values())]
    texts += [example.text for example in dataset.examples["train"]]
    tokenizer = build_tokenizer(texts, 4000, lower=False)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    shape = {**SIZES["small"].language, "vocab_size": len(tokenizer), **ids, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    with quiet():
        LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
