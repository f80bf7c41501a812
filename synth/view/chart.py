"""Charts as inline SVG, drawn by hand: bars, stacked columns, and a graph with counts on its edges.

Colours are classes of `overview.css`, for the page allows no inline style; labels are escaped by Markup.format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

_ROW, _NODE_WIDTH, _NODE_HEIGHT, _LANE, _FIRST_LANE, _TOP = 46, 124, 28, 86, 24, 20
"""Pixels of the graph: a node's row, a node, between two lanes, from the nodes to the first lane."""
_CORNER = 8
_PLOT, _FOOT, _HEAD = 140, 18, 14
"""Pixels of a column chart: the tallest column, the labels below, the numbers above."""


class Column(NamedTuple):
    """One column: its label, and its parts from the bottom up."""

    label: str
    parts: tuple[tuple[str, float], ...]
    """Tone (a class of the style sheet) and value."""
    title: str
    """Said when the pointer rests on it."""
    note: str = ""
    """Below the label."""


class Edge(NamedTuple):
    """An edge of a graph."""

    source: str
    target: str
    decided: bool
    """Whether the source has a choice."""


def bar(share: float, tone: str = "accent") -> Markup:
    """A horizontal bar that fills `share` of its width, in [0, 1]."""
    width = max(0.0, min(share, 1.0)) * 100
    return Markup(
        '<svg class="bar-chart" aria-hidden="true"><rect class="track" width="100%" height="100%" rx="3"/>'
        '<rect class="tone-{}" width="{:.2f}%" height="100%" rx="3"/></svg>'
    ).format(tone, width)


