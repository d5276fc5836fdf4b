"""Scores, loss and gradients of an output layer in one call."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of
from .._validation import (
    check_bool,
    check_choice,
    check_float,
    check_float_array,
    check_int,
    check_like,
    check_rows,
)
from ._losses_sampled import LOSSES, Options, options, total

_SCORE_BYTES = 2**28  # of scores that full_softmax holds on a device

_DEFAULTS = {"log_q": None, "label_smoothing": 0.0, "reduction": "mean", "reg": 0.0, "reg_form": "weighted", "elu": 0.0}
_PARAMETERS = {
    "cross-entropy": {"log_q", "label_smoothing"},
    "bpr": {"reduction", "elu"},
    "top1": {"reduction", "elu"},
    "top1-max": {"elu"},
    "bpr-max": {"reg", "reg_form", "elu"},
}


def _layer(hidden: Array, weight: Array, bias: Array | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    hidden = check_float_array("hidden", hidden, ndim=2)
    weight = check_float_array("weight", weight, ndim=2)
    if weight.dtype != hidden.dtype:
        raise TypeError(f"weight must be {hidden.dtype} like hidden, got {weight.dtype}")
    if weight.shape[1] != hidden.shape[1]:
        raise ValueError(f"weight must have {hidden.shape[1]} columns like hidden, got {weight.shape[1]}")
    if bias is not None:
        bias = check_like("bias", bias, (len(weight),), hidden.dtype)
    return hidden, weight, bias


def _refuse_unused(loss: str, given: dict[str, Any]) -> None:
    for name, default in _DEFAULTS.items():
        value = given[name]
        if name not in _PARAMETERS[loss] and (value is not None if default is None else value != default):
            raise ValueError(f"{name} must be {default!r} for loss={loss!r}, got {value!r}")


def full_softmax(
    hidden: Array,
    weight: Array,
    bias: Array | None,
    target: Array,
    *,
    divisor: float | None = None,
    n_threads: int | None = None,
) -> tuple[float, NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Cross-entropy over all items, ``-sum_b log softmax(hidden @ weight.T + bias)[b, target[b]] / divisor``.

    The scores are made, and turned into gradients, in blocks of at most 64 MB (on a device 256 MB; or a few
    rows), whatever B and I are.

    Parameters
    ----------
    hidden : float32 or float64 array (B, d), NumPy or CuPy
    weight : array (I, d) of the same dtype
    bias : array (I,), or None for none
    target : int array (B,)
        Item ids in 0..I-1.
    divisor : float, optional
        Default B.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_hidden : array (B, d)
    d_weight : array (I, d)
    d_bias : array (I,), or None without ``bias``

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.losses import full_softmax
    >>> loss, d_hidden, d_weight, d_bias = full_softmax(np.ones((1, 2)), np.zeros((4, 2)), np.zeros(4), [3])
    >>> round(loss, 6), d_bias
    (1.386294, array([ 0.25,  0.25,  0.25, -0.75]))
    """
    hidden, weight, bias = _layer(hidden, weight, bias)
    target = check_rows("target", target, len(weight), "item", ndim=1)
    if len(target) != len(hidden):
        raise ValueError(f"target must have {len(hidden)} ids, one for each row of hidden, got {len(target)}")
    if divisor is not None:
        divisor = check_float("divisor", divisor, low=0.0, low_open=True)
    xp, native, ex = backend_of(hidden, weight, bias, target, n_threads=n_threads)
    losses, d_hidden, d_weight = xp.empty(len(hidden), np.float64), xp.empty_like(hidden), xp.empty_like(weight)
    d_bias = None if bias is None else xp.empty_like(bias)
    full = native.full_softmax if xp is np else _full_softmax
    full(ex, losses, d_hidden, d_weight, d_bias, hidden, weight, bias, target, divisor or max(len(hidden), 1))
    return total(losses), d_hidden, d_weight, d_bias


