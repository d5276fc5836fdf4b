"""Activations."""

from typing import Any

from .._validation import check_bool, check_choice, check_float
from ..kernels import activations
from ..kernels.activations import (
    activation_backward,
    activation_forward,
    l2_normalize_backward,
    l2_normalize_forward,
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)
from ._base import Backprop, Layer

ACTIVATIONS = (*activations.ACTIVATIONS, "softmax", "log-softmax", "l2-normalize")


class Activation(Layer):
    """A function of single elements, or of the vectors along the last axis.

    Parameters
    ----------
    name : {"identity", "sigmoid", "tanh", "relu", "leaky", "elu", "selu", "softplus"} or row by row \
{"softmax", "log-softmax", "l2-normalize"}
        The formulas stand in `pyrec_core.kernels.activations`.
    alpha : float >= 0, optional
        Of "leaky" (default 0.01) and "elu" (default 1).
    overwrite : bool
        Write the output over the input. For a layer that stands right after one like `Dense`, whose output nobody else
        sees and which does not need it on the way back; the functions of vectors do not make use of it.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Activation
    >>> Activation("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self, name: str, *, alpha: float | None = None, overwrite: bool = False) -> None:
        self.name = check_choice("name", name, ACTIVATIONS)
        if alpha is not None and name not in ("leaky", "elu"):
            raise ValueError(f"alpha must be None for {name!r}, which has none, got {alpha!r}")
        self.alpha = None if alpha is None else check_float("alpha", alpha, low=0.0)
        self.overwrite = check_bool("overwrite", overwrite)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})" if self.alpha is None else f"Activation({self.name!r}, alpha={self.alpha})"

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        if self.name == "softmax":
            y = softmax_forward(x)
            return y, lambda d_y: softmax_backward(d_y, y)
        if self.name == "log-softmax":
            y = log_softmax_forward(x)
            return y, lambda d_y: log_softmax_backward(d_y, y)
        if self.name == "l2-normalize":
            return l2_normalize_forward(x), lambda d_y: l2_normalize_backward(d_y, x)
        y = activation_forward(x, self.name, alpha=self.alpha, overwrite=self.overwrite)
        return y, lambda d_y: activation_backward(d_y, y, self.name, alpha=self.alpha)
