"""Activations with their gradients, rows that are normalised, and dropout.

The ways back start from the outputs, so that inputs need not be kept; only `l2_normalize_backward` reads its input.
NaN goes through, infinities go as the formulas say.
"""

from .._backend import Array, backend_of
from .._validation import check_choice, check_float, check_like
from ._arguments import result_of
from .random import _stream

__all__ = [
    "ACTIVATIONS",
    "activation_backward",
    "activation_forward",
    "dropout",
    "l2_normalize_backward",
    "l2_normalize_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "softmax_backward",
    "softmax_forward",
]

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky", "elu", "selu", "softplus")
_ALPHA = {"leaky": 0.01, "elu": 1.0}


def _alpha(name: str, alpha: float | None) -> float:
    check_choice("name", name, ACTIVATIONS)
    if alpha is None:
        return _ALPHA.get(name, 0.0)
    if name not in _ALPHA:
        raise ValueError(f"alpha must be None for {name!r}, which has none, got {alpha!r}")
    return check_float("alpha", alpha, low=0.0)


def activation_forward(
    x: Array, name: str, *, alpha: float | None = None, overwrite: bool = False, n_threads: int | None = None
) -> Array:
    """Return ``f(x)``, element by element.

    Parameters
    ----------
    x : float32 or float64 array of any shape, NumPy or CuPy
    name : one of `ACTIVATIONS`
        "identity" x; "sigmoid" ``1 / (1 + exp(-x))``; "tanh"; "softplus" ``log(1 + exp(x))``; and with x for x > 0 and
        this for the others: "relu" 0, "leaky" ``alpha x``, "elu" ``alpha (exp(x) - 1)``. "selu" (Klambauer et al.
        2017, arXiv:1706.02515) is 1.0507 times the "elu" of ``alpha`` 1.6733: it keeps mean 0 and variance 1.
    alpha : float >= 0, optional
        Default 0.01 for "leaky", 1 for "elu"; the others have none.
    overwrite : bool
        Write the result over ``x``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    array like ``x``

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.activations import activation_forward
    >>> activation_forward(np.array([-2.0, 0.0, 3.0]), "leaky", alpha=0.5)
    array([-1.,  0.,  3.])
    """
    alpha = _alpha(name, alpha)
    y, x = result_of("x", x, overwrite, None)
    _, native, ex = backend_of(x, n_threads=n_threads)
    native.activation_forward(ex, y.reshape(-1), x.reshape(-1), name, alpha)
    return y


