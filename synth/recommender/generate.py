"""The paper's protocol: the model writes an id greedily, and what it writes may be no candidate's (LaViC, §5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from synth.recommender.architecture import Architecture
    from synth.recommender.prompts import Encoded

ASIN = r"\bB[A-Z0-9]{9}\b"
"""LaViC's pattern of an Amazon id. It misses books' ids and one that runs on into other letters."""


@dataclass(frozen=True)
class Response:
    """What a model wrote to one example."""

    query: str
    """The example's id."""
    text: str
    item: str | None
    """The first id in the text; None where there is none."""
    valid: bool
    """Whether that is a candidate's."""


def greedy(
    architecture: Architecture, prompts: Sequence[Encoded], images: Tensor, *, most: int, filler: int, end: int | None
) -> list[list[int]]:
    """The most likely tokens one after the other, until the end token or so many.

    Args:
        images: (slots, width), the image slots' embeddings in reading order of the prompts.
        most: new tokens at most.
        end: the end token; it is not among the result. None: goes on to `most`.
    """
    # Reading answers, which is most of this module, needs no torch.
    import torch

    from synth.recommender.batches import pad

    batch = {
        name: value.to(architecture.device) if isinstance(value, torch.Tensor) else value
        for name, value in pad(prompts, filler, left=True).items()
    }
    embedded = architecture.place(architecture.embed(batch["ids"]), batch["ids"], images)
    mask, last = batch["mask"], batch["positions"][:, -1]
    positions, cache = batch["positions"], None
    written: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    with torch.no_grad():
        for _ in range(most):
            output = architecture.language_model(
                inputs_embeds=embedded,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            token = architecture.lm_head(output.last_hidden_state[:, -1]).argmax(-1)
            for row, value in enumerate(token.tolist()):
                if value == end:
                    open_rows.discard(row)
                elif row in open_rows:
                    written[row].append(value)
            if not open_rows:
                break
            embedded = architecture.embed(token[:, None])
            mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
            last = last + 1
            positions = last[:, None]
    return written


def first_id(text: str, candidates: Sequence[str], names: Sequence[str], pattern: str = "") -> str | None:
    """The id that a text names first.

    Args:
        candidates: their ids.
        names: what the candidates are called in the prompt, in the same order.
        pattern: a regular expression of an id, which may then be no candidate's; empty: any candidate's name that
            stands by itself.
    """
    if pattern:
        found = re.search(pattern, text)
        return found.group() if found else None
    places: list[tuple[int, int, str]] = []
    for candidate, name in zip(candidates, names, strict=True):
        match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
        if match:
            places.append((match.start(), -len(name), candidate))
    return min(places)[2] if places else None


def read_answer(query: str, text: str, candidates: Sequence[str], names: Sequence[str], pattern: str = "") -> Response:
    """A text as a response: its first id, and whether that is a candidate's."""
    item = first_id(text, candidates, names, pattern)
    return Response(query, text, item, item in candidates)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Tokens as text, no special ones."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text.strip()
