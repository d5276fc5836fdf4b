"""Crosses of the input with itself: Wang et al., ADKDD 2017, arXiv:1708.05123."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._backend import array_module
from .._random import Source
from .._validation import check_float_array, check_int, check_like
from ..kernels.linalg import column_sums, gemm
from ..optim import Param
from ._base import Backprop, Layer, check_input
from ._init import glorot_uniform


class Cross(Layer):
    """Cross layers, (B, width) -> (B, width): ``x[l + 1] = x[0] * (x[l] . w[l]) + b[l] + x[l]``.

    Parameters
    ----------
    width : int >= 1
    n_layers : int >= 0
    source : Source
        Of the random numbers.
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (n_layers, width)
        Starts uniform in ``+-sqrt(6 / (width + 1))``.
    b : Param (n_layers, width)
        Starts at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Cross, Source
    >>> layer = Cross(2, 1, Source(0))
    >>> layer.w.value[:] = [[1.0, 10.0]]
    >>> layer(np.array([[3.0, 4.0]], np.float32))  # (3, 4) * 43 + (3, 4)
    array([[132., 176.]], dtype=float32)
    """

    def __init__(self, width: int, n_layers: int, source: Source, *, dtype: DTypeLike = np.float32) -> None:
        shape = check_int("n_layers", n_layers, low=0), check_int("width", width, low=1)
        self.w = Param(glorot_uniform(shape, source, dtype=dtype, fan=(width, 1)))
        self.b = Param(np.zeros(shape, dtype))

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        w, b = self.w.value, self.b.value
        n_layers, width = w.shape
        x = check_input(check_float_array("x", x, ndim=2), width, w.dtype)
        # x[l] is x[0] times a number, plus what all examples share: x * scale[l] + shift[l]. So one product with all
        # weights serves all layers.
        dots = gemm(x, w, trans_b=True)
        shift = np.cumsum(np.vstack([np.zeros_like(b[:1], shape=(1, width)), b]), axis=0)
        scale = array_module(x).ones((n_layers + 1, len(x), 1), w.dtype)
        for layer in range(n_layers):
            s = scale[layer]
            scale[layer + 1] = s + (s * dots[:, layer, None] + np.sum(shift[layer] * w[layer]))
        y = x * scale[n_layers] + shift[n_layers]

        def backprop(d_y: Any) -> Any:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            d_scale, d_shift = np.sum(d_y * x, axis=1, keepdims=True), column_sums(d_y)
            d_dots, d_w, d_b = np.empty_like(dots), np.empty_like(w), np.empty_like(b)
            for layer in reversed(range(n_layers)):
                shared = d_scale.sum()  # gradient of shift . w, the same number for all examples
                d_b[layer] = d_shift
                d_w[layer] = shared * shift[layer]
                d_shift = d_shift + shared * w[layer]
                d_dots[:, layer, None] = d_scale * scale[layer]
                d_scale = d_scale + d_scale * dots[:, layer, None]
            d_w += gemm(d_dots, x, trans_a=True)
            self.w.add_grad(d_w)
            self.b.add_grad(d_b)
            return d_y * scale[n_layers] + gemm(d_dots, w)

        return y, backprop
