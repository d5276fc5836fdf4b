"""What examples of fields begin with: embeddings of their features, and a weight of each."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._random import Source
from .._validation import check_float_dtype, check_ids, check_int, check_like
from ..kernels.embedding import (
    bag_backward,
    bag_forward,
    gather,
    gather_backward,
    pooled_pairs_backward,
    pooled_pairs_forward,
)
from ..kernels.linalg import column_sums
from ..optim import Param
from ._base import Backprop, Layer
from ._init import normal


class Fields(NamedTuple):
    """Examples of m fields each.

    Attributes
    ----------
    ids : integers (B, m)
        Rows of one table that all fields share.
    values : float32 or float64 array (B, m), or None
        What each field is multiplied by. None: all are 1.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Fields
    >>> Fields(np.array([[0, 4], [1, 5], [2, 4]]), None).take([2, 0])
    Fields(ids=array([[2, 4],
           [0, 4]]), values=None)
    """

    ids: NDArray[np.integer]
    values: NDArray[Any] | None

    def take(self, rows: Any) -> "Fields":
        """Return the examples that ``rows``, integers, say."""
        return Fields(self.ids[rows], None if self.values is None else self.values[rows])


def _fields(x: Any) -> Fields:
    if not isinstance(x, Fields):
        raise TypeError(f"x must be Fields, got {type(x).__name__}")
    if np.ndim(x.ids) != 2:
        raise ValueError(f"ids must be 2-D, got shape {np.shape(x.ids)}")
    return x


class FieldEmbedding(Layer):
    """Embeddings of the features of examples, times their values: `Fields` (B, m) -> (B, m, d).

    Its gradient is rows, for the ids that were looked up; there is never one of the whole table.

    Parameters
    ----------
    n_rows, d : int >= 1
    source : Source
        Of the random numbers.
    std : float >= 0
        Of the normal numbers that the table starts with.
    zero_rows : integers
        Rows that start at 0, such as those that stand for what is unknown.
    dtype : float32 or float64

    Attributes
    ----------
    table : Param (n_rows, d)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import FieldEmbedding, Fields, Source
    >>> table = FieldEmbedding(6, 2, Source(0), zero_rows=[3, 5])
    >>> x = Fields(np.array([[0, 4], [3, 5]]), None)
    >>> table(x).shape, table(x)[1]
    ((2, 2, 2), array([[0., 0.],
           [0., 0.]], dtype=float32))
    """

    def __init__(
        self,
        n_rows: int,
        d: int,
        source: Source,
        *,
        std: float = 0.01,
        zero_rows: ArrayLike = (),
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = check_int("n_rows", n_rows, low=1, high=2**31 - 1), check_int("d", d, low=1)
        table = normal(shape, source, std=std, dtype=dtype)
        table[check_ids("zero_rows", zero_rows, n_rows, "row")] = 0.0
        self.table = Param(table)

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        ids, values = _fields(x)
        y = gather(self.table.value, ids, values)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            if values is None:
                self.table.add_rows(np.reshape(ids, -1), d_y.reshape(-1, y.shape[2]))
            else:
                self.table.add_rows(*gather_backward(d_y, ids, values))

        return y, backprop


class FieldPairs(FieldEmbedding):
    """The sum of the element-wise products of the embeddings of all pairs of fields: `Fields` (B, m) -> (B, d).

    It is `FieldEmbedding` and then `BiInteraction`, without their vectors in memory. Parameters and attributes are
    those of `FieldEmbedding`.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import BiInteraction, Chain, FieldEmbedding, FieldPairs, Fields, Source
    >>> x = Fields(np.array([[0, 4, 5], [1, 3, 5]]), None)
    >>> one, other = FieldPairs(6, 2, Source(0)), Chain(FieldEmbedding(6, 2, Source(0)), BiInteraction())
    >>> np.allclose(one(x), other(x))
    True
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        ids, values = _fields(x)
        table = self.table.value
        y, totals = pooled_pairs_forward(table, ids, values)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.table.add_rows(*pooled_pairs_backward(d_y, totals, table, ids, values))

        return y, backprop


class FirstOrder(Layer):
    """A weight of each feature: `Fields` (B, m) -> (B, 1), ``sum(values * w[ids]) + b``.

    Parameters
    ----------
    n_rows : int >= 1
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (n_rows,)
        Starts at 0; its gradient is rows.
    b : Param (1,)
        Starts at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Fields, FirstOrder
    >>> layer = FirstOrder(3)
    >>> layer.w.value[:] = [1.0, 10.0, 100.0]
    >>> layer(Fields(np.array([[0, 2], [1, 1]]), None))
    array([[101.],
           [ 20.]], dtype=float32)
    """

    def __init__(self, n_rows: int, *, dtype: DTypeLike = np.float32) -> None:
        dtype = check_float_dtype("dtype", dtype)
        self.w = Param(np.zeros(check_int("n_rows", n_rows, low=1, high=2**31 - 1), dtype))
        self.b = Param(np.zeros(1, dtype))

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        ids, values = _fields(x)
        n, m = np.shape(ids)
        ids, offsets = np.reshape(ids, -1), np.arange(n + 1) * m
        if values is not None:
            values = check_like("values", values, (n, m), self.w.value.dtype).reshape(-1)
        y = bag_forward(self.w.value[:, None], ids, offsets, values) + self.b.value

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            rows, d_rows = bag_backward(d_y, ids, offsets, values)
            self.w.add_rows(rows, d_rows[:, 0])
            self.b.add_grad(column_sums(d_y))

        return y, backprop
