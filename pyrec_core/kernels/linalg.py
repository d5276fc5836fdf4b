"""Dense linear algebra with the same bits for any number of threads.

Products run in register tiles from packed panels that all threads share; the sizes follow from the shapes alone.
SciPy's LAPACK, single-threaded, factors small diagonal blocks. Matrices are row-major; a Fortran-ordered operand of
`gemm` or `syrk` is used as it is. On a GPU there are `gemm`, by cuBLAS, and `column_sums`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of, check_threads, cpu, is_cuda, linear_algebra
from .._validation import check_bool, check_float, check_float_array, check_inplace, check_like

__all__ = ["cholesky_", "column_sums", "gemm", "inverse_from_cholesky_", "syrk"]

Matrix = NDArray[Any]
Progress = Callable[[float], None]  # told the share of the work done since the last call


def _operand(name: str, a: Array, trans_name: str, trans: bool) -> tuple[Matrix, bool]:
    """Return ``a`` as a C-contiguous array, and whether its transpose is meant."""
    trans = check_bool(trans_name, trans)
    flags: Any = getattr(a, "flags", None)  # NumPy's and CuPy's arrays have them
    if getattr(flags, "f_contiguous", False) and not flags.c_contiguous and a.ndim == 2:
        a, trans = a.T, not trans
    return check_float_array(name, a, ndim=2), trans


def _output(out: Array | None, shape: tuple[int, int], dtype: np.dtype[Any], beta: float, xp: Any) -> Array:
    if out is None:
        if beta != 0.0:
            raise ValueError(f"out must be given when beta is not 0, got beta={beta}")
        return xp.empty(shape, dtype)
    out = check_inplace("out", out, ndim=2)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be {dtype} of shape {shape}, got {out.dtype} of shape {out.shape}")
    return out


def _check_host(name: str, a: Array) -> None:
    if is_cuda(a):
        raise TypeError(f"{name} must be a NumPy array, as this runs on the CPU only, got one on a GPU")


def _check_square(name: str, a: Array, *, host: bool = True) -> int:
    if host:
        _check_host(name, a)
    check_inplace(name, a, ndim=2)
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"{name} must be square, got shape {a.shape}")
    return int(a.shape[0])


def gemm(
    a: Array,
    b: Array,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    alpha: float = 1.0,
    beta: float = 0.0,
    bias: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Matrix product ``alpha * op(a) @ op(b) + beta * out + bias``.

    Parameters
    ----------
    a : float32 or float64 array (M, K), or (K, M) with ``trans_a``, NumPy or CuPy
    b : array of the dtype of ``a`` (K, N), or (N, K) with ``trans_b``
    trans_a, trans_b : bool
        Use the transpose.
    alpha, beta : float
    bias : array (N,) of the dtype of ``a``, optional
        Added to each row.
    out : C-contiguous array (M, N), optional
        Written and returned; must not overlap the other arrays.
    n_threads : int, optional

    Returns
    -------
    array (M, N)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.linalg import gemm
    >>> gemm(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), trans_b=True)
    array([[11.]])
    """
    a, trans_a = _operand("a", a, "trans_a", trans_a)
    b, trans_b = _operand("b", b, "trans_b", trans_b)
    if a.dtype != b.dtype:
        raise TypeError(f"b must be {a.dtype} like a, got {b.dtype}")
    m, k = a.shape[::-1] if trans_a else a.shape
    k_b, n = b.shape[::-1] if trans_b else b.shape
    if k != k_b:
        raise ValueError(f"b must have {k} rows to match the columns of a, got {k_b} (after transposition)")
    alpha, beta = check_float("alpha", alpha), check_float("beta", beta)
    bias = None if bias is None else check_like("bias", bias, (n,), a.dtype)
    xp, native, ex = backend_of(a, b, bias, out, n_threads=n_threads)
    out = _output(out, (m, n), a.dtype, beta, xp)
    if xp.may_share_memory(out, a) or xp.may_share_memory(out, b):
        raise ValueError("out must not overlap a or b, got overlapping memory")
    if bias is not None and xp.may_share_memory(out, bias):
        raise ValueError("out must not overlap bias, got overlapping memory")
    if is_cuda(a):
        _device_gemm(xp, a.T if trans_a else a, b.T if trans_b else b, alpha, beta, bias, out)
    else:
        native.gemm(ex, out, a, b, trans_a, trans_b, alpha, beta, bias)
    return out


def _device_gemm(xp: Any, a: Array, b: Array, alpha: float, beta: float, bias: Array | None, out: Array) -> None:
    product = xp.matmul(a, b, out=out if beta == 0.0 else None)
    if alpha != 1.0:
        product *= alpha
    if beta != 0.0:
        out *= beta
        out += product
    if bias is not None:
        out += bias


