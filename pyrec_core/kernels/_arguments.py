"""Arguments that the kernels of several families share."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._backend import Array, array_module, is_cuda
from .._validation import Csr, check_float_array, check_inplace, check_interactions

Lists = tuple[NDArray[np.int64], NDArray[np.int32]] | None


def result_of(name: str, a: Array, overwrite: bool, ndim: int | None) -> tuple[Array, Array]:
    """Return where a result of the shape of ``a`` goes, and ``a``: one and the same array to overwrite it."""
    if overwrite:
        a = check_inplace(name, a, ndim)
        return a, a
    a = check_float_array(name, a, ndim)
    return array_module(a).empty_like(a), a


def pattern(name: str, lists: Any, n: int, n_items: int) -> Lists:
    """Offsets and ascending ids of the stored entries of a sparse matrix (n, I)."""
    if lists is None:
        return None
    if not isinstance(lists, Csr):
        if not sp.issparse(lists):
            raise TypeError(f"{name} must be a sparse matrix, got {type(lists).__name__}")
        lists = sp.csr_array(lists)
        ones = np.ones(len(lists.indices), np.float32)  # a stored zero counts
        lists = sp.csr_array((ones, lists.indices, lists.indptr), shape=lists.shape)
    lists = check_interactions(name, lists, n_users=n, n_items=n_items)
    return lists.indptr, lists.indices


def rows_of(lists: tuple[Array, Array] | None, rows: slice, n: int) -> tuple[Array, Array] | None:
    """The lists of these rows among n, or the one that all share."""
    if lists is None or len(lists[0]) != n + 1:
        return lists
    return lists[0][rows.start : rows.stop + 1], lists[1]


def factors(user_factors: Array, item_factors: Array) -> tuple[Array, Array]:
    """Both tables of factors, of one dtype and width."""
    user_factors = check_float_array("user_factors", user_factors, ndim=2)
    item_factors = check_float_array("item_factors", item_factors, ndim=2)
    if item_factors.dtype != user_factors.dtype:
        raise TypeError(f"item_factors must be {user_factors.dtype} like user_factors, got {item_factors.dtype}")
    if item_factors.shape[1] != user_factors.shape[1]:
        raise ValueError(
            f"item_factors must have {user_factors.shape[1]} columns like user_factors, got {item_factors.shape[1]}"
        )
    return user_factors, item_factors


def operands(X: Any, weights: Any) -> tuple[Csr, bool, tuple[Any, ...], int]:
    """What a kernel needs of sparse rows and weights, dense or sparse: a `Csr` of CuPy arrays is sparse on a device.

    Returns ``X`` in the dtype of ``weights``; whether these are sparse; the arrays of both, where the weights lie, with
    the number of items behind those of sparse ones; and that number.
    """
    of_weights: tuple[Any, ...]
    is_sparse = sp.issparse(weights) or isinstance(weights, Csr)
    if is_sparse:
        there = isinstance(weights, Csr) and is_cuda(weights.data)
        w = weights if there else check_interactions("weights", weights)
        of_weights, shape, dtype = (w.indptr, w.indices, w.data, w.shape[1]), w.shape, w.data.dtype
    else:
        w = check_float_array("weights", weights, ndim=2)
        of_weights, shape, dtype = (w,), w.shape, w.dtype
    X, xp = check_interactions("X", X, n_items=shape[0], dtype=dtype), array_module(of_weights[0])
    return X, is_sparse, (*map(xp.asarray, (X.indptr, X.indices, X.data)), *of_weights), shape[1]
