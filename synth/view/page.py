"""Pages from templates, for the server and for the static bundle alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from synth.view.run import ViewedRun


class Pages:
    """The templates, with what every page knows. Everything is escaped: texts of a run are never markup.

    Args:
        token: that writes need; empty in a bundle, where nothing can be written.
        static_url: where scripts and styles are.
    """

    def __init__(self, *, token: str, static_url: str, runs: Sequence[ViewedRun]) -> None:
        self._environment = Environment(
            loader=PackageLoader("synth.view"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(token=token, static=static_url, runs=list(runs), bundled=not token)
        self._environment.filters.update(count=count, usd=usd, seconds=seconds, percent=percent)

    def compile(self) -> None:
        """Reads all templates, so that no first page of its kind has to wait for that."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def render(self, template: str, values: Mapping[str, Any], path: str) -> str:
        """
        Args:
            path: of the page, so that navigation knows where it is.
        """
        return self._environment.get_template(template).render({**values, "path": path})


def count(value: float) -> str:
    """A whole number with thin groups: 12 345."""
    return f"{value:,.0f}".replace(",", "\u202f")


def usd(value: float) -> str:
    """Money: cents where there are some, more digits where there are none."""
    if value >= 0.1 or value < 1e-9:
        return f"${value:,.2f}"
    return f"${value:.{max(4, 1 - math.floor(math.log10(value)))}f}"


def seconds(value: float) -> str:
    """A duration in the unit that reads best."""
    if value < 1:
        return f"{1000 * value:.1f} ms" if 0 < value < 0.01 else f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{value / 60:.1f} min"


def percent(value: float) -> str:
    return f"{100 * value:.1f}\u202f%"
