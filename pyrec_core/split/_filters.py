"""Filters by value and by count: what is left depends on their order, so that is an argument and is recorded."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._columns import sort_pairs
from .._interactions import Interactions
from .._sessions import Sessions
from .._validation import Csr, check_bool, check_choice, check_float, check_int, check_interactions
from ._common import events_of, select, unwrap
from ._result import Dropped, Filtered


def filter_interactions(
    data: Any,
    *,
    min_value: float | None = None,
    min_user: int = 1,
    min_item: int = 1,
    order: Sequence[str] = ("users", "items"),
    iterate: bool = False,
    compact: bool = False,
) -> Filtered:
    """Leave out small values, then users with few items and items with few users.

    Done before a split, the counts include test data, as in most published preparations. To keep test data out of
    them, split first and filter ``train``.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
    min_value : float, optional
        Events (of a matrix: entries) with a smaller value go first.
    min_user, min_item : int >= 1
        Least number of items of a user, and of users of an item. Repeated events of a pair count once.
    order : sequence of "users" and "items"
        The passes, each with the counts that the one before it has left; a name may occur again.
    iterate : bool
        Whether to repeat the passes until both rules hold (the k-core). One round of them may leave users or items
        with fewer again.
    compact : bool
        Whether to renumber what is left without gaps, external ids included. If not, all ids keep their meaning,
        and who lost everything has an empty row or column.

    Returns
    -------
    Filtered
        Its ``data`` are of the kind that was given: `Interactions`, or else CSR. Every split takes the whole.

    Raises
    ------
    TypeError
        Minima that are not numbers, flags that are no bool.
    ValueError
        Minima out of range, another name in ``order``.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> from pyrec_core.split import filter_interactions
    >>> data = Interactions.from_arrays(["a", "a", "b", "b"], [0, 1, 0, 1], value=[5, 4, 5, 2])
    >>> filtered = filter_interactions(data, min_value=4, min_user=2, compact=True)
    >>> filtered.data
    Interactions(2 events, 1 users, 2 items, values 4 to 5)
    >>> for step in filtered.dropped:
    ...     print(step)
    values below 4: 0 users, 0 items, 1 events
    users with fewer than 2 items: 1 users, 0 items, 1 events
    """
    data, before = unwrap(data)
    rules = _rules(
        order,
        users=(0, check_int("min_user", min_user, low=1), "users with fewer than {} items"),
        items=(1, check_int("min_item", min_item, low=1), "items with fewer than {} users"),
    )
    iterate, compact = check_bool("iterate", iterate), check_bool("compact", compact)
    if not isinstance(data, Interactions):
        data = check_interactions("data", data)
    row, item, value, _, shape = events_of(data, binary=False)
    keep, log = np.ones(len(row), bool), _Log()
    if min_value is not None:
        keep = value >= value.dtype.type(check_float("min_value", min_value))
        entries = _Entries(row, item, np.ones(len(row), np.int64))
        log.add(f"values below {min_value:g}", entries, entries.where(keep))
    first, by_pair = sort_pairs(row[keep], item[keep], shape)
    pair = np.flatnonzero(keep)[by_pair[first]]
    pairs = _Entries(row[pair], item[pair], np.diff(np.append(first, len(by_pair))))
    users, items = _prune(pairs, shape, rules, iterate, log)
    keep &= users[row] & items[item]
    left = _events_where(data, keep) if isinstance(data, Interactions) else select(data, keep)
    if compact:
        left = _compact(left, np.flatnonzero(users), np.flatnonzero(items))
    left = left.to_scipy() if isinstance(left, Csr) else left
    return Filtered(left, before + log.dropped(), np.flatnonzero(users), np.flatnonzero(items))


def filter_sessions(
    data: Any,
    *,
    min_length: int = 2,
    min_item: int = 5,
    order: Sequence[str] = ("sessions", "items", "sessions"),
    iterate: bool = False,
    compact: bool = False,
) -> Filtered:
    """Leave out short sessions and rare items, as the published preparation for GRU4Rec does before its split.

    Parameters
    ----------
    data : Sessions
    min_length : int >= 1
        Least number of events of a session. Empty sessions go in any case.
    min_item : int >= 1
        Least number of events of an item (its support).
    order : sequence of "sessions" and "items"
        The passes, each with the counts that the one before it has left; a name may occur again.
    iterate : bool
        Whether to repeat the passes until both rules hold.
    compact : bool
        Whether to renumber the items that are left without gaps, external ids included.

    Returns
    -------
    Filtered
        Its ``data`` are the `Sessions` that are left; ``users`` says which these are.

    Raises
    ------
    TypeError
        ``data`` are no `Sessions`, minima no integers, or flags no bool.
    ValueError
        Minima < 1, another name in ``order``.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> from pyrec_core.split import filter_sessions
    >>> filtered = filter_sessions(Sessions([0, 1, 0, 0, 1, 2], [0, 1, 4, 6]), min_item=2)
    >>> filtered.data, filtered.users
    (Sessions(1 sessions, 3 events, 3 items), array([1]))
    """
    data, before = unwrap(data)
    if not isinstance(data, Sessions):
        raise TypeError(f"data must be Sessions, got {type(data).__name__}")
    rules = _rules(
        order,
        sessions=(0, check_int("min_length", min_length, low=1), "sessions with fewer than {} events"),
        items=(1, check_int("min_item", min_item, low=1), "items with fewer than {} events"),
    )
    iterate, compact = check_bool("iterate", iterate), check_bool("compact", compact)
    row, log = np.repeat(np.arange(len(data)), np.diff(data.offsets)), _Log()
    events = _Entries(row, data.items, np.ones(len(row), np.int64))
    sessions, items = _prune(events, data.shape, rules, iterate, log)
    kept = np.flatnonzero(sessions)
    left = events_where(data, sessions[row] & items[data.items]).take(kept)
    if compact:
        left = replace(left, **_renumbered(left, "item", left.items, np.flatnonzero(items), "items"))
    return Filtered(left, before + log.dropped(), kept, np.flatnonzero(items))


def events_where(data: Sessions, keep: NDArray[np.bool_]) -> Sessions:
    """Return all sessions, with the events that ``keep`` marks; some may become empty."""
    before = np.zeros(len(keep) + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    time = None if data.time is None else data.time[keep]
    return replace(data, items=data.items[keep], offsets=before[data.offsets], time=time)


# ---- passes


class _Entries(NamedTuple):
    """Distinct pairs, or events of sessions, each standing for ``weight`` events."""

    row: NDArray[Any]
    item: NDArray[Any]
    weight: NDArray[np.int64]

    def where(self, keep: NDArray[np.bool_]) -> "_Entries":
        return _Entries(self.row[keep], self.item[keep], self.weight[keep])

    def counts(self) -> NDArray[np.int64]:
        """Return how many users, items and events there are."""
        distinct = [np.count_nonzero(np.bincount(ids)) for ids in (self.row, self.item)]
        return np.array([*distinct, self.weight.sum()])


class _Log:
    """What each rule has dropped, all its passes together."""

    def __init__(self) -> None:
        self._lost: dict[str, NDArray[np.int64]] = {}

    def add(self, why: str, before: _Entries, after: _Entries) -> None:
        self._lost[why] = self._lost.get(why, 0) + before.counts() - after.counts()

    def dropped(self) -> tuple[Dropped, ...]:
        return tuple(Dropped(why, *lost.tolist()) for why, lost in self._lost.items() if lost[2])


_Rule = tuple[int, int, str]  # column of the ids, their least count, why


def _rules(order: Sequence[str], **known: _Rule) -> list[_Rule]:
    if isinstance(order, str):
        raise TypeError(f"order must be a sequence of strings, got {order!r}")
    rules = [known[check_choice("order", name, tuple(known))] for name in order]
    return [(column, least, why.format(least)) for column, least, why in rules]


def _prune(
    entries: _Entries, shape: tuple[int, int], rules: list[_Rule], iterate: bool, log: _Log
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows and which items are left."""
    again = True
    while again:
        again = False
        for column, least, why in rules:
            ids = entries[column]
            count = np.bincount(ids, minlength=shape[column])
            keep = (count >= least)[ids]
            if not keep.all():
                left = entries.where(keep)
                log.add(why, entries, left)
                entries, again = left, iterate
    users, items = (np.bincount(ids, minlength=n) > 0 for ids, n in zip(entries[:2], shape, strict=True))
    return users, items


