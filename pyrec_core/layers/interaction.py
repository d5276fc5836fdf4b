"""Interactions of fields. Shapes: B batch, m fields, d embedding size."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._random import Source
from .._validation import check_float_array, check_int, check_like, contiguous
from ..kernels.interaction import (
    attention_pooling_backward,
    attention_pooling_forward,
    bi_interaction_backward,
    bi_interaction_forward,
    fm_backward,
    fm_forward,
    inner_products_backward,
    inner_products_forward,
)
from ..kernels.linalg import gemm
from ..optim import Param
from ._base import Backprop, Layer
from ._init import glorot_uniform
from .activation import Activation
from .combine import Chain
from .dense import Dense
from .dropout import Dropout


class PairwiseSum(Layer):
    """The sum of the inner products of all pairs of fields, (B, m, d) -> (B, 1): that of a factorization machine.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import PairwiseSum
    >>> PairwiseSum()(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([[67.]])
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=3)
        y = fm_forward(x)[:, None]
        return y, lambda d_y: fm_backward(check_like("d_y", d_y, y.shape, y.dtype)[:, 0], x)


class BiInteraction(Layer):
    """The sum of the element-wise products of all pairs of fields: (B, m, d) -> (B, d).

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import BiInteraction
    >>> BiInteraction()(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([[23., 44.]])
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=3)
        y = bi_interaction_forward(x)
        return y, lambda d_y: bi_interaction_backward(check_like("d_y", d_y, y.shape, y.dtype), x)


class InnerProduct(Layer):
    """The inner products of all pairs of fields, (B, m, d) -> (B, m (m - 1) / 2): (0, 1), (0, 2), ..., (1, 2), ...

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import InnerProduct
    >>> InnerProduct()(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([[11., 17., 39.]])
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=3)
        y = inner_products_forward(x)
        return y, lambda d_y: inner_products_backward(check_like("d_y", d_y, y.shape, y.dtype), x)


class OuterProduct(Layer):
    """Weighted sums of the outer product of the sum of all fields with itself: (B, m, d) -> (B, n_out).

    With ``s`` the sum of the fields, output n is ``s . w[n] s``. Qu et al. 2016, arXiv:1611.00144, eq. 13.

    Parameters
    ----------
    d, n_out : int >= 1
    source : Source
        Of the random numbers.
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (n_out, d, d)
        Starts uniform in ``+-sqrt(6 / (d d + n_out))``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import OuterProduct, Source
    >>> layer = OuterProduct(2, 1, Source(0), dtype=np.float64)
    >>> layer.w.value[:] = [[1.0, 10.0], [0.0, 100.0]]
    >>> layer(np.array([[[1.0, 2.0], [2.0, 2.0]]]))  # 9 + 120 + 1600
    array([[1729.]])
    """

    def __init__(self, d: int, n_out: int, source: Source, *, dtype: DTypeLike = np.float32) -> None:
        d, n_out = check_int("d", d, low=1), check_int("n_out", n_out, low=1)
        self.w = Param(glorot_uniform((n_out, d, d), source, dtype=dtype, fan=(d * d, n_out)))

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        n_out, d, _ = self.w.value.shape
        x = _check_vectors(x, d, self.w.value.dtype)
        total, w = x.sum(axis=1), self.w.value.reshape(n_out, d * d)
        products = (total[:, :, None] * total[:, None]).reshape(-1, d * d)
        y = gemm(products, w, trans_b=True)

        def backprop(d_y: Any) -> Any:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.w.add_grad(gemm(d_y, products, trans_a=True).reshape(n_out, d, d))
            d_products = gemm(d_y, w).reshape(-1, d, d)
            d_total = np.einsum("bij,bj->bi", d_products + d_products.transpose(0, 2, 1), total)
            return np.broadcast_to(d_total[:, None], x.shape).copy()

        return y, backprop


class AttentionPooling(Layer):
    """The products of all pairs of fields, averaged with weights that a network gives to each: (B, m, d) -> (B, d).

    ``sum_t a[t] p[t]`` over the pairs ``p[t] = x[i] * x[j]``, with ``a = softmax_t(h . relu(p[t] w + b))``. Xiao et al.
    2017, arXiv:1708.04617, eq. 4 and 5.

    Parameters
    ----------
    d : int >= 1
    attention_dim : int >= 1
        Hidden units of the network.
    source : Source
        Of the random numbers.
    dropout : float in [0, 1)
        Of the output.
    dtype : float32 or float64

    Attributes
    ----------
    attention : Chain
        The network, with w (d, attention_dim), b (attention_dim,) and h (attention_dim, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import AttentionPooling, Source
    >>> layer = AttentionPooling(2, 4, Source(0), dtype=np.float64)
    >>> layer(np.array([[[1.0, 2.0], [3.0, 4.0]]]))  # a single pair, of weight 1
    array([[3., 8.]])
    """

    def __init__(
        self, d: int, attention_dim: int, source: Source, *, dropout: float = 0.0, dtype: DTypeLike = np.float32
    ) -> None:
        self.d = check_int("d", d, low=1)
        hidden = Dense(d, check_int("attention_dim", attention_dim, low=1), source, dtype=dtype)
        self.attention = Chain(hidden, Activation("relu"), Dense(attention_dim, 1, source, bias=False, dtype=dtype))
        self.dropout, self.dtype = Dropout(dropout, source), np.dtype(dtype)

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = _check_vectors(x, self.d, self.dtype)
        w, b, h = self.attention.params()
        weights = contiguous(w.value.T), b.value, h.value[:, 0]
        pooled, log_sum = attention_pooling_forward(x, *weights)
        y, to_pooled = self.dropout.forward(pooled, train=train)

        def backprop(d_y: Any) -> Any:
            d_pooled = to_pooled(check_like("d_y", d_y, y.shape, y.dtype))
            d_x, d_w, d_b, d_h = attention_pooling_backward(d_pooled, pooled, log_sum, x, *weights)
            w.add_grad(d_w.T)
            b.add_grad(d_b)
            h.add_grad(d_h[:, None])
            return d_x

        return y, backprop


def _check_vectors(x: Any, d: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return ``x`` as an array (B, m, d) of the dtype of a layer's parameters."""
    array: NDArray[Any] = check_float_array("x", x, ndim=3)
    array = check_like("x", array, (*array.shape[:2], d), dtype)
    return array
