"""The product index: text in, ranked products out."""

from synth.index.batching import Searcher
from synth.index.build import build_index, default_folder
from synth.index.exact import Index

__all__ = ["Index", "Searcher", "build_index", "default_folder"]
