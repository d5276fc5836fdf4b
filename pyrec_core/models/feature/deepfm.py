"""DeepFM: Guo et al., IJCAI 2017, arXiv:1703.04247."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Add, Chain, Flatten, Layer, PairwiseSum
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, head, table


@dataclass(kw_only=True, eq=False, repr=False)
class DeepFM(FeatureModel):
    """A factorization machine, and a network on the same embeddings.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    hidden : tuple of int
        Units of the hidden layers.
    activation : str
        One of `pyrec_core.layers.ACTIVATIONS`.
    dropout : float in [0, 1)
        Share of each hidden layer that is dropped in training.
    batch_norm : bool
        Whether hidden layers are normalised over the batch.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import DeepFM
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = DeepFM(embedding_dim=4, hidden=(8,), n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    def _build(self, layout: Layout, source: Source) -> Layer:
        width = layout.n_slots * self.embedding_dim
        deep = Chain(Flatten(), *head(self, width, source))
        return Add(first_order(layout), Chain(table(self, layout, source), Add(PairwiseSum(), deep)))
