"""Logistic regression: McMahan et al., KDD 2013, for its optimizer FTRL."""

from dataclasses import dataclass

from ..._random import Source
from ...layers import Layer
from ...optim import Divided, Optimizer
from ._base import FeatureModel
from ._inputs import Layout
from ._parts import first_order, linear_parts, with_l1


@dataclass(kw_only=True, eq=False, repr=False)
class LogisticRegression(FeatureModel):
    """Weights of the features, learned by gradient steps: the wide part of Wide & Deep.

    Parameters
    ----------
    l1 : float >= 0
        Penalty of the absolute weights, the constant aside: many are then 0. Only FTRL has one.
    loss, l2, field_sizes, handle_unknown, encoder, negative_rate, n_epochs, batch_size, optimizer, learning_rate,
    early_stopping, validation_fraction, callbacks, device, n_threads, random_state, verbose
        As in all models of this door: see `FeatureModel`, also for the attributes.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.models.feature import LogisticRegression
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 50)
    >>> LogisticRegression(n_epochs=20, random_state=0).fit(X, X[:, 1]).predict(X[:4])
    array([0, 1, 0, 1])
    """

    l1: float = 0.0
    optimizer: str | Optimizer = "ftrl"

    def _build(self, layout: Layout, source: Source) -> Layer:
        return first_order(layout)

    def _optimizer(self) -> Optimizer:
        return with_l1(super()._optimizer(), self.l1, "optimizer")

    def _optimizer_of(self, network: Layer) -> Divided:
        return Divided(self._optimizer(), *linear_parts(self._optimizer(), network))
