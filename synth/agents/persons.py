"""Synthetic adults whose age and profession fit together. Names and professions come from Faker."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import TYPE_CHECKING

from synth.corpora.records import Gender, Person

if TYPE_CHECKING:
    from faker import Faker

_YOUNGEST, _OLDEST = 18, 82
_RETIRES = 67
_STUDENT_JOBS = (
    "student of biology", "student of history", "law student", "nursing student", "engineering student", "art student",
    "apprentice electrician", "apprentice baker", "apprentice carpenter", "barista", "shop assistant", "trainee chef",
    "au pair", "lifeguard", "waiter", "music student", "student of economics", "call centre agent", "warehouse worker",
    "trainee hairdresser", "delivery rider", "languages student", "sports science student", "film student",
)  # fmt: skip
_SENIOR = re.compile(
    r"\b(director|surgeon|judge|professor|consultant|barrister|chief|head|senior|manager|executive|specialist|"
    r"magazine features editor|diplomatic|psychiatrist|cardiologist|principal|chartered|commissioner)\b"
)
_DEGREE = re.compile(
    r"\b(engineer|doctor|scientist|psycholog\w+|solicitor|lawyer|architect|teacher|lecturer|accountant|therapist|"
    r"pharmacist|dentist|veterinary|researcher|chemist|physicist|geologist|geographer|biologist|statistician|analyst|"
    r"economist|librarian|archivist|curator|surveyor|planner|optometrist|radiographer|dietitian|nurse|midwife|"
    r"officer|pilot|actuary|auditor|archaeologist|physiologist|ecologist|pathologist|geneticist|toxicologist|"
    r"pharmacologist|oncologist|immunologist|microbiologist|hydrologist|meteorologist|astronomer|minister)\b"
)
_GENDERED = {"waiter": {"female": "waitress"}, "call centre agent": {}}
_PLAIN = re.compile(r"\s*[(/].*$")
_PERSON = re.compile(
    r"(?<!m)(er|or|ist|ian|ant|ent|person|nurse|clerk|pilot|judge|eon|ect|ive|ary|yst|midwife|guide|coach|critic|chef)$"
)
"""Endings of words for people; Faker also lists fields (`armed forces logistics`)."""


def draw_person(rng: random.Random, gender: Gender | None) -> Person:
    """A person of the given gender; None draws either."""
    drawn: Gender = gender or ("female" if rng.random() < 0.5 else "male")
    faker = _faker()
    faker.seed_instance(rng.getrandbits(48))
    first = faker.first_name_female() if drawn == "female" else faker.first_name_male()
    age = min(_OLDEST, _YOUNGEST + int(rng.betavariate(1.3, 2.0) * (_OLDEST - _YOUNGEST + 1)))
    return Person(name=f"{first} {faker.last_name()}", gender=drawn, age=age, profession=_profession(age, drawn, rng))


def _profession(age: int, gender: Gender, rng: random.Random) -> str:
    if age <= 21 or (age <= 24 and rng.random() < 0.4):
        job = rng.choice(_STUDENT_JOBS)
        return _GENDERED.get(job, {}).get(gender, job)
    jobs = _jobs()
    while True:
        job = rng.choice(jobs)
        if age < 34 and _SENIOR.search(job):
            continue
        if age < 24 and _DEGREE.search(job):
            continue
        return f"retired {job}" if age >= _RETIRES else job


@cache
def _faker() -> Faker:
    from faker import Faker

    return Faker("en_US")


@cache
def _jobs() -> list[str]:
    """Faker's professions as one would say them: `Engineer, electrical` is an electrical engineer."""
    from faker.providers.job.en_US import Provider

    names = set()
    for entry in Provider.jobs:
        name = _PLAIN.sub("", str(entry)).strip().lower()
        head, _, rest = name.partition(", ")
        spoken = f"{rest} {head}" if rest else head
        if rest and (" and " in rest or "," in rest) or len(spoken) > 32 or spoken.startswith(("it ", "sub ")):
            continue
        if not _PERSON.search(spoken) or ("/" in str(entry) and not rest):
            continue
        names.add(spoken.replace("pr ", "PR ").replace("tv", "TV") if spoken.startswith(("pr ", "tv")) else spoken)
    return sorted(names)
