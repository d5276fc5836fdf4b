"""Product-based neural network: Qu et al., ICDM 2016, arXiv:1611.00144."""

from dataclasses import dataclass

from ..._random import Source
from ..._validation import check_choice
from ...layers import Chain, Concat, Flatten, InnerProduct, Layer, OuterProduct
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import head, table


@dataclass(kw_only=True, eq=False, repr=False)
class PNN(FeatureModel):
    """A network on the embeddings and on the products of their pairs.

    Parameters
    ----------
    embedding_dim : int
        Columns of the embeddings.
    products : {"inner", "outer", "both"}
        Of each pair of embeddings, or of the outer product of their sum with itself, of which as many weighted sums
        are made as there are units in the first hidden layer.
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
    >>> from pyrec_core import PNN
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = PNN(embedding_dim=4, hidden=(8,), n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    products: str = "inner"
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    _linear = False

    def _build(self, layout: Layout, source: Source) -> Layer:
        check_choice("products", self.products, ("inner", "outer", "both"))
        d, m = self.embedding_dim, layout.n_slots
        signals: list[Layer] = [Flatten()]
        width = m * d
        if self.products != "outer":
            signals.append(InnerProduct())
            width += m * (m - 1) // 2
        if self.products != "inner":
            n_out = self.hidden[0] if self.hidden else d
            signals.append(OuterProduct(d, n_out, source))
            width += n_out
        return Chain(table(self, layout, source), Concat(*signals), *head(self, width, source))
