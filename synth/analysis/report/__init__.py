"""`report.html`: the figures of a run as MUSE reports its own, ten conversations, and how it all came about."""

from __future__ import annotations

from synth.analysis.report.page import FILE, is_current, write_report

__all__ = ["FILE", "is_current", "write_report"]
