"""The likelihood of every candidate's id as the answer, in one pass: a full ranking, and always of valid ids.

A prompt is followed by all its candidates' ids; each sees the prompt and itself and no other (a mask of four
dimensions), and is numbered as if it alone came after the prompt. That gives what one pass for each id would give,
for about a tenth more tokens than the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture
    from synth.recommender.prompts import Encoded


def pack(prompts: Sequence[Encoded], answers: Sequence[Sequence[tuple[int, ...]]], filler: int) -> dict[str, Any]:
    """Prompts, each followed by the answers to score.

    Args:
        prompts: without an answer of their own.
        answers: for each prompt its k answers, as tokens; none is empty.

    Returns:
        `ids` and `positions`: (prompts, longest). `parts`: (prompts, longest), 0 in the prompt, n in the n-th answer,
        -1 in padding. `rows`, `columns`, `labels`, `owners`: (label tokens), the place that predicts a label, the
        label, and the answer it belongs to, numbered through. `k`: answers of each prompt.
    """
    k = len(answers[0])
    if any(len(choice) != k for choice in answers):
        raise ValueError("every prompt of a batch must have as many answers")
    # The last token of an answer predicts nothing, so it is not fed.
    lengths = [
        len(prompt.ids) + sum(len(answer) - 1 for answer in choice)
        for prompt, choice in zip(prompts, answers, strict=True)
    ]
    ids = torch.full((len(prompts), max(lengths)), filler)
    positions = torch.zeros_like(ids)
    parts = torch.full_like(ids, -1)
    rows: list[int] = []
    columns: list[int] = []
    labels: list[int] = []
    owners: list[int] = []
    for row, (prompt, choice) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt.ids)
        ids[row, :end] = torch.tensor(prompt.ids)
        positions[row, :end] = torch.arange(end)
        parts[row, :end] = 0
        start = end
        for number, answer in enumerate(choice):
            fed = len(answer) - 1
            ids[row, start : start + fed] = torch.tensor(answer[:-1], dtype=torch.long)
            positions[row, start : start + fed] = torch.arange(end, end + fed)
            parts[row, start : start + fed] = number + 1
            columns += [end - 1, *range(start, start + fed)]
            rows += [row] * len(answer)
            labels += answer
            owners += [row * k + number] * len(answer)
            start += fed
    names = {"rows": rows, "columns": columns, "labels": labels, "owners": owners}
    tensors = {name: torch.tensor(values, dtype=torch.long) for name, values in names.items()}
    return {"ids": ids, "positions": positions, "parts": parts, **tensors, "k": k}


def visible(parts: Tensor) -> Tensor:
    """Who may look at whom: (rows, 1, n, n), true where the second axis' token sees the third's."""
    n = parts.shape[1]
    seen, seeing = parts[:, None, :], parts[:, :, None]
    earlier = torch.ones(n, n, dtype=torch.bool, device=parts.device).tril()
    same = ((seen == 0) & (seeing >= 0)) | (seen == seeing)
    return ((earlier & same) | torch.eye(n, dtype=torch.bool, device=parts.device))[:, None]


def score_candidates(architecture: Architecture, batch: dict[str, Any], images: Tensor) -> Tensor:
    """
    Args:
        batch: of `pack`, on the model's device.
        images: (slots, width), the image slots' embeddings in reading order.

    Returns:
        (prompts, k) log-likelihoods of whole answers, natural logarithm, float32.
    """
    embedded = architecture.place(architecture.embed(batch["ids"]), batch["ids"], images)
    mask = visible(batch["parts"])
    if architecture.language_model.config._attn_implementation != "sdpa":
        # Only torch's own attention takes a mask of truth values, which is right in any number format.
        lowest = torch.finfo(embedded.dtype).min
        mask = torch.zeros(mask.shape, dtype=embedded.dtype, device=mask.device).masked_fill(~mask, lowest)
    hidden = architecture.language_model(
        inputs_embeds=embedded, attention_mask=mask, position_ids=batch["positions"], use_cache=False
    ).last_hidden_state
    chosen = log_probabilities(architecture, hidden[batch["rows"], batch["columns"]], batch["labels"])
    sums = torch.zeros(len(batch["ids"]) * batch["k"], device=chosen.device)
    return sums.index_add(0, batch["owners"], chosen).view(len(batch["ids"]), batch["k"])


def log_probabilities(architecture: Architecture, hidden: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each label from the hidden state before it: (n, width) and (n,) give (n,), float32."""
    logits = architecture.lm_head(hidden).float()
    return -torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def label_losses(architecture: Architecture, batch: dict[str, Any], images: Tensor) -> Tensor:
    """The loss of each label of a padded batch; logits are computed there and nowhere else.

    Args:
        batch: of `batches.pad`, on the model's device.
        images: (slots, width), the image slots' embeddings in reading order.

    Returns:
        (labels,), float32.
    """
    hidden = hidden_states(architecture, batch, images)
    return -log_probabilities(architecture, hidden[batch["rows"], batch["columns"]], batch["labels"])


def hidden_states(architecture: Architecture, batch: dict[str, Any], images: Tensor) -> Tensor:
    """The language model's last hidden states of a padded batch, (prompts, longest, width); see `label_losses`."""
    embedded = architecture.place(architecture.embed(batch["ids"]), batch["ids"], images)
    # Padding on the right is seen by nobody but itself; without a mask attention computes half of its triangle only.
    right = bool(batch["mask"][:, 0].all())
    hidden: Tensor = architecture.language_model(
        inputs_embeds=embedded,
        attention_mask=None if right else batch["mask"],
        position_ids=None if right else batch["positions"],
        use_cache=False,
    ).last_hidden_state
    return hidden
