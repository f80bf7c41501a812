"""Twenty conversations on the drawn sample catalogue, offline; prints the first one.

python examples/quickstart.py
"""

from __future__ import annotations

from pathlib import Path

import synth


def main(folder: Path = Path("runs/quickstart"), catalog: Path | None = None) -> None:
    summary = synth.generate(synth.Options(catalog=catalog, scenarios=60, convs=20, out=folder))
    run = synth.open_run(summary.run)
    catalogue = run.catalogue()
    conversation = next(iter(run.conversations()))
    print(conversation.profile.backstory, "\n")
    for turn in conversation.turns:
        print(f"{turn.speaker:>9}: {turn.text}")
        for product in turn.products if turn.act == "recommend" else ():
            print(f"{'':>9}  [{catalogue[product].title}]")
    print(f"\nended by {conversation.ended_by}; {summary.accepted} conversations in {summary.run}")


if __name__ == "__main__":
    main()
