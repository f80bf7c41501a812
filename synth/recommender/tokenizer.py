"""A small tokenizer trained on a data set's own texts, for models made from nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

PAD, BEGIN, END, IMAGE = "<pad>", "<s>", "</s>", "<image>"
_OPENING = ("\n", "(", "[", ":", "/", ">", '"')
"""What a word may follow without a space."""
LETTERS = tuple("ABCDEFGHIJ")
"""What ten candidates can be called."""


def build_tokenizer(texts: Iterable[str], vocabulary: int = 2000, whole: Sequence[str] = (), lower: bool = True) -> Any:
    """A byte-level BPE tokenizer in which a word has the same tokens wherever it stands.

    Byte-level BPE spells `red` at the start of a line and ` red` after a space differently, and a model trained from
    nothing on little data does not learn that they are one word (the trial in the reference: with one spelling it
    learnt to match, with two it did not). So a space is put before a word that begins a line or follows an opening
    bracket, a colon or a quotation mark, and case is folded unless told otherwise.

    Args:
        texts: what to learn from.
        vocabulary: tokens in all, `whole` not counted.
        whole: texts that become one token each, e.g. item ids or the letters of candidates; their case is kept.
        lower: fold the case of everything else.

    Returns:
        A `PreTrainedTokenizerFast` that begins every text with `<s>` and has the placeholder `<image>`.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    fold = [normalizers.Lowercase()] if lower else []
    spaces = [normalizers.Replace(Regex(re.escape(mark) + r"(?=\w)"), mark + " ") for mark in _OPENING]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *fold, *spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, END, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, single_word=True, normalized=False) for text in whole])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE},
        clean_up_tokenization_spaces=False,
    )
