"""A draw written out: as a tree in the terminal, or as Markdown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from synth.cli.plain import line, safe
from synth.traces.tree import Branch, DrawTree, Review, Search, Shown, StepLeaf

Detail = Literal["turns", "steps", "full"]
_MARKS = re.compile(r"([\\`*_\[\]#|~])")
_VERDICTS = {True: "green", False: "red"}


def outline(draw: DrawTree, detail: Detail) -> Tree:
    """The tree of a draw: turns, and under each its steps, folded as far as `detail` says."""
    root = Tree(_head(draw), guide_style="dim")
    for branch in draw.branches:
        node = root.add(_title(branch))
        for choice in branch.choices:
            node.add(Text(f"manager chooses {choice.choice}: {line(choice.reason)}", "magenta"))
        if detail == "turns":
            if branch.steps:
                names = ", ".join(step.call for step in branch.steps)
                node.add(Text(f"{line(names)} · {_sums(branch.steps)}", "dim"))
        else:
            for step in branch.steps:
                leaf = node.add(step_line(step))
                if detail == "full":
                    leaf.add(step_body(step))
        if branch.search is not None:
            node.add(_search_body(branch.search) if detail != "turns" else Text(_stood(branch.search), "cyan"))
        if branch.rewrite is not None:
            kept = branch.rewrite.kept
            said = f"draft kept, {line(branch.rewrite.reason)}" if kept else "rewritten"
            rewritten = node.add(Text(said, "red" if kept else "yellow"))
            if detail != "turns" or kept:
                rewritten.add(Text(f"before: {line(branch.rewrite.before)}", "dim"))
                rewritten.add(Text(f"after:  {line(branch.rewrite.after)}", "dim"))
    if draw.review is not None:
        root.add(Text(review_line(draw.review), _VERDICTS[draw.review.accepted]))
    if draw.reason:
        root.add(Text(f"refused by {line(draw.verdict)}: {line(draw.reason)}", "bold red"))
    return root


def step_line(step: StepLeaf) -> Text:
    """A step in one line: who asked what of which model, and what it came to."""
    text = Text.assemble((line(step.call), "bold blue"), (f"  {line(step.model)}  {_cost(step)}", "dim"))
    for said, shown in (
        (f"  {step.tries} tries", step.tries > 1),
        ("  asked again: the reply broke the schema", step.repair),
        ("  from the log", step.logged),
    ):
        if shown:
            text.append(said, "red")
    return text.append(f"  #{line(step.anchor)}", "dim cyan")


def step_body(step: StepLeaf) -> RenderableType:
    """A step's messages and reply in full."""
    parts: list[RenderableType] = []
    for message in step.messages:
        parts += [Text(message.role, "bold"), Padding(Text(safe(message.text)), (0, 0, 1, 2))]
    if step.images:
        parts.append(Text(f"pictures: {line(', '.join(step.images))}", "dim"))
    parts += [Text("reply", "bold green"), Padding(Text(safe(pretty(step.reply))), (0, 0, 1, 2))]
    return Group(*parts)


def markdown(draw: DrawTree, detail: Detail) -> str:
    """The draw as Markdown; its texts are text there, whatever they hold."""
    return "\n".join(_markdown(draw, detail)) + "\n"


def step_markdown(step: StepLeaf) -> str:
    return "\n".join(_step_markdown(step, full=True)) + "\n"


def review_line(review: Review) -> str:
    scores = review.scores
    told = f"; {line('; '.join(review.problems))}" if review.problems else ""
    verdict = "accepted" if review.accepted else "refused"
    return (
        f"review {review.total:g} of 30 ({verdict}): content {scores.content_quality:g}, "
        f"fluency {scores.logical_fluency:g}, user {scores.user_consistency:g}{told}"
    )


def pretty(reply: str) -> str:
    """A reply as indented JSON, or as it is where it is none."""
    try:
        return json.dumps(json.loads(reply), indent=2, ensure_ascii=False)
    except ValueError:
        return reply


def _head(draw: DrawTree) -> Text:
    ending = f", {draw.ending}" if draw.ending else ""
    text = Text.assemble((draw.id, "bold"), f"  {line(draw.verdict)}{ending}  ", (_sums(tuple(draw.steps())), "dim"))
    for told in _facts(draw):
        text.append(f"\n{told}")
    return text


def _facts(draw: DrawTree) -> Iterator[str]:
    """What is told of a draw before its turns."""
    if draw.scenario:
        yield f"scenario ({line(draw.family)}): {line(draw.scenario)}"
    if draw.profile is not None:
        person = draw.profile.person
        yield line(f"user: {person.name}, {person.gender or 'no gender'}, {person.age}, {person.profession}")
        yield f"wants: {line('; '.join(requirement.text for requirement in draw.profile.requirements))}"
    if draw.target is not None:
        yield f"target: {_product(draw.target)}"
    if draw.accepted is not None:
        yield f"took: {_product(draw.accepted)}"


