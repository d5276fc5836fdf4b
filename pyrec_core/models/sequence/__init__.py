"""The sequence door: what comes next in a session."""

from ._base import SequenceModel
from ._live import LiveSession
from .gru4rec import GRU4Rec
from .markov import MarkovChain

__all__ = ["GRU4Rec", "LiveSession", "MarkovChain", "SequenceModel"]
