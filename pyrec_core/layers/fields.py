"""What examples of fields begin with: embeddings of their features, and a weight of each."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._backend import array_module, is_cuda
from .._random import Source
from .._validation import check_float_dtype, check_ids, check_int, check_like, looked_at
from ..kernels.embedding import (
    bag_backward,
    bag_forward,
    gather,
    gather_backward,
    pooled_pairs_backward,
    pooled_pairs_forward,
)
from ..kernels.interaction import bi_interaction_backward, bi_interaction_forward
from ..kernels.linalg import column_sums
from ..optim import Param
from ._base import Backprop, Layer
from ._init import normal


class Fields(NamedTuple):
    """Examples of m fields each; the arrays are all NumPy's or all CuPy's.

    A field has one id in each example or, where there are ``offsets``, any number of them: their embeddings, and their
    weights, are then summed, each times its value.

    Attributes
    ----------
    ids : integers (B, m), or (n,) where there are offsets
        Rows of one table that all fields share.
    values : float32 or float64 array of the shape of ids, or None
        What each id is multiplied by. None: all are 1.
    offsets : int64 array (B, m + 1), or None
        Field j of example b has the ids from ``offsets[b, j]`` to ``offsets[b, j + 1]``. The examples follow one
        another: the last offset of one is the first of the next.
    crosses : integers (B, c), or None
        Rows of another table, of weights only; see `CrossWeights`.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Fields
    >>> Fields(np.array([[0, 4], [1, 5], [2, 4]]), None).take([2, 0]).ids
    array([[2, 4],
           [0, 4]])
    >>> several = Fields(np.array([0, 4, 5, 1, 4]), None, np.array([[0, 1, 3], [3, 4, 5]]))
    >>> several.take([1, 0]).ids, several.take([1, 0]).offsets
    (array([1, 4, 0, 4, 5]), array([[0, 1, 2],
           [2, 3, 5]]))
    """

    ids: NDArray[np.integer]
    values: NDArray[Any] | None
    offsets: NDArray[np.int64] | None = None
    crosses: NDArray[np.integer] | None = None

    @property
    def n_examples(self) -> int:
        """B."""
        return len(self.ids if self.offsets is None else self.offsets)

    def take(self, rows: Any) -> "Fields":
        """Return the examples that ``rows``, integers, say."""
        crosses = None if self.crosses is None else self.crosses[rows]
        if self.offsets is None:
            return Fields(self.ids[rows], None if self.values is None else self.values[rows], None, crosses)
        within = self.offsets[rows]
        lengths = within[:, -1] - within[:, 0]
        ends = np.cumsum(lengths)
        shift = ends - lengths - within[:, 0]  # from where an example lies to where it comes to lie
        at = array_module(ends).arange(int(lengths.sum()))
        at -= shift[np.searchsorted(ends, at, side="right")]  # CuPy has no np.repeat of different counts
        values = None if self.values is None else self.values[at]
        return Fields(self.ids[at], values, within + shift[:, None], crosses)


def _fields(x: Any) -> Fields:
    if not isinstance(x, Fields):
        raise TypeError(f"x must be Fields, got {type(x).__name__}")
    ndim = 2 if x.offsets is None else 1
    if np.ndim(x.ids) != ndim:
        raise ValueError(f"ids must be {ndim}-D, got shape {np.shape(x.ids)}")
    if x.offsets is not None:
        if np.ndim(x.offsets) != 2 or x.offsets.shape[1] < 2:
            raise ValueError(f"offsets must have shape (B, m + 1), got {np.shape(x.offsets)}")
        if looked_at(x.offsets) and (x.offsets[1:, 0] != x.offsets[:-1, -1]).any():
            raise ValueError("offsets must begin in each row where the row before ends, got others")
    return x


def _begins(starts: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the offsets of bags that begin at ``starts``; the last ends where the last example does."""
    end = offsets[-1:, -1] if len(offsets) else array_module(offsets).zeros(1, np.int64)
    return np.concatenate([starts.reshape(-1), end])


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
        ids, values, offsets, _ = _fields(x)
        if offsets is not None:
            return self._summed(ids, values, offsets)
        y = gather(self.table.value, ids, values)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            if values is None and not is_cuda(ids):  # a device sorts the ids once for all layers: in gather_backward
                self.table.add_rows(np.reshape(ids, -1), d_y.reshape(-1, y.shape[2]))
            else:
                self.table.add_rows(*gather_backward(d_y, ids, values), distinct=True)

        return y, backprop

    def _summed(self, ids: Any, values: Any, offsets: NDArray[np.int64]) -> tuple[Any, Backprop]:
        n, m, d = len(offsets), offsets.shape[1] - 1, self.table.value.shape[1]
        begins = _begins(offsets[:, :-1], offsets)
        y = bag_forward(self.table.value, ids, begins, values).reshape(n, m, d)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype).reshape(n * m, d)
            self.table.add_rows(*bag_backward(d_y, ids, begins, values), distinct=True)

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
        ids, values, offsets, _ = _fields(x)
        if offsets is not None:
            vectors, back = self._summed(ids, values, offsets)
            return bi_interaction_forward(vectors), lambda d_y: back(bi_interaction_backward(d_y, vectors))
        table = self.table.value
        y, totals = pooled_pairs_forward(table, ids, values)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.table.add_rows(*pooled_pairs_backward(d_y, totals, table, ids, values), distinct=True)

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
        ids, values, offsets, _ = _fields(x)
        if values is not None:
            values = check_like("values", values, np.shape(ids), self.w.value.dtype).reshape(-1)
        flat = np.reshape(ids, -1)
        begins = _rows_of(ids) if offsets is None else _begins(offsets[:, 0], offsets)
        y = bag_forward(self.w.value[:, None], flat, begins, values) + self.b.value

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            rows, d_rows = bag_backward(d_y, flat, begins, values)
            self.w.add_rows(rows, d_rows[:, 0], distinct=True)
            self.b.add_grad(column_sums(d_y))

        return y, backprop


class CrossWeights(Layer):
    """A weight of each cross of features: `Fields` (B, m) with c crosses -> (B, 1), ``sum(w[crosses])``.

    Parameters
    ----------
    n_rows : int >= 1
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (n_rows,)
        Starts at 0; its gradient is rows.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import CrossWeights, Fields
    >>> layer = CrossWeights(3)
    >>> layer.w.value[:] = [1.0, 10.0, 100.0]
    >>> layer(Fields(np.array([[7], [7]]), None, crosses=np.array([[0, 2], [1, 1]])))
    array([[101.],
           [ 20.]], dtype=float32)
    """

    def __init__(self, n_rows: int, *, dtype: DTypeLike = np.float32) -> None:
        dtype = check_float_dtype("dtype", dtype)
        self.w = Param(np.zeros(check_int("n_rows", n_rows, low=1, high=2**31 - 1), dtype))

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        ids = _fields(x).crosses
        if ids is None or np.ndim(ids) != 2:
            raise ValueError(f"crosses must be 2-D, got {'none' if ids is None else f'shape {np.shape(ids)}'}")
        flat, begins = np.reshape(ids, -1), _rows_of(ids)
        y = bag_forward(self.w.value[:, None], flat, begins)

        def backprop(d_y: Any) -> None:
            rows, d_rows = bag_backward(check_like("d_y", d_y, y.shape, y.dtype), flat, begins)
            self.w.add_rows(rows, d_rows[:, 0], distinct=True)

        return y, backprop


def _rows_of(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the offsets of the rows of a matrix of ids."""
    n, m = np.shape(ids)
    begins: NDArray[np.int64] = array_module(ids).arange(n + 1) * m
    return begins
