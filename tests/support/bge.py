"""A tiny BGE-M3 and a tiny CLIP with random weights: shapes, files and plumbing as the real ones, and no download."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

TEXTS = (
    "Red cotton summer dress with short sleeves and a round neck",
    "Men's blue denim jacket, warm and light, with two pockets",
    "Leather watch with a black strap for every day",
    "Waterproof trekking boots for hiking in the mountains",
    "Green wool winter scarf, soft and classic",
)
WIDTH = 64


def make_bge(folder: Path, seed: int = 0, width: int = WIDTH) -> Path:
    """Writes a tiny BGE-M3 (XLM-RoBERTa of two layers, tokenizer, both heads) as FlagEmbedding reads it."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    folder.mkdir(parents=True)
    size = _tokenizer(TEXTS, folder)
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=size,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    torch.save(torch.nn.Linear(width, width).state_dict(), folder / "colbert_linear.pt")
    torch.save(torch.nn.Linear(width, 1).state_dict(), folder / "sparse_linear.pt")
    return folder


def make_clip(folder: Path, seed: int = 0) -> Path:
    """Writes a tiny CLIP with its processor."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    folder.mkdir(parents=True)
    size = _tokenizer(TEXTS, folder)
    torch.manual_seed(seed)
    common: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = CLIPTextConfig(
        vocab_size=size,
        intermediate_size=64,
        max_position_embeddings=24,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        **common,
    )
    vision = CLIPVisionConfig(intermediate_size=64, image_size=32, patch_size=8, **common)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def _tokenizer(texts: Iterable[str], folder: Path) -> int:
    """Trains and writes a tokenizer with XLM-RoBERTa's special tokens; its size."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        sep_token="</s>",
        pad_token="<pad>",
        cls_token="<s>",
        mask_token="<mask>",
        model_max_length=512,
    )
    fast.save_pretrained(folder)
    return len(fast)
