"""What a data set holds, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from synth.analysis.statistics.table import Table as TextTable
from synth.recommender.data import Dataset, Split


def holdings(dataset: Dataset, split: Split) -> dict[str, Any]:
    """Counts by split, what was left out, and how many items named in one split have a title and a picture."""
    titled, pictured, items = dataset.coverage(split)
    return {
        "data": dataset.name,
        "generator": dataset.generator,
        "splits": {name: {**asdict(counts), "ceiling": counts.ceiling} for name, counts in dataset.counts.items()},
        "dropped": dataset.dropped,
        "split": split,
        "with_title": titled,
        "with_picture": pictured,
        "items": items,
    }


def holdings_table(held: Sequence[dict[str, Any]]) -> TextTable:
    """The holdings of several data sets."""
    rows = [
        (
            *(one["data"], split),
            *(f"{counts[name]:,}" for name in ("conversations", "pairs", "unique_pairs")),
            f"{counts['ceiling']:.4f}",
            f"{counts['shared']:,}",
            "–" if one["generator"] else f"{counts['not_asin']:,}",
        )
        for one in held
        for split, counts in one["splits"].items()
    ]
    notes = [
        f"{one['data']}, {one['split']}: {one['with_title']:,} of {one['items']:,} items named have a title, "
        f"{one['with_picture']:,} a picture. "
        + "".join(f"Left out: {number:,} × {reason}. " for reason, number in one["dropped"].items())
        + ("" if one["with_title"] else "HR@1 of baselines needs titles: give the metadata with --meta. ")
        for one in held
    ]
    return TextTable(
        title="Data as delivered",
        columns=("data", "split", "conversations", "pairs", "different", "ceiling", "several listed", "no ASIN"),
        rows=tuple(rows),
        note="".join(notes).strip(),
        left=2,
    )
