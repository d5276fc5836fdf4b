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
from .cin import CIN
from .combine import Add, Chain, Concat
from .cross import Cross
from .dense import Dense
from .dropout import Dropout
from .embedding import Bags, Embedding, EmbeddingBag
from .fields import CrossWeights, FieldEmbedding, FieldPairs, Fields, FirstOrder
from .interaction import AttentionPooling, BiInteraction, InnerProduct, OuterProduct, PairwiseSum
from .mlp import mlp
from .norm import BatchNorm, LayerNorm
from .recurrent import GRU, LSTM, RNN
from .shape import Flatten, RowSum

__all__ = [
    "ACTIVATIONS",
    "CIN",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "AttentionPooling",
    "Bags",
    "BatchNorm",
    "BiInteraction",
    "Chain",
    "Concat",
    "Cross",
    "CrossWeights",
    "Dense",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "FieldEmbedding",
    "FieldPairs",
    "Fields",
    "FirstOrder",
    "Flatten",
    "InnerProduct",
    "Layer",
    "LayerNorm",
    "OuterProduct",
    "PairwiseSum",
    "RowSum",
    "Source",
    "glorot_uniform",
    "he_normal",
    "lecun_normal",
    "mlp",
    "normal",
]
