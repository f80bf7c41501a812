"""`synth stats` on a whole run: seconds, peak memory, and how that compares with reading the file alone.

Each figure is taken in a process of its own. `read` parses `conversations.jsonl` as JSON and does nothing with it.

    python benchmarks/bench_statistics.py [--run RUN] [--convs 7000] [--rounds 1]
"""

from __future__ import annotations

import argparse
import statistics as middle
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_S, GOAL_MB = 35, 1000
_PEAK = """
import sys, time
def peak():
    try:
        import resource
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (1e6 if sys.platform == "darwin" else 1e3)
    except ImportError:
        return float("nan")
start, cpu = time.perf_counter(), time.process_time()
{work}
print(time.perf_counter() - start, time.process_time() - cpu, peak())
"""
_WORK = {
    "read": """
import json
with open(sys.argv[1] + "/conversations.jsonl", encoding="utf-8") as file:
    for line in file:
        json.loads(line)
""",
    "statistics": """
from pathlib import Path
from synth.analysis.statistics import statistics
json = statistics(Path(sys.argv[1])).to_json()
""",
}


def measure(work: str, run: Path, rounds: int) -> tuple[float, float, float]:
    """Median seconds and seconds of CPU, and the greatest peak in MB, in fresh processes."""
    figures = []
    for _ in range(rounds):
        command = [sys.executable, "-c", _PEAK.format(work=_WORK[work]), str(run)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures.append([float(figure) for figure in done.stdout.split()])
    seconds, cpu, memory = zip(*figures, strict=True)
    return middle.median(seconds), middle.median(cpu), max(memory)


def generate(place: Path, convs: int) -> Path:
    print(f"generating {convs:,} conversations offline …", flush=True)
    # Not in this process: on Linux its peak would be handed on to those that are measured.
    synth = [sys.executable, "-m", "synth"]
    subprocess.run([*synth, "catalog", "sample", "--out", str(place / "catalogue"), "--quiet"], check=True)
    settings = ["--catalog", str(place / "catalogue"), "--scenarios", "600", "--convs", str(convs), "--quiet"]
    subprocess.run([*synth, "generate", *settings, "--out", str(place / "run")], check=True)
    return place / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="This run, instead of a fresh one.")
    parser.add_argument("--convs", type=int, default=7_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or generate(Path(folder), arguments.convs)
        with (run / "conversations.jsonl").open("rb") as file:
            rows = sum(1 for _ in file)
        print(f"{rows:,} conversations")
        read = measure("read", run, arguments.rounds)
        found = measure("statistics", run, arguments.rounds)
    for name, (seconds, cpu, memory) in (("read", read), ("statistics", found)):
        print(f"  {name:10} {seconds:6.1f} s, {cpu:6.1f} s of CPU, {memory:5.0f} MB at most")
    print(f"statistics: {found[0]:.1f} s (goal {GOAL_S} at 7,000), {found[2]:.0f} MB (goal {GOAL_MB}), ", end="")
    print(f"{found[1] / read[1]:.0f} times the CPU of reading, {1e3 * found[1] / rows:.2f} ms a conversation")


if __name__ == "__main__":
    main()
