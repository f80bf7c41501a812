"""Scripted answers: a pure function of what is asked, plausible for every agent call of ours, quick to make.

Which call it is shows in the fields of the answer's schema and in the words of the task. Anything else that has a
schema gets the smallest answer that fits it, and anything without one a sentence.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from synth.text import opening
from tests.support.fakes import words
from tests.support.fakes.ask import Ask
from tests.support.fakes.prompt import Card, card_ids, cards, told, utterances

MATCHES = 0.85
FITS = 0.10
OUTFITS = 0.50
SAME = 0.97
"""Of rewrites, in the check's eyes."""
FAILS_REVIEW = 0.08

Draw = random.Random
_COUNT = re.compile(r"Write (\d+) new reasons")
_PAIRS = re.compile(r"Check the (\d+) pairs")
_ASIN = re.compile(r"\bB[A-Z0-9]{9}\b")
_WORD = re.compile(r"[a-z]{3,}")


def scripted(ask: Ask) -> str:
    """The answer's text."""
    draw = Draw(ask.asked)
    task = ask.texts[-1][1] if ask.texts else ""
    if ask.schema is None:
        return "Understood."
    make = _BY_FIELDS.get(frozenset(ask.schema.get("properties", ())))
    answer = make(ask, task, draw) if make else _smallest(ask.schema, ask.schema)
    return json.dumps(answer, ensure_ascii=False)


# ---- before the conversation


