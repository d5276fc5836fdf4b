"""Wide & Deep: Cheng et al., DLRS 2016, arXiv:1606.07792."""

from dataclasses import dataclass
from typing import Any

from ..._random import Source
from ...layers import Add, Chain, Flatten, Layer
from ...optim import Divided, Optimizer, resolve
from .._trained import with_l2
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, head, linear_parts, table, with_l1


@dataclass(kw_only=True, eq=False, repr=False)
class WideDeep(FeatureModel):
    """Weights of the features, and a network on their embeddings.

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
    wide_optimizer : str or Optimizer, optional
        Of the wide part: the weights of the features and of the crosses (``crosses`` of a `FeatureEncoder`). In the
        paper "ftrl", with ``l1``. ``optimizer`` and ``learning_rate`` are then those of the deep part, in the paper
        "adagrad". None: ``optimizer`` is that of both.
    l1 : float >= 0
        Penalty of the absolute weights of the wide part: many are then 0. Only FTRL has one.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import WideDeep
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> y = X[:, 0] ^ X[:, 1]
    >>> model = WideDeep(embedding_dim=4, hidden=(8,), n_epochs=60, batch_size=20, learning_rate=0.05, random_state=0)
    >>> model.fit(X, y).predict(X[:4])
    array([0, 1, 1, 0])
    """

    embedding_dim: int = 16
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False
    wide_optimizer: str | Optimizer | None = None
    l1: float = 0.0

    _plain = (*FeatureModel._plain, "wide_optimizer")

    def _build(self, layout: Layout, source: Source) -> Layer:
        width = layout.n_slots * self.embedding_dim
        deep = Chain(table(self, layout, source), Flatten(), *head(self, width, source))
        return Add(first_order(layout), deep)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._wide_optimizer()

    def _wide_optimizer(self) -> Optimizer:
        if self.wide_optimizer is None:
            return with_l1(self._optimizer(), self.l1, "wide_optimizer")
        wide = resolve(self.wide_optimizer, name="wide_optimizer")
        return with_l1(with_l2(wide, self.l2), self.l1, "wide_optimizer")

    def _optimizer_of(self, network: Any) -> Optimizer | Divided:
        if self._wide_optimizer() == self._optimizer():
            return self._optimizer()  # which clips the gradients of all parameters together
        wide, _ = network.layers
        return Divided(self._optimizer(), *linear_parts(self._wide_optimizer(), wide))
