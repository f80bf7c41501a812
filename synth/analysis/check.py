"""`synth check`: counts what should not be in a run's conversations, whichever model wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synth.analysis.checks import barrier, branding, orders, products, profiles, shape, wording
from synth.analysis.checks.barrier import Barrier
from synth.analysis.checks.branding import Branding
from synth.analysis.checks.case import Case, Finding
from synth.analysis.checks.goods import Goods
from synth.analysis.checks.orders import Order, find_orders
from synth.analysis.diversity import Corpus, Diversity
from synth.corpora.records import Conversation
from synth.errors import SynthError
from synth.traces.run import RunFolder

TWICE = "conversation ids used twice"
CHECKS: tuple[str, ...] = (
    *products.CHECKS,
    *shape.CHECKS,
    TWICE,
    *profiles.CHECKS,
    *branding.CHECKS,
    *wording.CHECKS,
    *barrier.CHECKS,
    *orders.CHECKS,
)
"""Names of all checks, in the order of printing."""


@dataclass
class Report:
    """What was read, and what was found in it."""

    conversations: int = 0
    turns: int = 0
    prompts: int = 0
    """Assistant-side prompts read."""
    offline: bool = False
    """Whether the offline simulator had a part in any conversation: its figures say nothing about a model's."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    examples: dict[str, list[Finding]] = field(default_factory=lambda: {name: [] for name in CHECKS})
    """The first findings of each check."""
    diversity: Diversity | None = None

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())

    def add(self, finding: Finding, show: int) -> None:
        self.counts[finding.check] += 1
        if len(self.examples[finding.check]) < show:
            self.examples[finding.check].append(finding)


def check(run: RunFolder, *, drafts: bool = False, show: int = 3) -> Report:
    """Reads a run once, conversation by conversation, and its log beside it.

    Args:
        drafts: look at the drafts' wording, too.
        show: examples to keep of each check.

    Raises:
        SynthError: the run cannot be read, or has no accepted conversation.
    """
    report = Report()
    examiner = Examiner(run)
    corpus = Corpus()
    try:
        for conversation in run.conversations():
            report.conversations += 1
            report.turns += len(conversation.turns)
            report.offline |= any(model.startswith("offline") for model in conversation.provenance.models.values())
            for turn in conversation.turns:
                corpus.add(turn.text)
            for finding in examiner.examine(conversation, drafts=drafts):
                report.add(finding, show)
        for finding in examiner.branding.findings():
            report.add(finding, show)
    finally:
        examiner.close()
    if not report.conversations:
        raise SynthError(f"{run.path} has no accepted conversation yet.", "Run `synth generate` on until it has.")
    report.prompts = examiner.barrier.prompts
    report.diversity = corpus.measure(report.conversations)
    return report


class Examiner:
    """All checks, with what they need to know of one run."""

    def __init__(self, run: RunFolder) -> None:
        self._reranked = run.config().get("rerank", "model") == "model"
        self._scenarios = {scenario.id: scenario.text for scenario in run.scenarios()}
        self._goods = Goods(run.catalogue())
        self._orders: dict[str, list[Order]] = find_orders(self._goods)
        self._pictures = _stored(run.path / "images")
        self._ids: set[str] = set()
        self._store = run.store()
        self.barrier = Barrier(self._store, self._goods)
        self.branding = Branding(self._goods)

    def close(self) -> None:
        self._store.close()

    def examine(self, conversation: Conversation, *, drafts: bool) -> Iterator[Finding]:
        """All findings in a conversation but users' brands, which are known once all conversations are."""
        scenario = self._scenarios.get(conversation.profile.scenario_id, "")
        case = Case(conversation, self._goods, scenario, tuple(turn.text for turn in conversation.turns))
        if conversation.id in self._ids:
            yield case.found(TWICE, None, "an earlier conversation has this id")
        self._ids.add(conversation.id)
        yield from products.products(case)
        yield from shape.structure(case)
        yield from shape.chatter(case)
        yield from shape.ending(case)
        yield from shape.pictures(case, self._pictures)
        yield from profiles.profile(case)
        yield from self.barrier.findings(case)
        yield from orders.verdicts(case, self._orders, reranked=self._reranked)
        yield from self._wording(case)
        if drafts:
            yield from self._wording(Case(conversation, self._goods, scenario, conversation.drafts, drafts=True))

    def _wording(self, case: Case) -> Iterator[Finding]:
        self.branding.see(case)
        yield from wording.price(case)
        yield from wording.length(case)
        yield from wording.openings(case)
        yield from wording.broken(case)
        yield from orders.repeats(case, self._orders)


def _stored(folder: Path) -> set[str]:
    """Hashes of the pictures in a run's folder."""
    return {path.stem for path in folder.glob("*/*") if path.suffix in (".jpg", ".png", ".webp")}
