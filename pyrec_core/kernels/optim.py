"""Optimizer steps in place, on dense parameters and on the rows of an embedding. d columns."""

from functools import lru_cache
from typing import Any

import numpy as np

from .._backend import Array, array_module, backend_of, is_cuda
from .._validation import (
    MAX_ID,
    check_bool,
    check_choice,
    check_distinct,
    check_float,
    check_float_array,
    check_inplace,
    check_int,
    check_like,
    check_rows,
)
from ._groups import each_alone, grouped

__all__ = ["RULES", "coalesce", "dense_step_", "row_step_", "state_names", "sum_of_squares"]

RULES = ("sgd", "adagrad", "rmsprop", "adadelta", "adam", "ftrl")
_STATES = {
    "sgd": (),
    "adagrad": ("s0",),
    "rmsprop": ("s0",),
    "adadelta": ("s0", "s1"),
    "adam": ("s0", "s1"),
    "ftrl": ("s0", "s1"),
}
States = dict[str, Array]


def state_names(rule: str, *, momentum: float = 0.0, track_rows: bool = False) -> tuple[str, ...]:
    """Return the names of the arrays that a rule keeps beside the weights.

    Parameters
    ----------
    rule : one of `RULES`
    momentum : float
        Other than 0: "velocity" is kept too.
    track_rows : bool
        "touched" (int64, one a row) is kept too: see `row_step_`.

    Examples
    --------
    >>> from pyrec_core.kernels.optim import state_names
    >>> state_names("adagrad", momentum=0.5)
    ('s0', 'velocity')
    """
    names = _STATES[check_choice("rule", rule, RULES)]
    return names + ("velocity",) * bool(momentum) + ("touched",) * track_rows


def dense_step_(
    weights: Array, states: States, grad: Array, *, rule: str, learning_rate: float, n_threads: int | None = None,
    **options: Any
) -> None:  # fmt: skip
    """Make one step of ``rule`` on all weights, in place.

    With g the gradient (plus ``l2 * weights``, except for ftrl) and t the number of the step, squares element-wise:

    ======== ==================================================================== =================================
    rule     state                                                                step u
    ======== ==================================================================== =================================
    sgd      none                                                                 ``-lr g``
    adagrad  ``s0 += g^2``                                                        ``-lr g / sqrt(s0 + eps)``
    rmsprop  ``s0 = beta1 s0 + (1-beta1) g^2``                                    ``-lr g / sqrt(s0 + eps)``
    adadelta ``s0`` as rmsprop, ``s1 = beta1 s1 + (1-beta1) d^2``                 ``-lr d``, where
                                                                                  ``d = sqrt(s1+eps)/sqrt(s0+eps) g``
    adam     ``s0 = beta1 s0 + (1-beta1) g``, ``s1 = beta2 s1 + (1-beta2) g^2``   ``-lr m / (sqrt(v) + eps)``, where
                                                                                  ``m = s0/(1-beta1^t)``,
                                                                                  ``v = s1/(1-beta2^t)``
    ftrl     ``s0 += g - (sqrt(s1+g^2) - sqrt(s1))/lr w``, ``s1 += g^2``          ``w = 0`` if ``|s0| <= l1``, else
                                                                                  ``-(s0 - sign(s0) l1) /``
                                                                                  ``((beta1 + sqrt(s1))/lr + l2)``
    ======== ==================================================================== =================================

    Then ``w += u``, or with momentum ``velocity = momentum velocity + u`` and ``w += velocity`` (Nesterov: ``w +=
    momentum velocity + u``). Sources: Duchi et al. 2011 (Adagrad), Zeiler 2012 (Adadelta), Kingma & Ba 2015 (Adam),
    McMahan et al. 2013 (FTRL-proximal, whose ``beta`` is ``beta1`` here).

    Parameters
    ----------
    weights : float32 or float64 array of any shape, NumPy or CuPy
        C-contiguous and writeable.
    states : dict of arrays
        Those of `state_names`, in the shape and dtype of ``weights``, zero before the first step; changed in place.
    grad : array like ``weights``
        A gradient that is NaN or infinite spoils the weights: check `sum_of_squares` first.
    rule : one of `RULES`
    learning_rate : float > 0
    momentum : float in [0, 1), default 0
    nesterov : bool, default False
    eps : float >= 0, default 1e-6
        Inside the root, for adam outside unless ``eps_inside``.
    eps_inside : bool, default False
    beta1, beta2 : float in [0, 1), default 0.9 and 0.999
        For ftrl ``beta1`` is any number >= 0.
    l1, l2 : float >= 0, default 0
    decay : float >= 0, default 0
        Decoupled weight decay (Loshchilov & Hutter 2019): ``w -= lr decay w`` before the step.
    t : int >= 1, default 1
        Number of this step.
    n_threads : int, optional

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.optim import dense_step_
    >>> w = np.zeros(3)
    >>> dense_step_(w, {"s0": np.zeros(3)}, np.array([0.3, 0.0, -2.0]), rule="adagrad", learning_rate=0.1)
    >>> w.round(4)
    array([-0.1,  0. ,  0.1])
    """
    weights = check_inplace("weights", weights, None)
    arrays = _states(rule, states, weights, options, track_rows=False)
    grad = check_like("grad", grad, weights.shape, weights.dtype)
    numbers = _numbers(rule, learning_rate, **options)
    _, native, ex = backend_of(weights, *arrays, grad, n_threads=n_threads)
    native.dense_step(ex, weights, *arrays[:3], grad, *numbers)


