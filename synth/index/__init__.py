"""The product index: text in, ranked products out."""

from synth.index.batching import Searcher
from synth.index.build import build_index, default_folder
from synth.index.exact import Index
from synth.index.texts import item_text

__all__ = ["Index", "Searcher", "build_index", "default_folder", "item_text"]
