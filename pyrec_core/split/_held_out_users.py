"""Users that a model is trained without: it sees a part of their items, and is to find the others."""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._random import RandomState, seed_of
from .._sessions import Sessions
from .._validation import Csr, check_bool, check_float, check_int
from ..kernels.random import uniform_at
from ._common import (
    SLACK,
    USERS,
    check_count,
    draws,
    known_items,
    left_out,
    matrix_of,
    place_in_row,
    rows_of,
    select,
    timed_events,
    unwrap,
)
from ._result import Dropped, SessionSplit, Split


def strong_generalisation(
    data: Any,
    *,
    n_test: int | float,
    n_validation: int | float = 0,
    fold_in: float = 0.8,
    min_interactions: int = 5,
    random_state: RandomState = 0,
) -> Split:
    """Hold out users, and of each a random part of the items.

    The protocol of Liang et al., WWW 2018 (Mult-VAE), and of Steck, WWW 2019 (EASE):

    1. Users with fewer than ``min_interactions`` items are dropped, from training too.
    2. Test users and validation users are drawn; all others are the training users, the rows of ``train``.
    3. Items that no training user has are removed from the held-out users; who then has fewer than 2 is dropped.
    4. The items of each held-out user are divided at random: a share of ``1 - fold_in``, rounded down but at least
       one item, goes to ``test``, the others to ``fold_in``. (The code of Mult-VAE shows all items of users who have
       fewer than 5 after step 3, and so does not measure these.)

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        `Interactions` stand for their binary ``matrix()``. Filter ratings first, for instance with
        ``data.matrix(min_value=4)`` or `filter_interactions`.
    n_test, n_validation : int or float
        Number of users, or as a float in (0, 1) the share of those that step 1 leaves, rounded down.
    fold_in : float in (0, 1)
        Share of a held-out user's items that are shown.
    min_interactions : int >= 1
        See step 1.
    random_state : int, numpy Generator or None

    Returns
    -------
    Split
        All items keep their column. ``validation`` has the same ``train``, other users, and is None if
        ``n_validation`` is 0.

    Raises
    ------
    TypeError
        Sizes that are not numbers.
    ValueError
        Sizes out of range, or no user left to train on or to test.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import strong_generalisation
    >>> strong_generalisation(np.ones((10, 20)), n_test=2)
    Split(train 8 x 20 with 160 entries, fold_in 2 x 20 with 32 entries, test 2 x 20 with 8 entries)
    """
    share = _check_fold_in(fold_in)
    seed = seed_of(random_state)
    X, before = matrix_of(data)
    groups = _partition(X, n_test, n_validation, min_interactions, seed)
    return _split(X, draws(seed, rows_of(X), X.indices), groups, share, before)


def temporal_fold_in(
    data: Any,
    *,
    n_test: int | float,
    n_validation: int | float = 0,
    fold_in: float = 0.8,
    min_interactions: int = 5,
    time: Any = None,
    binary: bool = True,
    random_state: RandomState = 0,
) -> Any:
    """Hold out users, and of each the latest part of the history.

    The protocol of Sachdeva et al., WSDM 2019 (SVAE): that of `strong_generalisation`, but in step 4 the history is
    sorted by time, its last ``1 - fold_in`` goes to ``test`` and what comes before to ``fold_in``.

    Parameters
    ----------
    data : Interactions, matrix (n_users, n_items) or Sessions
        `Interactions` must have times; an item with several events counts at its latest one, and of equal times
        the larger item id is the later one. `Sessions` are one history a user, in order, with repetitions.
    n_test, n_validation, fold_in, min_interactions, random_state
        As for `strong_generalisation`.
    time : sparse matrix (n_users, n_items), optional
        The time of each stored entry of ``data``, if that is a matrix.
    binary : bool
        As for `leave_one_out`.

    Returns
    -------
    Split or, of `Sessions`, SessionSplit
        As by `strong_generalisation`.

    Raises
    ------
    TypeError
        Sizes that are not numbers, or ``binary`` no bool.
    ValueError
        Sizes out of range, times that are missing or given twice, or no user left to train on or to test.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> from pyrec_core.split import temporal_fold_in
    >>> histories = Sessions([0, 1, 2, 3, 4, 4, 3, 2, 1, 0], [0, 5, 10])
    >>> split = temporal_fold_in(histories, n_test=1)
    >>> split.fold_in.items, split.test.items
    (array([4, 3, 2, 1], dtype=int32), array([0], dtype=int32))
    """
    share, binary = _check_fold_in(fold_in), check_bool("binary", binary)
    seed = seed_of(random_state)
    data, before = unwrap(data)
    if isinstance(data, Sessions):
        return _split_sessions(data, time, n_test, n_validation, min_interactions, share, seed, before)
    events = timed_events(data, time, binary)
    assert events.when is not None  # for mypy: these have times
    X, chosen = events.latest()
    return _split(X, events.when[chosen], _partition(X, n_test, n_validation, min_interactions, seed), share, before)


_AnySplit = TypeVar("_AnySplit", Split, SessionSplit)
_Groups = tuple[NDArray[np.int64], list[tuple[str, NDArray[np.int64]]], tuple[Dropped, ...]]


