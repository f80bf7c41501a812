"""Warm-up of a language model that knows nothing: to find the candidate that fits what was said.

Not in LaViC, which starts from a language model that can. A tiny one that is only ever asked for the right id does not
learn it (24,000 examples in the trial of the reference: chance). What did work there is done here: a verdict on each
candidate at the end of its entry, fitting or not and both counted alike, beside the answer's loss; the colour spelt
alike on both sides; and few candidates and few words at first. From then on prompts are those of stage 2, titles and
whole conversations. Words stand where the picture will be, in the request of stage 1 too, so that its description is
first learnt from words; `aligning` then makes pictures' embeddings read as words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from synth.recommender.answering import Pictures, PromptSettings, Recommender
from synth.recommender.batches import pad
from synth.recommender.flops import decoder_forward
from synth.recommender.method import Method, digest
from synth.recommender.prompts import TASK, DescribePrompt, Encoded
from synth.recommender.recommend import figures
from synth.recommender.scoring import hidden_states, label_losses, log_probabilities

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture
    from synth.recommender.data import RecExample
    from synth.recommender.items import Item
    from synth.recommender.labelled import Labelled
    from synth.recommender.warmup import CaptionWarmup


@dataclass(frozen=True)
class MatchingSettings:
    """What a lesson shows and asks."""

    prompt: PromptSettings = PromptSettings(labels="letters")
    """As stage 2 will have it; its `show` is not used."""
    brief: bool = False
    """Leave the task's own words out of the prompts. In a short text attention finds what is alike sooner."""
    verdict: float = 1.0
    """Weight of the verdicts' mean loss against the answers'."""
    evaluation_batch: int = 32


class Match(NamedTuple):
    """An example as it is shown."""

    example: RecExample
    prompt: Encoded


class Retold(NamedTuple):
    """Stage 1's request with words in the picture's place, and the caption to learn."""

    id: str
    prompt: Encoded


