"""The phrases of the scripted answers, composed from many parts so that few texts come out alike."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

Draw = random.Random

RECIPIENTS: tuple[dict[str, Any], ...] = (
    {"relation": "sister", "gender": "female", "child": False},
    {"relation": "brother", "gender": "male", "child": False},
    {"relation": "friend", "gender": None, "child": False},
)
YES = ("Both go with the same occasion.", "Nothing speaks against it.", "It meets what was asked for.")
NO = ("The season differs.", "It misses one of the wishes.", "The style is another one.")
COMMON = frozenset(
    "the and for with that this have has had was are but not you your its they them from what when which would could "
    "need needs looking want wants like something one can will just then than there here more about into over after "
    "before also else think right well good great matters most hello thanks thank show hoping please open anything "
    "everything rather prefer instead shopping because too very really still only mean means far".split()
)

GREET = (
    ("Hello", "Hi there", "Good day", "Welcome"),
    ("!", ", good to see you."),
    (" What can I find for you?", " What are you after today?"),
)
ASK = (
    ("Happy to help.", "Good to know.", "That helps already.", "Let me narrow it down.", "Thanks for telling me."),
    (" Which colour", " What material", " What kind of fit", " Which pattern", " How warm a piece",
    " What sort of cut"),
    (" would you like best?", " do you have in mind?", " matters most to you?", " should I look for?"),
)  # fmt: skip
ANSWER = (
    (
        "I am open about that.",
        "No strong feelings there.",
        "Hard to say.",
        "Either way is fine.",
        "I have not decided.",
    ),
    (
        " What counts is this: {need}.",
        " But please: {need}.",
        " The other thing is {need}.",
        " I also hope for {need}.",
    ),
)
RECOMMEND = (
    (
        "How about the {title}?",
        "Take a look at the {title}.",
        "I would suggest the {title}.",
        "My pick is the {title}.",
    ),
    (" It answers what you said, since {trait}.", " I chose it because {trait}.", " It helps you that {trait}."),
    (" In the picture you can see {seen}.", " Notice {seen} in the photo.", " The photo shows {seen} well."),
)
CHAT_REPLY = (
    ("That is nice to hear.", "I can imagine.", "Fair enough.", "Ha, understood.", "How lovely."),
    (" So what do you make of the {kind}?", " And the {kind} I showed you?", " Back to the {kind}: any thoughts?"),
)
USER_CHAT = (
    ("I keep looking at {seen}.", "My eye goes straight to {seen}.", "Funny, {seen} reminds me of a holiday."),
    (
        " It has been a long week.",
        " The kettle is on, by the way.",
        " My neighbour would have a view.",
        " Let me think.",
    ),
)
ACCEPT = (
    ("Yes, I will take it.", "That is the one.", "Perfect, this is it.", "Good, I am convinced.", "Sold."),
    (" I like that {trait}, and {seen} settles it.", " For my day it matters that {trait}; {seen} is a bonus."),
)
REASON = (
    ("For the {name} I had hoped for {wanted}.", "The {name} should be {wanted}."),
) + (("", " That matters to me.", " Otherwise it will not work."),)  # fmt: skip
REJECT = (
    "Not quite, I am afraid.", "Hmm, I do not think so.", "Sorry, this one is not for me.", "Close, but no.",
    "I would pass on it.", "That misses the mark a little.", "Thanks, though I hesitate here.", "Nice, yet not mine.",
    "My feeling says no.", "Honestly, I cannot see it.", "Let us keep looking.", "Maybe for somebody else.",
    "Well, it nearly works.", "Almost there, still not it.", "Could we try another?", "Unfortunately it falls short.",
    "Good effort, but no.", "Looking closer, I would rather not.", "It is a no from me.",
    "Perhaps something different.",
)  # fmt: skip
CAPTION = (
    "Made for ordinary days and a few better ones.", "It is easy to combine.", "The cut is plain and sits close.",
    "Its details are small and neat.", "It suits mild weather.", "The picture shows it from the front.",
    "Seams and edges are finished with care.", "It can be worn for many hours.",
)  # fmt: skip

_EVENT = (
    "an open-air concert", "a village wedding", "a long train journey", "a school reunion", "a job interview",
    "a river cruise", "a mountain hike", "a gallery opening", "a garden party", "a language course", "a charity run",
    "a housewarming", "a week by the sea", "a cooking class", "a book fair", "a theatre evening", "a harvest supper",
    "a moving day", "a birthday breakfast", "a dance course", "a ferry crossing", "a class photograph", "a trade fair",
    "a night market", "a choir rehearsal", "a first day at the office", "a retirement lunch", "a christening",
    "a camping weekend", "a museum visit", "a street festival", "a farm stay", "a quiz night", "a bicycle tour",
    "a winter walk", "a city break", "a poetry reading", "a rowing regatta", "an allotment open day", "an art auction",
)  # fmt: skip
_WHEN = (
    "in early March", "on a Friday night", "at the end of May", "in a rainy June", "before the holidays",
    "next Tuesday",
    "in the first frost", "on a hot August day", "late in October", "at dawn", "over the long weekend",
    "in mid-November",
    "on the second Sunday", "after the exams", "in spring", "around midsummer", "in a windy April", "during the fair",
    "just after New Year", "on a mild evening",
)  # fmt: skip
_WITH = (
    "cold stone floors", "dancing until late", "steep stairs everywhere", "a long queue outside", "old friends to meet",
    "speeches in a warm hall", "muddy paths", "photographs on the lawn", "a sea breeze", "hours on foot", "loud music",
    "strict people at the door", "a picnic on the grass", "a shared table", "rain in the forecast",
    "a walk home at night",
    "children everywhere", "a stage to climb", "a bus full of strangers", "candles and little light", "a host to thank",
    "dust in the air", "a cloakroom that is full", "sunshine all day", "a quiet drive back", "strong coffee and cake",
    "a draughty tent", "a formal toast", "a game for all ages", "icy pavements",
)  # fmt: skip

_MOOD = (
    "restless", "cheerful", "tired but hopeful", "a little nervous", "curious", "proud", "uneasy", "quietly excited",
    "impatient", "calm", "in two minds", "glad", "doubtful", "full of plans", "relieved", "homesick",
)  # fmt: skip
_CAUSE = (
    "the invitation had come late", "the last attempt had gone wrong", "nobody at home could give advice",
    "a friend had promised to be there", "the old things had been given away", "the move had swallowed every box",
    "there had been little to look forward to lately", "years had passed since anything like it",
    "an aunt had asked about it twice", "the weather could not be trusted", "the photographs would stay for good",
    "so many people were going to be there", "the doctor had ordered more fresh air", "a promise had to be kept",
)  # fmt: skip
_LIFE = (
    "{first} was {age} and lived above a bakery", "At {age}, {first} had just changed flats",
    "{first}, {age}, shared a house with two cats", "Everybody knew {first}, {age}, for keeping lists",
    "{first} had turned {age} in a small town by the canal", "For {first}, {age}, weekends were short",
    "{first} ({age}) rarely bought anything in a hurry", "By {age}, {first} had learned to plan ahead",
    "Nobody would call {first}, now {age}, a keen shopper", "{first} had spent most of {age} years near the coast",
    "At the age of {age}, {first} still wrote letters by hand", "{first}, who was {age}, sang on Thursdays",
)  # fmt: skip
_WORK = (
    "worked as {job}", "made a living as {job}", "had long been employed as {job}", "went to work each day as {job}",
    "earned an honest wage as {job}", "liked the work of {job}", "had found a place as {job}", "paid the rent as {job}",
)  # fmt: skip
_EVENT_AHEAD = (
    "What lay ahead was {reason}.", "The calendar had one big entry: {reason}.",
    "There was a reason to shop: {reason}.",
    "It all began with {reason}.", "Then came the news of {reason}.", "For weeks the talk had been of {reason}.",
    "On the kitchen door hung a note about {reason}.", "Everything now turned on {reason}.",
)  # fmt: skip
_FOUND = (
    "The wardrobe had been searched from top to bottom", "Two shops had closed before anything was found",
    "A neighbour had lent something that did not fit", "Half a Sunday went by over old catalogues",
    "The first parcel had been sent back", "A walk through the arcades had led to nothing",
    "The market had only had the wrong sizes", "An evening on the sofa brought no idea",
    "A cousin's advice had been of little use", "Three lists were written and thrown away",
    "The mirror had settled the matter quickly", "Everything tried so far had pinched or slipped",
)  # fmt: skip
_SO = (
    "so it was time to ask somebody who knew", "and the days were running out", "and still nothing felt right",
    "which made the choice no easier", "so the search moved online", "and patience was wearing thin",
    "but giving up was out of the question", "and a decision was due by Monday",
)  # fmt: skip
_NEEDS = (
    "Two things were clear: {a}, and {b}.", "It came down to {a} and also {b}.",
    "First on the list stood {a}, then {b}.",
    "Most of all there had to be {a}; besides that, {b}.",
    "{First} would settle for no less than {a} together with {b}.",
    "The wish was simple: {a}, if possible {b} as well.", "Nothing would do without {a}, nor without {b}.",
    "In the end only {a} counted, and next to it {b}.",
)  # fmt: skip
_NEED = (
    "something {value} that can be trusted", "a {value} sort of thing", "something that is {value} through and through",
    "a piece known to be {value}", "something {value}, for peace of mind", "a choice that is plainly {value}",
    "something {value} to rely on", "a find that is {value} at heart",
)  # fmt: skip

_SWAPS = (
    ("I would", "I'd"), ("I will", "I'll"), ("I am ", "I'm "), ("I do not", "I don't"), ("That is", "That's"),
    ("It is ", "It's "), ("cannot", "can't"), ("picture", "photo"), ("because", "since"), ("like best", "prefer"),
    ("matters most", "is most important"), ("had hoped for", "was hoping for"), ("Take a look at", "Have a look at"),
    ("I have", "I've"), ("a little", "a bit"), ("looking for", "after"),
)  # fmt: skip
_LAST_STOP = re.compile(r"([.!?])$")
_TAILS = (", really", ", to be honest", ", I think", ", you know", " for me", " now")
_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou])")


def fill(draw: Draw, parts: Sequence[Sequence[str]], **values: str) -> str:
    """One phrase of each part, joined and filled."""
    return "".join(draw.choice(part) for part in parts).format(**values)


def scenario(draw: Draw) -> str:
    """A reason to shop: 12 to 30 words."""
    first, second = draw.sample(_WITH, 2)
    return f"{draw.choice(_EVENT)} {draw.choice(_WHEN)}, with {first} and {second}, for {draw.randint(2, 90)} guests."


def need(draw: Draw, value: str) -> str:
    """A requirement that rests on a value of a record."""
    return _article(draw.choice(_NEED).format(value=value))


def opening_need(draw: Draw, kind: str, first: str, photo: str) -> str:
    """How a customer begins.

    Args:
        photo: what their own picture shows; empty if there is none.
    """
    start = draw.choice(("I am looking for", "I need some", "Could you show me", "I am after", "I would like some"))
    why = draw.choice(("There is an occasion coming up.", "Something is planned soon.", "It cannot wait much longer."))
    text = f"{why} {start} {kind}: {first[:1].lower()}{first[1:]}."
    return f"{text} It has to go with the {photo} in my photo." if photo else text


def backstory(draw: Draw, *, first: str, age: str, job: str, reason: str, recipient: str, needs: Sequence[str]) -> str:
    """A purchase backstory of 70 to 130 words."""
    work = _article(draw.choice(_WORK).format(job=f"a {job}"))
    whom = f" It was all meant for the {recipient}." if recipient else ""
    parts = (
        f"{draw.choice(_LIFE).format(first=first, age=age)} and {work}.",
        draw.choice(_EVENT_AHEAD).format(reason=reason),
        f"{first} felt {draw.choice(_MOOD)} and {draw.choice(_MOOD)} at once, for {draw.choice(_CAUSE)}.{whom}",
        f"{draw.choice(_FOUND)}, {draw.choice(_SO)}.",
        f"After {draw.randint(2, 40)} days of {draw.choice(_DELAY)} {first} {draw.choice(_TURNS)}.",
        draw.choice(_NEEDS).format(First=first, a=needs[0], b=needs[1]),
    )
    return " ".join(parts)


_DELAY = (
    "thinking it over", "putting it off", "asking around", "other duties", "bad weather", "visitors", "overtime",
    "small repairs at home", "looking in vain", "a stubborn cold", "rehearsals", "paperwork",
)  # fmt: skip
_TURNS = (
    "made a pot of tea and began in earnest", "switched on the lamp and started to search",
    "took a free afternoon for it",
    "decided to do it properly", "sat down with a notebook", "called it a task like any other", "set the alarm early",
    "cancelled a dinner and got to work", "let the telephone ring and looked", "chose to trust a stranger's taste",
)  # fmt: skip


def vary(draw: Draw, text: str) -> str:
    """The same in slightly other words; the first three words change only by a contraction."""
    varied = text
    for old, new in _SWAPS:
        varied = varied.replace(old, new)
    if varied == text:
        varied = _LAST_STOP.sub(lambda stop: draw.choice(_TAILS) + stop[1], text)
    return varied


def _article(text: str) -> str:
    return _VOWEL.sub(r"\1n ", text)
