"""xDeepFM: Lian et al., KDD 2018, arXiv:1803.05170."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import CIN, Add, Chain, Dense, Flatten, Layer
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, head, table


@dataclass(kw_only=True, eq=False, repr=False)
class XDeepFM(FeatureModel):
    """Weights of the features, a compressed interaction network, and a network, on the same embeddings.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    maps : tuple of int
        Feature maps of each layer of the compressed interaction network.
    cin_activation : str
        Of these layers.
    split_half : bool
        Whether one half of a layer's maps goes to the output and only the other on to the next layer.
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
    >>> from pyrec_core import XDeepFM
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = XDeepFM(embedding_dim=4, maps=(4,), hidden=(8,), n_epochs=60, batch_size=20, random_state=0)
    >>> model.set_params(learning_rate=0.05).fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    maps: tuple[int, ...] = (64, 64)
    cin_activation: str = "identity"
    split_half: bool = False
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    def _build(self, layout: Layout, source: Source) -> Layer:
        width = layout.n_slots * self.embedding_dim
        cin = CIN(layout.n_slots, self.maps, source, activation=self.cin_activation, split_half=self.split_half)
        explicit = Chain(cin, Dense(cin.n_out, 1, source))
        deep = Chain(Flatten(), *head(self, width, source))
        return Add(first_order(layout), Chain(table(self, layout, source), Add(explicit, deep)))
