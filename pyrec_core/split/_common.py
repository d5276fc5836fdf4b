"""What the splits share: data as rows of entries, draws that belong to an entry, places within a row, shares."""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._columns import sort_pairs
from .._interactions import Interactions
from .._validation import Csr, check_float, check_int, check_interactions
from ..kernels.random import uniform_at
from ._result import Dropped, Filtered

SLACK = 1e-9  # 0.2 * 5 items is 1 item, whatever the rounding of 1 - 0.8
PAIRS, USERS, ENTRIES = 0, 1, 2  # what is drawn: a stream of its own each
_MAX_ITEMS = 2**31


# ---- data


def unwrap(data: Any) -> tuple[Any, tuple[Dropped, ...]]:
    """Return the data and what a filter has dropped from it."""
    return (data.data, data.dropped) if isinstance(data, Filtered) else (data, ())


def matrix_of(data: Any) -> tuple[Csr, tuple[Dropped, ...]]:
    """Return the matrix, of `Interactions` the binary one, and what a filter has dropped from it."""
    data, dropped = unwrap(data)
    return check_interactions("data", data.matrix() if isinstance(data, Interactions) else data), dropped


class Events(NamedTuple):
    """Who, what, how much and when; of `Interactions` in their order, of a matrix row by row."""

    row: NDArray[Any]
    item: NDArray[np.int32]
    value: NDArray[Any]
    when: NDArray[Any] | None
    shape: tuple[int, int]

    def where(self, keep: NDArray[np.bool_]) -> "Events":
        """Return the events that ``keep`` marks."""
        when = None if self.when is None else self.when[keep]
        return Events(self.row[keep], self.item[keep], self.value[keep], when, self.shape)

    def latest(self) -> tuple[Csr, NDArray[np.int64]]:
        """Return the matrix in which each pair counts with its latest event, and which event that is."""
        first, order = sort_pairs(self.row, self.item, self.shape, self.when)
        chosen = order[np.append(first[1:], len(order)) - 1] if len(order) else order
        chosen = chosen[self.value[chosen] != 0]
        indptr = np.zeros(self.shape[0] + 1, np.int64)
        np.cumsum(np.bincount(self.row[chosen], minlength=self.shape[0]), out=indptr[1:])
        return Csr(indptr, self.item[chosen], self.value[chosen], self.shape), chosen


def events_of(data: Any, binary: bool) -> Events:
    """Return the events of `Interactions`, with their times if they have some, or of a matrix."""
    if isinstance(data, Interactions):
        value = np.ones(len(data), np.float32) if binary else data.value
        return Events(data.user, data.item, value, data.time, data.shape)
    X = check_interactions("data", data)
    return Events(rows_of(X), X.indices, X.data, None, X.shape)


def timed_events(data: Any, time: Any, binary: bool) -> Events:
    """Return events with times: those of `Interactions`, or of a matrix with a matrix ``time`` of its pattern."""
    events = events_of(data, binary)
    if isinstance(data, Interactions):
        if time is not None:
            raise ValueError("time must be None, since data has its own times, got a matrix")
        if data.time is None:
            raise ValueError("data must have times to be split by them, got Interactions without time")
        return events
    if time is None:
        raise ValueError("time must be given as a sparse matrix of the pattern of data, got None")
    if not sp.issparse(time) or time.dtype.kind not in "iuf":
        raise TypeError(f"time must be a sparse matrix of numbers, got {type(time).__name__}")
    when = sp.coo_array(time)
    if when.shape != events.shape:
        raise ValueError(f"time must have the shape {events.shape} of data, got {when.shape}")
    if not np.isfinite(when.data).all():
        raise ValueError("time must be finite, got NaN or infinity")
    key = when.row.astype(np.int64) * events.shape[1] + when.col
    order = np.argsort(key)
    key = key[order]
    stored = sp.coo_array(data)  # with the zeros that are stored: they are no interactions, but may have a time
    stored_key = np.unique(stored.row.astype(np.int64) * events.shape[1] + stored.col)
    if not np.array_equal(key, stored_key):
        raise ValueError(f"time must have the pattern of data, got {len(key)} entries for {len(stored_key)}")
    place = np.searchsorted(key, events.row * events.shape[1] + events.item)
    return events._replace(when=when.data[order[place]])


