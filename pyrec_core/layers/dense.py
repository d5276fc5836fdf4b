"""Affine maps."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._random import Source
from .._validation import check_bool, check_choice, check_int, check_like
from ..kernels.linalg import column_sums, gemm
from ..optim import Param
from ._base import Backprop, Layer, check_input
from ._init import glorot_uniform, he_normal, lecun_normal

_INITS = {"glorot": glorot_uniform, "he": he_normal, "lecun": lecun_normal}


class Dense(Layer):
    """The affine map ``x w + b``: (..., n_in) -> (..., n_out).

    Parameters
    ----------
    n_in, n_out : int >= 1
    source : Source
        Of the random numbers.
    bias : bool
        Whether there is b; it starts at 0.
    init : {"glorot", "he", "lecun"}
        Of w: uniform in ``+-sqrt(6 / (n_in + n_out))``, normal with variance ``2 / n_in``, or with ``1 / n_in``.
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (n_in, n_out)
    b : Param (n_out,) or None

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Dense, Source
    >>> layer = Dense(2, 3, Source(0))
    >>> y, backprop = layer.forward(np.ones((5, 2), np.float32), train=True)
    >>> d_x = backprop(np.ones_like(y))
    >>> d_x.shape, layer.b.grad
    ((5, 2), array([5., 5., 5.], dtype=float32))
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        source: Source,
        *,
        bias: bool = True,
        init: str = "glorot",
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = check_int("n_in", n_in, low=1), check_int("n_out", n_out, low=1)
        self.w = Param(_INITS[check_choice("init", init, tuple(_INITS))](shape, source, dtype=dtype))
        self.b = Param(np.zeros(n_out, dtype)) if check_bool("bias", bias) else None

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        n_in, n_out = self.w.value.shape
        x = check_input(x, n_in, self.w.value.dtype)
        rows = x.reshape(-1, n_in)
        y = gemm(rows, self.w.value, bias=None if self.b is None else self.b.value)
        shape = (*x.shape[:-1], n_out)

        def backprop(d_y: Any) -> Any:  # without y: an activation after this layer may write over it
            d_rows = check_like("d_y", d_y, shape, x.dtype).reshape(-1, n_out)
            self.w.add_grad(gemm(rows, d_rows, trans_a=True))
            if self.b is not None:
                self.b.add_grad(column_sums(d_rows))
            return gemm(d_rows, self.w.value, trans_b=True).reshape(x.shape)

        return y.reshape(shape), backprop
