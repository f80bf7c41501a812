"""The information barrier: nothing of the hidden side reaches an assistant-side prompt, by type and in fact."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Person, Product, Requirement, Scenario, UserProfile
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.llm import offline
from synth.llm.provider import Reply, Request
from synth.prompts import calls
from synth.prompts.calls import CALLS, AssistantView, ProductCard, UserView
from synth.traces.run import RunFolder

HIDDEN = (UserView, UserProfile, Person, Requirement, Scenario)
SHINGLE = 7
RECORD = re.compile(r"<product .*?</product>", re.DOTALL)


def reachable(kind: object, seen: set[object]) -> set[object]:
    """Every type that a value of this type can hold."""
    if kind in seen:
        return seen
    seen.add(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind is not ProductCard:
        for hint in typing.get_type_hints(kind).values():
            reachable(hint, seen)
    for argument in typing.get_args(kind):
        reachable(argument, seen)
    return seen


@pytest.mark.parametrize("call", [c for c in CALLS.values() if c.side == "assistant"], ids=lambda c: c.name)
def test_assistant_inputs_have_no_place_for_the_hidden_side(call: calls.Call[typing.Any, typing.Any]) -> None:
    types = reachable(call.input, set())
    assert AssistantView in types
    assert not types.intersection(HIDDEN)


def test_the_search_for_reachable_types_finds_the_hidden_side_where_it_is() -> None:
    assert {UserView, Person, Requirement} <= reachable(calls.RejectInput, set())


def words(text: str) -> list[str]:
    return "".join(c.lower() if c.isalnum() else " " for c in text).split()


def shingles(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + SHINGLE]) for i in range(len(found) - SHINGLE + 1)}


@pytest.fixture(scope="module")
def asked(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Request], RunFolder]:
    """All requests of a run of 30 conversations."""
    requests: list[Request] = []
    complete = offline.OfflineProvider.complete

    async def spies(self: offline.OfflineProvider, request: Request) -> Reply:
        requests.append(request)
        return await complete(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline.OfflineProvider, "complete", spies)
        out = tmp_path_factory.mktemp("runs") / "run"
        generate(Options(catalog=catalogue, scenarios=100, convs=30, out=out))
    return requests, RunFolder.open(out)


def test_no_assistant_prompt_has_hidden_text(asked: tuple[list[Request], RunFolder], catalogue: Path) -> None:
    requests, run = asked
    products = Catalogue.open(catalogue)
    conversations: dict[int, Conversation] = {int(c.id[1:]): c for c in run.conversations()}
    scenarios = {s.id: s.text for s in run.scenarios()}
    checked = 0
    for request in requests:
        conversation = conversations.get(request.place.item)
        if request.call.side != "assistant" or conversation is None:
            continue
        profile = conversation.profile
        prompt = "\n".join(message.text for message in request.messages)
        prompt = RECORD.sub("", prompt)  # the shop's own words may happen to be those of a story
        view: AssistantView = request.given.view
        said = set().union(*(shingles(line.text) for line in view.lines), set())
        for secret in (profile.backstory, *(r.text for r in profile.requirements), scenarios[profile.scenario_id]):
            leaked = (shingles(secret) & shingles(prompt)) - said
            assert not leaked, f"{request.call.name} shows {sorted(leaked)[0]}"
        assert profile.person.name not in prompt
        shown = {line.shown.id for line in view.lines if line.shown}
        shown |= {card.id for card in getattr(request.given, "candidates", ())}
        shown |= {card.id for card in [getattr(request.given, "product", None)] if card}
        target: Product = products[conversation.target_id]
        if target.id not in shown:
            assert target.title not in prompt and f'"{target.id}"' not in prompt
        checked += 1
    assert checked > 200


def test_the_user_never_sees_the_target_where_fit_is_judged(asked: tuple[list[Request], RunFolder]) -> None:
    judged = [request for request in asked[0] if request.call is calls.JUDGE_FIT]
    assert judged
    assert not {UserView, UserProfile} & reachable(calls.JudgeFitInput, set())


def test_users_do_see_their_own_side(asked: tuple[list[Request], RunFolder]) -> None:
    rejections = [request for request in asked[0] if request.call is calls.REJECT]
    assert rejections
    for request in rejections:
        prompt = "\n".join(message.text for message in request.messages)
        assert request.given.view.backstory in prompt and request.given.view.target.title in prompt
