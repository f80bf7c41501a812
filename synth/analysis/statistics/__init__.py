"""The figures of a data set, as MUSE reports its own (Wang et al., Findings of ACL 2025): Tables 2 and 8, Figs. 4, 7
and 9 to 12, and what shows how it came about and whom it is about. `docs/statistics.md` states every definition.
"""

from __future__ import annotations

from synth.analysis.statistics.collect import SAMPLE, SEED, Statistics, Version, statistics
from synth.analysis.statistics.elements import Context, Element, Labelled, Labeller, elements, label
from synth.analysis.statistics.funnel import Funnel, Stage
from synth.analysis.statistics.wording import Wording, Words

__all__ = [
    "SAMPLE",
    "SEED",
    "Context",
    "Element",
    "Funnel",
    "Labelled",
    "Labeller",
    "Stage",
    "Statistics",
    "Version",
    "Wording",
    "Words",
    "elements",
    "label",
    "statistics",
]
