"""Normalisation over the batch and over the elements of an example."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from .._validation import check_float, check_float_dtype, check_int, check_like
from ..kernels.norm import (
    batch_norm_backward,
    batch_norm_forward,
    column_moments,
    layer_norm_backward,
    layer_norm_forward,
)
from ..optim import Param
from ._base import Backprop, Layer, check_input


class BatchNorm(Layer):
    """Columns at mean 0 and variance 1, then scaled and shifted: (..., width) -> (..., width).

    ``y = gamma * (x - mean) / sqrt(var + eps) + beta``, in training with mean and variance (that of n numbers, divided
    by n) of the batch, whose running averages are used outside. Ioffe & Szegedy 2015, arXiv:1502.03167.

    Parameters
    ----------
    width : int >= 1
    momentum : float in [0, 1]
        Share of the running averages that is kept in each step of training.
    eps : float > 0
    dtype : float32 or float64

    Attributes
    ----------
    gamma, beta : Param (width,)
        Start at 1 and at 0.
    mean, var : array (width,)
        Running averages. They start at 0 and at 1.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import BatchNorm
    >>> layer = BatchNorm(1, momentum=0.5, dtype=np.float64)
    >>> y, backprop = layer.forward(np.array([[1.0], [5.0]]), train=True)
    >>> y.round(3), layer.mean, layer.var
    (array([[-1.],
           [ 1.]]), array([1.5]), array([2.5]))
    """

    state_names: ClassVar[tuple[str, ...]] = ("mean", "var")

    def __init__(
        self, width: int, *, momentum: float = 0.9, eps: float = 1e-5, dtype: DTypeLike = np.float32
    ) -> None:  # fmt: skip
        self.momentum = check_float("momentum", momentum, low=0.0, high=1.0)
        self.gamma, self.beta, self.eps = _start(width, eps, dtype)
        self.mean, self.var = np.zeros_like(self.beta.value), np.ones_like(self.gamma.value)

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        gamma, beta = self.gamma.value, self.beta.value
        x = check_input(x, len(gamma), gamma.dtype)
        rows = x.reshape(-1, len(gamma))
        if not train:
            mean, var = self.mean.copy(), self.var.copy()  # training may move them before the way back
        elif len(rows) >= 2:
            mean, var = column_moments(rows)
            self.mean += (1.0 - self.momentum) * (mean - self.mean)
            self.var += (1.0 - self.momentum) * (var - self.var)
        else:
            raise ValueError(f"x must have at least two rows in training, got shape {x.shape}")
        y = batch_norm_forward(rows, mean, var, gamma, beta, eps=self.eps).reshape(x.shape)

        def backprop(d_y: Any) -> Any:
            d_rows = check_like("d_y", d_y, x.shape, x.dtype).reshape(rows.shape)
            d_x, d_gamma, d_beta = batch_norm_backward(
                d_rows, rows, mean, var, gamma, eps=self.eps, constants=not train
            )  # fmt: skip
            self.gamma.add_grad(d_gamma)
            self.beta.add_grad(d_beta)
            return d_x.reshape(x.shape)

        return y, backprop


class LayerNorm(Layer):
    """Vectors along the last axis at mean 0 and variance 1, then scaled and shifted: (..., width) -> (..., width).

    ``y = gamma * (x - mean(x)) / sqrt(var(x) + eps) + beta``, in training and outside alike. Ba et al. 2016,
    arXiv:1607.06450.

    Parameters
    ----------
    width : int >= 1
    eps : float > 0
    dtype : float32 or float64

    Attributes
    ----------
    gamma, beta : Param (width,)
        Start at 1 and at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import LayerNorm
    >>> LayerNorm(2, dtype=np.float64)(np.array([[1.0, 5.0], [0.0, -8.0]])).round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    def __init__(self, width: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.gamma, self.beta, self.eps = _start(width, eps, dtype)

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        gamma, beta = self.gamma.value, self.beta.value
        x = check_input(x, len(gamma), gamma.dtype)
        rows = x.reshape(-1, len(gamma))
        y = layer_norm_forward(rows, gamma, beta, eps=self.eps).reshape(x.shape)

        def backprop(d_y: Any) -> Any:
            d_rows = check_like("d_y", d_y, x.shape, x.dtype).reshape(rows.shape)
            d_x, d_gamma, d_beta = layer_norm_backward(d_rows, rows, gamma, eps=self.eps)
            self.gamma.add_grad(d_gamma)
            self.beta.add_grad(d_beta)
            return d_x.reshape(x.shape)

        return y, backprop


def _start(width: int, eps: float, dtype: DTypeLike) -> tuple[Param, Param, float]:
    """Return scale and shift at the start, and the checked ``eps``."""
    width, dtype = check_int("width", width, low=1), check_float_dtype("dtype", dtype)
    return Param(np.ones(width, dtype)), Param(np.zeros(width, dtype)), check_float("eps", eps, low=0.0, low_open=True)
