"""Sparse linear item-item weights by coordinate descent. Shapes: I items."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, check_threads, cpu
from .._errors import ConvergenceWarning
from .._validation import Csr, check_bool, check_float, check_float_array, check_int, check_interactions
from .linalg import Progress, _check_square

__all__ = ["slim_weights"]

_COLUMNS = 256  # of a native call


def slim_weights(
    gram: Array,
    l1: float,
    l2: float,
    *,
    positive: bool = True,
    candidates: Any = None,
    tol: float = 1e-4,
    max_iter: int = 1000,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Any, NDArray[np.int64]]:
    """Item-item weights of SLIM from the Gram matrix (Ning & Karypis 2011, eq. 3).

    The minimum of ``1/2 |X - X W|^2 + l2/2 |W|^2 + l1 |W|_1`` with a zero diagonal and, if ``positive``, ``W >= 0``.
    Each column is a problem of its own: coordinate descent on a working set of items, to which those are added
    that fail the optimality conditions, until none does.

    Parameters
    ----------
    gram : float32 or float64 array (I, I)
        ``G = X.T @ X``, symmetric (not checked).
    l1, l2 : float
        Penalties >= 0, in units of ``gram``.
    positive : bool
        Whether weights must not be negative.
    candidates : sparse (I, I), optional
        Row j stores the items whose weight in column j may differ from zero; default all.
    tol : float
        Column j is done when its optimality conditions hold to ``tol * max(abs(G[i, j]) for i != j)``:
        ``G W - G + l2 W + l1`` is 0 where W > 0 and >= 0 where W = 0 (for W < 0 and W = 0 with both signs the like).
        float32 reaches about 1e-5.
    max_iter : int
        Largest number of sweeps over the weights of one column.
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call.

    Returns
    -------
    weights : scipy.sparse.csr_array (I, I) of the dtype of ``gram``
        Column j holds what the other items add to the score of item j.
    n_iter : int64 array (I,)
        Sweeps that each column took.

    Warns
    -----
    ConvergenceWarning
        Columns that are not done after ``max_iter`` sweeps.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.slim import slim_weights
    >>> slim_weights(np.array([[4.0, 2.0], [2.0, 2.0]]), l1=1.0, l2=0.0)[0].toarray().round(3)
    array([[0.  , 0.25],
           [0.5 , 0.  ]])
    """
    gram = check_float_array("gram", gram, ndim=2)
    n_items = _check_square("gram", gram)
    l1, l2 = check_float("l1", l1, low=0.0), check_float("l2", l2, low=0.0)
    tol = check_float("tol", tol, low=0.0, low_open=True)
    options = (l1, l2, check_bool("positive", positive), tol, check_int("max_iter", max_iter, low=1))
    if not (np.isfinite(gram.min(initial=0)) and np.isfinite(gram.max(initial=0))):  # NaN passes through both
        raise ValueError("gram must be finite, got NaN or infinity")
    if candidates is not None:
        candidates = check_interactions("candidates", candidates, n_users=n_items, n_items=n_items)
    native, threads = cpu(), check_threads(n_threads)
    counts, n_iter = np.empty(n_items, np.int64), np.empty(n_items, np.int64)
    violations = np.empty(n_items, gram.dtype)
    columns: list[tuple[NDArray[np.int32], NDArray[Any]]] = []
    for first in range(0, n_items, _COLUMNS):
        block = slice(first, min(first + _COLUMNS, n_items))
        shape = (block.stop - first, n_items)
        ids, values = np.empty(shape, np.int32), np.empty(shape, gram.dtype)  # untouched pages cost nothing
        outputs = ids, values, counts[block], n_iter[block], violations[block]
        native.slim_columns(threads, *outputs, gram, first, *options, _lists(candidates, block))
        used = np.arange(n_items) < counts[block, None]
        columns.append((ids[used], values[used]))
        if progress is not None:
            progress(shape[0] / n_items)
    open_ = np.count_nonzero(~(violations <= tol))
    if open_:
        warnings.warn(
            f"{open_} of {n_items} columns did not converge in max_iter={max_iter} sweeps: their optimality "
            f"conditions fail by up to {violations.max():.1e}, tol is {tol:.1e}",
            ConvergenceWarning,
            stacklevel=2,
        )
    return _weights(columns, counts, gram.dtype), n_iter


def _lists(candidates: Csr | None, block: slice) -> tuple[NDArray[np.int64], NDArray[np.int32]] | None:
    if candidates is None:
        return None
    part = candidates.rows(np.arange(block.start, block.stop))
    return part.indptr, part.indices


def _weights(columns: list[tuple[NDArray[np.int32], NDArray[Any]]], counts: NDArray[np.int64], dtype: Any) -> Any:
    n_items = len(counts)
    indptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    ids = np.concatenate([np.empty(0, np.int32), *(part for part, _ in columns)])
    values = np.concatenate([np.empty(0, dtype), *(part for _, part in columns)])
    by_column = Csr(indptr, ids, values, (n_items, n_items)).to_scipy()
    return by_column.T.tocsr()
