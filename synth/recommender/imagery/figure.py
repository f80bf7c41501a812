"""Fig. 3: how a model does along the descriptions it gets, with the pictures themselves as level lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.errors import SynthError
from synth.recommender.imagery.outputs import COI, IMAGE
from synth.recommender.imagery.published import DESCRIBERS
from synth.recommender.imagery.tables import ACCURACY, HITS, Row
from synth.recommender.plot import check_plot
from synth.recommender.runs import staged

_SHORT = {"OFA-huge": "OFA", "llava-v1.5-13b": "LLaVA", "gpt-4-vision-preview": "GPT-4V"}
_SHOWN = {HITS[0]: "Hit@1", HITS[1]: "Hit@10", ACCURACY: "accuracy"}
_PICTURES = ", pictures "
_STYLES = ("--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws a panel for each figure and domain; the file's ending says the format (png, pdf, svg).

    Raises:
        SynthError: there is nothing to draw, or the ending is of no picture.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    domains = sorted({row.domain for row in rows})
    names = [name for name in _SHOWN if any(name in row.figures for row in rows)]
    if not domains or not names:
        raise SynthError("There is nothing to draw.", "Name outputs, or add --paper.")
    along = [name for name in DESCRIBERS if any(row.modality == name for row in rows)]
    figure = Figure(figsize=(4.2 * len(domains), 2.6 * len(names) + 1), layout="constrained")
    panels = figure.subplots(len(names), len(domains), squeeze=False)
    drawn: dict[str, object] = {}
    for across, domain in enumerate(domains):
        for down, name in enumerate(names):
            panel = panels[down][across]
            here = [row for row in rows if row.domain == domain and name in row.figures]
            for model in sorted({(row.model, row.source) for row in here if row.modality in along}):
                if model[0].endswith(COI):
                    continue
                values = {row.modality: row.figures[name] for row in here if (row.model, row.source) == model}
                points = [(place, values[one]) for place, one in enumerate(along) if one in values]
                label = f"{model[0]} ({model[1]})"
                (drawn[label],) = panel.plot(
                    *zip(*points, strict=True),
                    marker="o",
                    label=label,
                    color=f"C{_place(drawn, label, level=False) % 10}",
                )
            for row in sorted((r for r in here if r.modality == IMAGE), key=lambda r: r.model):
                label = f"{row.model}{_PICTURES}({row.source})"
                drawn[label] = panel.axhline(
                    row.figures[name],
                    color="0.3",
                    linestyle=_STYLES[_place(drawn, label, level=True) % len(_STYLES)],
                    linewidth=1,
                    label=label,
                )
            panel.set_xticks(range(len(along)), [_SHORT[one] for one in along])
            panel.set_ylabel(_SHOWN[name] if across == 0 else "")
            panel.set_title(domain.capitalize() if down == 0 else "", fontsize=10)
    if drawn:
        figure.legend(handles=list(drawn.values()), loc="outside lower center", ncols=2, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path) as staging:
        figure.savefig(staging, format=path.suffix.lower()[1:], dpi=150)


def _place(drawn: dict[str, object], label: str, *, level: bool) -> int:
    """A line's own number among those of its kind, in every panel the same."""
    known = [name for name in drawn if (_PICTURES in name) == level]
    return known.index(label) if label in known else len(known)