def row_step_(
    weights: Array, states: States, ids: Array, grad: Array, *, rule: str, learning_rate: float,
    distinct: bool = False, n_threads: int | None = None, **options: Any
) -> None:  # fmt: skip
    """Make one step of ``rule`` on the rows of an embedding that a batch touched, in place.

    Gradients of a row that comes several times are summed first, in the order of the batch. The rows without a
    gradient and their states stay as they are ("lazy"); for sgd and adagrad without momentum that is the dense step.

    Parameters
    ----------
    weights : float32 or float64 array (rows, d), NumPy or CuPy
    states : dict of arrays
        As in `dense_step_`. If it has "touched" (int64 (rows,), the number of each row's last step, 0 before the
        first; adam only), the moments of a row first decay by the steps that it missed, to what the dense step would
        have made of them.
    ids : int32 array (n,)
        Row of each gradient; may repeat.
    grad : array (n, d)
    distinct : bool
        Whether the ids ascend and none comes twice, as those that `coalesce` returns: a device need not sort them then.
    rule, learning_rate, n_threads, and all options
        As in `dense_step_`.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.optim import row_step_
    >>> w = np.zeros((4, 1))
    >>> row_step_(w, {}, np.array([2, 0, 2], "int32"), np.array([[1.0], [2.0], [3.0]]), rule="sgd", learning_rate=0.5)
    >>> w.T
    array([[-1.,  0., -2.,  0.]])
    """
    weights = check_inplace("weights", weights, 2)
    arrays = _states(rule, states, weights, options, track_rows="touched" in states)
    rows = check_rows("ids", ids, len(weights), ndim=1)
    check_distinct("ids", rows, check_bool("distinct", distinct))
    grad = check_like("grad", grad, (len(rows), weights.shape[1]), weights.dtype)
    numbers = _numbers(rule, learning_rate, **options)
    _, native, ex = backend_of(weights, *arrays, rows, grad, n_threads=n_threads)
    if is_cuda(rows):
        rows = each_alone(rows) if distinct else grouped(rows)
    native.row_step(ex, weights, *arrays, rows, grad, *numbers)


def coalesce(ids: Array, rows: Array, *, n_threads: int | None = None) -> tuple[Array, Array]:
    """Sum the rows of equal ids.

    Parameters
    ----------
    ids : int array (n,)
        From 0; may repeat.
    rows : float32 or float64 array (n, d), NumPy or CuPy
    n_threads : int, optional

    Returns
    -------
    ids : int32 array (m,)
        The distinct ids, ascending.
    rows : array (m, d)
        Their sums, each taken in the order of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.optim import coalesce
    >>> coalesce(np.array([5, 3, 5]), np.array([[1.0], [2.0], [4.0]]))
    (array([3, 5], dtype=int32), array([[2.],
           [5.]]))
    """
    rows = check_float_array("rows", rows, ndim=2)
    given = check_rows("ids", ids, MAX_ID, ndim=1)
    if len(given) != len(rows):
        raise ValueError(f"ids must be as many as rows ({len(rows)}), got {len(given)}")
    xp, native, ex = backend_of(given, rows, n_threads=n_threads)
    if is_cuda(rows):
        groups = grouped(given)
        sums = xp.empty((len(groups.unique), rows.shape[1]), rows.dtype)
        native.coalesce(ex, sums, groups, rows)
        return groups.unique, sums
    unique, sums = np.empty_like(given), np.empty_like(rows)
    count = native.coalesce(ex, unique, sums, given, rows)
    return unique[:count], sums[:count]