# ---- the data that are left


def _events_where(data: Interactions, keep: NDArray[np.bool_]) -> Interactions:
    time = None if data.time is None else data.time[keep]
    return replace(data, user=data.user[keep], item=data.item[keep], value=data.value[keep], time=time)


def _compact(data: Any, users: NDArray[np.int64], items: NDArray[np.int64]) -> Any:
    if isinstance(data, Csr):
        rows = data.rows(users)
        return rows._replace(indices=_new_ids(items, data.shape[1])[rows.indices], shape=(len(users), len(items)))
    return replace(
        data,
        **_renumbered(data, "user", data.user, users, "user"),
        **_renumbered(data, "item", data.item, items, "item"),
    )


def _renumbered(data: Any, kind: str, ids: NDArray[Any], kept: NDArray[np.int64], column: str) -> dict[str, Any]:
    """Return the fields of ``data`` that say which users or items there are."""
    n, external = getattr(data, f"n_{kind}s"), getattr(data, f"{kind}_ids")
    return {
        column: _new_ids(kept, n)[ids],
        f"n_{kind}s": len(kept),
        f"{kind}_ids": kept if external is None else external[kept],
    }


def _new_ids(kept: NDArray[np.int64], n: int) -> NDArray[np.int32]:
    new = np.zeros(n, np.int32)
    new[kept] = np.arange(len(kept))
    return new
