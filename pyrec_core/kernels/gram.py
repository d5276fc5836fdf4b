"""Gram matrices of sparse interactions, and the weights of EASE. Shapes: U users, I items."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _memory
from .._backend import Array, backend_of, backend_on, check_device, check_threads, cpu, device_of, is_cuda, to_host
from .._validation import (
    Csr,
    as_array,
    check_bool,
    check_float,
    check_float_array,
    check_inplace,
    check_interactions,
    check_like,
)
from ._gram_blocks import blocks_of, ease_from_inverse_, invert_lower_, mirror_, workspace
from .linalg import Progress, _check_square, _invert_lower_half, cholesky_, gemm, inverse_from_cholesky_

__all__ = ["denoising_weights", "ease_weights", "gram"]

_ROWS = 256  # of a matrix that are worked on in float64 at a time
_ROW_BYTES = 2**28  # of a matrix on the host that are made on a device at a time
_ENTRY_BYTES = 64  # that an entry of X takes there, sorted by item


def gram(
    X: Any,
    weights: Array | None = None,
    dtype: DTypeLike | None = None,
    *,
    out: Array | None = None,
    device: str = "cpu",
    n_threads: int | None = None,
) -> NDArray[Any]:
    """Gram matrix ``X.T @ diag(weights) @ X`` of a sparse matrix, dense and symmetric.

    The rows of the result are summed in cache from the users' item lists: exactly, by counting, where all values are
    1 and there are no weights, else in float64; each sum is rounded to ``dtype`` once.

    Parameters
    ----------
    X : sparse matrix or 2-D array (U, I)
        Any SciPy format; duplicates are summed, explicit zeros dropped.
    weights : array (U,), optional
        A finite factor for each user (row); default 1.
    dtype : float32 or float64, optional
        Of the result; default that of ``X`` (float32 for bool, integers and float16).
    out : C-contiguous array (I, I) of this dtype, optional
        Written and returned. With ``device="cuda"`` it may be a NumPy array, as the device may not have room for all of
        it: a few rows at a time are made there.
    device : "cpu" or "cuda"
        Where the result is made, from ``X`` and ``weights`` on the host. On a device all sums are in float64.
    n_threads : int, optional

    Returns
    -------
    array (I, I)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.gram import gram
    >>> gram(np.array([[1, 1, 0], [0, 1, 1]]))
    array([[1., 1., 0.],
           [1., 2., 1.],
           [0., 1., 1.]], dtype=float32)
    """
    if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
    csr = check_interactions("X", X, dtype=dtype)
    if weights is not None:
        weights = as_array("weights", weights)
        if weights.dtype.kind not in "iuf":
            raise TypeError(f"weights must be numbers, got {weights.dtype}")
        if weights.shape != (csr.shape[0],):
            raise ValueError(f"weights must have shape {(csr.shape[0],)}, one a row of X, got {weights.shape}")
        if not np.isfinite(weights).all():
            raise ValueError("weights must be finite, got NaN or infinity")
        weights = np.ascontiguousarray(weights, csr.data.dtype)
    xp, native, ex = backend_on(device, n_threads=n_threads)
    out = _result(out, csr, device, xp)
    if xp is np:
        native.gram(ex, out, csr.indptr, csr.indices, csr.data, weights)
    else:
        _rows_on_device(out, csr, weights)
    result: NDArray[Any] = out
    return result


def _result(out: Array | None, X: Csr, device: str, xp: Any) -> Array:
    shape, dtype = (X.shape[1], X.shape[1]), X.data.dtype
    if out is None:
        return xp.empty(shape, dtype)
    out = check_inplace("out", out, 2)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be {dtype} of shape {shape}, got {out.dtype} of shape {out.shape}")
    if is_cuda(out) and device == "cpu":
        raise TypeError("out must be a NumPy array where device is 'cpu', got one on a GPU")
    return out


def _rows_on_device(out: Array, X: Csr, weights: Array | None) -> None:
    """Make the rows of a Gram matrix on a device: at once if they stay there, else a few at a time."""
    xp, native, ex = backend_on("cuda")
    indptr, indices, data = map(xp.asarray, (X.indptr, X.indices, X.data))
    n, there = len(out), is_cuda(out)
    arrays = indptr, indices, data, None if weights is None else xp.asarray(weights), *_by_item(xp, indptr, indices, n)
    count = max(1, n if there else _ROW_BYTES // max(1, n * out.itemsize))
    for first in range(0, n, count):
        rows = out[first : first + count]
        made = rows if there else xp.empty(rows.shape, rows.dtype)
        native.gram(ex, made, *arrays, first)
        if not there:
            rows[:] = to_host(made)


def fits_device(X: Csr, dtype: DTypeLike) -> bool:
    """Whether a device has room for the Gram matrix of ``X``, and for what it takes to make and to invert it there."""
    n, itemsize = X.shape[1], np.dtype(dtype).itemsize
    to_make = _ENTRY_BYTES * X.nnz + X.indptr.nbytes
    return itemsize * n**2 + max(to_make, workspace(n, itemsize)) <= _memory.device_memory()


def _by_item(xp: Any, indptr: Array, indices: Array, n_items: int) -> tuple[Array, Array, Array]:
    """Where each item's entries begin, which they are, and their users: what a device sums by."""
    entry = xp.argsort(indices, kind="stable").astype(np.int64, copy=False)
    start = xp.searchsorted(indices[entry], xp.arange(n_items + 1, dtype=np.int32))
    user = xp.searchsorted(indptr[1:], entry, side="right")
    return start.astype(np.int64, copy=False), entry, user.astype(np.int64, copy=False)


