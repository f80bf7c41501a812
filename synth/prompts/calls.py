"""The typed input and output of every agent call.

Who may see what is decided here: an assistant-side call takes an `AssistantView`, which has no field for the
profile, the scenario, the target or the requirements, so no assistant-side prompt can be written that shows them.
Inputs are plain dataclasses (many are made per call); outputs are Pydantic models whose JSON schema goes to the
provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from synth.corpora.attributes import Wearer
from synth.corpora.records import Act, Person, Product, Recipient, Requirement, Speaker

Role = Literal["simulator", "rewriter", "checker", "judge", "captioner"]
Side = Literal["user", "assistant", "staff"]


# ---- what a prompt can show -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProductCard:
    """A product as a prompt shows it; made once per product."""

    id: str
    title: str
    kind: str
    """What kind of thing it is: its type, its last category, or the head of its title; lower case."""
    attributes: dict[str, str]
    facets: dict[str, str]
    """Attributes, and descriptors recognised in the title (`corpora.attributes.facets`)."""
    visual: dict[str, str]
    wearer: Wearer | None
    features: tuple[str, ...]
    categories: tuple[str, ...]
    summary: str
    price: str
    """With its currency, or empty."""
    image: str | None
    """Hash of the first picture."""
    product: Product = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance as both sides heard it."""

    speaker: Speaker
    act: Act
    text: str
    shown: ProductCard | None = None
    """The product that the assistant recommended with it."""
    outfit: ProductCard | None = None
    """The user's own item in a photo sent with it. Prompts show the assistant its picture only, never its record."""


@dataclass(frozen=True, slots=True)
class AssistantView:
    """All that the assistant's side can see: the conversation."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class UserView:
    """What the user simulator can see besides the product just shown."""

    person: Person
    recipient: Recipient | None
    scenario: str
    backstory: str
    requirements: tuple[Requirement, Requirement]
    target: ProductCard
    lines: tuple[Line, ...]


# ---- inputs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpandInput:
    family: str
    examples: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class MatchInput:
    person: Person
    scenario: str
    family: str
    product: ProductCard


@dataclass(frozen=True, slots=True)
class BackstoryInput:
    person: Person
    recipient: Recipient | None
    scenario: str
    product: ProductCard


@dataclass(frozen=True, slots=True)
class OutfitInput:
    target: ProductCard
    item: ProductCard


@dataclass(frozen=True, slots=True)
class NeedInput:
    view: UserView
    outfit: ProductCard | None


@dataclass(frozen=True, slots=True)
class AnswerInput:
    view: UserView


@dataclass(frozen=True, slots=True)
class JudgeFitInput:
    """No target here: whether a product will do is judged by what was asked for, not by what was had in mind."""

    person: Person
    recipient: Recipient | None
    requirements: tuple[Requirement, Requirement]
    lines: tuple[Line, ...]
    shown: ProductCard


@dataclass(frozen=True, slots=True)
class RejectInput:
    view: UserView
    shown: ProductCard
    openings: tuple[str, ...]
    """First words of this user's earlier rejections; none may be used again."""
    differences: tuple[Difference, ...] | None = None
    """What comparing the two has shown, where that is a call of its own; None: this call compares, and looks."""


@dataclass(frozen=True, slots=True)
class AcceptInput:
    view: UserView
    shown: ProductCard


@dataclass(frozen=True, slots=True)
class UserChatInput:
    view: UserView
    shown: ProductCard


@dataclass(frozen=True, slots=True)
class TalkInput:
    """For the assistant's greeting and clarifying question."""

    view: AssistantView


@dataclass(frozen=True, slots=True)
class QueryInput:
    view: AssistantView


@dataclass(frozen=True, slots=True)
class RerankInput:
    view: AssistantView
    needs: str
    clarified: tuple[str, ...]
    """The wishes that the querier read from the conversation; the prompt shows them instead of the conversation."""
    candidates: tuple[ProductCard, ...]


@dataclass(frozen=True, slots=True)
class RecommendInput:
    view: AssistantView
    product: ProductCard
    handed_over: bool
    """True at the round limit, when the manager hands the product over."""


@dataclass(frozen=True, slots=True)
class ChatReplyInput:
    view: AssistantView
    product: ProductCard