def activation_backward(
    d_y: Array,
    y: Array,
    name: str,
    *,
    alpha: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> Array:
    """Return ``d_y * f'(x)`` from ``y = f(x)``.

    Parameters
    ----------
    d_y : float32 or float64 array of any shape, NumPy or CuPy
        Gradient of ``y``.
    y : array of the same shape and dtype
        What `activation_forward` returned: it tells the slope.
    name, alpha, n_threads
        As in `activation_forward`. The slope at 0 is that of the side below: 0 for "relu".
    overwrite : bool
        Write the result over ``d_y``, which must be a C-contiguous, writeable array.

    Returns
    -------
    array like ``d_y``
    """
    alpha = _alpha(name, alpha)
    d_x, d_y = result_of("d_y", d_y, overwrite, None)
    y = check_like("y", y, d_y.shape, d_y.dtype)
    _, native, ex = backend_of(d_y, y, n_threads=n_threads)
    native.activation_backward(ex, d_x.reshape(-1), d_y.reshape(-1), y.reshape(-1), name, alpha)
    return d_x


def _rows(name: str, a: Array) -> tuple[int, int]:
    if a.ndim == 0:
        raise ValueError(f"{name} must have at least one dimension, got shape ()")
    return a.size // max(a.shape[-1], 1), a.shape[-1]


def _row_forward(kind: str, x: Array, overwrite: bool, n_threads: int | None) -> Array:
    y, x = result_of("x", x, overwrite, None)
    shape = _rows("x", x)
    _, native, ex = backend_of(x, n_threads=n_threads)
    native.row_forward(ex, y.reshape(shape), x.reshape(shape), kind)
    return y


def _row_backward(kind: str, d_y: Array, name: str, of: Array, overwrite: bool, n_threads: int | None) -> Array:
    d_x, d_y = result_of("d_y", d_y, overwrite, None)
    shape = _rows("d_y", d_y)
    of = check_like(name, of, d_y.shape, d_y.dtype)
    _, native, ex = backend_of(d_y, of, n_threads=n_threads)
    native.row_backward(ex, d_x.reshape(shape), d_y.reshape(shape), of.reshape(shape), kind)
    return d_x


def softmax_forward(x: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Softmax over the last axis: ``exp(x) / sum exp(x)``.

    Parameters
    ----------
    x : float32 or float64 array (..., n)
        -inf is an element that is not there, of softmax 0, also where all are.
    overwrite : bool
        Write the result over ``x``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    array like ``x``
    """
    return _row_forward("softmax", x, overwrite, n_threads)


def softmax_backward(d_y: Array, y: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Gradient of `softmax_forward`: ``y * (d_y - sum(y * d_y))``.

    Parameters
    ----------
    d_y : float32 or float64 array (..., n)
    y : array of the same shape and dtype
        What `softmax_forward` returned.
    overwrite : bool
        Write the result over ``d_y``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    array like ``d_y``
    """
    return _row_backward("softmax", d_y, "y", y, overwrite, n_threads)


def log_softmax_forward(x: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Logarithm of `softmax_forward`, right also where that is 0. Parameters and result are the same."""
    return _row_forward("log_softmax", x, overwrite, n_threads)


def log_softmax_backward(d_y: Array, y: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Gradient of `log_softmax_forward`: ``d_y - exp(y) * sum(d_y)``. Parameters are those of `softmax_backward`."""
    return _row_backward("log_softmax", d_y, "y", y, overwrite, n_threads)


def l2_normalize_forward(x: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Vectors along the last axis at length 1: ``x / |x|``.

    Parameters and result are those of `softmax_forward`. A vector shorter than 1e-12 has no direction: it becomes 0,
    and has no gradient. The squares are summed in float64.
    """
    return _row_forward("l2_normalize", x, overwrite, n_threads)


def l2_normalize_backward(d_y: Array, x: Array, *, overwrite: bool = False, n_threads: int | None = None) -> Array:
    """Gradient of `l2_normalize_forward`, ``(d_y - y (y . d_y)) / |x|``, from its input ``x``."""
    return _row_backward("l2_normalize", d_y, "x", x, overwrite, n_threads)


def dropout(
    x: Array,
    rate: float,
    *,
    seed: int,
    purpose: str = "dropout",
    epoch: int = 0,
    first: int = 0,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> Array:
    """Elements kept with probability ``1 - rate`` and divided by it, the others 0. Srivastava et al. 2014.

    It is its own gradient: the same call on ``d_y`` gives ``d_x``, and no mask need be kept.

    Parameters
    ----------
    x : float32 or float64 array of any shape, NumPy or CuPy
    rate : float in [0, 1)
    seed, purpose, epoch, first
        Where the draws stand, as in `pyrec_core.kernels.random.uniform`: element i of ``x``, in C order, is kept where
        element ``first + i`` of the float32 stream is >= ``rate``, whatever the dtype of ``x``.
    overwrite : bool
        Write the result over ``x``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    array like ``x``

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.activations import dropout
    >>> dropout(np.ones(8), 0.5, seed=1)
    array([2., 0., 0., 0., 0., 2., 0., 0.])
    """
    rate = check_float("rate", rate, low=0.0)
    if rate >= 1.0:
        raise ValueError(f"rate must be < 1, got {rate}")
    y, x = result_of("x", x, overwrite, None)
    where = _stream(seed, purpose, epoch, first)
    _, native, ex = backend_of(x, n_threads=n_threads)
    native.dropout(ex, y.reshape(-1), x.reshape(-1), rate, *where)
    return y