def _title(branch: Branch) -> Text:
    if branch.speaker is None:
        return Text(f"turn {branch.name}, not said" if branch.name.isdigit() else branch.name, "bold")
    colour = "green" if branch.speaker == "user" else "blue"
    text = Text.assemble((f"{branch.name} {branch.speaker}", f"bold {colour}"), (f" {branch.act}  ", "dim"))
    text.append(line(branch.text))
    for product in branch.products:
        text.append(f"\n▸ {_product(product)}", "cyan")
    return text


def _product(product: Shown) -> str:
    return line(f"{product.title} [{product.id}]")


def _stood(search: Search) -> str:
    rank = search.target_rank
    stood = "the target is not among them" if rank is None else f"the target is number {rank + 1}"
    found = search.retrieval
    return f"search “{line(found.query)}”: {len(found.candidates)} candidates, {stood}"


def _search_body(search: Search) -> RenderableType:
    text = Text(_stood(search), "cyan")
    for candidate, marks in _candidates(search):
        text.append(f"\n{candidate}", "bold cyan" if marks else "dim")
        text.append(marks, "bold yellow")
    return text.append(f"\nchosen because: {line(search.retrieval.reason)}")


def _candidates(search: Search) -> Iterator[tuple[str, str]]:
    """Candidates in order, and what is special about each."""
    for found in search.retrieval.candidates:
        marks = " ← chosen" if found.id == search.retrieval.chosen else ""
        marks += " ← target" if found.rank == search.target_rank else ""
        yield (
            f"{found.rank + 1:>3}  {found.score:>9.4f}  {line(search.titles.get(found.id, ''))} [{line(found.id)}]",
            marks,
        )


def _cost(step: StepLeaf) -> str:
    read = f"{step.input_tokens:,} in ({step.cached_tokens:,} cached, {step.image_tokens:,} image)"
    return f"{read}, {step.output_tokens:,} out  {step.usd:.5f} USD  {step.seconds:.2f} s"


def _sums(steps: Iterable[StepLeaf]) -> str:
    all_ = list(steps)
    tokens = sum(step.input_tokens + step.output_tokens for step in all_)
    usd, seconds = sum(step.usd for step in all_), sum(step.seconds for step in all_)
    return f"{len(all_)} call{'' if len(all_) == 1 else 's'}, {tokens:,} tokens, {usd:.5f} USD, {seconds:.2f} s"


def _markdown(draw: DrawTree, detail: Detail) -> Iterator[str]:
    ending = f", {draw.ending}" if draw.ending else ""
    yield f"# {draw.id}: {_escape(draw.verdict)}{ending}\n"
    for told in _facts(draw):
        yield f"- {_escape(told)}"
    for branch in draw.branches:
        said = f" {branch.speaker}, {branch.act}" if branch.speaker else ""
        yield f"\n## {branch.name}{said}\n"
        if branch.text:
            yield f"> {_escape(branch.text)}\n"
        yield from (f"- product: {_escape(_product(product))}" for product in branch.products)
        if branch.rewrite is not None:
            kept = f"draft kept, {branch.rewrite.reason}" if branch.rewrite.kept else "rewritten"
            yield f"- {_escape(kept)}"
            yield f"  - before: {_escape(branch.rewrite.before)}"
            yield f"  - after: {_escape(branch.rewrite.after)}"
        yield from (f"- manager chooses {choice.choice}: {_escape(choice.reason)}" for choice in branch.choices)
        if branch.search is not None:
            yield f"- {_escape(_stood(branch.search))}"
            yield from (f"  - {_escape(' '.join(text.split()) + marks)}" for text, marks in _candidates(branch.search))
        if detail == "turns" and branch.steps:
            yield f"- {_sums(branch.steps)}"
        elif detail != "turns":
            for step in branch.steps:
                yield from _step_markdown(step, full=detail == "full")
    if draw.review is not None:
        yield f"\n{_escape(review_line(draw.review))}"
    if draw.reason:
        yield f"\n**Refused by {_escape(draw.verdict)}**: {_escape(draw.reason)}"


def _step_markdown(step: StepLeaf, *, full: bool) -> Iterator[str]:
    yield f"- **{_escape(step.call)}** {_escape(step.model)}, {_cost(step)}, tries {step.tries}, `{line(step.anchor)}`"
    if full:
        for message in step.messages:
            yield f"\n{message.role}:\n\n{_fenced(message.text)}"
        yield f"\nreply:\n\n{_fenced(pretty(step.reply))}\n"


def _escape(text: str) -> str:
    """A text in one line that Markdown takes as text."""
    return _MARKS.sub(r"\\\1", html.escape(line(text), quote=False))


def _fenced(text: str) -> str:
    """A text as a code block, with a fence longer than any in it."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{safe(text)}\n{fence}"