@dataclass(frozen=True, slots=True)
class Utterance:
    speaker: Speaker
    act: Act
    text: str
    colloquial: bool
    keep: tuple[str, ...]
    """Product titles in it, which must stay as they are."""


@dataclass(frozen=True, slots=True)
class RewriteInput:
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class CheckInput:
    pairs: tuple[tuple[str, str], ...]
    """(draft, rewrite), by turn."""
    keep: tuple[tuple[str, ...], ...]
    """Product titles each draft names."""


@dataclass(frozen=True, slots=True)
class ReviewInput:
    view: UserView
    """With the rewritten lines."""
    accepted: ProductCard | None
    ending: Literal["hit", "fit", "forced"]


@dataclass(frozen=True, slots=True)
class CaptionInput:
    product: Product


@dataclass(frozen=True, slots=True)
class LookInput:
    """A picture by itself: whose it is must not colour what is seen."""

    image: str


@dataclass(frozen=True, slots=True)
class DifferInput:
    """Two products side by side, whoever compares them: the result is shared by all conversations with the pair."""

    target: ProductCard
    shown: ProductCard


@dataclass(frozen=True, slots=True)
class Talk:
    """A finished conversation as a reader of a data set finds it."""

    lines: tuple[Line, ...]
    images: tuple[tuple[str, ...], ...]
    """Hashes of the pictures shown with each line; empty where there are none, or none are to be seen."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """Each picture once, in the order in which they were shown."""
        return tuple(dict.fromkeys(image for images in self.images for image in images))

    def told(self, first: int = 1) -> list[tuple[Line, str]]:
        """Each line with the numbers of its pictures, `2, 3` or empty; the first picture has the number `first`."""
        numbers = {image: str(number) for number, image in enumerate(self.pictures, first)}
        return [
            (line, ", ".join(numbers[image] for image in images))
            for line, images in zip(self.lines, self.images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class AspectsInput:
    talk: Talk


@dataclass(frozen=True, slots=True)
class CompareInput:
    """Two conversations, and nothing that says whose they are."""

    first: Talk
    second: Talk


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a conversation."""

    number: int
    """From 1, over the whole conversation."""
    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class ElementsInput:
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class WriteInput:
    """Anything that an evaluation asks a model; `synth.recommender.asking.Asked` as a prompt has it."""

    system: str
    text: str
    images: tuple[str, ...]
    """Hashes of the pictures that are asked about."""
    max_tokens: int
    """Of the answer."""


# ---- outputs ----------------------------------------------------------------------------------------------------


class Output(BaseModel):
    """Every field is required and nothing else is allowed, as strict JSON schemas demand."""

    model_config = ConfigDict(extra="forbid")


Text = Annotated[str, Field(min_length=1, max_length=4000)]


class ScenariosOutput(Output):
    scenarios: list[Text]


class MatchOutput(Output):
    person_fits: bool
    """The product suits the person, or somebody they would plausibly buy it for in this scenario."""
    recipient: Recipient | None
    scenario_fits: bool
    reason: Text


class BackstoryOutput(Output):
    backstory: Text
    requirements: Annotated[list[Requirement], Field(min_length=2, max_length=2)]


class VerdictOutput(Output):
    verdict: bool
    reason: Text


class UtteranceOutput(Output):
    text: Text


class Reason(Output):
    text: Text
    attribute: str | None
    wanted: str | None


class RejectOutput(Output):
    reasons: Annotated[list[Reason], Field(max_length=2)]
    """Two; one where there is only one true difference; none where none matters to this user."""
    text: str


class QueryOutput(Output):
    needs: Text
    clarified: list[str]
    """One wish each, in the user's order."""
    query: Text


class RerankOutput(Output):
    id: str
    reason: Text


class RewriteOutput(Output):
    texts: list[str]


class Check(Output):
    same: bool
    reason: str


class CheckOutput(Output):
    checks: list[Check]


Score = Annotated[float, Field(ge=0, le=10)]


class ReviewOutput(Output):
    content_quality: Score
    logical_fluency: Score
    user_consistency: Score
    problems: list[str]


class CaptionOutput(Output):
    summary: Text


class LookOutput(Output):
    description: Text


class Difference(Output):
    attribute: Text
    target: Text
    shown: Text
    in_picture: bool
    """Whether one has to look to see it."""


