"""The last sessions, by time or by their order."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sessions import Sessions
from .._validation import Csr, check_bool
from ._common import check_clock, check_count, left_out, unwrap
from ._filters import events_where, filter_sessions
from ._result import Dropped, SessionSplit


def session_time(
    data: Any,
    *,
    duration: Any = None,
    n_test: int | float | None = None,
    validation: bool = False,
    min_length: int = 2,
    min_item: int = 5,
    order: Sequence[str] = ("sessions", "items", "sessions"),
) -> SessionSplit:
    """Hold out the sessions that end last, as for GRU4Rec (Hidasi et al., ICLR 2016).

    1. Test are the sessions whose last event is at most ``duration`` before the last event of all.
    2. Training sessions are filtered by `filter_sessions`. (The published preparation filters before the split, so
       that test data have a say in which items there are. For its very numbers filter first, and set the minima
       here to 1.)
    3. Test events of items that are not in training now are removed, and then test sessions with fewer than
       ``min_length`` events.

    Parameters
    ----------
    data : Sessions
        With times. Empty sessions are ignored.
    duration : number or numpy.timedelta64
        In the unit of the times: a day is 86400 where these are seconds. A timedelta64 stands for nanoseconds.
    n_test : int or float, instead of ``duration``
        Number of sessions, or as a float in (0, 1) their share, rounded down. Sessions that end at the same time
        stay together, in test, so that there may be more.
    validation : bool
        Whether to split the training sessions once more, by the same three steps.
    min_length, min_item, order
        The filter of step 2.

    Returns
    -------
    SessionSplit

    Raises
    ------
    TypeError
        ``data`` are no `Sessions`, or another argument has the wrong type.
    ValueError
        No times; neither ``duration`` nor ``n_test`` given, or both; nothing left to train on or to test.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> from pyrec_core.split import session_time
    >>> sessions = Sessions([0, 1, 0, 1, 1, 0, 2], [0, 2, 4, 7], time=[1, 2, 5, 6, 8, 9, 9])
    >>> print(session_time(sessions, duration=2, min_item=1))
    SessionSplit(train 2 sessions with 4 events, test 1 sessions with 2 events)
    dropped, test events of items unseen in training: 0 users, 1 items, 1 events
    """
    data, before = _checked(data)
    if data.time is None:
        raise ValueError("data must have times to be split by them, got Sessions without time")
    if (duration is None) == (n_test is None):
        raise ValueError(f"duration or n_test must be given, and only one of them, got {duration} and {n_test}")
    if duration is not None:
        duration = check_clock("duration", duration, data.time.dtype.kind == "i")
        if duration < 0:
            raise ValueError(f"duration must be >= 0, got {duration}")
    rows = np.flatnonzero(np.diff(data.offsets))
    end = np.zeros(len(data), data.time.dtype)
    end[rows] = data.time[data.offsets[1:][rows] - 1]

    def held_out(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        ends = end[rows]
        if duration is not None:
            return np.asarray(ends >= ends.max() - duration)
        n = min(check_count("n_test", n_test, len(rows), low=1, what="session"), len(rows))  # type: ignore[arg-type]
        return np.asarray(ends >= np.partition(ends, len(rows) - n)[len(rows) - n])

    name = "n_test" if duration is None else "duration"
    return _split(data, rows, held_out, name, validation, (min_length, min_item, order), before)


def last_sessions(
    data: Any,
    *,
    n_test: int | float,
    validation: bool = False,
    min_length: int = 2,
    min_item: int = 1,
    order: Sequence[str] = ("sessions", "items", "sessions"),
) -> SessionSplit:
    """Hold out the sessions that come last in ``data``: for files in order of time, but without times.

    Then filter as `session_time` does; unlike there, training keeps rare items unless ``min_item`` says otherwise,
    since such files were filtered by their publishers.

    Parameters
    ----------
    data : Sessions
        Empty sessions are ignored.
    n_test : int or float
        Number of sessions, or as a float in (0, 1) their share, rounded down.
    validation : bool
        Whether to split the training sessions once more in the same way.
    min_length, min_item, order
        As for `session_time`.

    Returns
    -------
    SessionSplit

    Raises
    ------
    TypeError
        ``data`` are no `Sessions`, or another argument has the wrong type.
    ValueError
        ``n_test`` out of range; nothing left to train on or to test.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> from pyrec_core.split import last_sessions
    >>> last_sessions(Sessions([0, 1, 2, 0, 1, 2], [0, 3, 6]), n_test=0.5).test.items
    array([0, 1, 2], dtype=int32)
    """
    data, before = _checked(data)

    def held_out(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.arange(len(rows)) >= len(rows) - check_count("n_test", n_test, len(rows), low=1, what="session")

    rows = np.flatnonzero(np.diff(data.offsets))
    return _split(data, rows, held_out, "n_test", validation, (min_length, min_item, order), before)


def _checked(data: Any) -> tuple[Sessions, tuple[Dropped, ...]]:
    data, before = unwrap(data)
    if not isinstance(data, Sessions):
        raise TypeError(f"data must be Sessions, got {type(data).__name__}")
    return data, before


def _split(
    data: Sessions,
    rows: NDArray[np.int64],
    held_out: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
    name: str,
    validation: bool,
    rules: tuple[int, int, Sequence[str]],
    before: tuple[Dropped, ...] = (),
) -> SessionSplit:
    """Split the sessions ``rows`` of the data, none of them empty; ``name`` is the argument that says how many."""
    validation = check_bool("validation", validation)
    min_length, min_item, order = rules
    last = held_out(rows) if len(rows) else np.zeros(0, bool)
    train_rows = rows[~last]
    fit = filter_sessions(data.take(train_rows), min_length=min_length, min_item=min_item, order=order)
    train = fit.data
    if len(train) == 0:
        raise ValueError(f"{name} must leave sessions to train on, got none after the filter")
    dropped = tuple(step._replace(why=f"training: {step.why}") for step in fit.dropped)

    test = data.take(rows[last])
    known = np.bincount(train.items, minlength=data.n_items) > 0
    left = events_where(test, known[test.items])
    dropped += _left_out("test events of items unseen in training", test, left)
    enough = np.flatnonzero(np.diff(left.offsets) >= min_length)
    test = left.take(enough)
    dropped += _left_out(f"test sessions with fewer than {min_length} events left", left, test)
    if len(test) == 0:
        raise ValueError(f"{name} must leave test sessions of {min_length} or more known items, got none")
    inner = None
    if validation:
        inner = _split(data, train_rows, held_out, name, False, rules)
    return SessionSplit(
        train,
        test,
        validation=inner,
        train_sessions=train_rows[fit.users],
        test_sessions=rows[last][enough],
        dropped=before + dropped,
    )


def _left_out(why: str, before: Sessions, after: Sessions) -> tuple[Dropped, ...]:
    return left_out(why, *(Csr(part.offsets, part.items, part.items, part.shape) for part in (before, after)))
