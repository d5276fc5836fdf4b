"""Deep & Cross network: Wang et al., ADKDD 2017, arXiv:1708.05123."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Chain, Concat, Cross, Dense, Flatten, Layer
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import table, tower


@dataclass(kw_only=True, eq=False, repr=False)
class DCN(FeatureModel):
    """Crosses of the embeddings with a vector of weights a layer, beside a network.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    n_crosses : int
        Cross layers: the degree of the polynomial is one more.
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
    >>> from pyrec_core import DCN
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = DCN(embedding_dim=4, hidden=(8,), n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    n_crosses: int = 2
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    _linear = False

    def _build(self, layout: Layout, source: Source) -> Layer:
        width = layout.n_slots * self.embedding_dim
        out = self.hidden[-1] if self.hidden else width
        both = Concat(Cross(width, self.n_crosses, source), tower(self, width, source))
        return Chain(table(self, layout, source), Flatten(), both, Dense(width + out, 1, source))