class DifferOutput(Output):
    differences: Annotated[list[Difference], Field(max_length=8)]


def _in_steps(score: float) -> float:
    steps = round(score / STEP)
    if abs(score / STEP - steps) > 1e-6:
        raise ValueError(f"not in steps of {STEP}")
    return round(steps * STEP, 2)


STEP = 0.05
"""Between two scores that an aspect can have."""
Aspect = Annotated[float, Field(ge=0, le=2, description=f"in steps of {STEP}"), AfterValidator(_in_steps)]


class AspectsOutput(Output):
    """The paper's five aspects (MUSE, Table 3), 0 to 2 in steps of 0.05; the fifth only where there are pictures."""

    naturalness: Aspect
    coherence: Aspect
    informativeness: Aspect
    relevance: Aspect
    image_text: Aspect | None


Better = Literal["first", "second", "tie"]


class CompareOutput(Output):
    """What people were asked as well (MUSE, Figs. 20 and 21), and the whole."""

    logical: Better
    informative: Better
    natural: Better
    coherent: Better
    overall: Better
    reason: Text


ElementKind = Literal[
    "greeting",
    "scenario",
    "requirement",
    "question",
    "picture",
    "recommendation",
    "explanation",
    "understanding",
    "rejection",
    "reason",
    "acceptance",
    "thanks",
    "small_talk",
]
"""What a sentence of a conversation does (MUSE, Fig. 4)."""


class SentenceElements(Output):
    number: int
    elements: list[ElementKind]


class ElementsOutput(Output):
    sentences: list[SentenceElements]


class WriteOutput(Output):
    answer: str


# ---- the calls --------------------------------------------------------------------------------------------------

I = TypeVar("I")  # noqa: E741
O = TypeVar("O", bound=Output)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Call(Generic[I, O]):
    """One kind of agent call: its prompt file, who makes it, its types, and what it looks at."""

    name: str
    """Prompt file without `.md`: `agent.call`."""
    side: Side
    role: Role
    input: type[I]
    output: type[O]
    temperature: float
    """The paper's settings: simulators low, rewriter high, checks at 0."""
    pictures: Callable[[I], tuple[str | None, ...]] = lambda _: ()
    """Hashes of the pictures that this call must look at."""
    history: Callable[[I], tuple[Line, ...]] | None = None
    """The conversation so far, where it goes in as real messages (so that providers' prefix caches hit)."""
    glance: Callable[[I], bool] = lambda _: False
    """Whether the pictures merely help here: they are left out where pictures are to be sent sparingly."""
    max_tokens: int = 600
    """Room for the answer; a reply that is cut is asked for once more with four times the room."""

    @property
    def agent(self) -> str:
        return self.name.partition(".")[0]


_NAMELESS = frozenset({"brand"})
"""Facets that no rejection names."""


def records_differ(one: ProductCard, other: ProductCard) -> bool:
    """Whether two differences, as many as a rejection gives, show without looking at the pictures."""
    shared = one.facets.keys() & other.facets.keys() - _NAMELESS
    return sum(one.facets[name].lower() != other.facets[name].lower() for name in shared) >= 2


EXPAND = Call("scenario.expand", "staff", "simulator", ExpandInput, ScenariosOutput, 1.0, max_tokens=2000)
MATCH = Call("profile.match", "staff", "simulator", MatchInput, MatchOutput, 0.1, lambda i: (i.product.image,))
BACKSTORY = Call("profile.backstory", "staff", "simulator", BackstoryInput, BackstoryOutput, 0.9)
OUTFIT = Call(
    "manager.outfit", "staff", "simulator", OutfitInput, VerdictOutput, 0.1, lambda i: (i.target.image, i.item.image)
)

GREET = Call("chatter.greet", "assistant", "simulator", TalkInput, UtteranceOutput, 0.2)
ASK = Call(
    "chatter.ask",
    "assistant",
    "simulator",
    TalkInput,
    UtteranceOutput,
    0.2,
    lambda i: tuple(line.outfit.image for line in i.view.lines if line.outfit),
    lambda i: i.view.lines,
)
RECOMMEND = Call(
    "chatter.recommend",
    "assistant",
    "simulator",
    RecommendInput,
    UtteranceOutput,
    0.2,
    lambda i: (i.product.image,),
    lambda i: i.view.lines,
)
CHAT_REPLY = Call(
    "chatter.chit_chat",
    "assistant",
    "simulator",
    ChatReplyInput,
    UtteranceOutput,
    0.2,
    history=lambda i: i.view.lines,
)
QUERY = Call("querier.query", "assistant", "simulator", QueryInput, QueryOutput, 0.1, history=lambda i: i.view.lines)
RERANK = Call("querier.rerank", "assistant", "simulator", RerankInput, RerankOutput, 0.1)

