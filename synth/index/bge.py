"""BGE-M3 (Chen et al., Findings of ACL 2024): one pass gives a dense, a sparse and a multi-vector."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.index.encoder import Items
from synth.index.models import alone, device, digest, in_batches, loading, locate, need, pretrained, require, working
from synth.index.parts import Parts, Stored
from synth.index.vectors import QueryVector, SparseQuery, SparseVectors, write_dense, write_multi

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
_FILES = (
    ("config.json",),
    WEIGHTS,
    ("tokenizer.json", "sentencepiece.bpe.model"),
    ("tokenizer_config.json",),
    # FlagEmbedding draws both heads at random where one of them is missing, and says so in a debugging log only.
    ("sparse_linear.pt",),
    ("colbert_linear.pt",),
)
_TOKENS = 512
"""Of a text, at most, as in FlagEmbedding; a summary has 20 to 200."""
_BATCH = 32


class _Encoded(NamedTuple):
    """One text."""

    dense: NDArray[np.float32]
    terms: NDArray[np.int64]
    """Ids of its tokens, ascending, special ones left out."""
    weights: NDArray[np.float32]
    multi: NDArray[np.float32]
    """Unit vectors of its tokens but the first, shape (tokens, dimensions)."""


class Bge:
    """BGE-M3 through FlagEmbedding's model, dense and sparse vectors to search by, multi-vectors to rerank by.

    Args:
        model: a folder with its files, or a name in the hub's cache on this machine.
        multi: whether the multi-vectors are kept: some 100 kB a product.
    """

    MODEL = "BAAI/bge-m3"

    def __init__(self, model: str = MODEL, *, multi: bool = True) -> None:
        self.name = "bge" if multi else "bge-hybrid"
        self.names = tuple(f"{self.name}.{part}" for part in ("dense", "sparse", "multi")[: 3 if multi else 2])
        need(self.name, "bge", ("FlagEmbedding", "torch"))
        self._folder = locate(self.name, model)
        weights = digest(require(self.name, self._folder, _FILES))
        self.signature = f"bge-m3 {weights}"
        self.frozen = f"{self.name}#{weights}"
        self._multi = multi
        self._tokenizer: Any = None
        self._model: Any = None
        self._device = "cpu"

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        def encode(rows: slice) -> dict[str, NDArray[Any]]:
            with working():
                encoded = self._encode_all(items.texts[rows])
            arrays: dict[str, NDArray[Any]] = {
                "dense": np.stack([one.dense for one in encoded]),
                "counts": np.array([len(one.terms) for one in encoded], dtype=np.int64),
                "terms": np.concatenate([one.terms for one in encoded]),
                "weights": np.concatenate([one.weights for one in encoded]),
            }
            if self._multi:
                arrays["lengths"] = np.array([len(one.multi) for one in encoded], dtype=np.int64)
                arrays["multi"] = np.concatenate([one.multi for one in encoded]).astype(np.float16)
            return arrays

        stored = parts.encode(self.name, self.signature, encode)
        kinds = [
            write_dense(folder, self.names[0], parts.count, (dense for (dense,) in stored.each("dense"))),
            self._write_sparse(folder, self.names[1], stored),
        ]
        if self._multi:
            lengths = np.concatenate([lengths for (lengths,) in stored.each("lengths")])
            kinds.append(write_multi(folder, self.names[2], lengths, (multi for (multi,) in stored.each("multi"))))
        return dict(zip(self.names, kinds, strict=True))

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        with alone():
            (one,) = self._forward([text])
        sparse = SparseQuery(one.terms, one.weights.astype(np.float64))
        return dict(zip(self.names, (one.dense, sparse, one.multi), strict=False))

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _write_sparse(self, folder: Path, name: str, stored: Stored) -> str:
        counts, terms, weights = map(np.concatenate, zip(*stored.each("counts", "terms", "weights"), strict=True))
        vocabulary = int(terms.max()) + 1 if len(terms) else 1
        vectors = SparseVectors.of_rows(counts, terms, weights, vocabulary)
        vectors.save(folder, name)
        return vectors.kind

    def _encode_all(self, texts: Sequence[str]) -> list[_Encoded]:
        """Longest first, so that texts of a batch are of like length and little is padded."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        made: Iterator[list[_Encoded]] = in_batches([texts[i] for i in order], _BATCH, self._forward)
        encoded = dict(zip(order, (one for batch in made for one in batch), strict=True))
        return [encoded[i] for i in range(len(texts))]

    def _forward(self, texts: list[str]) -> list[_Encoded]:
        # Not through BGEM3FlagModel.encode: it runs the first batch twice, which doubles the time of a query.
        if self._model is None:
            self._open()
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt")
        made = self._model(inputs.to(self._device), True, True, True)
        dense, weights, multi = (
            made[name].float().cpu().numpy() for name in ("dense_vecs", "sparse_vecs", "colbert_vecs")
        )
        ids, lengths = inputs["input_ids"].cpu().numpy(), inputs["attention_mask"].sum(1).tolist()
        return [
            _Encoded(dense[i], *self._heaviest(ids[i, :length], weights[i, :length, 0]), multi[i, : length - 1])
            for i, length in enumerate(lengths)
        ]

    def _heaviest(
        self, ids: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """A term's weight is that of its heaviest token."""
        tokenizer = self._tokenizer
        special = (tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
        kept = (weights > 0) & ~np.isin(ids, special)
        terms, place = np.unique(ids[kept], return_inverse=True)
        heaviest = np.zeros(len(terms), dtype=np.float32)
        np.maximum.at(heaviest, place, weights[kept])
        return terms, heaviest

    def _open(self) -> None:
        with loading(self.name, self._folder):
            torch = importlib.import_module("torch")
            library = importlib.import_module("FlagEmbedding.finetune.embedder.encoder_only.m3")
            self._device = device()
            options = {"dtype": torch.float16 if self._device.startswith("cuda") else torch.float32}
            # Not through BGEM3FlagModel either: it puts random weights where some are missing.
            base = pretrained(self.name, self._folder, ("pooler.",), **options)
            heads = {}
            for head in ("colbert_linear", "sparse_linear"):
                state = torch.load(self._folder / f"{head}.pt", map_location="cpu", weights_only=True)
                linear = torch.nn.Linear(base.config.hidden_size, len(state["weight"]), **options)
                linear.load_state_dict(state)
                heads[head] = linear
            tokenizer = importlib.import_module("transformers").AutoTokenizer
            self._tokenizer = tokenizer.from_pretrained(str(self._folder), local_files_only=True)
            model = library.EncoderOnlyEmbedderM3ModelForInference(
                {"model": base, **heads}, self._tokenizer, sentence_pooling_method="cls", normalize_embeddings=True
            )
            self._model = model.to(self._device).eval()
