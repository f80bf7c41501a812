"""A comparison as bars with their intervals, one panel for each metric."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

from synth.errors import SynthError
from synth.recommender.compared import Compared, digits
from synth.recommender.runs import staged

SUFFIXES = (".png", ".pdf", ".svg")
_COLUMNS = 3
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568", "#975a16", "#2c7a7b")
"""One for each system, again from the first where there are more."""


def check_plot(path: Path) -> None:
    """
    Raises:
        SynthError: the file's name says no form that can be drawn.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SynthError(f"A plot cannot be written to {path}.", f"End its name in {', '.join(SUFFIXES)}.")


def draw(compared: Compared, path: Path) -> None:
    """Writes the plot; whiskers are 95 % intervals, where they are defined.

    Raises:
        SynthError: see `check_plot`.
    """
    check_plot(path)
    import matplotlib
    from matplotlib.figure import Figure

    metrics, systems = list(compared.figures), list(compared.systems)
    columns = min(_COLUMNS, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    figure = Figure(figsize=(1.6 + 3.4 * columns, 0.7 + rows * (0.8 + 0.3 * len(systems))), layout="constrained")
    figure.suptitle(compared.title(), fontsize=11, parse_math=False)
    for number, metric in enumerate(metrics):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set_title(metric, fontsize=10, parse_math=False)
        longest = 0.0
        for place, system in enumerate(systems):
            found = compared.figures[metric].get(system)
            if found is None:
                continue
            axes.barh(place, found.value, color=_COLOURS[place % len(_COLOURS)], height=0.65)
            end = found.value
            if found.low is not None and found.high is not None:
                spread = [[max(found.value - found.low, 0)], [max(found.high - found.value, 0)]]
                axes.errorbar(found.value, place, xerr=spread, fmt="none", ecolor="#1a202c", capsize=3, linewidth=1)
                end = found.high
            longest = max(longest, end)
            axes.annotate(
                f"{found.value:.{digits(metric)}f}",
                (end, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        shown = systems if number % columns == 0 else [""] * len(systems)
        axes.set_yticks(range(len(systems)), shown, fontsize=9, parse_math=False)
        axes.set_ylim(len(systems) - 0.5, -0.5)
        # Room for the numbers beside the bars.
        axes.set_xlim(0, 1.35 * longest or 1)
        axes.spines[["top", "right"]].set_visible(False)
    form = path.suffix.lower()[1:]
    # The same figures give the same bytes: no date, and no random ids.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with matplotlib.rc_context({"svg.hashsalt": "synth"}), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the figures are right all the same.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        with staged(path) as staging:
            figure.savefig(staging, format=form, dpi=150, metadata=metadata)