NEED = Call(
    "user.need",
    "user",
    "simulator",
    NeedInput,
    UtteranceOutput,
    0.2,
    lambda i: (i.outfit.image,) if i.outfit else (),
    lambda i: i.view.lines,
)
ANSWER = Call("user.answer", "user", "simulator", AnswerInput, UtteranceOutput, 0.2, history=lambda i: i.view.lines)
JUDGE_FIT = Call("user.judge", "user", "simulator", JudgeFitInput, VerdictOutput, 0.1, lambda i: (i.shown.image,))
REJECT = Call(
    "user.reject",
    "user",
    "simulator",
    RejectInput,
    RejectOutput,
    0.2,
    lambda i: (i.view.target.image, i.shown.image) if i.differences is None else (),
    lambda i: i.view.lines,
    glance=lambda i: records_differ(i.view.target, i.shown),
)
DIFFER = Call(
    "user.differ",
    "user",
    "simulator",
    DifferInput,
    DifferOutput,
    0.0,
    lambda i: (i.target.image, i.shown.image),
)
ACCEPT = Call(
    "user.accept",
    "user",
    "simulator",
    AcceptInput,
    UtteranceOutput,
    0.2,
    lambda i: (i.shown.image,),
    lambda i: i.view.lines,
    glance=lambda _: True,
)
USER_CHAT = Call(
    "user.chit_chat",
    "user",
    "simulator",
    UserChatInput,
    UtteranceOutput,
    0.2,
    lambda i: (i.shown.image,),
    lambda i: i.view.lines,
    glance=lambda _: True,
)

REWRITE = Call("rewriter.rewrite", "staff", "rewriter", RewriteInput, RewriteOutput, 1.0, max_tokens=3000)
CHECK = Call("rewriter.check", "staff", "checker", CheckInput, CheckOutput, 0.0, max_tokens=1500)
REVIEW = Call("reviewer.review", "staff", "judge", ReviewInput, ReviewOutput, 0.0)
CAPTION = Call(
    "captioner.caption",
    "staff",
    "captioner",
    CaptionInput,
    CaptionOutput,
    0.1,
    lambda i: tuple(picture.hash for picture in i.product.images[:1]),
)
LOOK = Call("captioner.look", "staff", "captioner", LookInput, LookOutput, 0.1, lambda i: (i.image,))
ASPECTS = Call(
    "judge.aspects",
    "staff",
    "judge",
    AspectsInput,
    AspectsOutput,
    # Rounds are to be samples of their own, which they are not at 0 (G-Eval: Liu et al., EMNLP 2023).
    1.0,
    lambda i: i.talk.pictures,
)
COMPARE = Call(
    "judge.compare",
    "staff",
    "judge",
    CompareInput,
    CompareOutput,
    0.0,
    lambda i: i.first.pictures + i.second.pictures,
)
ELEMENTS = Call("labeller.elements", "staff", "judge", ElementsInput, ElementsOutput, 0.0, max_tokens=3000)
WRITE = Call("writer.write", "staff", "judge", WriteInput, WriteOutput, 0.0, lambda i: i.images)

CALLS: dict[str, Call[Any, Any]] = {
    call.name: call
    for call in (
        *(EXPAND, MATCH, BACKSTORY, OUTFIT),
        *(GREET, ASK, RECOMMEND, CHAT_REPLY, QUERY, RERANK),
        *(NEED, ANSWER, JUDGE_FIT, REJECT, DIFFER, ACCEPT, USER_CHAT),
        *(REWRITE, CHECK, REVIEW, CAPTION, LOOK, ASPECTS, COMPARE, ELEMENTS),
        WRITE,
    )
}
MEASURING = frozenset({ASPECTS.name, COMPARE.name, ELEMENTS.name, WRITE.name})
"""Calls that measure finished data, or models: none of them has a part in making any data."""
