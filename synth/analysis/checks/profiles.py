"""Who buys, and why: persons, requirements, backstories."""

from __future__ import annotations

from collections.abc import Iterator

from synth.analysis.checks.case import Case, Finding
from synth.corpora.attributes import words
from synth.corpora.naming import names_product
from synth.corpora.records import UserProfile

PERSON = "persons who contradict the product"
MINOR = "buyers under 18"
NUMBER = "requirements other than two"
UNMET = "requirements the target does not meet"
NAMED = "products named in their backstory"
CHECKS = (PERSON, MINOR, NUMBER, UNMET, NAMED)

_ADULT = 18
_ALSO_CALLED = {
    "mother": "mum mom mam mama mummy",
    "father": "dad papa daddy",
    "grandmother": "grandma granny nan nana gran",
    "grandfather": "grandpa granddad grandad gramps",
    "husband": "spouse partner",
    "wife": "spouse partner",
    "partner": "girlfriend boyfriend wife husband",
    "son": "boy child",
    "daughter": "girl child",
    "child": "son daughter kid",
}


def profile(case: Case) -> Iterator[Finding]:
    who = case.conversation.profile
    if who.person.age < _ADULT:
        yield case.found(MINOR, None, f"{who.person.name} is {who.person.age}")
    contradiction = _contradiction(case, who)
    if contradiction:
        yield case.found(PERSON, None, contradiction)
    texts = [requirement.text.strip() for requirement in who.requirements]
    if len(texts) != 2 or not all(texts) or texts[0].lower() == texts[-1].lower():
        yield case.found(NUMBER, None, f"{len(set(filter(None, texts)))} different requirements with a text")
    for requirement in who.requirements:
        if case.goods.get(who.target_id) and not case.goods.has(who.target_id, requirement):
            rests = f"{requirement.attribute} {requirement.value!r}"
            yield case.found(UNMET, None, f"{requirement.text!r} rests on {rests}, which {who.target_id} has not")
    named = names_product(who.backstory, case.goods.title(who.target_id), case.goods.brands.get(who.target_id))
    if named:
        yield case.found(NAMED, None, f"{who.target_id}: {named}")


def _contradiction(case: Case, who: UserProfile) -> str | None:
    """Why the product is not for whoever it is bought for."""
    person, recipient = who.person, who.recipient
    if recipient is None:
        misfit = case.goods.misfit(who.target_id, person.gender, False)
        return f"{person.name}, {person.gender or 'no gender'}, {person.age}: {misfit}" if misfit else None
    misfit = case.goods.misfit(who.target_id, recipient.gender, recipient.child)
    if misfit:
        return f"bought for their {recipient.relation}: {misfit}"
    if not _names(who.backstory, recipient.relation):
        return f"bought for their {recipient.relation}, of whom the backstory says nothing"
    return None


def _names(backstory: str, relation: str) -> bool:
    """Whether a text names a relative, possibly by another common word for the same."""
    # `words` drops apostrophes, so a possessive has an `s` more.
    said = {form for word in words(backstory) for form in (word, word.removesuffix("s"))}
    called = [word for word in words(relation) if len(word) > 2]
    return any(name in said for word in called for name in (word, *_ALSO_CALLED.get(word, "").split()))