def columns(data: Sequence[Column], label: str) -> Markup:
    """Stacked columns on one scale.

    Args:
        label: what the chart shows, for those who hear it.
    """
    width = max(26, min(46, 320 // max(len(data), 1)))
    foot = _FOOT + (13 if any(column.note for column in data) else 0)
    foot_line = _HEAD + _PLOT + 26
    highest = max((sum(value for _, value in column.parts) for column in data), default=0) or 1
    drawn = []
    for place, column in enumerate(data):
        x, y = place * width, float(_HEAD + _PLOT)
        total = sum(value for _, value in column.parts)
        rects = []
        for tone, value in column.parts:
            height = _PLOT * value / highest
            y -= height
            if value:
                rects.append(
                    Markup('<rect class="tone-{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}" rx="1.5"/>').format(
                        tone, x + 3, y, width - 6, max(height - 0.5, 0.75)
                    )
                )
        drawn.append(
            Markup(
                '<g><title>{}</title><rect class="hover" x="{}" y="0" width="{}" height="{}"/>{}'
                '<text class="tick" x="{}" y="{}">{}</text><text class="value" x="{}" y="{:.1f}">{}</text>{}</g>'
            ).format(
                column.title,
                x,
                width,
                _HEAD + _PLOT,
                Markup("").join(rects),
                x + width / 2,
                _HEAD + _PLOT + 13,
                column.label,
                x + width / 2,
                y - 4,
                short(total) if total else "",
                Markup('<text class="note" x="{}" y="{}">{}</text>').format(x + width / 2, foot_line, column.note)
                if column.note
                else "",
            )
        )
    size = (len(data) * width, _HEAD + _PLOT + foot)
    return Markup(
        '<svg class="columns" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">'
        '<line class="base" x1="0" x2="{}" y1="{}" y2="{}"/>{}</svg>'
    ).format(label, *size, *size, size[0], _HEAD + _PLOT, _HEAD + _PLOT, Markup("").join(drawn))


def graph(edges: Sequence[Edge], counts: Mapping[tuple[str, str], int], names: Mapping[str, str], label: str) -> Markup:
    """A graph from top to bottom, one node a row; edges that skip rows run on the right, those that lead back left.

    Args:
        counts: how often each edge was taken.
        names: of nodes, where they are shown under another name.
    """
    order = _order(edges)
    row = {node: place for place, node in enumerate(order)}
    right = _lanes([edge for edge in edges if row[edge.target] > row[edge.source] + 1], row)
    left = _lanes([edge for edge in edges if row[edge.target] <= row[edge.source]], row)
    margin = _side(left)
    middle = margin + _NODE_WIDTH / 2
    width, height = margin + _NODE_WIDTH + _side(right), _TOP * 2 + _ROW * (len(order) - 1)
    out, visits = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for edge in edges:
        out[edge.source] += counts.get(edge[:2], 0)
        visits[edge.target] += counts.get(edge[:2], 0)
    most = max(counts.values(), default=0) or 1
    drawn = []
    for edge in sorted(edges, key=lambda edge: counts.get(edge[:2], 0)):
        taken = counts.get(edge[:2], 0)
        y1, y2 = (_TOP + _ROW * row[node] for node in edge[:2])
        if edge in right or edge in left:
            side = 1 if edge in right else -1
            near = middle + side * _NODE_WIDTH / 2
            lane = near + side * (_FIRST_LANE + _LANE * (right if side > 0 else left)[edge])
            path = _bend(near, y1 + 5, lane, y2 - 5, side)
            text = (lane + side * 6, (y1 + y2) / 2 + 4, "start" if side > 0 else "end")
        else:
            path = f"M{middle:g} {y1 + _NODE_HEIGHT / 2:g}V{y2 - _NODE_HEIGHT / 2 - 2:g}"
            text = (middle + 7, (y1 + y2) / 2 + 4, "start")
        share = f" · {100 * taken / out[edge.source]:.0f}\u202f%" if edge.decided and out[edge.source] else ""
        drawn.append(
            Markup(
                '<g class="{}"><title>{} → {}: {}</title><path d="{}" stroke-width="{:.2f}" marker-end="{}"/>'
                '<text x="{:g}" y="{:g}" text-anchor="{}">{}{}</text></g>'
            ).format(
                "edge" if taken else "edge never",
                names.get(edge.source, edge.source),
                names.get(edge.target, edge.target),
                f"{taken:,}",
                path,
                1.2 + 3.3 * taken / most,
                "url(#tip)" if taken else "none",
                *text,
                f"{taken:,}".replace(",", "\u202f"),
                share,
            )
        )
    for node in order:
        y = _TOP + _ROW * row[node] - _NODE_HEIGHT / 2
        seen = visits[node] or out[node]
        drawn.append(
            Markup(
                '<g class="{}" data-node="{}"><title>{}: {}</title><rect x="{:g}" y="{:g}" width="{}" height="{}" '
                'rx="8"/><text x="{:g}" y="{:g}" text-anchor="middle">{}</text></g>'
            ).format(
                "node end" if node in names else "node" if seen else "node never",
                node,
                names.get(node, node),
                f"{seen:,}",
                margin,
                y,
                _NODE_WIDTH,
                _NODE_HEIGHT,
                middle,
                y + _NODE_HEIGHT / 2 + 4,
                names.get(node, node.replace("_", " ")),
            )
        )
    return Markup(
        '<svg class="graph" role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}"><defs>'
        '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>{}</svg>'
    ).format(label, width, height, width, height, Markup("").join(drawn))


def short(value: float) -> str:
    """A number in at most four characters: 950, 1.2k, 84k, 3.1M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            scaled = value / limit
            return f"{scaled:.0f}{unit}" if scaled >= 9.95 else f"{scaled:.1f}{unit}"
    return f"{value:.0f}"


def _order(edges: Sequence[Edge]) -> list[str]:
    """The nodes so that as many edges as can lead downward: by the longest way from the start, loops left out."""
    following: dict[str, list[str]] = {}
    for edge in edges:
        following.setdefault(edge.source, []).append(edge.target)
        following.setdefault(edge.target, [])
    reached = {edge.target for edge in edges}
    roots = [node for node in following if node not in reached] or list(following)[:1]
    finished: list[str] = []
    open_: set[str] = set()
    downward: dict[str, list[str]] = {node: [] for node in following}

    def visit(node: str) -> None:
        open_.add(node)
        for target in following[node]:
            if target in open_:
                continue
            downward[node].append(target)
            if target not in finished:
                visit(target)
        open_.discard(node)
        finished.append(node)

    for node in [*roots, *following]:
        if node not in finished:
            visit(node)
    finished.reverse()
    depth = dict.fromkeys(following, 0)
    for node in finished:
        for target in downward[node]:
            depth[target] = max(depth[target], depth[node] + 1)
    return sorted(finished, key=depth.__getitem__)


def _lanes(edges: Sequence[Edge], row: Mapping[str, int]) -> dict[Edge, int]:
    """A lane for each edge, so that no two in one lane overlap; short ones lie nearest to the nodes."""
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for edge in sorted(edges, key=lambda edge: abs(row[edge.target] - row[edge.source])):
        low, high = sorted((row[edge.source], row[edge.target]))
        free = (n for n, lane in enumerate(taken) if all(high <= start or low >= end for start, end in lane))
        lanes[edge] = number = next(free, len(taken))
        if number == len(taken):
            taken.append([])
        taken[number].append((low, high))
    return lanes


def _side(lanes: Mapping[Edge, int]) -> float:
    return _FIRST_LANE + _LANE * (max(lanes.values()) + 1) if lanes else 4


def _bend(near: float, y1: float, lane: float, y2: float, side: int) -> str:
    """Out of a node's side, along a lane, and into another node's side."""
    down = 1 if y2 > y1 else -1
    turn = side * _CORNER
    return (
        f"M{near:g} {y1:g}H{lane - turn:g}Q{lane:g} {y1:g} {lane:g} {y1 + down * _CORNER:g}"
        f"V{y2 - down * _CORNER:g}Q{lane:g} {y2:g} {lane - turn:g} {y2:g}H{near + side * 2:g}"
    )
