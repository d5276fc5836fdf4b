"""Interactions of fields. Shapes: B batch, m fields, d embedding size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._random import Source
from .._validation import check_float_array, check_int, check_like
from ..kernels.activations import softmax_backward, softmax_forward
from ..kernels.interaction import bi_interaction_backward, bi_interaction_forward, fm_backward, fm_forward
from ..kernels.linalg import gemm
from ..optim import Param
from ._base import Backprop, Layer
from ._init import glorot_uniform
from .activation import Activation
from .combine import Chain
from .dense import Dense
from .dropout import Dropout

_PAIRS_AT_ONCE = 2**14  # of all examples together: what is made of them stays in cache


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
        m = x.shape[1]
        y = np.empty((len(x), m * (m - 1) // 2), x.dtype)
        for i, pairs in _pairs_by_first(m):
            y[:, pairs] = np.einsum("bd,bjd->bj", x[:, i], x[:, i + 1 :])

        def backprop(d_y: Any) -> Any:
            d_y, d_x = check_like("d_y", d_y, y.shape, y.dtype), np.zeros_like(x)
            for i, pairs in _pairs_by_first(m):
                d_x[:, i] += np.einsum("bj,bjd->bd", d_y[:, pairs], x[:, i + 1 :])
                d_x[:, i + 1 :] += d_y[:, pairs, None] * x[:, i, None]
            return d_x

        return y, backprop


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
        m = x.shape[1]
        first, second = np.triu_indices(m, 1)
        step = max(1, _PAIRS_AT_ONCE // max(1, len(first)))
        blocks = [slice(at, at + step) for at in range(0, len(x), step)]
        pooled, weights = np.empty((len(x), self.d), x.dtype), np.empty((len(x), len(first)), x.dtype)
        for block in blocks:
            pairs = x[block, first] * x[block, second]
            weights[block] = softmax_forward(self.attention(pairs)[:, :, 0])
            pooled[block] = np.einsum("bt,btd->bd", weights[block], pairs)
        y, to_pooled = self.dropout.forward(pooled, train=train)

        def backprop(d_y: Any) -> Any:
            d_pooled, d_x = to_pooled(check_like("d_y", d_y, y.shape, y.dtype)), np.zeros_like(x)
            for block in blocks:  # pairs are made again: kept, they would be the largest array of all
                pairs = x[block, first] * x[block, second]
                _, to_pairs = self.attention.forward(pairs, train=train)
                d_weights = np.einsum("bd,btd->bt", d_pooled[block], pairs)
                d_pairs = to_pairs(softmax_backward(d_weights, weights[block])[:, :, None])
                d_pairs += weights[block, :, None] * d_pooled[block, None]
                for i, t in _pairs_by_first(m):
                    d_x[block, i] += np.einsum("btd,btd->bd", d_pairs[:, t], x[block, i + 1 :])
                    d_x[block, i + 1 :] += d_pairs[:, t] * x[block, i, None]
            return d_x

        return y, backprop


def _check_vectors(x: Any, d: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return ``x`` as an array (B, m, d) of the dtype of a layer's parameters."""
    array: NDArray[Any] = check_float_array("x", x, ndim=3)
    array = check_like("x", array, (*array.shape[:2], d), dtype)
    return array


def _pairs_by_first(m: int) -> Iterator[tuple[int, slice]]:
    """Yield each field and where its pairs with those after it stand, of all pairs i < j, row by row."""
    at = 0
    for i in range(m - 1):
        yield i, slice(at, at + m - 1 - i)
        at += m - 1 - i
