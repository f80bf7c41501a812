"""`python -m benchmarks`: every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("bench_*.py")):
    print(f"\n== {path.name}", flush=True)
    subprocess.run([sys.executable, str(path), *sys.argv[1:]], check=False)
