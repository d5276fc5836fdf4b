"""Layers: parts of networks with their way back written out.

``y, backprop = layer.forward(x, train=True)``, then ``d_x = backprop(d_y)`` with the gradient of the loss, which adds
the gradients of the parameters to them; then a step of `pyrec_core.optim` on ``layer.params()``. There is no graph
and no tape: what a layer needs for the way back, `Layer.forward` leaves in ``backprop``. Layers of one network take
their random numbers from one `Source`.
"""

from .._random import Source
from ._base import Layer
from ._init import glorot_uniform, he_normal, lecun_normal, normal
from .activation import ACTIVATIONS, Activation
from .combine import Add, Chain, Concat
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .mlp import mlp
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "Chain",
    "Concat",
    "Dense",
    "Dropout",
    "Embedding",
    "Layer",
    "Source",
    "glorot_uniform",
    "he_normal",
    "lecun_normal",
    "mlp",
    "normal",
]
