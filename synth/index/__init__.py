"""The product index: a text or a vector in, ranked products out."""

from synth.index.batching import Searcher
from synth.index.build import build_index, default_folder, open_or_build
from synth.index.index import Index, Search

__all__ = ["Index", "Search", "Searcher", "build_index", "default_folder", "open_or_build"]
