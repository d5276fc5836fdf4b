"""How much two items belong together, from the users who have both. Shapes: U users, I items."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._backend import check_threads, cpu
from .._validation import Csr, as_array, check_choice, check_float, check_int, check_interactions
from .linalg import Progress

__all__ = ["MEASURES", "cooccurrence_weights"]

MEASURES = ("count", "cosine", "jaccard", "confidence", "lift", "llr")  # in the order of the native enumeration
_ELEMENTS = 2**21  # of the lists that a native call fills


def cooccurrence_weights(
    X: Any,
    measure: str = "cosine",
    n_neighbors: int | None = None,
    *,
    weights: ArrayLike | None = None,
    min_count: float = 0.0,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Each item's neighbours: the items that occur in the same rows, by a measure of how much.

    With ``n_ij`` the number of users who have both items, ``n_i`` who have item i, and ``N`` of all users:

    ============  ==================================================================================
    count         ``n_ij``
    cosine        of the columns i and j of ``X``: ``sum_u x_ui x_uj / (|x_i| |x_j|)``
    jaccard       ``n_ij / (n_i + n_j - n_ij)``
    confidence    ``n_ij / n_i``, the share of j among the users of i
    lift          ``n_ij N / (n_i n_j)``, how many times more often together than independent items
    llr           log-likelihood ratio G^2 of the table of users with and without i and j (Dunning 1993),
                  ``2 sum k ln(k / expected k)``; 0 where the items avoid each other
    ============  ==================================================================================

    The Gram matrix is never held: memory is that of the result.

    Parameters
    ----------
    X : sparse matrix or 2-D array (U, I)
        Its values count for "cosine" only; for the others, that there is one.
    measure : one of `MEASURES`
    n_neighbors : int, optional
        Keep the largest of each item, ties by the smaller id; default all.
    weights : array (U,), optional
        Weights >= 0 of the users, in all sums; default 1.
    min_count : float
        Leave out pairs with a smaller ``n_ij`` (for "cosine": ``sum_u x_ui x_uj``).
    dtype : float32 or float64, optional
        Of the result and of what is summed; default that of ``X`` (float32 for bool, integers and float16).
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call.

    Returns
    -------
    scipy.sparse.csr_array (I, I)
        Row i holds the neighbours of item i: ``measure(i, j) > 0`` for ``j != i``. Sums are taken in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.cooccurrence import cooccurrence_weights
    >>> X = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    >>> cooccurrence_weights(X, "count").toarray()
    array([[0., 2., 1.],
           [2., 0., 1.],
           [1., 1., 0.]], dtype=float32)
    """
    which = MEASURES.index(check_choice("measure", measure, MEASURES))
    if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
    rows = check_interactions("X", X, dtype=dtype)
    n_users, n_items = rows.shape
    k = max(n_items - 1, 1)
    if n_neighbors is not None:
        k = min(k, check_int("n_neighbors", n_neighbors, low=1))
    min_count = check_float("min_count", min_count, low=0.0)
    if measure != "cosine":
        rows = rows._replace(data=np.ones_like(rows.data))
    weight = _user_weights(weights, n_users).astype(rows.data.dtype)
    x = rows.to_scipy().T.tocsr()
    users = x.indices.astype(np.int32, copy=False)
    by_item = Csr(x.indptr.astype(np.int64), users, x.data * weight[users], x.shape)
    of_item = np.repeat(np.arange(n_items), np.diff(by_item.indptr))
    sizes = np.bincount(of_item, by_item.data.astype(np.float64) * x.data, minlength=n_items)
    sizes = sizes.astype(np.float64, copy=False)  # of nothing they are integers
    total = float(weight.sum(dtype=np.float64))
    threads, block = check_threads(n_threads), max(1, _ELEMENTS // k)
    parts = [(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, rows.data.dtype))]
    for first in range(0, n_items, block):
        shape = (min(block, n_items - first), k)
        ids, values = np.empty(shape, np.int32), np.empty(shape, rows.data.dtype)
        arguments = (*rows[:3], *by_item[:3], sizes, total, min_count)
        cpu().cooccurrence_top_k(threads, ids, values, first, which, *arguments)
        found = ids >= 0
        parts.append((found.sum(axis=1), ids[found], values[found]))
        if progress is not None:
            progress(shape[0] / n_items)
    return _neighbours(parts, n_items)


def _user_weights(weights: ArrayLike | None, n_users: int) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(n_users)
    w = as_array("weights", weights)
    if w.dtype.kind not in "iuf":
        raise TypeError(f"weights must be numbers, got {w.dtype}")
    if w.shape != (n_users,):
        raise ValueError(f"weights must have shape {(n_users,)}, one a row of X, got {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError(f"weights must be finite and >= 0, got {w[~(np.isfinite(w) & (w >= 0))][0]}")
    return w.astype(np.float64)


def _neighbours(parts: Sequence[tuple[NDArray[Any], ...]], n_items: int) -> Any:
    counts, ids, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    indptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    result = Csr(indptr, ids, values, (n_items, n_items)).to_scipy()
    result.has_sorted_indices = False  # rows are ordered by value so far
    result.sort_indices()
    return result
