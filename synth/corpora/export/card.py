"""The data card: `README.md` with the front matter the Hugging Face Hub reads, filled in from the run.

Its sections follow Data Cards (Pushkarna et al., FAccT 2022) as far as a synthetic set has answers to them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synth.corpora.export.source import Images, Source
from synth.corpora.records import Conversation

_LICENCES = frozenset(
    "mit apache-2.0 bsd-3-clause cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 "
    "cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-nc-nd-4.0 odbl odc-by pddl unlicense".split()
)
"""Licence names the Hub knows; any other is `other` with its name beside it."""
_NOT_SETTINGS = frozenset({"format", "models", "seed", "prompts", "synth", "catalogue", "catalogue_name"})
_IMAGES = {
    Images.none: "The pictures are not part of this export; they are named by content hash.",
    Images.links: "The pictures are not part of this export; they are linked.",
    Images.files: "The pictures are part of this export.",
}
_OFFLINE = """\
> **Made by Synth's offline simulator, not by a language model.** Its sentences come from a grammar and its decisions
> from rules over the products' attributes. It is meant for tests, first looks, and training data whose answer is
> known. Any figure computed on it says something about the simulator, not about people or about language models.
"""
_ABOUT = """\
Shopping conversations between a simulated user and a simulated assistant, made by a team of agents after MUSE
(Wang et al., Findings of ACL 2025). The user has a scenario, a backstory with two requirements and a target product
in mind; the assistant sees the conversation only, searches the catalogue and shows products with their pictures.
"""
_USE = """\
- For research on conversational and visually-aware recommendation: training and testing recommenders, retrieval from
  conversations, response generation, user simulation.
- Not for conclusions about real people or markets, for profiling anybody, or as advice on the products shown.
"""
_LIMITS = """\
- **All persons are synthetic.** Names, ages, professions and backstories were generated; a likeness to a living
  person is chance. E-mail addresses and @handles in texts are masked.
- The conversations follow one scheme (need, question, recommendations, acceptance), more regular than people's.
- What the catalogue says about its products was believed; its errors and its leanings are in the conversations.
- A `fit` ending means that a product other than the target met both requirements; a `forced` ending means that the
  target was handed over at the round limit.
"""


@dataclass
class Tally:
    """Counts over the conversations of an export."""

    conversations: int = 0
    turns: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)

    def add(self, conversation: Conversation) -> None:
        self.conversations += 1
        self.turns += len(conversation.turns)
        self.endings[conversation.ended_by] += 1
        self.openings[conversation.opening] += 1


def data_card(
    source: Source,
    tally: Tally,
    images: Images,
    *,
    loading: str,
    splits: Mapping[str, int] | None = None,
    left_out: Mapping[str, int] | None = None,
    front: Mapping[str, Any] | None = None,
) -> str:
    """The card as Markdown.

    Args:
        loading: what the files hold and how they are read; Markdown.
        splits: rows by split.
        left_out: accepted conversations that this format left out, by reason.
        front: more front matter, e.g. the Hub's `configs`.
    """
    facts, info = source.facts, source.catalogue
    parts = [
        _front_matter(source, tally, front or {}),
        f"# {facts.name}: synthetic shopping conversations\n",
        *([_OFFLINE] if facts.offline else []),
        _ABOUT,
        "## Files\n",
        loading,
        "## Size\n",
        _table({**_size(tally), **{f"split `{name}`": n for name, n in (splits or {}).items()}}),
        "## How it was made\n",
        _table(
            {
                **{f"model of the {role}": f"`{model}`" for role, model in facts.models.items()},
                "seed": facts.seed,
                "prompts (hash)": f"`{facts.config['prompts']}`",
                "synth": facts.config.get("synth", "unknown"),
                "catalogue (fingerprint)": f"`{facts.config['catalogue']}`",
                **{
                    name: _value(value)
                    for name, value in facts.config.items()
                    if name not in _NOT_SETTINGS and value != ""
                },
            }
        ),
        "## Filters\n",
        _filters(facts.rejected, {**source.left_out, **(left_out or {})}, tally.conversations),
        "## Catalogue, pictures and licence\n",
        f"{info.products} products from {info.source} ({info.name}). {_IMAGES[images]} {_licence_note(info.licence)}\n",
        "## Language\n",
        f"The agents' prompts are English. Product texts: `{info.language}`.\n",
        "## Intended use\n",
        _USE,
        "## Limits\n",
        _LIMITS,
    ]
    return "\n".join(parts)


def _front_matter(source: Source, tally: Tally, more: Mapping[str, Any]) -> str:
    """YAML; every value is written as JSON, which YAML reads."""
    facts = source.facts
    tags = ["synthetic", "conversational-recommendation", "multimodal", "synth-crs"]
    matter: dict[str, Any] = {
        "pretty_name": f"{facts.name}: synthetic shopping conversations",
        "language": list(dict.fromkeys(["en", source.catalogue.language])),
        **_licence(source.catalogue.licence),
        "task_categories": ["image-text-to-text", "text-generation"],
        "size_categories": [_size_category(tally.conversations)],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "tags": [*tags, *(["offline-simulator"] if facts.offline else [])],
        **more,
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in matter.items()]
    return "\n".join(["---", *lines, "---", ""])


def _licence(name: str | None) -> dict[str, str]:
    if name is None:
        return {"license": "unknown"}
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    return {"license": slug} if slug in _LICENCES else {"license": "other", "license_name": slug}


def _licence_note(name: str | None) -> str:
    if name is None:
        return "The catalogue does not state its licence: find out before you publish its texts or pictures."
    return f"Product texts and pictures are under the catalogue's licence: {name}."


def _size(tally: Tally) -> dict[str, Any]:
    return {
        "conversations": tally.conversations,
        "utterances a conversation": f"{tally.turns / max(tally.conversations, 1):.2f}",
        "endings": _counts(tally.endings),
        "openings": _counts(tally.openings),
    }


def _filters(rejected: Mapping[str, int], left_out: Mapping[str, int], exported: int) -> str:
    return _table(
        {f"draws rejected by `{name}`": n for name, n in rejected.items()}
        | {f"accepted, but left out here: {reason}": n for reason, n in left_out.items()}
        | {"conversations exported": exported}
    )


def _size_category(n: int) -> str:
    bounds = (("1K", 10**3), ("10K", 10**4), ("100K", 10**5), ("1M", 10**6))
    low = "n"
    for name, bound in bounds:
        if n < bound:
            return f"n<{name}" if low == "n" else f"{low}<n<{name}"
        low = name
    return "n>1M"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counter.most_common()) or "none"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return f"`{text}`"


def _table(rows: Mapping[str, Any]) -> str:
    cells = [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *cells, ""])
