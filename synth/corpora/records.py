"""The records everything else passes around: frozen, validated, with stable string ids.

Nothing in a record depends on time, money or order of arrival, so the same seed gives the same bytes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Speaker = Literal["user", "assistant"]
Act = Literal["greet", "need", "ask", "answer", "chit_chat", "recommend", "reject", "accept"]
Opening = Literal["text", "multimodal"]
Ending = Literal["hit", "fit", "forced"]
Gender = Literal["female", "male"]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Picture(Record):
    """A picture kept in a catalogue's or a run's `images/` folder under its content hash."""

    hash: str
    """sha256 of the stored (re-encoded, EXIF-free) file, the first 32 hex digits."""
    mime: Literal["image/jpeg", "image/png", "image/webp"]
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    url: str | None = None
    """Where it was fetched from, if from the web."""

    @property
    def filename(self) -> str:
        """Path below `images/`: the first two hex digits are a folder, so no folder holds too many files."""
        suffix = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}[self.mime]
        return f"{self.hash[:2]}/{self.hash}.{suffix}"


class Product(Record):
    """One item of a catalogue. Nothing here assumes clothing: any attribute may be absent."""

    id: str
    title: str
    features: tuple[str, ...] = ()
    """Bullet points of the product page."""
    categories: tuple[str, ...] = ()
    """A path, the most general first."""
    price: float | None = None
    """In `currency`."""
    currency: str | None = None
    images: tuple[Picture, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
    """E.g. `type`, `gender`, `colour`, `season`, `usage`, `brand`, `pattern`; others keep their column name."""
    visual: dict[str, str] = Field(default_factory=dict)
    """What the first picture shows beyond the attributes, e.g. `tone` or `accent`: read from its pixels, or drawn."""
    descriptions: dict[str, str] = Field(default_factory=dict)
    """By name: `source` (the shop's text), `summary` (MUSE A.1, what is indexed), later `llava` and others."""
    licence: str | None = None


class Scenario(Record):
    """A reason to go shopping, with no person and no product in it (MUSE §3.1)."""

    id: str
    text: str
    family: str
    """Occasion family, e.g. `sport` or `gifts`; generated scenarios inherit their first parent's."""
    origin: Literal["seed", "generated"]
    parents: tuple[str, ...] = ()


class Person(Record):
    """A synthetic adult."""

    name: str
    gender: Gender | None
    age: int
    """Years, 18 or more."""
    profession: str


class Recipient(Record):
    """Whom the product is for, where it is not the buyer."""

    relation: str
    """As the buyer would say it, e.g. `daughter`."""
    gender: Gender | None
    child: bool


class Requirement(Record):
    """One thing the buyer needs, and the product attribute it rests on where there is one."""

    text: str
    attribute: str | None = None
    value: str | None = None


class UserProfile(Record):
    """A buyer, why they buy, and the product they have in mind (MUSE §3.2)."""

    id: str
    person: Person
    scenario_id: str
    target_id: str
    recipient: Recipient | None
    backstory: str
    """Reveals the two requirements; neither names nor describes the product."""
    requirements: tuple[Requirement, Requirement]


class Candidate(Record):
    """One retrieved product."""

    id: str
    rank: int
    """From 0."""
    score: float


class Retrieval(Record):
    """How an assistant turn came to its product."""

    needs: str
    """The querier's summary of what the user wants."""
    query: str
    candidates: tuple[Candidate, ...]
    """In the index's order; products already shown are not among them."""
    excluded: tuple[str, ...]
    """Ids shown earlier in the conversation."""
    chosen: str
    """Id of the product that was recommended."""
    reason: str
    """The reranker's reason for it."""


class Turn(Record):
    """One utterance."""

    index: int
    """From 0, over both speakers."""
    speaker: Speaker
    act: Act
    text: str
    products: tuple[str, ...] = ()
    """Ids of the products this turn is about."""
    images: tuple[str, ...] = ()
    """Hashes of the pictures shown with it."""
    retrieval: Retrieval | None = None
    """For `recommend` turns that came from a search; forced ones have none."""


class Scores(Record):
    """The reviewer's scores (MUSE §3.4), each from 0 to 10."""

    content_quality: float
    logical_fluency: float
    user_consistency: float

    @property
    def total(self) -> float:
        """0 to 30."""
        return self.content_quality + self.logical_fluency + self.user_consistency


class Provenance(Record):
    """What made a conversation: enough to say it in a paper, nothing that changes between equal runs."""

    seed: int
    models: dict[str, str]
    """Model by role, e.g. `{"simulator": "offline"}`."""
    prompts: str
    """Hash over all prompt files."""
    synth: str
    """Version of this package."""


class Conversation(Record):
    """An accepted (or, in `rejected.jsonl`, a rejected) conversation."""

    id: str
    profile: UserProfile
    opening: Opening
    outfit_id: str | None
    """The item the user shows in a multimodal opening."""
    turns: tuple[Turn, ...]
    drafts: tuple[str, ...]
    """The turns' texts before the rewriter, by index."""
    ended_by: Ending
    accepted_id: str | None
    """Product the user took (for forced endings: the target that was handed over)."""
    target_id: str
    scores: Scores
    provenance: Provenance


class Rejected(Record):
    """A draw that a filter refused."""

    id: str
    filter: str
    """`match`, `duplicate`, `review` or `failed`."""
    reason: str
    conversation: Conversation | None = None
    profile: UserProfile | None = None


class Interaction(Record):
    """One user-item event, for sequential methods."""

    user: str
    item: str
    time: float
    """Seconds since the epoch."""


class RecExample(Record):
    """One recommendation example: a conversation or a history is the query, one product the answer."""

    id: str
    context: tuple[Turn, ...] = ()
    history: tuple[str, ...] = ()
    candidates: tuple[str, ...]
    truth: str
