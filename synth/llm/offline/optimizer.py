"""The offline optimizer: rewriter, consistency check, reviewer (MUSE §3.4)."""

from __future__ import annotations

import random
import re
from collections import Counter

from synth.llm.offline.grammar import tidy
from synth.llm.offline.paraphrase import lexicon
from synth.llm.offline.shop import Shop, tokens
from synth.llm.offline.wishes import meets, understand
from synth.prompts.calls import (
    Check,
    CheckInput,
    CheckOutput,
    Line,
    ReviewInput,
    ReviewOutput,
    RewriteInput,
    RewriteOutput,
    Utterance,
)
from synth.text import opening
from synth.text import sentences as count

_SWAP_SHARE = 0.85
_NEGATIONS = frozenset("not no never nothing none neither nor without cannot".split())
_SENTENCES = re.compile(r"(?<=[.!?…])\s+")
_REPEATED = 6
"""Words: a run of this length that comes again in a conversation is a repetition."""


class Optimizer:
    """Answers `rewriter.*` and `reviewer.*` calls."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def rewrite(self, given: RewriteInput, rng: random.Random) -> RewriteOutput:
        return RewriteOutput(texts=[self._rewrite(utterance, rng) for utterance in given.utterances])

    def check(self, given: CheckInput, rng: random.Random) -> CheckOutput:
        """Same titles, attributes, numbers and negations: the facts of a shopping chat."""
        return CheckOutput(
            checks=[self._compare(draft, new, keep) for (draft, new), keep in zip(given.pairs, given.keep, strict=True)]
        )

    def review(self, given: ReviewInput, rng: random.Random) -> ReviewOutput:
        """Starts from ten each and takes off for what is found."""
        quality, fluency, consistency = 10.0, 10.0, 10.0
        problems: list[str] = []
        view = given.view
        lines = view.lines
        titles = {line.shown.title for line in lines if line.shown}
        repeats = _repeats([line.text for line in lines], titles)
        if repeats:
            quality -= min(4.0, 0.8 * repeats)
            problems.append(f"{repeats} passages are repeated")
        wordy = sum(len(line.text.split()) > 75 for line in lines)
        quality -= 0.5 * wordy
        recommendations = [line for line in lines if line.act == "recommend"]
        if len(recommendations) == 1:
            quality -= 1.0
            problems.append("only one product was discussed")
        openings = [opening(line.text) for line in lines if line.act == "reject"]
        if len(set(openings)) < len(openings):
            fluency -= 3.0
            problems.append("two rejections open alike")
        if given.ending == "forced":
            fluency -= 2.0
            problems.append("the product was handed over, not found")
        for before, line in zip(lines, lines[1:], strict=False):
            if before.speaker == line.speaker:
                fluency -= 5.0
                problems.append("one side speaks twice running")
        wishes = understand(lines, self.shop)
        if given.accepted:
            for attribute, value in wishes.stated.items():
                if meets(given.accepted, attribute, value) is False:
                    consistency -= 2.5
                    problems.append(f"accepted without {attribute} {value}")
        said = " ".join(line.text for line in lines if line.speaker == "user")
        for requirement in view.requirements:
            if requirement.attribute and requirement.attribute not in wishes.stated:
                consistency -= 2.0
                problems.append(f"the requirement on {requirement.attribute} never came up")
        ignored = _ignored(lines, self.shop)
        if ignored:
            fluency -= 0.7 * ignored
            problems.append(f"{ignored} recommendations went against a stated wish")
        if _quotes(view.backstory, said, 8):
            consistency -= 3.0
            problems.append("the backstory is quoted")
        return ReviewOutput(
            content_quality=max(0.0, quality),
            logical_fluency=max(0.0, fluency),
            user_consistency=max(0.0, consistency),
            problems=problems,
        )

    def _rewrite(self, utterance: Utterance, rng: random.Random) -> str:
        words = lexicon()
        text = words.swap_around(utterance.text, utterance.keep, "", _SWAP_SHARE, rng)
        register = "colloquial.swap" if utterance.colloquial else "polished.swap"
        text = words.swap_around(text, utterance.keep, register, 0.7 if utterance.colloquial else 0.3, rng)
        sentences = _SENTENCES.split(text)
        if utterance.colloquial:
            if rng.random() < 0.35 and utterance.act != "greet":
                sentences[0] = f"{rng.choice(words.lists['colloquial.lead'])} {_lower(sentences[0], utterance.keep)}"
            if rng.random() < 0.3 and sentences[-1].endswith("."):
                sentences[-1] = sentences[-1][:-1] + rng.choice(words.lists["colloquial.tail"]) + "."
            if len(sentences) > 2 and rng.random() < 0.08:
                # Hurried people leave things out; whether that mattered is for the check to say.
                del sentences[rng.randrange(1, len(sentences))]
        new = tidy(" ".join(sentences))
        return new if count(new) <= max(3, count(utterance.text)) else utterance.text

    def _compare(self, draft: str, new: str, keep: tuple[str, ...]) -> Check:
        for title in keep:
            if title in draft and title not in new:
                return Check(same=False, reason=f"the product name {title!r} changed")
        for title in keep:
            draft, new = draft.replace(title, " "), new.replace(title, " ")
        before, after = Counter(self.shop.mentions(draft, True)), Counter(self.shop.mentions(new, True))
        if set(before) != set(after):
            changed = sorted(set(before) ^ set(after))[0]
            return Check(same=False, reason=f"{changed.attribute} {changed.value!r} was added or lost")
        if self.shop.kind_named(draft) != self.shop.kind_named(new):
            return Check(same=False, reason="the kind of product changed")
        if re.findall(r"\d+", draft) != re.findall(r"\d+", new):
            return Check(same=False, reason="a number changed")
        if _negations(draft) != _negations(new):
            return Check(same=False, reason="a negation was added or lost")
        if abs(len(_SENTENCES.split(draft)) - len(_SENTENCES.split(new))) > 0 and len(new) < 0.75 * len(draft):
            return Check(same=False, reason="a statement was lost")
        return Check(same=True, reason="")


def _negations(text: str) -> int:
    return sum(token in _NEGATIONS or token.endswith(("n't", "n’t")) for token in tokens(text))


def _lower(text: str, keep: tuple[str, ...]) -> str:
    first = text.split(" ", 1)[0]
    if first.startswith(("I'", "I’")) or first == "I" or any(text.startswith(k) for k in keep) or first.isupper():
        return text
    return text[:1].lower() + text[1:]


def _repeats(texts: list[str], titles: set[str]) -> int:
    """How many turns repeat a run of words from another one; product titles do not count."""
    seen: set[tuple[str, ...]] = set()
    repeats = 0
    for text in texts:
        for title in titles:
            text = text.replace(title, " ")
        words = tokens(text)
        runs = {words[i : i + _REPEATED] for i in range(len(words) - _REPEATED + 1)}
        repeats += bool(runs & seen)
        seen |= runs
    return repeats


def _ignored(lines: tuple[Line, ...], shop: Shop) -> int:
    """How many recommendations went against two or more wishes that had been stated by then."""
    ignored = 0
    for n, line in enumerate(lines):
        if line.act == "recommend" and line.shown:
            wishes = understand(lines[:n], shop)
            ignored += sum(meets(line.shown, a, v) is False for a, v in wishes.stated.items()) > 1
    return ignored


def _quotes(own: str, said: str, words: int) -> bool:
    """Whether `said` repeats a run of that many words of `own`."""
    ours, theirs = tokens(own), tokens(said)
    runs = {ours[i : i + words] for i in range(len(ours) - words + 1)}
    return any(theirs[i : i + words] in runs for i in range(len(theirs) - words + 1))
