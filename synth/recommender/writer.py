"""Any local model of `transformers` as a writer: greedy answers in batches, and the likelihood of given answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from synth.errors import SynthError
from synth.recommender.answers import Answers, key_of, opened
from synth.recommender.base import shown_name
from synth.recommender.crops import image_hash
from synth.recommender.extras import quiet
from synth.recommender.precision import PrecisionName, memory_guard
from synth.recommender.speakers import Speaker, load_speaker

if TYPE_CHECKING:
    from synth.recommender.architecture import Quantise
    from synth.recommender.asking import Asked
    from synth.recommender.method import Progress

_VERSION = 1
"""Of how questions are put; answers to another are not taken for these."""
_SHOWN = 3
"""Questions left out that are named one by one."""
T = TypeVar("T")


class LocalWriter:
    """A model in this process that answers in free text; a `synth.recommender.asking.Writer`.

    Answers are greedy, so the same question always gets the same one, up to rounding between machines and batches.
    """

    def __init__(self, speaker: Speaker, name: str, batch: int = 8) -> None:
        """
        Args:
            name: as tables show it.
            batch: questions at once.
        """
        self.speaker, self.name, self.batch = speaker, name, batch

    @classmethod
    def open(
        cls,
        name: str,
        precision: PrecisionName = "auto",
        device: str = "auto",
        quantise: Quantise | None = None,
        *,
        batch: int = 8,
    ) -> LocalWriter:
        """A model's folder, or its name on a hub; see `synth.recommender.speakers.load_speaker`, and what it raises."""
        return cls(load_speaker(name, precision, device, quantise), shown_name(name), batch)

    def write(self, asked: Sequence[Asked], folder: Path, progress: Progress | None = None) -> dict[str, str]:
        """Answers by id; see `synth.recommender.asking.Writer`. What is longer than the model takes gets none.

        Raises:
            SynthError: an id comes twice, a picture cannot be read, the model takes none, none of the questions fits,
                or the memory is not enough.
        """
        keys = self._keys(asked, "write")
        with opened(folder / "answers.jsonl") as log:

            def answer(part: Sequence[Asked], inputs: Mapping[str, Any]) -> Iterable[str]:
                return self._generate(inputs, part[0].max_tokens)

            self._each(asked, keys, log, "answer", answer, progress)
            return {one.id: log[keys[one.id]] for one in asked if keys[one.id] in log}

    def likelihoods(
        self,
        asked: Sequence[Asked],
        choices: Mapping[str, Sequence[str]],
        folder: Path,
        progress: Progress | None = None,
    ) -> dict[str, list[float]]:
        """Log-likelihood (natural) of each of a question's given answers, with the end after it, by id.

        The question is read once; all its answers go on from there.

        Args:
            choices: answers by the question's id.

        Raises:
            SynthError: as `write`, and where a model keeps no state that can be gone on from.
        """
        if self.speaker.model.config.is_encoder_decoder:
            raise SynthError(f"{self.name} cannot rank: it is no decoder.", "Leave out --rank.")
        keys = self._keys(asked, "rank", {id_: list(texts) for id_, texts in choices.items()})
        with opened(folder / "likelihoods.jsonl") as log:

            def answer(part: Sequence[Asked], inputs: Mapping[str, Any]) -> Iterable[list[float]]:
                return [self._score(inputs, choices[part[0].id])]

            self._each(asked, keys, log, "rank", answer, progress, batch=1)
            return {one.id: log[keys[one.id]] for one in asked if keys[one.id] in log}

    # ---- one batch

    def _generate(self, inputs: Mapping[str, Any], most: int) -> list[str]:
        from transformers import GenerationConfig

        model, tokenizer = self.speaker.model, self.speaker.tokenizer
        own = model.generation_config
        end = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
        # Greedy, whatever sampling and penalties the checkpoint comes with.
        plan = GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            num_beams=1,
            eos_token_id=end,
            bos_token_id=own.bos_token_id,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else _first(end),
            decoder_start_token_id=own.decoder_start_token_id,
        )
        with quiet():
            made = model.generate(**inputs, generation_config=plan)
        given = "input_ids" in inputs and not model.config.is_encoder_decoder
        start = inputs["input_ids"].shape[1] if given else 0
        return [str(tokenizer.decode(row, skip_special_tokens=True)).strip() for row in made[:, start:]]

    def _score(self, inputs: Mapping[str, Any], texts: Sequence[str]) -> list[float]:
        model, tokenizer = self.speaker.model, self.speaker.tokenizer
        end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        answers = [[*tokenizer(text, add_special_tokens=False)["input_ids"], *end] for text in texts]
        # All logits of a long prompt would be gigabytes.
        last = {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
        read = model(**inputs, **last, use_cache=True)
        first = read.logits[:, -1].float().log_softmax(-1)[0]
        scores = torch.stack([first[answer[0]] for answer in answers])
        longest = max(map(len, answers))
        if longest == 1:
            return [float(score) for score in scores]
        state = read.past_key_values
        if not hasattr(state, "batch_repeat_interleave"):
            raise SynthError(f"{self.name} cannot rank: it keeps no state of keys and values.", "Leave out --rank.")
        state.batch_repeat_interleave(len(answers))
        device = scores.device
        ids = torch.tensor([answer + [answer[-1]] * (longest - len(answer)) for answer in answers], device=device)
        own = torch.arange(longest, device=device) < torch.tensor([[len(answer)] for answer in answers], device=device)
        # Nothing is asked of padding, which stands after the answer, so no answer sees it.
        before = inputs["attention_mask"].expand(len(answers), -1)
        mask = torch.cat([before, before.new_ones(len(answers), longest - 1)], dim=1)
        logits = model(input_ids=ids[:, :-1], attention_mask=mask, past_key_values=state, use_cache=True).logits
        found = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        return [float(score) for score in scores + (found * own[:, 1:]).sum(1)]

    # ---- all of them

    def _each(
        self,
        asked: Sequence[Asked],
        keys: Mapping[str, str],
        log: Answers,
        stage: str,
        do: Callable[[Sequence[Asked], Mapping[str, Any]], Iterable[T]],
        progress: Progress | None,
        batch: int = 0,
    ) -> None:
        """`do` for batches of what the log has not; each batch goes into it at once."""
        todo = {keys[one.id]: one for one in asked if keys[one.id] not in log}
        self._check(list(todo.values()))
        if progress:
            progress.stage(stage, len(todo))
        done, long = 0, list[str]()
        for part in _batches(list(todo.values()), batch or self.batch):
            smaller = f"Use --batch {len(part) // 2}." if len(part) > 1 else "Ask with fewer pictures or less text."
            with memory_guard(f"{len(part)} questions", smaller), torch.inference_mode():
                fitting, inputs = self._fitting(part)
                if fitting:
                    log.add([(keys[o.id], o.id, made) for o, made in zip(fitting, do(fitting, inputs), strict=True)])
            long += [one.id for one in part if one not in fitting]
            done += len(part)
            if progress:
                progress.advance(done)
        self._tell(long, len(asked), progress)

    def _fitting(self, part: list[Asked]) -> tuple[list[Asked], Mapping[str, Any]]:
        """Those of a batch that the model has room for with their answers, as its input."""
        room = _positions(self.speaker.model.config) - part[0].max_tokens
        inputs = self.speaker.inputs(part)
        lengths = inputs["attention_mask"].sum(1).tolist()
        fitting = [one for one, length in zip(part, lengths, strict=True) if length <= room]
        if fitting and len(fitting) < len(part):
            inputs = self.speaker.inputs(fitting)
        return fitting, inputs

    def _tell(self, long: Sequence[str], total: int, progress: Progress | None) -> None:
        if not long:
            return
        what = f"{self.name} takes {_positions(self.speaker.model.config):,} tokens"
        if len(long) == total:
            raise SynthError(f"{what}, and every question is longer.", "Ask with less text or fewer pictures.")
        if progress:
            named = ", ".join(long[:_SHOWN])
            progress.note(f"no answer: {what}, fewer than {len(long):,} of {total:,} questions have ({named}, …)")

    def _check(self, asked: Sequence[Asked]) -> None:
        if not self.speaker.sees and any(one.images for one in asked):
            raise SynthError(f"{self.name} takes no pictures.", "Ask without them, or use another model.")

    def _keys(self, asked: Sequence[Asked], what: str, choices: Mapping[str, Any] | None = None) -> dict[str, str]:
        hashes: dict[Path, str] = {}
        keys: dict[str, str] = {}
        model = [_VERSION, what, self.speaker.fingerprint, str(self.speaker.model.dtype), _quantised(self.speaker)]
        for one in asked:
            if one.id in keys:
                raise SynthError(f"The id {one.id} is asked twice.")
            for path in one.images:
                if path not in hashes:
                    hashes[path] = image_hash(path)
            more = choices[one.id] if choices else one.max_tokens
            keys[one.id] = key_of(*model, one.system, one.text, [hashes[path] for path in one.images], more)
        return keys


def _batches(asked: list[Asked], size: int) -> Iterator[list[Asked]]:
    """Of like length, the longest first so that memory runs out at once if it does; pictures apart from none."""

    def group(one: Asked) -> tuple[int, bool]:
        return one.max_tokens, bool(one.images)

    asked = sorted(asked, key=lambda one: (*group(one), len(one.images), len(one.system) + len(one.text)), reverse=True)
    start = 0
    while start < len(asked):
        part = [one for one in asked[start : start + size] if group(one) == group(asked[start])]
        yield part
        start += len(part)


def _positions(config: Any) -> int:
    """Tokens that a model takes; without a limit where it names none."""
    text = config.get_text_config()
    return int(getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None) or 1 << 30)


def _quantised(speaker: Speaker) -> str:
    return "4bit" if getattr(speaker.model, "is_loaded_in_4bit", False) else ""


def _first(end: int | list[int] | None) -> int | None:
    return end[0] if isinstance(end, list) else end
