"""Metrics of predicted ratings and click probabilities, pooled over all pairs."""

from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._errors import PyrecWarning
from .._validation import as_array

_CLIP = 1e-7


def rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, clip: tuple[float, float] | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:  # fmt: skip
    """Return the root of the mean squared error over all pairs.

    Parameters
    ----------
    y_true, y_pred : numbers (n,)
        Ratings and predictions of the same pairs, finite.
    clip : (low, high), optional
        The rating scale: predictions are limited to it first. State it with the result.
    sample_weight : numbers >= 0 (n,), optional
        0 leaves a pair out (a mask).

    Returns
    -------
    float
        NaN, with a `PyrecWarning`, if no pair counts.

    Raises
    ------
    TypeError, ValueError
        Not numbers; shapes that differ; NaN or infinity; negative weights; a scale that is none.

    Examples
    --------
    >>> from pyrec_core.metrics import rmse
    >>> rmse([4, 2, 5], [5, 2, 7], clip=(1, 5)).__round__(4)
    0.5774
    """
    error, weight = _errors(y_true, y_pred, clip, sample_weight)
    return float(np.sqrt(_mean(error * error, weight)))


def mae(
    y_true: ArrayLike, y_pred: ArrayLike, *, clip: tuple[float, float] | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:  # fmt: skip
    """Return the mean absolute error over all pairs; arguments as for `rmse`.

    Examples
    --------
    >>> from pyrec_core.metrics import mae
    >>> mae([4, 2, 5], [5, 2, 3])
    1.0
    """
    error, weight = _errors(y_true, y_pred, clip, sample_weight)
    return float(_mean(np.abs(error), weight))


def log_loss(y_true: ArrayLike, y_prob: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean binary cross-entropy, with probabilities limited to [1e-7, 1 - 1e-7].

    Parameters
    ----------
    y_true : 0 or 1 (n,)
    y_prob : numbers in [0, 1] (n,)
        Probability of a 1.
    sample_weight : numbers >= 0 (n,), optional

    Returns
    -------
    float
        NaN, with a `PyrecWarning`, if nothing counts.

    Examples
    --------
    >>> from pyrec_core.metrics import log_loss
    >>> log_loss([1, 0], [0.8, 0.4]).__round__(4)
    0.367
    """
    y = _binary(y_true)
    p = _numbers("y_prob", y_prob, y.shape)
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"y_prob must be in [0, 1], got {p.min()} to {p.max()}")
    p = np.clip(p, _CLIP, 1 - _CLIP)
    return float(_mean(-np.where(y, np.log(p), np.log1p(-p)), _weights(sample_weight, y.shape)))


def global_auc(y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve of all predictions together; ties count half.

    Parameters
    ----------
    y_true : 0 or 1 (n,)
    y_score : numbers (n,)
        Higher for 1. Finite.
    sample_weight : numbers >= 0 (n,), optional

    Returns
    -------
    float
        NaN, with a `PyrecWarning`, if one of the classes is absent.

    Examples
    --------
    >>> from pyrec_core.metrics import global_auc
    >>> global_auc([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
    0.875
    """
    y = _binary(y_true)
    score = _numbers("y_score", y_score, y.shape)
    weight = _weights(sample_weight, y.shape)
    order = np.argsort(score, kind="stable")
    score = score[order]
    positive, negative = np.where(y, weight, 0.0)[order], np.where(y, 0.0, weight)[order]
    if not (positive.any() and negative.any()):
        warn("y_true must hold both classes for an AUC, got one: the result is NaN", PyrecWarning, stacklevel=2)
        return float("nan")
    first = np.flatnonzero(np.append(True, score[1:] != score[:-1]))
    positive, negative = np.add.reduceat(positive, first), np.add.reduceat(negative, first)
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def _errors(
    y_true: ArrayLike, y_pred: ArrayLike, clip: tuple[float, float] | None, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y = _numbers("y_true", y_true, None)
    predicted = _numbers("y_pred", y_pred, y.shape)
    if clip is not None:
        low, high = clip
        if not low <= high:
            raise ValueError(f"clip must be (low, high) with low <= high, got {clip}")
        predicted = np.clip(predicted, low, high)
    return predicted - y, _weights(sample_weight, y.shape)


def _numbers(name: str, a: ArrayLike, shape: tuple[int, ...] | None) -> NDArray[np.float64]:
    array = as_array(name, a)
    if array.size == 0 and not isinstance(a, np.ndarray):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    if array.ndim != 1 if shape is None else array.shape != shape:
        raise ValueError(f"{name} must {'be 1-D' if shape is None else f'have shape {shape}'}, got shape {array.shape}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[at]} at position {at}")
    return array


def _binary(y_true: ArrayLike) -> NDArray[np.bool_]:
    y = _numbers("y_true", y_true, None)
    other = y[(y != 0) & (y != 1)]
    if len(other):
        raise ValueError(f"y_true must be 0 or 1, got {other[0]:g}")
    return np.asarray(y == 1)


def _weights(sample_weight: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if sample_weight is None:
        return np.ones(shape)
    weight = _numbers("sample_weight", sample_weight, shape)
    if weight.size and weight.min() < 0:
        raise ValueError(f"sample_weight must be >= 0, got {weight.min()}")
    return weight


def _mean(values: NDArray[Any], weight: NDArray[np.float64]) -> np.float64:
    total = weight.sum()
    if total == 0:
        warn("there must be a pair that counts, got none: the result is NaN", PyrecWarning, stacklevel=3)
        return np.float64("nan")
    return np.float64((values * weight).sum() / total)