def _check_fold_in(fold_in: float) -> float:
    fold_in = check_float("fold_in", fold_in, low=0.0, high=1.0, low_open=True)
    if fold_in == 1.0:
        raise ValueError("fold_in must be < 1, got 1.0")
    return fold_in


def _partition(X: Csr, n_test: int | float, n_validation: int | float, min_interactions: int, seed: int) -> _Groups:
    """Return the training users, those of each held-out group, and what was dropped; all ascending."""
    min_interactions = check_int("min_interactions", min_interactions, low=1)
    lengths = np.diff(X.indptr)
    users = np.flatnonzero(lengths >= min_interactions)
    n_out = check_count("n_test", n_test, len(users), low=1)
    n_valid = check_count("n_validation", n_validation, len(users), low=0)
    if n_out + n_valid >= len(users):
        raise ValueError(
            f"n_test + n_validation must be < {len(users)}, the users with {min_interactions} or more items, "
            f"got {n_out} + {n_valid}"
        )
    drawn = users[np.argsort(uniform_at(users, seed=seed, purpose="split", epoch=USERS), kind="stable")]
    few = (lengths > 0) & (lengths < min_interactions)
    dropped = left_out(f"users with fewer than {min_interactions} items", X, select(X, ~few[rows_of(X)]))
    held_out = [("n_test", np.sort(drawn[:n_out])), ("n_validation", np.sort(drawn[n_out : n_out + n_valid]))]
    return np.sort(drawn[n_out + n_valid :]), held_out[: 1 + (n_valid > 0)], dropped


def _hold_out(
    X: Csr, key: NDArray[Any], known: NDArray[np.bool_], name: str, members: NDArray[np.int64], fold_in: float
) -> tuple[Csr, NDArray[np.bool_], NDArray[np.int64], tuple[Dropped, ...]]:
    """Return the rows of the members who have two known items, what is hidden, these members, and what was dropped.

    Hidden are the entries with the largest keys. The data of the rows are positions in ``X``.
    """
    given = X._replace(data=np.arange(X.nnz)).rows(members)
    rows = select(given, known[given.indices])
    lengths = np.diff(rows.indptr)
    enough = np.flatnonzero(lengths >= 2)
    if len(enough) == 0:
        raise ValueError(f"{name} must leave users with 2 or more items that are in training, got none")
    dropped = left_out("held-out items unseen in training", given, rows)
    given, rows = rows, rows.rows(enough)
    dropped += left_out("held-out users with fewer than 2 items left", given, rows)
    row, lengths = rows_of(rows), lengths[enough]
    n_hidden = np.maximum(1, np.floor((1.0 - fold_in) * lengths + SLACK).astype(np.int64))
    place = place_in_row(rows, np.lexsort((key[rows.data], row)), row)  # stable: equal keys stay in order
    hidden = place >= (lengths - np.minimum(n_hidden, lengths - 1))[row]
    return rows, hidden, members[enough], dropped


def _split(X: Csr, key: NDArray[Any], groups: _Groups, fold_in: float, before: tuple[Dropped, ...]) -> Split:
    train_users, held_out, few = groups
    train = X.rows(train_users)
    fit, known = train.to_scipy(), known_items(train)
    parts = []
    for name, members in held_out:
        rows, hidden, kept, dropped = _hold_out(X, key, known, name, members, fold_in)
        rows = rows._replace(data=X.data[rows.data])
        shown, test = select(rows, ~hidden).to_scipy(), select(rows, hidden).to_scipy()
        parts.append(Split(fit, test, shown, train_users=train_users, test_users=kept, dropped=dropped))
    return _joined(parts, before + few)


def _split_sessions(
    data: Sessions,
    time: Any,
    n_test: int | float,
    n_validation: int | float,
    min_interactions: int,
    fold_in: float,
    seed: int,
    before: tuple[Dropped, ...],
) -> SessionSplit:
    if time is not None:
        raise ValueError("time must be None, since sessions are in order of time, got a matrix")
    X = Csr(data.offsets, data.items, np.arange(len(data.items)), data.shape)
    train_users, held_out, few = _partition(X, n_test, n_validation, min_interactions, seed)
    train = data.take(train_users)
    known = np.bincount(train.items, minlength=data.n_items) > 0
    parts = []
    for name, members in held_out:
        rows, hidden, kept, dropped = _hold_out(X, X.data, known, name, members, fold_in)
        shown, test = (_sessions(data, select(rows, mask), kept) for mask in (~hidden, hidden))
        parts.append(SessionSplit(train, test, None, shown, train_users, kept, dropped))
    return _joined(parts, before + few)


def _sessions(data: Sessions, rows: Csr, users: NDArray[np.int64]) -> Sessions:
    return replace(
        data,
        items=rows.indices,
        offsets=rows.indptr,
        time=None if data.time is None else data.time[rows.data],
        session_ids=None if data.session_ids is None else data.session_ids[users],
    )


def _joined(parts: list[_AnySplit], dropped: tuple[Dropped, ...]) -> _AnySplit:
    """Return the test split, with what was dropped before, and with the validation split if there is one."""
    changes: dict[str, Any] = {"dropped": dropped + parts[0].dropped}
    if len(parts) > 1:
        changes["validation"] = parts[1]
    return replace(parts[0], **changes)
