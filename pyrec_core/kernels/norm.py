"""Normalisation of columns over the batch, and of rows. Means and variances are those of n numbers, divided by n.

Sums are made in float64, whatever the dtype, and in one order.
"""

from .._backend import Array, array_module, backend_of
from .._validation import check_bool, check_float, check_float_array, check_like

__all__ = ["batch_norm_backward", "batch_norm_forward", "column_moments", "layer_norm_backward", "layer_norm_forward"]


def column_moments(x: Array, *, n_threads: int | None = None) -> tuple[Array, Array]:
    """Return mean and variance of each column.

    Parameters
    ----------
    x : float32 or float64 array (B, n), NumPy or CuPy
        With at least one row.
    n_threads : int, optional

    Returns
    -------
    mean, var : array (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.norm import column_moments
    >>> column_moments(np.array([[1.0, 2.0], [5.0, 2.0]]))
    (array([3., 2.]), array([4., 0.]))
    """
    x = check_float_array("x", x, ndim=2)
    if not len(x):
        raise ValueError(f"x must have at least one row, got shape {x.shape}")
    xp, native, ex = backend_of(x, n_threads=n_threads)
    mean, var = xp.empty((2, x.shape[1]), x.dtype)
    native.column_moments(ex, mean, var, x)
    return mean, var


def batch_norm_forward(
    x: Array, mean: Array, var: Array, gamma: Array, beta: Array, *, eps: float = 1e-5, n_threads: int | None = None
) -> Array:
    """Normalise columns with a mean and a variance, then scale and shift them (Ioffe & Szegedy 2015, arXiv:1502.03167).

    Parameters
    ----------
    x : float32 or float64 array (B, n), NumPy or CuPy
    mean, var : array (n,) of the same dtype
        Of the batch, as from `column_moments`, or others.
    gamma, beta : array (n,) of the same dtype
    eps : float > 0
    n_threads : int, optional

    Returns
    -------
    array (B, n)
        ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.norm import batch_norm_forward, column_moments
    >>> x = np.array([[1.0], [5.0]])
    >>> batch_norm_forward(x, *column_moments(x), np.array([2.0]), np.array([10.0])).round(3)
    array([[ 8.],
           [12.]])
    """
    x = check_float_array("x", x, ndim=2)
    columns = _columns(x, mean=mean, var=var, gamma=gamma, beta=beta)
    xp, native, ex = backend_of(x, *columns, n_threads=n_threads)
    y = xp.empty_like(x)
    native.batch_norm_forward(ex, y, x, *columns, _eps(eps))
    return y


def batch_norm_backward(
    d_y: Array,
    x: Array,
    mean: Array,
    var: Array,
    gamma: Array,
    *,
    eps: float = 1e-5,
    constants: bool = False,
    n_threads: int | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of `batch_norm_forward`.

    Parameters
    ----------
    d_y : array (B, n)
    x, mean, var, gamma, eps
        As in `batch_norm_forward`.
    constants : bool
        Whether ``mean`` and ``var`` are constants. Default: they are those of ``x`` and depend on it.
    n_threads : int, optional

    Returns
    -------
    d_x : array (B, n)
    d_gamma, d_beta : array (n,)
    """
    x = check_float_array("x", x, ndim=2)
    d_y = check_like("d_y", d_y, x.shape, x.dtype)
    columns = _columns(x, mean=mean, var=var, gamma=gamma)
    constants = check_bool("constants", constants)
    _, native, ex = backend_of(d_y, x, *columns, n_threads=n_threads)
    out = _gradients(x)
    native.batch_norm_backward(ex, *out, d_y, x, *columns, _eps(eps), constants)
    return out


def layer_norm_forward(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5, n_threads: int | None = None
) -> Array:
    """Normalise rows, then scale and shift their elements (Ba et al. 2016, arXiv:1607.06450).

    Parameters
    ----------
    x : float32 or float64 array (B, n), NumPy or CuPy
    gamma, beta : array (n,) of the same dtype
    eps : float > 0
    n_threads : int, optional

    Returns
    -------
    array (B, n)
        ``gamma * (x - mean) / sqrt(var + eps) + beta`` with mean and variance of each row.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.norm import layer_norm_forward
    >>> layer_norm_forward(np.array([[1.0, 5.0], [0.0, -8.0]]), np.ones(2), np.zeros(2)).round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """
    x = check_float_array("x", x, ndim=2)
    columns = _columns(x, gamma=gamma, beta=beta)
    xp, native, ex = backend_of(x, *columns, n_threads=n_threads)
    y = xp.empty_like(x)
    native.layer_norm_forward(ex, y, x, *columns, _eps(eps))
    return y


def layer_norm_backward(
    d_y: Array, x: Array, gamma: Array, *, eps: float = 1e-5, n_threads: int | None = None
) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm_forward`.

    Parameters
    ----------
    d_y : array (B, n)
    x, gamma, eps
        As in `layer_norm_forward`.
    n_threads : int, optional

    Returns
    -------
    d_x : array (B, n)
    d_gamma, d_beta : array (n,)
    """
    x = check_float_array("x", x, ndim=2)
    d_y = check_like("d_y", d_y, x.shape, x.dtype)
    columns = _columns(x, gamma=gamma)
    _, native, ex = backend_of(d_y, x, *columns, n_threads=n_threads)
    out = _gradients(x)
    native.layer_norm_backward(ex, *out, d_y, x, *columns, _eps(eps))
    return out


def _columns(x: Array, **arrays: Array) -> list[Array]:
    """Arrays of one number a column."""
    return [check_like(name, a, x.shape[1:], x.dtype) for name, a in arrays.items()]


def _eps(eps: float) -> float:
    return check_float("eps", eps, low=0.0, low_open=True)


def _gradients(x: Array) -> tuple[Array, Array, Array]:
    """Where the gradients of x and of two numbers a column go."""
    xp = array_module(x)
    return xp.empty_like(x), xp.empty(x.shape[1], x.dtype), xp.empty(x.shape[1], x.dtype)
