"""Factorization machine: Rendle, ICDM 2010."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Add, Chain, Dropout, Layer, RowSum
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, pairs_of


@dataclass(kw_only=True, eq=False, repr=False)
class FM(FeatureModel):
    """Weights of the features, and of all their pairs as products of embeddings.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    dropout : float in [0, 1)
        Share of the sum of the pairs, before it is summed over the dimensions, that is dropped in training.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import FM
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = FM(embedding_dim=4, n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    dropout: float = 0.0

    def _build(self, layout: Layout, source: Source) -> Layer:
        pairs = Chain(pairs_of(self, layout, source), Dropout(self.dropout, source), RowSum())
        return Add(first_order(layout), pairs)
