"""MUSE's tasks: what baselines recall on a real catalogue, and whether tuning a tiny model from nothing helps it.

    SYNTH_TEST_DATA=DIR python benchmarks/bench_muse.py [--out DIR] [--convs 1000] [--tiny-convs 1200] [--test 300]

First Recall and MRR of the retrieval baselines on so many conversations about the 13,754 products of DIR/fashion, each
over an index of its own (MiniLM where it is installed). Then, on one core: the tiny preset made for a run, tuned on the
queries of 200 conversations, and tested on others beside itself without the adapter, the user's last words and BM25;
p values are of paired permutation tests on whole conversations. `--respond` does the second task as well, which takes
about three times as long. Everything is a command; stopped, the same one goes on from --out. The data are made by the
offline simulator, and its own index is BM25: no figure is about people, and BM25 is at home.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ONE_CORE = {"OMP_NUM_THREADS": "1", "SYNTH_GENERATE_REPORT": "0"}


def synth(*arguments: object) -> None:
    """Runs a command, shows it, and stops where it fails."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ synth {' '.join(words)}", flush=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "synth", *words], check=True, env={**os.environ, **ONE_CORE})
    print(f"({time.perf_counter() - start:.0f} s)", flush=True)


def generated(out: Path, convs: int) -> Path:
    run = out / f"run-{convs}"
    catalogue = out / "fashion"
    synth("generate", "--catalog", catalogue, "--convs", convs, "--out", run, "--encoder", "bm25", "--quiet")
    return run


def retrieval(out: Path, convs: int) -> None:
    run = generated(out, convs)
    minilm = "minilm," if importlib.util.find_spec("sentence_transformers") else ""
    methods = f"last-turn,run,{minilm}bm25"
    asked = ["--task", "recommend", "--methods", methods, "--convs", 0, "--out", out / "retrieval", "--quiet"]
    synth("eval", "muse", run, *asked)


def tuning(out: Path, convs: int, test: int, task: str) -> None:
    run = generated(out, convs)
    split, tuned = ["--convs", 200, "--test", test], out / f"tuned-{task}"
    learn = ["--pictures", 1, "--epochs", 3, "--batch", 4, "--lr", 0.004, "--dropout", 0, "--tracker", "none"]
    learn += ["--device", "cpu", "--precision", "fp32"]
    synth("train", "muse", run, "--task", task, "--preset", "tiny", *split, *learn, "--out", tuned)
    arms = f"last-turn,run,bm25,{tuned / 'base'},{tuned}" if task == "recommend" else f"{tuned / 'base'},{tuned}"
    shown = ["--pictures", 1, "--out", out / f"eval-{task}", "--device", "cpu", "--precision", "fp32", "--quiet"]
    synth("eval", "muse", run, "--task", task, "--methods", arms, *split, *shown)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench-muse"), help="folder; it is kept")
    parser.add_argument("--convs", type=int, default=1000, help="of the baselines")
    parser.add_argument("--tiny-convs", type=int, default=1200, help="of the tiny model's run")
    parser.add_argument("--test", type=int, default=300, help="of those, conversations to test on")
    parser.add_argument("--respond", action="store_true", help="tune and test the second task too")
    parser.add_argument("--only", choices=("retrieval", "tuning"), help="one of the two parts")
    given = parser.parse_args()
    root = os.environ.get("SYNTH_TEST_DATA")
    if not root:
        sys.exit("Set SYNTH_TEST_DATA to the folder that has fashion/products.csv and fashion/images.zip.")
    given.out.mkdir(parents=True, exist_ok=True)
    if not (given.out / "fashion").exists():
        fashion = Path(root) / "fashion"
        named = ["--images", fashion / "images.zip", "--out", given.out / "fashion", "--quiet"]
        synth("catalog", "import", fashion / "products.csv", *named)
    if given.only != "tuning":
        retrieval(given.out, given.convs)
    for which in ("recommend", *(["respond"] if given.respond else [])) if given.only != "retrieval" else ():
        tuning(given.out, given.tiny_convs, given.test, which)
