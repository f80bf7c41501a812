"""What the rows of all formats have in common; each format's rows stand with it. `schema.json` is made from these.

Attribute docstrings are the descriptions in the schemas and on the schema page of the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from synth.corpora.records import Act, Gender


class Row(BaseModel):
    """What all rows have in common: nothing but the fields named, and none of them changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_by_name=True)


class SparseRow(Row):
    """A row whose fields that are None are not written."""

    @model_serializer(mode="wrap")
    def _sparse(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


class ScenarioPart(Row):
    """The reason to go shopping."""

    id: str
    family: str
    text: str


class PersonPart(Row):
    """A buyer, who does not exist."""

    name: str
    gender: Gender | None
    age: int
    """Years."""
    profession: str
    synthetic: Literal[True] = True
    """Always true: every person is made up."""


class VerdictPart(Row):
    """One person's verdict on a conversation, or their note."""

    annotator: str
    """A pseudonym."""
    verdict: Literal["good", "unsure", "bad"] | None
    note: str


class ReplyPart(Row):
    """What a person wrote in an agent's place."""

    turn: int
    act: Act
    annotator: str
    """A pseudonym."""
    text: str


class JudgedPart(Row):
    """What people said of a conversation, and wrote for it."""

    verdict: Literal["good", "unsure", "bad", "unjudged"]
    """Of all who judged it together."""
    verdicts: list[VerdictPart]
    human_replies: list[ReplyPart]
