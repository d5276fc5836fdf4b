"""The k best items of each row, without a matrix of all scores. Shapes: n rows (users), I items.

Order everywhere: higher score first, equal scores by smaller item id, NaN after every number. ``exclude`` is a sparse
matrix (n, I) whose stored entries are left out. ``candidates`` restricts the ranking: a 1-D array of item ids for all
rows, or a sparse matrix (n, I) with a row's candidates as its stored entries. Where fewer than k items can be ranked,
items are padded with -1 and scores with -inf.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._backend import Array, check_threads, cpu
from .._errors import PyrecWarning
from .._validation import Csr, check_float_array, check_ids, check_int
from ._arguments import Lists, factors, pattern, product

__all__ = ["factor_top_k", "sparse_pair_scores", "sparse_top_k", "top_k"]

TopK = tuple[NDArray[np.int32], NDArray[Any]]


def _candidates(candidates: Any, n: int, n_items: int) -> Lists:
    if candidates is None or sp.issparse(candidates) or isinstance(candidates, Csr):
        return pattern("candidates", candidates, n, n_items)
    ids = np.unique(check_ids("candidates", candidates, n_items, "item")).astype(np.int32)
    return np.array([0, len(ids)], np.int64), ids


def _select(
    kernel: Callable[..., int], n: int, n_items: int, dtype: np.dtype[Any], k: int, exclude: Any, candidates: Any,
    n_threads: int | None, *args: Any
) -> TopK:  # fmt: skip
    """Check what all selections share, run ``kernel`` into new arrays, pad to k, warn of NaN."""
    k = check_int("k", k, low=1)
    kept = max(1, min(k, n_items))
    items, scores = np.empty((n, kept), np.int32), np.empty((n, kept), dtype)
    lists = pattern("exclude", exclude, n, n_items), _candidates(candidates, n, n_items)
    nans = kernel(check_threads(n_threads), items, scores, *args, *lists)
    if nans:
        warnings.warn(f"{nans} scores are NaN; they rank last", PyrecWarning, stacklevel=3)
    if kept == k:
        return items, scores
    padding = ((0, 0), (0, k - kept))
    return np.pad(items, padding, constant_values=-1), np.pad(scores, padding, constant_values=-np.inf)


def top_k(scores: Array, k: int, exclude: Any = None, *, candidates: Any = None, n_threads: int | None = None) -> TopK:
    """The k best of given scores.

    Parameters
    ----------
    scores : float32 or float64 array (n, I)
    k : int
        How many to keep, >= 1; may exceed I.
    exclude : sparse (n, I), optional
    candidates : int array (m,) or sparse (n, I), optional
    n_threads : int, optional

    Returns
    -------
    items : int32 array (n, k)
    scores : array (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.topk import top_k
    >>> items, scores = top_k(np.array([[0.1, 0.7, 0.7, 0.2]]), k=3)
    >>> items
    array([[1, 2, 3]], dtype=int32)
    """
    scores = check_float_array("scores", scores, ndim=2)
    n, n_items = scores.shape
    return _select(cpu().top_k, n, n_items, scores.dtype, k, exclude, candidates, n_threads, scores)


def factor_top_k(
    user_factors: Array,
    item_factors: Array,
    k: int,
    exclude: Any = None,
    *,
    candidates: Any = None,
    n_threads: int | None = None,
) -> TopK:
    """The k best of ``user_factors @ item_factors.T``.

    The product is made in register tiles that are compared with each row's k-th best so far, and never written out.
    Candidates alone are scored where given.

    Parameters
    ----------
    user_factors : float32 or float64 array (n, d)
    item_factors : array (I, d) of the same dtype
    k, exclude, candidates, n_threads
        As in `top_k`.

    Returns
    -------
    items : int32 array (n, k)
    scores : array (n, k)
    """
    user_factors, item_factors = factors(user_factors, item_factors)
    n, n_items, dtype = len(user_factors), len(item_factors), user_factors.dtype
    return _select(cpu().factor_top_k, n, n_items, dtype, k, exclude, candidates, n_threads, user_factors, item_factors)


def sparse_top_k(
    X: Any, weights: Any, k: int, exclude: Any = None, *, candidates: Any = None, n_threads: int | None = None
) -> TopK:
    """The k best of ``X @ weights`` for sparse rows, as of a linear item-item model.

    Parameters
    ----------
    X : sparse matrix or 2-D array (n, J)
    weights : float32 or float64 array, or sparse matrix (J, I)
        ``X`` is converted to its dtype.
    k, exclude, candidates, n_threads
        As in `top_k`.

    Returns
    -------
    items : int32 array (n, k)
    scores : array (n, k)
    """
    X, native, arguments, n_items = product("sparse_top_k", "sparse_sparse_top_k", X, weights)
    return _select(native, X.shape[0], n_items, X.data.dtype, k, exclude, candidates, n_threads, *arguments)


def sparse_pair_scores(
    X: Any, weights: Any, rows: Array, items: Array, *, n_threads: int | None = None
) -> NDArray[Any]:
    """Elements ``(rows[p], items[p])`` of ``X @ weights``, at the cost of the pairs asked for.

    Parameters
    ----------
    X : sparse matrix or 2-D array (n, J)
    weights : float32 or float64 array, or sparse matrix (J, I)
    rows, items : int arrays (m,)
    n_threads : int, optional

    Returns
    -------
    array (m,)
    """
    X, native, arguments, n_items = product("pair_scores", "sparse_pair_scores", X, weights)
    rows, items = check_ids("rows", rows, X.shape[0], "row"), check_ids("items", items, n_items, "item")
    if len(rows) != len(items):
        raise ValueError(f"items must be as many as rows ({len(rows)}), got {len(items)}")
    out = np.empty(len(rows), X.data.dtype)
    native(check_threads(n_threads), out, *arguments, rows, items)
    return out
