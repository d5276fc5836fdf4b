"""Rows of a table, looked up by id, and what is made of them on the way. d columns.

The gradient of a table is rows: the distinct ids, ascending, and for each the sum of the gradients of its row in the
order of the batch. `pyrec_core.optim.Param.add_rows` takes them.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._backend import Array, array_module, backend_of, is_cuda
from .._validation import (
    MAX_ID,
    check_choice,
    check_float_array,
    check_integers,
    check_like,
    check_rows,
    contiguous,
    looked_at,
)
from ._groups import grouped

__all__ = [
    "MODES",
    "bag_backward",
    "bag_forward",
    "gather",
    "gather_backward",
    "pooled_pairs_backward",
    "pooled_pairs_forward",
]

MODES = ("sum", "mean")
_Rows = tuple[Array, Array]


def gather(table: Array, ids: ArrayLike, values: Array | None = None, *, n_threads: int | None = None) -> Array:
    """Return the rows ``table[ids]``, each times its value.

    Parameters
    ----------
    table : float32 or float64 array (n_rows, d), NumPy or CuPy
    ids : integers of any shape
    values : array of the shape of ``ids`` and the dtype of ``table``, optional
        Default: all 1.
    n_threads : int, optional

    Returns
    -------
    array (..., d)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.embedding import gather
    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0], np.array([1.0, 10.0, 1.0]))
    array([[ 3.,  4.],
           [30., 40.],
           [ 1.,  2.]])
    """
    table = check_float_array("table", table, ndim=2)
    rows = check_rows("ids", ids, len(table))
    values = _values("values", values, rows, table.dtype)
    xp, native, ex = backend_of(table, rows, values, n_threads=n_threads)
    out = xp.empty((*rows.shape, table.shape[1]), table.dtype)
    native.gather(ex, out.reshape(rows.size, table.shape[1]), table, rows.reshape(-1), values)
    return out


def gather_backward(
    d_out: Array, ids: ArrayLike, values: Array | None = None, *, n_threads: int | None = None
) -> _Rows:
    """Gradient of `gather` with respect to the table.

    Parameters
    ----------
    d_out : float32 or float64 array (..., d), NumPy or CuPy
    ids : integers (...)
    values : array (...) of the dtype of ``d_out``, optional
        As in `gather`.
    n_threads : int, optional

    Returns
    -------
    unique : int32 (n,)
        The distinct ids, ascending.
    rows : array (n, d)
        The sum of ``values * d_out`` of each.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.embedding import gather_backward
    >>> gather_backward(np.array([[1.0], [2.0], [4.0]]), [7, 3, 7])
    (array([3, 7], dtype=int32), array([[2.],
           [5.]]))
    """
    rows = check_rows("ids", ids, MAX_ID)
    d_out = check_float_array("d_out", d_out, ndim=rows.ndim + 1)
    d_out = check_like("d_out", d_out, (*rows.shape, d_out.shape[-1]), d_out.dtype)
    values = _values("values", values, rows, d_out.dtype)
    flat = d_out.reshape(rows.size, d_out.shape[-1])
    return _rows("gather_backward", n_threads, (flat,), rows.reshape(-1), (values,))


def bag_forward(
    table: Array,
    ids: ArrayLike,
    offsets: ArrayLike,
    weights: Array | None = None,
    *,
    mode: str = "sum",
    n_threads: int | None = None,
) -> Array:
    """Sum or average the rows of bags of ids, such as the values of a field of which an example may have several.

    Parameters
    ----------
    table : float32 or float64 array (n_rows, d), NumPy or CuPy
    ids : integers (n,)
        The ids of all bags, one bag after the other.
    offsets : integers (n_bags + 1,)
        Where each bag begins; the last is ``n``.
    weights : array (n,) of the dtype of ``table``, optional
        What each row is multiplied by. Default: all 1.
    mode : {"sum", "mean"}
        "mean" divides by the number of ids in the bag. A bag without any gives 0.
    n_threads : int, optional

    Returns
    -------
    array (n_bags, d)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.embedding import bag_forward
    >>> bag_forward(np.array([[1.0], [10.0], [100.0]]), [0, 2, 1], [0, 2, 2, 3])
    array([[101.],
           [  0.],
           [ 10.]])
    """
    table = check_float_array("table", table, ndim=2)
    rows = check_rows("ids", ids, len(table), ndim=1)
    begins = _offsets(offsets, len(rows))
    weights = _values("weights", weights, rows, table.dtype)
    mean = check_choice("mode", mode, MODES) == "mean"
    xp, native, ex = backend_of(table, rows, begins, weights, n_threads=n_threads)
    out = xp.empty((len(begins) - 1, table.shape[1]), table.dtype)
    native.bag_forward(ex, out, table, rows, begins, weights, mean)
    return out


def bag_backward(
    d_out: Array,
    ids: ArrayLike,
    offsets: ArrayLike,
    weights: Array | None = None,
    *,
    mode: str = "sum",
    n_threads: int | None = None,
) -> _Rows:
    """Gradient of `bag_forward` with respect to the table.

    Parameters
    ----------
    d_out : float32 or float64 array (n_bags, d), NumPy or CuPy
    ids, offsets, weights, mode
        As in `bag_forward`.
    n_threads : int, optional

    Returns
    -------
    unique : int32 (n,)
        The distinct ids, ascending.
    rows : array (n, d)
        The gradient of each row.
    """
    d_out = check_float_array("d_out", d_out, ndim=2)
    rows = check_rows("ids", ids, MAX_ID, ndim=1)
    begins = _offsets(offsets, len(rows))
    d_out = check_like("d_out", d_out, (len(begins) - 1, d_out.shape[1]), d_out.dtype)
    weights = _values("weights", weights, rows, d_out.dtype)
    mean = check_choice("mode", mode, MODES) == "mean"
    return _rows("bag_backward", n_threads, (d_out,), rows, (begins, weights), mean)


def pooled_pairs_forward(
    table: Array, ids: ArrayLike, values: Array | None = None, *, n_threads: int | None = None
) -> tuple[Array, Array]:
    """Sum of the element-wise products of all pairs of fields, straight from the table (He & Chua 2017, eq. 3).

    It is `bi_interaction_forward` of what `gather` gives, which is never made: it would be m times as large as the
    result.

    Parameters
    ----------
    table : float32 or float64 array (n_rows, d), NumPy or CuPy
    ids : integers (B, m)
        Rows of the fields of each example.
    values : array (B, m) of the dtype of ``table``, optional
        What each row is multiplied by. Default: all 1.
    n_threads : int, optional

    Returns
    -------
    out : array (B, d)
    totals : array (B, d)
        The sum of the rows of each example, which the way back needs.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.embedding import pooled_pairs_forward
    >>> pooled_pairs_forward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), [[0, 1, 2], [0, 0, 1]])
    (array([[23., 44.],
           [ 7., 20.]]), array([[ 9., 12.],
           [ 5.,  8.]]))
    """
    table = check_float_array("table", table, ndim=2)
    rows = check_rows("ids", ids, len(table), ndim=2)
    values = _values("values", values, rows, table.dtype)
    xp, native, ex = backend_of(table, rows, values, n_threads=n_threads)
    out, totals = xp.empty((2, len(rows), table.shape[1]), table.dtype)
    native.pooled_pairs_forward(ex, out, totals, table, rows, values)
    return out, totals


def pooled_pairs_backward(
    d_out: Array,
    totals: Array,
    table: Array,
    ids: ArrayLike,
    values: Array | None = None,
    *,
    n_threads: int | None = None,
) -> _Rows:
    """Gradient of `pooled_pairs_forward` with respect to the table.

    Parameters
    ----------
    d_out : array (B, d)
    totals : array (B, d)
        What `pooled_pairs_forward` returned.
    table, ids, values
        As in `pooled_pairs_forward`; the table as it was.
    n_threads : int, optional

    Returns
    -------
    unique : int32 (n,)
        The distinct ids, ascending.
    rows : array (n, d)
        The gradient of each row.
    """
    table = check_float_array("table", table, ndim=2)
    rows = check_rows("ids", ids, len(table), ndim=2)
    values = _values("values", values, rows, table.dtype)
    shape = len(rows), table.shape[1]
    d_out, totals = (check_like(name, a, shape, table.dtype) for name, a in (("d_out", d_out), ("totals", totals)))
    return _rows("pooled_pairs_backward", n_threads, (d_out, totals, table), rows, (values,))


def _values(name: str, values: Array | None, ids: Array, dtype: Any) -> Array | None:
    return None if values is None else check_like(name, values, ids.shape, dtype).reshape(-1)


def _offsets(offsets: ArrayLike, n: int) -> Array:
    given = contiguous(check_integers("offsets", offsets), np.int64)
    fits = given.ndim == 1 and len(given) > 0
    if fits and looked_at(given):
        fits = bool(given[0] == 0 and given[-1] == n and not (array_module(given).diff(given) < 0).any())
    if not fits:
        raise ValueError(f"offsets must be 1-D and rise from 0 to {n}, the number of ids, got {given.tolist()[:9]}")
    return given


def _rows(
    kernel: str,
    n_threads: int | None,
    of: tuple[Array, ...],
    ids: Array,
    per_id: tuple[Array | None, ...],
    *options: bool,
) -> _Rows:
    """Call a kernel that gives the gradients of rows, whose first input is the gradient of its output."""
    xp, native, ex = backend_of(*of, ids, *per_id, n_threads=n_threads)
    d_out, call = of[0], getattr(native, kernel)
    if is_cuda(d_out):
        groups = grouped(ids.reshape(-1))
        sums = xp.empty((len(groups.unique), d_out.shape[1]), d_out.dtype)
        call(ex, sums, *of, groups, *per_id, *options)
        return groups.unique, sums
    unique, sums = np.empty(ids.size, np.int32), np.empty((ids.size, d_out.shape[1]), d_out.dtype)
    count = call(ex, unique, sums, *of, ids, *per_id, *options)  # the rest of both stays unused
    return unique[:count], sums[:count]
