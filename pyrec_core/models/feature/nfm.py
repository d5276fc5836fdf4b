"""Neural factorization machine: He & Chua, SIGIR 2017, arXiv:1708.05027."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Add, BatchNorm, Chain, Dropout, Layer, RowSum
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, head, pairs_of


@dataclass(kw_only=True, eq=False, repr=False)
class NFM(FeatureModel):
    """Weights of the features, and a network on the sum of all products of two embeddings.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    hidden : tuple of int
        Units of the hidden layers; without any it is a factorization machine.
    activation : str
        One of `pyrec_core.layers.ACTIVATIONS`.
    dropout : float in [0, 1)
        Share of each hidden layer that is dropped in training.
    batch_norm : bool
        Whether hidden layers are normalised over the batch.
    dropout_pooling : float in [0, 1)
        Share of the sum of the products that is dropped in training.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import NFM
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = NFM(embedding_dim=4, hidden=(8,), n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 64
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    dropout_pooling: float = 0.0
    batch_norm: bool = False

    def _build(self, layout: Layout, source: Source) -> Layer:
        pooled: list[Layer] = [pairs_of(self, layout, source)]
        if self.batch_norm:
            pooled.append(BatchNorm(self.embedding_dim))
        pooled.append(Dropout(self.dropout_pooling, source))
        top = head(self, self.embedding_dim, source) if self.hidden else (RowSum(),)
        return Add(first_order(layout), Chain(*pooled, *top))
