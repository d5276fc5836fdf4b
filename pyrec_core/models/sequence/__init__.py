"""The sequence door: what comes next in a session."""

from ._base import SequenceModel
from ._live import LiveSession
from .markov import MarkovChain

__all__ = ["LiveSession", "MarkovChain", "SequenceModel"]
