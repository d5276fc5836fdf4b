"""Everything after one instant."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import check_bool
from ._common import (
    SLACK,
    Events,
    check_clock,
    check_shares,
    is_among,
    known_items,
    left_out,
    pair_keys,
    rows_of,
    select,
    timed_events,
    unwrap,
)
from ._result import Dropped, Split


def global_time(
    data: Any,
    *,
    test_after: Any = None,
    validation_after: Any = None,
    test_size: float | None = None,
    validation_size: float = 0.0,
    keep_new_users: bool = False,
    keep_new_items: bool = False,
    keep_repeats: bool = False,
    time: Any = None,
    binary: bool = True,
) -> Split:
    """Hold out all events after one instant, of all users.

    The only split in which nothing of the future is in training. In this order, test events are dropped

    1. of items without a training event, unless ``keep_new_items``;
    2. of users without a training event, unless ``keep_new_users``;
    3. of pairs that have a training event too, unless ``keep_repeats``.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        `Interactions` must have times. Of a pair's events in one part the latest counts.
    test_after, validation_after : int, float or numpy.datetime64, optional
        The instant: later events are test, those at it or before are training. Of these, ``validation`` holds out
        those after ``validation_after``. A datetime64 stands for nanoseconds since 1970.
    test_size, validation_size : float in (0, 1), optional
        Instead of instants: the shares of the latest events. Events at the same time stay together, in the earlier
        part, so that the parts may be smaller.
    keep_new_users, keep_new_items, keep_repeats : bool
        See above. `evaluate` needs ``exclude_seen=False`` if repeats are kept.
    time : sparse matrix (n_users, n_items), optional
        The time of each stored entry of ``data``, if that is a matrix.
    binary : bool
        As for `leave_one_out`.

    Returns
    -------
    Split
        Its rows are the users of the data.

    Raises
    ------
    TypeError
        Instants that are not numbers, flags that are no bool.
    ValueError
        Neither instant nor share given, or both; no event before or after the instant; times that are missing.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> from pyrec_core.split import global_time
    >>> data = Interactions.from_arrays([0, 1, 0, 1], [0, 1, 1, 2], time=[1, 2, 3, 4])
    >>> print(global_time(data, test_after=2))
    Split(train 2 x 3 with 2 entries, test 2 x 3 with 1 entries, 1 users dropped)
    dropped, test events of items unseen in training: 1 users, 1 items, 1 events
    """
    binary = check_bool("binary", binary)
    keep = (
        check_bool("keep_new_items", keep_new_items),
        check_bool("keep_new_users", keep_new_users),
        check_bool("keep_repeats", keep_repeats),
    )
    data, before = unwrap(data)
    events = timed_events(data, time, binary)
    assert events.when is not None  # for mypy: these have times
    test_cut, validation_cut = _cuts(events.when, test_after, validation_after, test_size, validation_size)
    split = _split(events, test_cut, keep)
    inner = None
    if validation_cut is not None:
        inner = _split(events.where(events.when <= test_cut), validation_cut, keep)
    return Split(split.train, split.test, validation=inner, dropped=before + split.dropped)


def _cuts(
    when: NDArray[Any], test_after: Any, validation_after: Any, test_size: float | None, validation_size: float
) -> tuple[Any, Any]:
    """Return the instants after which test and validation begin; that of validation may be None."""
    if (test_after is None) == (test_size is None):
        raise ValueError(
            f"test_after or test_size must be given, and only one of them, got {test_after} and {test_size}"
        )
    if len(when) == 0:
        raise ValueError("data must have events to be split by time, got none")
    first, last = when.min(), when.max()
    if test_after is not None:
        cuts = {"test_after": check_clock("test_after", test_after, when.dtype.kind == "i")}
        if validation_after is not None:
            cuts["validation_after"] = check_clock("validation_after", validation_after, when.dtype.kind == "i")
        if validation_size:
            raise ValueError(f"validation_size must be 0 if test_after is given, got {validation_size}")
    else:
        test_size, validation_size = check_shares(test_size, validation_size)  # type: ignore[arg-type]
        if validation_after is not None:
            raise ValueError(f"validation_after must be None if test_size is given, got {validation_after}")
        cuts = {"test_size": _quantile(when, test_size)}
        if validation_size:
            cuts["validation_size"] = _quantile(when, test_size + validation_size)
    for name, cut in cuts.items():
        if not (first <= cut < last):
            raise ValueError(
                f"{name} must be an instant with events before and after it in {first} to {last}, got {cut}"
            )
        last = when[when <= cut].max()
    test_cut, *rest = cuts.values()
    return test_cut, rest[0] if rest else None


def _quantile(when: NDArray[Any], share: float) -> Any:
    """Return the latest time at which the share of later events is not larger than this."""
    n_before = len(when) - int(share * len(when) + SLACK)
    return np.partition(when, n_before - 1)[n_before - 1]


def _split(events: Events, cut: Any, keep: tuple[bool, bool, bool]) -> Split:
    assert events.when is not None  # for mypy: these have times
    early = events.when <= cut
    train, test = events.where(early).latest()[0], events.where(~early).latest()[0]
    keep_new_items, keep_new_users, keep_repeats = keep
    dropped: tuple[Dropped, ...] = ()
    for kept, why, rule in (
        (keep_new_items, "items unseen in training", lambda X: known_items(train)[X.indices]),
        (keep_new_users, "users unseen in training", lambda X: (np.diff(train.indptr) > 0)[rows_of(X)]),
        (keep_repeats, "pairs that are in training", lambda X: ~is_among(pair_keys(X), pair_keys(train))),
    ):
        if not kept:
            left = select(test, rule(test))
            dropped += left_out(f"test events of {why}", test, left)
            test = left
    return Split(train.to_scipy(), test.to_scipy(), dropped=dropped)