class Matching(Method):
    """Trains the language model to answer with the candidate that fits, and to say of each whether it does.

    With `captions` it learns to describe in the same batches: from all of a picture's tokens, as in stage 0, the
    projector with it, and from the words in stage 1's request. The tower stays as it is: trained on from here it loses
    what it told apart. Figure on the held-out examples, in stage 2's format: `hr1`, with words in the slots.
    """

    name = "matching"
    metric = "hr1"
    higher = True

    def __init__(
        self,
        architecture: Architecture,
        train: Sequence[RecExample],
        valid: Sequence[RecExample],
        items: Mapping[str, Item],
        settings: MatchingSettings,
        *,
        verdicts: nn.Module | None = None,
        captions: CaptionWarmup | None = None,
    ) -> None:
        """
        Args:
            train: each has its answer among its candidates.
            items: an item's first description is what stands in its slot.
            verdicts: the head of an earlier lesson on the same model, from `verdict_head`.
            captions: of the same architecture, and of items that are known.

        Raises:
            SynthError: an answer not among its candidates, a prompt that cannot fit, a candidate that is unknown.
        """
        self.architecture, self.settings, self.captions = architecture, settings, captions
        self._asked = Recommender(
            architecture, items, Pictures(None, {}), replace(settings.prompt, show="descriptions")
        )
        self._train = [self._match(example) for example in train]
        self._valid = list(valid)
        self._retold = self._retell(captions.examples("train"), items) if captions else []
        self.verdicts = verdicts if verdicts is not None else verdict_head(architecture)
        architecture.model.requires_grad_(False)
        trained = {"language": architecture.language_model, "head": architecture.lm_head, "verdicts": self.verdicts}
        if captions:
            trained["projector"] = architecture.projector
        self.model = nn.ModuleDict(trained).requires_grad_(True)

    def _match(self, example: RecExample) -> Match:
        prompt = self._asked.prompt
        encoded = prompt.encode(example)
        if self.settings.brief:
            encoded = _without(encoded, len(prompt.tokens.start), len(prompt.tokens.known(TASK + "Conversation:\n")))
        return Match(example, encoded)

    def _retell(self, captioned: Sequence[Labelled], items: Mapping[str, Item]) -> list[Retold]:
        prompt, known = DescribePrompt(self._asked.prompt.tokens), self._asked.prompt.tokens.known
        found = []
        for each in captioned:
            words = known(next(iter(items[each.id].descriptions.values())).strip())
            found.append(Retold(each.id, prompt.with_words(prompt.encode(each.title, each.caption, 0), words)))
        return found

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Any]:
        if split == "valid":
            return self._valid
        return [*self._train, *self._retold, *(self.captions.examples("train") if self.captions else [])]

    def length(self, example: Any) -> int:
        if isinstance(example, Match | Retold):
            return len(example.prompt)
        return self.captions.length(example) if self.captions else 0

    def collate(self, examples: list[Any]) -> dict[str, Any]:
        matches = [entry for entry in examples if isinstance(entry, Match)]
        retold = [entry.prompt for entry in examples if isinstance(entry, Retold)]
        others = [entry for entry in examples if not isinstance(entry, Match | Retold)]
        batch: dict[str, Any] = {}
        if matches:
            batch["matches"] = self._matches(matches)
        if retold:
            batch["retold"] = pad(retold, self._asked.filler)
        if others and self.captions:
            batch["captions"] = self.captions.collate(others)
        return batch

    def _matches(self, matches: list[Match]) -> dict[str, Any]:
        prompts = [match.prompt for match in matches]
        ends = [(row, end) for row, prompt in enumerate(prompts) for end in prompt.ends]
        fits = [candidate == match.example.gt for match in matches for candidate in match.example.candidates]
        return {
            **pad(prompts, self._asked.filler),
            "ends": torch.tensor(ends).T,
            "fits": torch.tensor(fits),
        }

    def step(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, int]:
        parts = []
        if "matches" in batch:
            parts.append(self._step(batch["matches"]))
        if "retold" in batch:
            losses = label_losses(self.architecture, batch["retold"], self.architecture.joined([]))
            parts.append((losses.sum(), len(losses)))
        if "captions" in batch and self.captions:
            parts.append(self.captions.step(model, batch["captions"]))
        return torch.stack([loss for loss, _ in parts]).sum(), sum(count for _, count in parts)

    def _step(self, batch: dict[str, Any]) -> tuple[Tensor, int]:
        hidden = hidden_states(self.architecture, batch, self.architecture.joined([]))
        answers = -log_probabilities(self.architecture, hidden[batch["rows"], batch["columns"]], batch["labels"])
        rows, columns = batch["ends"]
        verdicts = balanced(self.verdicts(hidden[rows, columns].float())[:, 0], batch["fits"])
        return answers.sum() + self.settings.verdict * len(answers) * verdicts, len(answers)

    def evaluate(self, model: Any) -> dict[str, float]:
        if not self._valid:
            return {}
        run = self._asked.rank(self._valid, self.settings.evaluation_batch)
        return {"hr1": figures(self._valid, run)["hr1"]}

    def save(self, folder: Path) -> None:
        self.architecture.save(folder)

    def flops(self, batch: dict[str, Any]) -> float:
        """Of the matching alone."""
        if "matches" not in batch:
            return 0.0
        text, matches = self.architecture.model.config.text_config, batch["matches"]
        return 3 * decoder_forward(text, matches["lengths"], len(matches["labels"]))

    def signature(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        del settings["evaluation_batch"]
        captions = len(self.captions.examples("train")) if self.captions else 0
        asked = [*self._train, *map(self._match, self._valid)]
        known = [(match.example.id, match.prompt.ids, match.example.gt) for match in asked]
        told = [(each.id, each.prompt.ids, each.prompt.answer) for each in self._retold]
        return {
            "base": self.architecture.fingerprint,
            "stage": settings,
            "data": digest([*known, *told]),
            "captions": captions,
        }


def verdict_head(architecture: Architecture) -> nn.Module:
    """What reads from a hidden state whether a candidate fits; it is thrown away after the warm-up."""
    return nn.Linear(architecture.width, 1).to(architecture.device)


def balanced(said: Tensor, fits: Tensor) -> Tensor:
    """The mean of the verdicts' losses, those that fit and those that do not counted alike, however many there are.

    Args:
        said, fits: (candidates,) logits, and whether each one fits.
    """
    losses = binary_cross_entropy_with_logits(said, fits.float(), reduction="none")
    return (losses[fits].mean() + losses[~fits].mean()) / 2


def _without(prompt: Encoded, start: int, count: int) -> Encoded:
    """The prompt, which has no slots, without so many tokens from `start` on."""
    return replace(
        prompt,
        ids=(*prompt.ids[:start], *prompt.ids[start + count :]),
        ends=tuple(end - count for end in prompt.ends),
    )