def _scenarios(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    count = _COUNT.search(task)
    return {"scenarios": [words.scenario(draw) for _ in range(int(count[1]) if count else 4)]}


def _match(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    fits = draw.random() < MATCHES
    gift = "present" in task or "gift" in task
    recipient = draw.choice(words.RECIPIENTS) if fits and gift else None
    reason = "It suits who is going to wear it, and the occasion." if fits else "It does not suit the occasion."
    return {"person_fits": fits, "recipient": recipient, "scenario_fits": fits, "reason": reason}


def _backstory(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    card = (cards(task) or [Card("", "")])[0]
    basis: list[tuple[str | None, str]] = [*card.harmless]
    draw.shuffle(basis)
    basis = (basis + [(None, "easy to look after"), (None, "good for more than one day")])[:2]
    needs = [words.need(draw, value) for _, value in basis]
    person = told(task, "Person").split(", ")
    story = words.backstory(
        draw,
        first=person[0].split(" ")[0],
        age=person[2] if len(person) > 2 else "40",
        job=person[3] if len(person) > 3 else "clerk",
        reason=told(task, "Reason to shop").rstrip("."),
        recipient=told(task, "Bought for").removeprefix("their "),
        needs=needs,
    )
    requirements = [
        {"text": need[0].upper() + need[1:], "attribute": name, "value": value if name else None}
        for need, (name, value) in zip(needs, basis, strict=True)
    ]
    return {"backstory": story, "requirements": requirements}


def _verdict(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    judges = "Requirements:" in task
    verdict = draw.random() < (FITS if judges else OUTFITS)
    return {"verdict": verdict, "reason": draw.choice(words.YES if verdict else words.NO)}


# ---- the conversation


def _utterance(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    shown = cards(task)
    if shown:
        say = next((say for cue, say in _SAY_OF_PRODUCT.items() if cue in task), _chat_reply)
        return {"text": say(shown[-1], draw)}
    first, second = told(task, "Your first requirement"), told(task, "Your second requirement")
    if first:
        kind, photo = told(task, "The kind of product"), told(task, "On your photo")
        return {"text": words.opening_need(draw, kind or "things", first.rstrip("."), photo)}
    if second:
        return {"text": words.fill(draw, words.ANSWER, need=_lower(second.rstrip(".")))}
    return {"text": words.fill(draw, words.ASK if "question" in task else words.GREET)}


def _recommend(card: Card, draw: Draw) -> str:
    return words.fill(draw, words.RECOMMEND, title=card.title, trait=_trait(card, draw), seen=_seen(card, draw))


def _chat_reply(card: Card, draw: Draw) -> str:
    return words.fill(draw, words.CHAT_REPLY, kind=card.kind)


def _accept(card: Card, draw: Draw) -> str:
    return words.fill(draw, words.ACCEPT, trait=_trait(card, draw), seen=_seen(card, draw))


def _user_chat(card: Card, draw: Draw) -> str:
    return words.fill(draw, words.USER_CHAT, seen=_seen(card, draw))


_SAY_OF_PRODUCT: dict[str, Callable[[Card, Draw], str]] = {
    "Recommend ": _recommend,
    "Answer the customer": _chat_reply,
    "Write your remark": _user_chat,
    "Write your message": _accept,
}


def _reject(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    shown = cards(task)
    target, other = (shown[0], shown[-1]) if shown else (Card("", ""), Card("", ""))
    mine, yours = dict(target.traits), dict(other.traits)
    differing = [(name, value) for name, value in mine.items() if yours.get(name, value) != value]
    wanted = (differing + [(name, value) for name, value in mine.items() if name not in yours])[:2]
    reasons: list[dict[str, Any]] = [
        {"text": words.fill(draw, words.REASON, name=name, wanted=value), "attribute": name, "wanted": value}
        for name, value in wanted
    ] or [{"text": "It is not quite what I need.", "attribute": None, "wanted": None}]
    used = set(told(task, "Openings you have used").split("; "))
    free = [phrase for phrase in words.REJECT if opening(phrase) not in used]
    text = " ".join([draw.choice(free or words.REJECT), *(reason["text"] for reason in reasons)])
    return {"reasons": reasons, "text": text}


def _differ(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    shown = cards(task) or [Card("", "")]
    mine, yours = (dict((*card.traits, *card.seen)) for card in (shown[0], shown[-1]))
    pictured = {name for name, _ in shown[0].seen}
    differences = [
        {"attribute": name, "target": value, "shown": yours[name], "in_picture": name in pictured}
        for name, value in mine.items()
        if value and yours.get(name, value) != value
    ]
    return {"differences": differences[:8]}


def _query(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    said = [text for role, text in ask.texts[:-1] if role == "user"]
    common = words.COMMON
    terms = dict.fromkeys(word for text in said for word in _WORD.findall(text.lower()) if word not in common)
    query = " ".join(list(terms)[:14]) or "casual"
    clarified = [" ".join(text.split()[-6:]).rstrip(".") for text in said]
    return {"needs": f"The customer wants: {query}.", "clarified": clarified, "query": query}


def _rerank(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    ids = card_ids(task) or ["none"]
    return {"id": draw.choice(ids), "reason": "It meets what was asked for best."}


# ---- after the conversation


def _rewrite(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    return {"texts": [words.vary(draw, text) for _, text in utterances(task)]}


def _check(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    count = _PAIRS.search(task)
    same = [draw.random() < SAME for _ in range(int(count[1]) if count else 0)]
    return {"checks": [{"same": one, "reason": "" if one else "a fact was lost"} for one in same]}


def _review(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    low, high, problems = (6.0, 7.8, ["reasons repeat"]) if draw.random() < FAILS_REVIEW else (8.1, 9.8, [])
    scores = [round(draw.uniform(low, high), 1) for _ in range(3)]
    return {
        "content_quality": scores[0],
        "logical_fluency": scores[1],
        "user_consistency": scores[2],
        "problems": problems,
    }


def _caption(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    card = (cards(task) or [Card("", "")])[0]
    facts = ". ".join(f"{name}: {value}" for name, value in (*card.traits, *card.seen))
    return {"summary": f"{card.title}. {facts}. " + " ".join(draw.sample(words.CAPTION, 3))}


def _look(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    return {"description": " ".join(draw.sample(words.CAPTION, 5))}


def _aspects(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    names = ("naturalness", "coherence", "informativeness", "relevance", "image_text")
    answer: dict[str, Any] = {name: draw.randint(16, 40) * 5 / 100 for name in names}
    if "there are no pictures" in ask.texts[0][1]:
        answer["image_text"] = None
    return answer


def _compare(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    names = ("logical", "informative", "natural", "coherent", "overall")
    better = {name: draw.choice(("first", "second", "tie")) for name in names}
    return {**better, "reason": "It follows more closely what was said."}


def _elements(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    kinds = ("question", "requirement", "explanation", "small_talk")
    numbers = re.findall(r"^(\d+) (?:user|assistant): ", task, re.MULTILINE)
    return {"sentences": [{"number": int(number), "elements": [draw.choice(kinds)]} for number in numbers]}


def _answer(ask: Ask, task: str, draw: Draw) -> dict[str, Any]:
    """One of the ids in the question, where it has any of Amazon's form."""
    ids = sorted(set(_ASIN.findall(task)))
    return {"answer": f"I would take {draw.choice(ids)}." if ids else "Understood."}


_BY_FIELDS: dict[frozenset[str], Callable[[Ask, str, Draw], dict[str, Any]]] = {
    frozenset({"scenarios"}): _scenarios,
    frozenset({"person_fits", "recipient", "scenario_fits", "reason"}): _match,
    frozenset({"backstory", "requirements"}): _backstory,
    frozenset({"verdict", "reason"}): _verdict,
    frozenset({"text"}): _utterance,
    frozenset({"reasons", "text"}): _reject,
    frozenset({"differences"}): _differ,
    frozenset({"needs", "clarified", "query"}): _query,
    frozenset({"id", "reason"}): _rerank,
    frozenset({"texts"}): _rewrite,
    frozenset({"checks"}): _check,
    frozenset({"content_quality", "logical_fluency", "user_consistency", "problems"}): _review,
    frozenset({"summary"}): _caption,
    frozenset({"description"}): _look,
    frozenset({"naturalness", "coherence", "informativeness", "relevance", "image_text"}): _aspects,
    frozenset({"logical", "informative", "natural", "coherent", "overall", "reason"}): _compare,
    frozenset({"sentences"}): _elements,
    frozenset({"answer"}): _answer,
}


def _smallest(schema: Any, root: dict[str, Any]) -> Any:
    """The first or smallest value that fits a schema."""
    if "$ref" in schema:
        return _smallest(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for name in ("enum", "anyOf"):
        if name in schema:
            return schema["enum"][0] if name == "enum" else _smallest(schema["anyOf"][0], root)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        return {name: _smallest(inner, root) for name, inner in schema.get("properties", {}).items()}
    values: dict[str, Any] = {"string": "ok", "integer": 1, "number": 1.0, "boolean": True, "array": []}
    return values.get(kind)


def _trait(card: Card, draw: Draw) -> str:
    name, value = draw.choice(card.traits or [("look", "simple")])
    return f"the {name} is {value}"


def _seen(card: Card, draw: Draw) -> str:
    name, value = draw.choice(card.seen or card.traits or [("look", "simple")])
    return f"the {name} ({value})"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
