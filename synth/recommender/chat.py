"""A question as the text that a model was trained to see: through its chat template where it has one.

What users and shops wrote is only ever text: a special token spelt out in it is broken up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.asking import Asked


def special_tokens(tokenizer: Any, *more: str | None) -> tuple[str, ...]:
    """Every special token of a tokenizer, longest first, and those that only its processor knows."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    found = {*tokenizer.all_special_tokens, *added, *(token for token in more if token)}
    return tuple(sorted((token for token in found if len(token) > 1), key=lambda token: (-len(token), token)))


def plain(text: str, special: tuple[str, ...]) -> str:
    """The text with a space in every special token that it spells out; white space at its ends is gone."""
    for token in special:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text.strip()


def render(owner: Any, asked: Asked, mark: str, special: tuple[str, ...], *, counted: bool = False) -> str:
    """
    Args:
        owner: the tokenizer or processor; its chat template is used where it has one.
        mark: what stands for a picture in a text without a template.
        special: of `special_tokens`.
        counted: whether the template must write `mark` once for each picture (else it may have its own).

    Raises:
        SynthError: the template has no place for a text, or for a picture.
    """
    system, text = plain(asked.system, special), plain(asked.text, special)
    count = len(asked.images)
    both = "\n\n".join(part for part in (system, text) if part)
    if not getattr(owner, "chat_template", None):
        return f"{mark}\n" * count + f"{both}\n\nAssistant:"
    for messages in _forms(system, text, both, mark, count):
        try:
            made = str(owner.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception:  # jinja's own, and whatever a template's code comes upon: it wants another form
            continue
        whole = text in made and system in made and "'type':" not in made
        if whole and (not counted or made.count(mark) == count):
            return made
    what = "a text and its pictures" if count else "a text"
    raise SynthError(f"The chat template of this model has no place for {what}.", "Use another model.")


def _forms(system: str, text: str, both: str, mark: str, count: int) -> Iterator[list[dict[str, Any]]]:
    """Ways to put a question, for templates that know parts, plain text only, or no system role."""
    parts = [{"type": "image"} for _ in range(count)]
    for said, above in ((text, system), (both, "")):
        listed: list[Any] = [[*parts, {"type": "text", "text": said}], f"{mark}\n" * count + said]
        for content in listed if count else reversed(listed):
            head = [{"type": "text", "text": above}] if isinstance(content, list) else above
            first = [{"role": "system", "content": head}] if above else []
            yield [*first, {"role": "user", "content": content}]
