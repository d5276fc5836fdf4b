"""Attentional factorization machine: Xiao et al., IJCAI 2017, arXiv:1708.04617."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Add, AttentionPooling, Chain, Dense, Layer
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, table


@dataclass(kw_only=True, eq=False, repr=False)
class AFM(FeatureModel):
    """Weights of the features, and of their pairs, which an attention network weights.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    attention_dim : int
        Units of the attention network.
    dropout : float in [0, 1)
        Share of the sum of the pairs that is dropped in training.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import AFM
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = AFM(embedding_dim=4, attention_dim=4, n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    attention_dim: int = 16
    dropout: float = 0.0

    def _build(self, layout: Layout, source: Source) -> Layer:
        pooled = AttentionPooling(self.embedding_dim, self.attention_dim, source, dropout=self.dropout)
        pairs = Chain(table(self, layout, source), pooled, Dense(self.embedding_dim, 1, source, bias=False))
        return Add(first_order(layout), pairs)
