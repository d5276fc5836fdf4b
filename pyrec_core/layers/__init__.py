"""Layers: parts of networks with their way back written out."""

from ._base import Layer
from .recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Layer"]
