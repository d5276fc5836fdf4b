"""The k best items of each row, without a matrix of all scores. Shapes: n rows (users), I items.

Order everywhere: higher score first, equal scores by smaller item id, NaN after every number. ``exclude`` is a sparse
matrix (n, I) whose stored entries are left out. ``candidates`` restricts the ranking: a 1-D array of item ids for all
rows, or a sparse matrix (n, I) with a row's candidates as its stored entries. Where fewer than k items can be ranked,
items are padded with -1 and scores with -inf.

Dense arrays may be NumPy's or CuPy's; sparse matrices are on the host, and copied to the device of the dense ones. Only
weights may be sparse on a device: a ``Csr`` of CuPy arrays.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._backend import Array, backend_of
from .._errors import PyrecWarning
from .._validation import Csr, check_float_array, check_ids, check_int
from ._arguments import Lists, factors, operands, pattern, rows_of

__all__ = ["factor_top_k", "sparse_pair_scores", "sparse_top_k", "top_k"]

TopK = tuple[NDArray[np.int32], NDArray[Any]]
# Fills items and scores (n, kept), given the lists of excluded ids and of candidates. Returns how many scores are NaN.
Run = Callable[[Array, Array, tuple[Lists, Lists]], int]

_SCORE_BYTES = 2**28  # of scores that are held at a time on a device


def _candidates(candidates: Any, n: int, n_items: int) -> Lists:
    if candidates is None or sp.issparse(candidates) or isinstance(candidates, Csr):
        return pattern("candidates", candidates, n, n_items)
    ids = np.unique(check_ids("candidates", candidates, n_items, "item")).astype(np.int32)
    return np.array([0, len(ids)], np.int64), ids


def _select(run: Run, xp: Any, n: int, n_items: int, dtype: Any, k: int, exclude: Any, candidates: Any) -> TopK:
    """Check what all selections share, run one into new arrays, pad to k, warn of NaN."""
    k = check_int("k", k, low=1)
    kept = max(1, min(k, n_items))
    items, scores = xp.empty((n, kept), np.int32), xp.empty((n, kept), dtype)
    nans = run(items, scores, (pattern("exclude", exclude, n, n_items), _candidates(candidates, n, n_items)))
    if nans:
        warnings.warn(f"{nans} scores are NaN; they rank last", PyrecWarning, stacklevel=3)
    if kept == k:
        return items, scores
    padding = ((0, 0), (0, k - kept))
    return xp.pad(items, padding, constant_values=-1), xp.pad(scores, padding, constant_values=-np.inf)


def _on_cpu(kernel: Callable[..., int], ex: int, *arrays: Array) -> Run:
    return lambda items, scores, lists: kernel(ex, items, scores, *arrays, *lists)


def _on_device(score: Callable[[slice], Array], row_bytes: int) -> Run:
    """A selection from rows of scores, which ``score`` makes a block at a time."""

    def run(items: Array, scores: Array, lists: tuple[Lists, Lists]) -> int:
        xp, native, ex = backend_of(items, scores)
        n, block = len(items), max(1, _SCORE_BYTES // max(1, row_bytes))
        nans = xp.empty(n, np.int32)
        there = [None if a is None else (xp.asarray(a[0]), xp.asarray(a[1])) for a in lists]
        for first in range(0, n, block):
            rows = slice(first, min(n, first + block))
            native.top_k(ex, items[rows], scores[rows], nans[rows], score(rows), *(rows_of(a, rows, n) for a in there))
        return int(nans.sum())

    return run


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
    xp, native, ex = backend_of(scores, n_threads=n_threads)
    run = _on_cpu(native.top_k, ex, scores) if xp is np else _on_device(lambda rows: scores[rows], 0)
    return _select(run, xp, n, n_items, scores.dtype, k, exclude, candidates)


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
    Candidates alone are scored where given. On a device a dense product scores all items for a block of rows.

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
    xp, native, ex = backend_of(user_factors, item_factors, n_threads=n_threads)
    if xp is np:
        run = _on_cpu(native.factor_top_k, ex, user_factors, item_factors)
    else:
        run = _on_device(lambda rows: xp.matmul(user_factors[rows], item_factors.T), n_items * dtype.itemsize)
    return _select(run, xp, n, n_items, dtype, k, exclude, candidates)


def sparse_top_k(
    X: Any, weights: Any, k: int, exclude: Any = None, *, candidates: Any = None, n_threads: int | None = None
) -> TopK:
    """The k best of ``X @ weights`` for sparse rows, as of a linear item-item model.

    Parameters
    ----------
    X : sparse matrix or 2-D array (n, J)
    weights : float32 or float64 array, or sparse matrix (J, I)
        ``X`` is converted to its dtype. On a device all items are scored for a block of rows; if the weights are dense,
        by a dense product.
    k, exclude, candidates, n_threads
        As in `top_k`.

    Returns
    -------
    items : int32 array (n, k)
    scores : array (n, k)
    """
    X, is_sparse, arguments, n_items = operands(X, weights)
    xp, native, ex = backend_of(arguments[0], n_threads=n_threads)
    if xp is np:
        run = _on_cpu(native.sparse_sparse_top_k if is_sparse else native.sparse_top_k, ex, *arguments)
    else:
        score = (_by_sparse if is_sparse else _by_dense)(X, *arguments)
        run = _on_device(score, (X.shape[1] + n_items) * X.data.itemsize)
    return _select(run, xp, X.shape[0], n_items, X.data.dtype, k, exclude, candidates)


def _by_dense(X: Csr, indptr: Array, indices: Array, data: Array, weights: Array) -> Callable[[slice], Array]:
    """Scores of rows by dense weights on a device, where rows are written out, a block at a time."""
    xp, _, _ = backend_of(weights)

    def score(rows: slice) -> Array:
        starts = X.indptr[rows.start : rows.stop + 1]
        entries = slice(int(starts[0]), int(starts[-1]))
        dense = xp.zeros((rows.stop - rows.start, len(weights)), weights.dtype)
        dense[xp.asarray(np.repeat(np.arange(len(dense)), np.diff(starts))), indices[entries]] = data[entries]
        return xp.matmul(dense, weights)

    return score


def _by_sparse(X: Csr, indptr: Array, indices: Array, data: Array, *weights: Any) -> Callable[[slice], Array]:
    """Scores of rows by sparse weights on a device."""
    xp, native, ex = backend_of(data)
    *of_weights, n_items = weights

    def score(rows: slice) -> Array:
        scores = xp.empty((rows.stop - rows.start, n_items), data.dtype)
        native.sparse_scores(ex, scores, indptr[rows.start : rows.stop + 1], indices, data, *of_weights)
        return scores

    return score


def sparse_pair_scores(
    X: Any, weights: Any, rows: Array, items: Array, *, n_threads: int | None = None
) -> NDArray[Any]:
    """Elements ``(rows[p], items[p])`` of ``X @ weights``, at the cost of the pairs asked for.

    Parameters
    ----------
    X : sparse matrix or 2-D array (n, J)
    weights : float32 or float64 array, or sparse matrix (J, I)
    rows, items : int arrays (m,)
        On a device, where the weights are, or on the host.
    n_threads : int, optional

    Returns
    -------
    array (m,)
    """
    X, is_sparse, arguments, n_items = operands(X, weights)
    rows, items = check_ids("rows", rows, X.shape[0], "row"), check_ids("items", items, n_items, "item")
    if len(rows) != len(items):
        raise ValueError(f"items must be as many as rows ({len(rows)}), got {len(items)}")
    xp, native, ex = backend_of(arguments[0], n_threads=n_threads)
    out: NDArray[Any] = xp.empty(len(rows), X.data.dtype)
    kernel = native.sparse_pair_scores if is_sparse else native.pair_scores
    kernel(ex, out, *arguments, xp.asarray(rows), xp.asarray(items))
    return out
