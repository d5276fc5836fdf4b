"""Columns of events: dense and external ids, values, times. What Interactions, Sessions and Features share."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ._validation import MAX_ID, as_array, check_int, check_integers


class Distinct(NamedTuple):
    """A column taken apart.

    Attributes
    ----------
    ids : array
        Its distinct entries, sorted.
    place : int64 (n,)
        The position of each row's entry among them; -1 where it is missing.
    """

    ids: NDArray[Any]
    place: NDArray[np.int64]


def check_dense(name: str, ids: ArrayLike) -> NDArray[np.int32]:
    """Return 1-D ``ids`` as int32, all in 0..2**31 - 2."""
    array = check_integers(name, ids)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= MAX_ID):
        raise ValueError(f"{name} must hold ids in 0..{MAX_ID - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int32, copy=False)


def check_length(name: str, array: NDArray[Any], n: int, like: str = "user") -> None:
    """Refuse an array that is not 1-D of length ``n``, the length of the argument ``like``."""
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},) like {like}, got {array.shape}")


def check_vocabulary(name: str, ids: ArrayLike) -> NDArray[Any]:
    """Return the external ids of dense ids: 1-D integers or strings, all different, in any order."""
    array = check_external(name, ids)
    if not (array[1:] > array[:-1]).all():  # sorted ones need no search for repetitions
        entries, count = np.unique(array, return_counts=True)
        again = entries[count > 1]
        if len(again):
            raise ValueError(f"{name} must be distinct, got {len(again)} more than once: {first_three(again)}")
    return array


def first_three(ids: NDArray[Any]) -> str:
    """Return the first three ids as they are to stand in a message."""
    return ", ".join(map(repr, ids[:3].tolist()))


def check_size(name: str, size: str, ids: NDArray[np.int32], given: int, vocabulary: NDArray[Any] | None) -> int:
    """Return how many ids there are: as given, by the vocabulary, else the largest dense id + 1."""
    needed = int(ids.max()) + 1 if len(ids) else 0
    given = check_int(size, given, low=0)
    if vocabulary is not None:
        if given not in (0, len(vocabulary)):
            raise ValueError(f"{size} must be the length {len(vocabulary)} of {name}_ids, got {given}")
        given = len(vocabulary)
        if given < needed:
            raise ValueError(f"{name}_ids must have > {needed - 1} entries, the largest {name}, got {given}")
    if given and given < needed:
        raise ValueError(f"{size} must be > {needed - 1}, the largest {name}, got {given}")
    return given or needed


def check_values(value: ArrayLike, n: int) -> NDArray[np.float32]:
    """Return finite values as float32 (n,)."""
    array = as_array("value", value)
    if array.size == 0 and not isinstance(value, np.ndarray):
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"value must be numbers, got {array.dtype}")
    check_length("value", array, n)
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"value must be finite (as float32), got {array[at]} at position {at}")
    return array


def check_time(time: ArrayLike, n: int, like: str = "user") -> NDArray[Any]:
    """Return finite times as int64 (datetime64: nanoseconds since 1970) or float64 (n,)."""
    array = as_array("time", time)
    if array.size == 0 and not isinstance(time, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iufM":
        raise TypeError(f"time must be numbers or datetime64, got {array.dtype}")
    check_length("time", array, n, like)
    missing = np.isnat(array) if array.dtype.kind == "M" else ~np.isfinite(array)
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(f"time must be finite, got {array[at]} at position {at}")
    if array.dtype.kind == "M":
        return _nanoseconds(array)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)


def _nanoseconds(time: NDArray[Any]) -> NDArray[np.int64]:
    exact = time.astype("datetime64[ns]")
    wrong = exact.astype(time.dtype) != time  # NumPy wraps around in silence
    if wrong.any() and np.datetime_data(time.dtype)[0] not in ("ps", "fs", "as"):
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"time must lie in the years 1678 to 2261, got {time[at]} at position {at}")
    return exact.astype(np.int64)


def check_external(name: str, ids: ArrayLike) -> NDArray[Any]:
    """Return a column of external ids: integers or strings, none missing."""
    array = as_external(name, ids)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    if array.dtype.kind in "UT" and (array == "").any():
        at = int(np.flatnonzero(array == "")[0])
        raise ValueError(f"{name} must not hold empty strings, got one at position {at}")
    return array


def as_external(name: str, ids: ArrayLike) -> NDArray[Any]:
    """Return ids of any shape as an array of integers or of strings; anything else is a ``TypeError``."""
    array = as_array(name, ids)
    if array.size == 0 and not isinstance(ids, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind == "U" and isinstance(ids, (list, tuple)):
        array = np.asarray(ids, dtype=object)  # NumPy has made strings of all entries if one was a string
    if array.dtype.kind == "T" and hasattr(array.dtype, "na_object"):
        array = array.astype(object)  # some may be missing
    if array.dtype == object:
        array = _of_one_kind(name, array)
    if array.dtype.kind not in "iuUT":
        raise TypeError(f"{name} must hold integers or strings, got {array.dtype}")
    return array


def _of_one_kind(name: str, array: NDArray[Any]) -> NDArray[Any]:
    kinds = set(map(type, array.reshape(-1).tolist()))
    if all(issubclass(kind, str) for kind in kinds):
        return array.astype(str)
    if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        try:
            return array.astype(np.int64)
        except OverflowError:
            raise ValueError(f"{name} must hold integers of 64 bits, got a larger one") from None
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TypeError(f"{name} must hold integers or strings throughout, got {found}")


def number_ids(external: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[np.int64]]:
    """Return the sorted distinct ids (None if they are 0..n-1) and the position of each entry among them."""
    ids, dense = distinct(external)
    return (None if is_dense(ids) else ids), dense


def is_dense(ids: NDArray[Any]) -> bool:
    """Whether sorted distinct ids are 0..n-1."""
    return len(ids) == 0 or (ids.dtype.kind in "iu" and bool((ids == np.arange(len(ids))).all()))


def distinct(column: NDArray[Any]) -> Distinct:
    """Take a column apart."""
    if column.dtype.kind in "iu" and len(column):
        low = column.min()
        span = int(column.max()) - int(low) + 1
        if span <= 4 * len(column):  # as good as dense: marking what occurs is many times faster than sorting
            wide = np.uint64 if column.dtype.kind == "u" else np.int64
            offset = (column.astype(wide) - low.astype(wide)).astype(np.int64)
            occurs = np.zeros(span, bool)
            occurs[offset] = True
            rank = np.cumsum(occurs) - 1
            found = np.flatnonzero(occurs).astype(wide) + low.astype(wide)
            return Distinct(found.astype(column.dtype), rank[offset])
    return Distinct(*np.unique(column, return_inverse=True))


def distinct_objects(name: str, entries: list[Any]) -> Distinct:
    """Take a list of integers or strings apart: by hashing them, where NumPy would sort all strings."""
    try:
        number = {entry: i for i, entry in enumerate(dict.fromkeys(entries))}
    except TypeError:
        kinds = ", ".join(sorted({type(entry).__name__ for entry in entries}))
        raise TypeError(f"{name} must hold integers or strings, got {kinds}") from None
    place = np.fromiter(map(number.__getitem__, entries), np.int64, len(entries))
    found, rank = distinct(as_external(name, list(number)))
    return Distinct(found, rank[place])


def drop_empty(column: Distinct) -> Distinct:
    """Return a column whose empty strings are missing."""
    if column.ids.dtype.kind == "U" and (column.ids[:1] == "").any():  # the empty string sorts first
        return Distinct(column.ids[1:], np.maximum(column.place - 1, -1))
    return column


def sort_pairs(
    user: NDArray[Any], item: NDArray[Any], shape: tuple[int, int], time: NDArray[Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each distinct (user, item) starts in the sorted events, and the order that sorts them.

    Events of a pair follow their times; where these are equal or None, their positions.
    """
    n = len(user)
    if max(shape) <= 8 * n:  # two stable counting sorts, by item and then by user: linear, as a sort of keys is not
        events = sp.coo_array((np.arange(n), (user, item)), shape=shape)
        events.has_canonical_format = True  # or SciPy would merge repeated pairs
        order = events.tocsc().tocsr().data
    else:
        order = np.argsort(user.astype(np.int64) * shape[1] + item, kind="stable")
    user, item = user[order], item[order]
    new = np.append(True, (user[1:] != user[:-1]) | (item[1:] != item[:-1]))[:n]
    first = np.flatnonzero(new)
    if time is not None and len(first) < n:
        repeated = ~new
        repeated[:-1] |= ~new[1:]  # the first of a pair's events too
        again = np.flatnonzero(repeated)
        order[again] = order[again][np.lexsort((time[order[again]], np.cumsum(new[again])))]
    return first, order