def _full_softmax(
    ex: int, losses: Array, d_hidden: Array, d_weight: Array, d_bias: Array | None, hidden: Array, weight: Array,
    bias: Array | None, target: Array, divisor: float,
) -> None:  # fmt: skip
    """What the CPU's kernel does, on a device: blocks of scores by its dense products."""
    xp, native, _ = backend_of(hidden)
    n_rows = max(1, _SCORE_BYTES // max(1, len(weight) * weight.itemsize))
    d_weight[...] = 0
    if d_bias is not None:
        d_bias[...] = 0
    for first in range(0, len(hidden), n_rows):
        block = slice(first, first + n_rows)
        g = xp.matmul(hidden[block], weight.T)
        native.target_softmax(ex, losses[block], g, bias, target[block], divisor)
        xp.matmul(g, weight, out=d_hidden[block])
        d_weight += xp.matmul(g.T, hidden[block])
        if d_bias is not None:
            d_bias += g.sum(axis=0)


def sampled_softmax(
    hidden: Array,
    weight: Array,
    bias: Array | None,
    item_ids: Array,
    n_rows: int,
    log_q: Array | None = None,
    loss: str = "cross-entropy",
    *,
    divisor: float | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    reg: float = 0.0,
    reg_form: str = "weighted",
    elu: float = 0.0,
    mask_collisions: bool = False,
    n_threads: int | None = None,
) -> tuple[float, NDArray[Any], tuple[NDArray[np.int32], NDArray[Any]], NDArray[Any] | None]:
    """A loss of sampled scores, from the vectors that are scored: rows are gathered, multiplied and differentiated.

    The scores (n_rows, N) are held meanwhile, nothing else of that size.

    Parameters
    ----------
    hidden : float32 or float64 array (B, d), NumPy or CuPy
        The first ``n_rows`` of its rows are scored.
    weight : array (I, d) of the same dtype
    bias : array (I,), or None for none
    item_ids : int array (N,)
        The first ``n_rows`` are the targets of the rows, the others samples that all rows share.
    n_rows : int
        At most B and N.
    log_q : array (N,) of the same dtype, optional
    loss : "cross-entropy", "bpr", "top1", "top1-max" or "bpr-max"
    divisor, label_smoothing, reduction, reg, reg_form, elu
        As in the function of this loss; what that does not have must keep its default.
    mask_collisions : bool
        Leave out of a row's negatives the columns of its own target.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_hidden : array (n_rows, d)
    d_rows : (int32 array (N,), array (N, d))
        Item ids and the gradients of their rows of ``weight``; an item that stands twice has two of them, to be added.
    d_bias : array (N,), or None without ``bias``
        For the same ids.
    """
    hidden, weight, bias = _layer(hidden, weight, bias)
    item_ids = check_rows("item_ids", item_ids, len(weight), "item", ndim=1)
    n_rows = check_int("n_rows", n_rows, low=0, high=len(hidden))
    check_choice("loss", loss, LOSSES)
    given: dict[str, Any] = {"log_q": log_q, "label_smoothing": label_smoothing, "reduction": reduction, "reg": reg,
             "reg_form": reg_form, "elu": elu}  # fmt: skip
    chosen = options(loss, n_rows, len(item_ids), hidden.dtype, divisor=divisor, **given)
    _refuse_unused(loss, given)
    mask_collisions = check_bool("mask_collisions", mask_collisions)
    xp, native, ex = backend_of(hidden, weight, bias, item_ids, chosen.log_q, n_threads=n_threads)
    hidden, losses = hidden[:n_rows], xp.empty(n_rows, np.float64)
    d_hidden, d_rows = xp.empty_like(hidden), xp.empty((len(item_ids), weight.shape[1]), weight.dtype)
    d_bias = None if bias is None else xp.empty(len(item_ids), bias.dtype)
    head = native.sampled_head if xp is np else _sampled_head
    head(ex, losses, d_hidden, d_rows, d_bias, hidden, weight, bias, item_ids, mask_collisions, chosen)
    return total(losses), d_hidden, (item_ids, d_rows), d_bias


def _sampled_head(
    ex: int, losses: Array, d_hidden: Array, d_rows: Array, d_bias: Array | None, hidden: Array, weight: Array,
    bias: Array | None, item_ids: Array, mask_collisions: bool, chosen: Options,
) -> None:  # fmt: skip
    """What the CPU's kernel does, on a device: scores by its dense products."""
    xp, native, _ = backend_of(hidden)
    rows = weight[item_ids]
    g = xp.matmul(hidden, rows.T)
    if bias is not None:
        g += bias[item_ids]
    native.sampled_loss(ex, losses, g, g, item_ids if mask_collisions else None, chosen)
    xp.matmul(g, rows, out=d_hidden)
    xp.matmul(g.T, hidden, out=d_rows)
    if d_bias is not None:
        g.sum(axis=0, out=d_bias)
