"""The front's weight: seconds for `import synth` and `synth --help`, against an empty Python.

python benchmarks/bench_start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import synth": [sys.executable, "-c", "import synth"],
    "synth --help": [sys.executable, "-m", "synth", "--help"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(9):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["python -c pass"])
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name}: {median:.3f} s (median of {len(taken)}), {median / base:.1f} times an empty Python")


if __name__ == "__main__":
    main()
