"""What the sequence door lets in: sessions to learn from, and prefixes to continue."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._columns import as_external, first_three
from ..._errors import PyrecWarning
from ..._sessions import Sessions
from ..._validation import as_array, check_integers
from ..._vocabulary import Vocabulary

Prefixes = tuple[NDArray[np.int32], NDArray[np.int64]]  # items end to end, and where each prefix begins

_COLUMNS = {
    "session": ("session", "sessionid", "visit", "visitid"),
    "item": ("item", "itemid"),
    "time": ("time", "timestamp"),
}


def is_frame(X: Any) -> bool:
    """Whether ``X`` is a table of pandas, Polars or Arrow, none of which is imported here."""
    return hasattr(type(X), "columns") or hasattr(type(X), "collect_schema")


def check_sessions(name: str, X: Any) -> Sessions:
    """Return sessions: `Sessions` as they are, of ``(items, offsets)``, or of a table with the usual columns."""
    if isinstance(X, Sessions):
        return X
    if isinstance(X, tuple) and len(X) == 2:
        return Sessions(*X)
    if not is_frame(X):
        rule = f"{name} must be Sessions, a tuple (items, offsets), or a data frame"
        raise TypeError(f"{rule}, got {type(X).__name__}")
    names = X.collect_schema().names() if hasattr(X, "collect_schema") else list(getattr(X, "column_names", X.columns))
    plain = {str(column).lower().replace("_", ""): column for column in names}
    found = {what: next((plain[c] for c in usual if c in plain), None) for what, usual in _COLUMNS.items()}
    if found["session"] is None or found["item"] is None:
        hint = "make Sessions.from_frame(df, session=..., item=..., time=...) of a table with other names"
        raise ValueError(f"{name} must have columns session and item, and time or not, got {names}: {hint}")
    return Sessions.from_frame(X, session=found["session"], item=found["item"], time=found["time"])


def check_prefixes(name: str, X: Any, n_items: int, vocabulary: Vocabulary | None) -> tuple[Prefixes, bool]:
    """Return prefixes in dense ids, and whether a single one was given; unknown items are left out with a warning."""
    one = False
    if isinstance(X, Sessions):
        ids, offsets = X.items if X.item_ids is None else X.item_ids[X.items], X.offsets
    elif is_frame(X) or isinstance(X, str) or not hasattr(X, "__getitem__"):
        rule = f"{name} must be a list of id sequences, (items, offsets) or Sessions"
        raise TypeError(f"{rule}, got {type(X).__name__}")
    elif isinstance(X, tuple) and len(X) == 2:
        ids, offsets = as_array(name, X[0]), check_integers("offsets", X[1]).astype(np.int64, copy=False)
        _check_offsets(name, ids, offsets)
    else:
        ids, offsets, one = _flattened(name, X)
    dense = _found(name, ids, n_items, vocabulary)
    known = dense >= 0
    if not known.all():
        strangers = np.unique(ids[~known])
        text = f"{name} hold {len(strangers)} unknown items, which are left out: {first_three(strangers)}"
        warnings.warn(text, PyrecWarning, stacklevel=4)
        offsets = np.concatenate([[0], np.cumsum(known)])[offsets]
        dense = dense[known]
    return (dense.astype(np.int32), offsets), one


def _flattened(name: str, X: Any) -> tuple[NDArray[Any], NDArray[np.int64], bool]:
    one = len(X) > 0 and np.ndim(X[0]) == 0 if isinstance(X, (list, tuple)) else np.ndim(X) < 2
    rows = [X] if one else list(X)
    arrays = [as_array(name, row) for row in rows]
    for array in arrays:
        if array.ndim != 1:
            raise ValueError(f"{name} must be sequences of item ids, got one of shape {array.shape}")
    offsets = np.concatenate([[0], np.cumsum([len(array) for array in arrays], dtype=np.int64)]).astype(np.int64)
    filled = [array for array in arrays if len(array)]
    return np.concatenate(filled) if filled else np.empty(0, np.int64), offsets, one


def _found(name: str, ids: NDArray[Any], n_items: int, vocabulary: Vocabulary | None) -> NDArray[np.int64]:
    if not len(ids):
        return np.empty(0, np.int64)
    if vocabulary is not None:
        return vocabulary.find(name, as_external(name, ids))
    numbers = check_integers(name, ids)
    return np.where((numbers >= 0) & (numbers < n_items), numbers, -1).astype(np.int64)


def _check_offsets(name: str, ids: NDArray[Any], offsets: NDArray[np.int64]) -> None:
    if ids.ndim != 1 or offsets.ndim != 1 or len(offsets) == 0:
        raise ValueError(f"{name} must be 1-D items and offsets, got shapes {ids.shape} and {offsets.shape}")
    if offsets[0] != 0 or offsets[-1] != len(ids) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to the {len(ids)} items, got {offsets[0]} to {offsets[-1]}")


def by_first_event(data: Sessions) -> NDArray[np.int64]:
    """Return the sessions in the order in which they begin; without times, as they stand. Empty ones come last."""
    if data.time is None:
        return np.arange(len(data))
    empty = np.diff(data.offsets) == 0
    begins = np.zeros(len(data), data.time.dtype)
    begins[~empty] = data.time[data.offsets[:-1][~empty]]
    return np.lexsort((begins, empty))


def with_predecessor(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of all events but the first of each session."""
    follows = np.ones(int(offsets[-1]), bool)
    follows[offsets[:-1][np.diff(offsets) > 0]] = False
    return np.flatnonzero(follows)