def ease_weights(
    gram: Array,
    l2: float,
    overwrite: bool = False,
    *,
    device: str | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> NDArray[Any]:
    """Item-item weights of EASE from the Gram matrix (Steck 2019, arXiv:1905.03375, eq. 8).

    ``P = inverse(gram + l2 * identity)``; ``B[i, j] = -P[i, j] / P[j, j]`` and ``B[i, i] = 0``: the minimum of
    ``|X - X B|^2 + l2 |B|^2`` with a zero diagonal. Computed in the memory of one matrix.

    Parameters
    ----------
    gram : float32 or float64 array (I, I), NumPy or CuPy
        ``X.T @ X``, symmetric; only the lower triangle is read.
    l2 : float
        Ridge penalty, >= 0.
    overwrite : bool
        Use the memory of ``gram`` (which must then be C-contiguous and writeable); it is spoiled if this fails or is
        interrupted.
    device : "cpu" or "cuda", optional
        Where the work is done; default where ``gram`` lies. With "cuda" a NumPy array stays where it is, and the device
        gets blocks of it: for matrices that do not fit there.
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call; the shares add up to 1.

    Returns
    -------
    array (I, I)
        ``B``; scores are ``X @ B``. Rows and columns of items without interactions are zero.

    Raises
    ------
    ValueError
        ``gram + l2 * identity`` is not positive definite, to the precision of its dtype.
    NotEnoughMemoryError
        The device has no room for a column of blocks.
    """
    l2, report = check_float("l2", l2, low=0.0), progress or (lambda share: None)
    where = _works_on(device, gram)
    a: NDArray[Any] = _own_matrix(gram, overwrite)
    if where == "cuda":
        _ease_on_device_(a, l2, report)
        return a
    diagonal = np.einsum("ii->i", a)
    diagonal += a.dtype.type(l2)
    before = diagonal.astype(np.float64)
    if not np.isfinite(before).all():
        raise ValueError("gram must be finite, got NaN or infinity")
    try:
        cholesky_(a, n_threads=n_threads, progress=lambda share: report(share / 3))
    except ValueError as error:
        if np.isnan(diagonal).any():  # what NaN beside the diagonal turns into
            raise ValueError("gram must be finite, got NaN or infinity") from None
        raise ValueError(_not_definite(l2, str(error))) from None
    # A rank-deficient matrix may pass by rounding: then a pivot is no larger than the rounding of its row.
    if (diagonal.astype(np.float64) ** 2 <= _rounding(a) * before).any():
        raise ValueError(_not_definite(l2, f"a pivot vanishes to the precision of {a.dtype}"))
    _invert_lower_half(a, n_threads, lambda share: report(share * 2 / 3))
    cpu().ease_from_inverse(check_threads(n_threads), a)
    return a


def _rounding(a: Array) -> float:
    """Below this share of what its row began with, a pivot may be nothing but rounding."""
    return float(4 * np.sqrt(len(a)) * np.finfo(a.dtype).eps)


def _works_on(device: str | None, gram: Array) -> str:
    if device is None:
        return device_of(gram)
    if check_device(device) == "cpu" and is_cuda(gram):
        raise TypeError("gram must be a NumPy array where device is 'cpu', got one on a GPU")
    return device


def _own_matrix(gram: Array, overwrite: bool) -> Array:
    """Return the square matrix to work in: ``gram`` itself, to overwrite it."""
    if check_bool("overwrite", overwrite):
        a = check_inplace("gram", gram, 2) if is_cuda(gram) else np.asarray(gram)
    else:
        a = check_float_array("gram", gram, ndim=2)
        if is_cuda(a) or np.may_share_memory(a, gram):
            a = a.copy()
    _check_square("gram", a, host=False)
    return a


def _ease_on_device_(a: Array, l2: float, report: Progress) -> None:
    blocks = blocks_of(a)
    try:
        invert_lower_(blocks, l2, _rounding(a), report)
    except np.linalg.LinAlgError as error:
        raise ValueError(_not_definite(l2, str(error))) from None
    ease_from_inverse_(blocks)


def denoising_weights(
    gram: Array,
    sums: Array,
    total: float,
    dropout: float,
    l2: float,
    overwrite: bool = False,
    *,
    device: str | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights of the linear denoising auto-encoder, all corruptions averaged out (Chen et al. 2012, arXiv:1206.4683).

    The minimum over W and b of the expectation of ``|X - Z W - b|^2 + l2 |W|^2``, where Z is X with each element set to
    zero with probability ``dropout``. With ``q = 1 - dropout``, ``S = X.T @ X`` and sums m of the columns over the
    ``total`` rows, ``Q = q^2 S + diag((q - q^2) S_ii + l2)`` and ``V = inverse(Q - q^2 m m^T / total)``:
    ``W = (identity - V diag(c)) / q`` and ``b_j = c_j (m^T V)_j / total``, ``c_j = (q - q^2) S_jj + l2``.

    Parameters
    ----------
    gram : float32 or float64 array (I, I), NumPy or CuPy
        ``S``, symmetric.
    sums : array (I,) of the same dtype
        ``m``, the sums of the columns of ``X`` (weighted like ``gram``).
    total : float
        The number of rows of ``X``, or the sum of their weights; > 0.
    dropout : float
        >= 0 and < 1.
    l2 : float
        Ridge penalty on W, not on b; >= 0.
    overwrite : bool
        Use the memory of ``gram`` (which must then be C-contiguous and writeable); it is spoiled if this fails or is
        interrupted.
    device : "cpu" or "cuda", optional
        As in `ease_weights`.
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call.

    Returns
    -------
    W : array (I, I)
        Row i is what having item i adds to the scores. The diagonal is not zero.
    b : array (I,)

    Raises
    ------
    ValueError
        The matrix to invert is not positive definite, to the precision of its dtype.
    """
    l2, total = check_float("l2", l2, low=0.0), check_float("total", total, low=0.0, low_open=True)
    dropout = check_float("dropout", dropout, low=0.0)
    if dropout >= 1:
        raise ValueError(f"dropout must be < 1, got {dropout}")
    where, a = _works_on(device, gram), _own_matrix(gram, overwrite)
    sums = check_like("sums", sums, (len(a),), a.dtype)
    xp, _, _ = backend_of(a, sums)
    q = 1.0 - dropout
    diagonal = a.reshape(-1)[:: len(a) + 1]  # a view
    own = q * dropout * diagonal.astype(np.float64) + l2
    m = sums.astype(np.float64)
    for rows in range(0, len(a), _ROWS):  # in float64, a few rows at a time
        block = slice(rows, rows + _ROWS)
        a[block] = q * q * (a[block] - m[block, None] * (m / total))
    diagonal += own.astype(a.dtype)
    if not xp.isfinite(diagonal).all():
        raise ValueError("gram and sums must be finite, got NaN or infinity")
    report = progress or (lambda share: None)
    try:
        if where == "cuda":
            blocks = blocks_of(a)
            invert_lower_(blocks, 0.0, 0.0, report)
            mirror_(blocks)
        else:
            cholesky_(a, n_threads=n_threads, progress=lambda share: report(share / 3))
            inverse_from_cholesky_(a, n_threads=n_threads, progress=lambda share: report(share * 2 / 3))
    except ValueError as error:
        raise ValueError(_not_definite(l2, str(error))) from None
    b = gemm(sums[None], a, n_threads=n_threads)[0] * (own / total).astype(a.dtype)
    a *= (-own / q).astype(a.dtype)
    diagonal += a.dtype.type(1 / q)
    return a, b


def _not_definite(l2: float, why: str) -> str:
    return (
        "l2 must be large enough to make the Gram matrix plus l2 on its diagonal positive definite, "
        f"got l2={l2} ({why}; items without interactions or that always occur together need l2 > 0)"
    )