def syrk(
    a: Array,
    *,
    trans: bool = False,
    alpha: float = 1.0,
    beta: float = 0.0,
    out: Matrix | None = None,
    n_threads: int | None = None,
) -> Matrix:
    """Symmetric product ``alpha * a @ a.T + beta * out``, or ``alpha * a.T @ a + beta * out`` with ``trans``.

    Parameters
    ----------
    a : float32 or float64 array (N, K), or (K, N) with ``trans``
    trans : bool
    alpha, beta : float
    out : C-contiguous array (N, N), optional
        Written and returned; only its lower triangle is read. Must not overlap ``a``.
    n_threads : int, optional

    Returns
    -------
    array (N, N)
        Full and exactly symmetric.
    """
    _check_host("a", a)
    a, trans = _operand("a", a, "trans", trans)
    n = a.shape[1] if trans else a.shape[0]
    alpha, beta = check_float("alpha", alpha), check_float("beta", beta)
    out = _output(out, (n, n), a.dtype, beta, np)
    if np.may_share_memory(out, a):
        raise ValueError("out must not overlap a, got overlapping memory")
    cpu().syrk(check_threads(n_threads), out, a, trans, alpha, beta)
    return out


def column_sums(a: Array, *, n_threads: int | None = None) -> Array:
    """Sums of the columns of ``a``, taken in float64 in an order that depends on the shape alone.

    Parameters
    ----------
    a : float32 or float64 array (n, d), NumPy or CuPy
    n_threads : int, optional

    Returns
    -------
    array (d,) of the dtype of ``a``
    """
    a = check_float_array("a", a, ndim=2)
    xp, native, ex = backend_of(a, n_threads=n_threads)
    sums = xp.empty(a.shape[1], a.dtype)
    native.column_sums(ex, sums, a)
    return sums


def cholesky_(a: Matrix, *, n_threads: int | None = None, progress: Progress | None = None) -> Matrix:
    """Cholesky factor ``L`` of a symmetric positive definite matrix, in place: ``a = L @ L.T``.

    Parameters
    ----------
    a : C-contiguous float32 or float64 array (n, n)
        Only the lower triangle is read. It becomes ``L``; the strict upper triangle holds no meaning afterwards.
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call.

    Returns
    -------
    a

    Raises
    ------
    ValueError
        The matrix is not positive definite, or not finite; ``a`` is then spoiled.
    """
    n = _check_square("a", a)
    native, threads = cpu(), check_threads(n_threads)
    panels = _panels(n)
    with linear_algebra():
        for panel in range(panels):
            order = native.cholesky_panel(threads, a, panel)
            if order:
                raise ValueError(f"a must be positive definite, got a leading minor of order {order} that is not")
            if progress is not None:
                progress(_share(panel, panels))
    if not np.isfinite(np.diagonal(a)).all():
        raise ValueError("a must be finite, got NaN or infinity")
    return a


def inverse_from_cholesky_(factor: Matrix, *, n_threads: int | None = None, progress: Progress | None = None) -> Matrix:
    """Inverse of ``L @ L.T`` from its Cholesky factor ``L``, in place.

    Parameters
    ----------
    factor : C-contiguous float32 or float64 array (n, n)
        ``L`` in the lower triangle, as `cholesky_` leaves it; the upper triangle is not read.
    n_threads : int, optional
    progress : callable, optional
        Called with the share of the work done since the last call.

    Returns
    -------
    factor
        Now the inverse, full and exactly symmetric.

    Raises
    ------
    ValueError
        A diagonal element of ``L`` is not positive.
    """
    _invert_lower_half(factor, n_threads, progress)
    cpu().mirror_lower(check_threads(n_threads), factor)
    return factor


def _invert_lower_half(factor: Matrix, n_threads: int | None, progress: Progress | None) -> None:
    """Do `inverse_from_cholesky_` for the lower triangle only; the upper is left as scratch."""
    n = _check_square("factor", factor)
    smallest = np.diagonal(factor).min(initial=np.inf)
    if not smallest > 0:
        raise ValueError(f"factor must have a positive diagonal, got {smallest}")
    native, threads = cpu(), check_threads(n_threads)
    panels = _panels(n)
    with linear_algebra():
        native.invert_diagonal_blocks(threads, factor)
        for panel in range(panels):
            native.invert_lower_panel(threads, factor, panel)
            if progress is not None:
                progress(_share(panel, panels) / 2)
        for panel in range(panels):
            native.inverse_product_panel(threads, factor, panel)
            if progress is not None:
                progress(_share(panel, panels) / 2)


def _panels(n: int) -> int:
    return -(-n // int(cpu().factor_panel(n)))


def _share(done: int, panels: int) -> float:
    """Share of the work of panel ``done`` (from 0): panel k of n costs about k (n - k)."""
    total = panels * (panels + 1) * (panels + 2) / 6
    return (done + 1) * (panels - done) / total