# ---- rows and entries


def rows_of(X: Csr) -> NDArray[np.int64]:
    """Return the row of each entry."""
    return np.repeat(np.arange(X.shape[0], dtype=np.int64), np.diff(X.indptr))


def select(X: Csr, keep: NDArray[np.bool_]) -> Csr:
    """Return the entries that ``keep`` marks."""
    before = np.zeros(X.nnz + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return Csr(before[X.indptr], X.indices[keep], X.data[keep], X.shape)


def part(X: Csr, keep: NDArray[np.bool_]) -> Any:
    """Return the entries that ``keep`` marks as a SciPy matrix."""
    return select(X, keep).to_scipy()


def known_items(X: Csr) -> NDArray[np.bool_]:
    """Return whether each item occurs."""
    return np.bincount(X.indices, minlength=X.shape[1]) > 0


def left_out(why: str, before: Csr, after: Csr) -> tuple[Dropped, ...]:
    """Return the record of a step that left ``after`` of ``before``, if it did anything."""
    if after.nnz == before.nnz:
        return ()
    n_users, n_items = (
        [int(np.count_nonzero(count(X))) for X in (before, after)]
        for count in (lambda X: np.diff(X.indptr), known_items)
    )
    return (Dropped(why, n_users[0] - n_users[1], n_items[0] - n_items[1], before.nnz - after.nnz),)


def pair_keys(X: Csr) -> NDArray[np.int64]:
    """Return one number for each entry, ascending."""
    return rows_of(X) * X.shape[1] + X.indices


def is_among(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which keys are among the others, which ascend."""
    if len(others) == 0:
        return np.zeros(len(keys), bool)
    return np.asarray(others[np.minimum(np.searchsorted(others, keys), len(others) - 1)] == keys)


def draws(seed: int, users: NDArray[np.int64], items: NDArray[Any]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each pair, on which no other pair of the data has an influence."""
    drawn: NDArray[np.float64] = uniform_at(users * _MAX_ITEMS + items, seed=seed, purpose="split", epoch=PAIRS)
    return drawn


def shuffled_place(X: Csr, row: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return each entry's position, from 0, in a random order of its row."""
    # one integer key: the stable sort profits from rows that lie together, and is far faster than a lexsort
    bits = min(53, 64 - X.shape[0].bit_length())
    drawn = draws(seed, row, X.indices) * 2.0**bits
    order = np.argsort((row << bits).view(np.uint64) | drawn.astype(np.uint64), kind="stable")
    return place_in_row(X, order, row)


def place_in_row(X: Csr, order: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each entry's position, from 0, within its row in ``order``, which sorts by row first."""
    place = np.empty(X.nnz, np.int64)
    place[order] = np.arange(X.nnz) - X.indptr[row]
    return place


# ---- numbers


def check_shares(test_size: float, validation_size: float) -> tuple[float, float]:
    """Return both, in [0, 1) and together below 1."""
    test_size = check_float("test_size", test_size, low=0.0, low_open=True)
    validation_size = check_float("validation_size", validation_size, low=0.0)
    if test_size + validation_size >= 1.0:
        raise ValueError(f"test_size + validation_size must be < 1, got {test_size + validation_size}")
    return test_size, validation_size


def check_count(name: str, value: int | float, n: int, low: int, what: str = "user") -> int:
    """Return a number of users or sessions that is given as such, or as a share of ``n``, rounded down."""
    if isinstance(value, (float, np.floating)):
        share = check_float(name, value, low=0.0, low_open=low > 0)
        if share >= 1.0:
            raise ValueError(
                f"{name} must be < 1 as a share of the {what}s (a number of {what}s is an int), got {value}"
            )
        return max(low, int(share * n + SLACK))
    return check_int(name, value, low=low)


def check_clock(name: str, value: Any, integral: bool) -> int | float:
    """Return a time or duration, rounded down if the clock has integers only; datetimes become nanoseconds."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        if np.isnat(value):
            raise ValueError(f"{name} must be finite, got NaT")
        unit = "datetime64[ns]" if isinstance(value, np.datetime64) else "timedelta64[ns]"
        value = value.astype(unit).astype(np.int64)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)  # float would lose nanoseconds
    number = check_float(name, value)
    return math.floor(number) if integral else number
