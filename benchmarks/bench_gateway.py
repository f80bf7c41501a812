"""Throughput of one process against a fake server: calls a second between ramp and tail, and CPU a call, pictures on.

The server (another process, on another core) answers what the offline simulator would have answered, after a fixed
latency. Everything is included: graphs, gateway, money cap, limiter, reply log, events, HTTP client.

    python benchmarks/bench_gateway.py [--quick] [--way N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from synth.corpora.drawing import draw_catalogue
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.llm.gateway import Gateway
from tests.support.fakes import Fake

MODEL = "gpt-4o-mini"
PRICE = f"{MODEL}=0.15/0.075/0.60"
_TICK = 0.5
"""Seconds between looks at the counters."""


@dataclass
class Tick:
    time: float
    cpu: float
    answered: int
    in_flight: int


class Watch(Progress):
    """Looks at the gateway's counters now and then, from a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks: list[Tick] = []
        self._over = threading.Event()

    def watch(self, gateway: Gateway) -> None:
        super().watch(gateway)
        threading.Thread(target=self._look, args=(gateway,), daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _look(self, gateway: Gateway) -> None:
        limiters = gateway.courier.limiters  # type: ignore[attr-defined]
        while not self._over.wait(_TICK):
            flying = sum(limiter.in_flight for limiter in list(limiters.values()))
            self.ticks.append(Tick(time.perf_counter(), time.process_time(), gateway.counts["answered"], flying))


def steady(ticks: list[Tick], in_flight: int) -> tuple[float, float, float]:
    """Calls a second, milliseconds of CPU a call, and mean calls in flight, from the end of the ramp to the tail.

    The ramp ends where nine tenths of the calls allowed are in flight, or never. The tail, in which a run only replaces
    what was rejected, begins where three quarters of all calls are answered.
    """
    most = 0.75 * ticks[-1].answered
    body = [tick for tick in ticks if tick.answered <= most]
    ramp = next((place for place, tick in enumerate(body) if tick.in_flight >= 0.9 * in_flight), 0)
    busy = body[ramp:]
    first, last = busy[0], busy[-1]
    calls = last.answered - first.answered
    flying = statistics.mean(tick.in_flight for tick in busy)
    return calls / (last.time - first.time), 1e3 * (last.cpu - first.cpu) / calls, flying


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="A quarter of the conversations.")
    parser.add_argument("--way", type=int, choices=(1, 2, 3), help="Only this one of the three.")
    arguments = parser.parse_args()
    share = 4 if arguments.quick else 1
    ways = [  # latency, calls in flight at most, conversations in all, ideal calls a second
        (1.0, 256, 2000 // share, 256.0),
        (0.2, 64, 800 // share, 320.0),
        (0.02, 256, 1000 // share, None),
    ]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        draw_catalogue(place / "catalogue", 600)
        most = max(convs for _, _, convs, _ in ways)
        offline = Options(catalog=place / "catalogue", scenarios=100, convs=most, out=place / "offline", in_flight=64)
        began = time.perf_counter()
        summary = generate(offline)
        calls = sum(summary.calls.values())
        print(f"offline, no server: {calls / (time.perf_counter() - began):,.0f} calls/s")
        for number, (latency, in_flight, convs, ideal) in enumerate(ways, 1):
            if arguments.way not in (None, number):
                continue
            with Fake(answers="replay", replay=str(place / "offline" / "run.db"), latency=latency) as fake:
                options = replace(
                    offline,
                    convs=convs,
                    in_flight=in_flight * 9 // 8,  # so that a call is always waiting to leave
                    max_concurrency=in_flight,
                    out=place / f"run{number}",
                    llm=f"openai:{MODEL}",
                    base_url=fake.openai_url,
                    prices=(PRICE,),
                )
                watch = Watch()
                generate(options, watch)
                watch.stop()
                ledger = fake.ledger()
            rate, cpu, flying = steady(watch.ticks, in_flight)
            goal = f", {rate / ideal:.0%} of the ideal {ideal:.0f}" if ideal else ""
            print(
                f"latency {latency:g} s, {in_flight} calls in flight at most: {rate:,.0f} calls/s{goal}; "
                f"{cpu:.2f} ms CPU a call; {flying:.0f} calls in flight "
                f"(server saw {ledger['in_flight']['most']} at most); "
                f"server billed {ledger['billed']['usd']:.4f} USD"
            )


if __name__ == "__main__":
    main()
