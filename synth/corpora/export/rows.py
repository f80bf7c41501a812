"""What the rows of all formats have in common; each format's rows stand with it. `schema.json` is made from these.

Attribute docstrings are the descriptions in the schemas and on the schema page of the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from synth.corpora.records import Gender


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