def sum_of_squares(a: Array, *, n_threads: int | None = None) -> float:
    """Sum of the squares of all elements, in float64; NaN or infinite where an element is.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.optim import sum_of_squares
    >>> sum_of_squares(np.array([[3.0, 4.0]]))
    25.0
    """
    a = check_float_array("a", a, ndim=None)
    xp, native, ex = backend_of(a, n_threads=n_threads)
    if not is_cuda(a):
        return float(native.sum_of_squares(ex, a))
    total = xp.empty(1, np.float64)
    native.sum_of_squares(ex, total, a)
    return float(total[0])


def _states(
    rule: str, states: States, weights: Array, options: dict[str, Any], *, track_rows: bool
) -> list[Array | None]:
    """Return s0, s1, velocity and touched: None where the rule has none."""
    names = state_names(rule, momentum=options.get("momentum", 0.0), track_rows=track_rows)
    if set(states) != set(names):
        raise ValueError(f"states must hold {names} for {rule}, got {tuple(states)}")
    arrays: dict[str, Array] = {}
    for name in names:
        array = states[name]
        if is_cuda(array):
            array = array_module(array).asarray(array)  # a view, if it is another library's
        shape, dtype = (weights.shape[:1], np.dtype(np.int64)) if name == "touched" else (weights.shape, weights.dtype)
        if not (isinstance(array, np.ndarray) or is_cuda(array)) or array.dtype != dtype:
            raise TypeError(f"states[{name!r}] must be a {dtype} array, got {getattr(array, 'dtype', type(array))}")
        writeable = getattr(array.flags, "writeable", True)  # which CuPy's arrays all are
        if array.shape != shape or not (array.flags.c_contiguous and writeable):
            raise ValueError(
                f"states[{name!r}] must be C-contiguous, writeable and of shape {shape}, got shape {array.shape}"
            )
        arrays[name] = array
    if track_rows and rule != "adam":
        raise ValueError(f"states must hold 'touched' for adam only, got it for {rule}")
    return [arrays.get(name) for name in ("s0", "s1", "velocity", "touched")]


def _numbers(rule: str, learning_rate: float, *, t: int = 1, **options: Any) -> tuple[Any, ...]:
    """Check the options and return them in the order of the native functions."""
    t = check_int("t", t, low=1)
    try:
        return (*_checked_before(rule, learning_rate, **options), t)
    except TypeError:  # one that cannot be a key either
        return (*_checked(rule, learning_rate, **options), t)


def _checked(
    rule: str, learning_rate: float, *, momentum: float = 0.0, nesterov: bool = False, eps: float = 1e-6,
    eps_inside: bool = False, beta1: float = 0.9, beta2: float = 0.999, l1: float = 0.0, l2: float = 0.0,
    decay: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    lr = check_float("learning_rate", learning_rate, low=0.0, low_open=True)
    momentum = _below_one("momentum", momentum)
    if rule == "ftrl" and momentum:
        raise ValueError(f"momentum must be 0 for ftrl, got {momentum}")
    beta1 = check_float("beta1", beta1, low=0.0) if rule == "ftrl" else _below_one("beta1", beta1)
    return (
        RULES.index(rule), lr, momentum, bool(nesterov), check_float("eps", eps, low=0.0), bool(eps_inside),
        beta1, _below_one("beta2", beta2), check_float("l1", l1, low=0.0), check_float("l2", l2, low=0.0),
        check_float("decay", decay, low=0.0),
    )  # fmt: skip


# A training makes thousands of steps a second with the same options.
_checked_before = lru_cache(maxsize=64, typed=True)(_checked)


def _below_one(name: str, value: float) -> float:
    value = check_float(name, value, low=0.0)
    if value >= 1.0:
        raise ValueError(f"{name} must be < 1, got {value}")
    return value
