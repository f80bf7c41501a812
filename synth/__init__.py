"""Synth: multimodal shopping conversations from a team of LLM agents, with every step on record.

Importing this package is light: no model library is loaded until something needs it.
"""

__version__ = "0.1.0"
