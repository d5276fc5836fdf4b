"""What the checks share: data, and ways to complain."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._errors import PyrecWarning
from .._sessions import Sessions

N_USERS, N_ITEMS = 60, 25


def copy(model: Any) -> Any:
    return type(model)(**model.get_params(deep=False))


def matrix(n_users: int = N_USERS, seed: int = 0) -> Any:
    """Binary float32 CSR; every user has 2 items or more, the last item has no user."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n_users, N_ITEMS)) < np.linspace(0.5, 0.05, N_ITEMS)
    dense[:, :2] |= ~dense[:, :2].any(axis=1, keepdims=True)
    dense[np.arange(n_users), 2 + np.arange(n_users) % (N_ITEMS - 3)] = True
    dense[:, -1] = False
    return sp.csr_array(dense.astype(np.float32))


def to_score(model: Any, X: Any) -> Any:
    """A matrix for the ``score`` of a model fitted on ``X``: one that knows users only has to find what is new."""
    return X if model.answers_new_users else X + matrix(seed=1)


def clicks(n_sessions: int = 40, seed: int = 0) -> Sessions:
    """Sessions of 0 to 7 clicks, with repetitions, in which an item often brings the next; the last item has none."""
    rng = np.random.default_rng(seed)
    lengths = np.arange(n_sessions) % 8
    anything = rng.integers(0, N_ITEMS - 1, lengths.sum()) * rng.random(lengths.sum()) ** 0.5
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = anything.astype(np.int32)
    for at in np.setdiff1d(np.flatnonzero(rng.random(len(items)) < 0.6), offsets):
        items[at] = (items[at - 1] * 7 + 3) % (N_ITEMS - 1)
    return Sessions(items, offsets, n_items=N_ITEMS)


def fitted(model: Any, data: Any, **params: Any) -> Any:
    """A copy with a seed and these parameters, fitted."""
    return copy(model).set_params(**{"random_state": 0, **params}).fit(data)


def require(condition: Any, message: str) -> None:
    if not np.all(condition):
        raise AssertionError(message)


def refuses(error: type[Exception], what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        call(*args, **kwargs)
    except error:
        return
    except Exception as other:
        kind = type(other).__name__
        raise AssertionError(f"{what} must raise {error.__name__}, got {kind}: {other}") from other
    raise AssertionError(f"{what} must raise {error.__name__}, nothing was raised")


def warned(call: Callable[..., Any], *args: Any) -> tuple[Any, list[str]]:
    """Return the result of a call, and the warnings of this package that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args)
    return result, [str(w.message) for w in caught if issubclass(w.category, PyrecWarning)]


def same(a: tuple[Any, Any], b: tuple[Any, Any], what: str) -> None:
    np.testing.assert_array_equal(a[0], b[0], err_msg=f"items differ: {what}")
    np.testing.assert_array_equal(a[1], b[1], err_msg=f"scores differ: {what}")
