"""Labels and targets of the feature door."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._validation import as_array


def check_labels(
    y: ArrayLike | None, n: int, loss: str, classes: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Return the target as numbers, and the two labels of a classifier (None for a regressor).

    Parameters
    ----------
    y : labels or numbers (n,)
    n : int
    loss : {"logistic", "squared"}
        A classifier's target is 1 for the second of its labels, in sorted order.
    classes : (2,), optional
        The labels, where they are known.
    """
    if y is None:
        raise ValueError("y must be given, as X has no target; requires y to be passed, but the target y is None")
    given = as_array("y", y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = _column(given)
    if given.ndim != 1:
        raise ValueError(f"y must be 1-D, got shape {given.shape}")
    if len(given) != n:
        raise ValueError(f"y must have {n} entries, one a row of X, got {len(given)}")
    if loss == "squared":
        return _numbers(given), None
    labels = _two_labels(given) if classes is None else np.unique(as_array("classes", classes))
    if len(labels) != 2:
        raise ValueError(f"classes must be two labels, got {len(labels)}")
    strangers = ~np.isin(given, labels)
    if strangers.any():
        raise ValueError(f"y must hold the labels {labels.tolist()}, got {given[strangers][0]!r}")
    return (given == labels[1]).astype(np.float32), labels


def labels_of(positive: NDArray[np.bool_], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the labels of what is predicted to be positive or not."""
    chosen: NDArray[Any] = classes[positive.astype(np.int64)]
    return chosen


def _column(given: NDArray[Any]) -> NDArray[Any]:
    import warnings

    text = "A column-vector y was passed when a 1d array was expected"
    try:
        from sklearn.exceptions import DataConversionWarning as Kind
    except ImportError:
        from ..._errors import PyrecWarning as Kind
    warnings.warn(text, Kind, stacklevel=4)
    flat: NDArray[Any] = given[:, 0]
    return flat


def _numbers(given: NDArray[Any]) -> NDArray[np.float32]:
    if given.dtype.kind not in "biuf":
        try:
            given = given.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"y must be numbers, got {given.dtype}") from None
    if not np.isfinite(given).all():
        raise ValueError("y must be finite, got NaN or infinity")
    return given.astype(np.float32)


def _two_labels(given: NDArray[Any]) -> NDArray[Any]:
    if given.dtype.kind == "f":
        if not np.isfinite(given).all():
            raise ValueError("y must be finite, got NaN or infinity")
        if (given != np.floor(given)).any():
            raise ValueError("y must hold labels, got numbers. Unknown label type: continuous")
    labels = np.unique(given)
    if len(labels) > 2:
        raise ValueError(
            f"y must hold two labels, got {len(labels)}. Only binary classification is supported. "
            "The type of the target is multiclass."
        )
    if len(labels) < 2:
        raise ValueError(f"y must hold two labels, got one class only: {labels.tolist()}")
    return labels
