"""Splits of interactions into training and test data: reproducible from one seed, and without leaks.

Every function takes ``data`` as `Interactions` (which stand for their ``matrix()``) or as a users x items
matrix, sparse or dense, and returns a `Split` of CSR matrices. Training and test part are disjoint and
together are the data, except for what the documentation of a split says is left out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._interactions import Interactions
from ._random import RandomState, seed_of, stream
from ._validation import Csr, check_bool, check_float, check_int, check_interactions

__all__ = ["Split", "leave_one_out", "per_user", "sample_negatives", "strong_generalisation"]

_SLACK = 1e-9  # 0.2 * 5 items is 1 item, whatever the rounding of 1 - 0.8


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Training and test data.

    Attributes
    ----------
    train : scipy.sparse.csr_array (n_users, n_items)
        What a model is fitted on.
    test : scipy.sparse.csr_array (n, n_items)
        The held-out items that are to be found.
    fold_in : scipy.sparse.csr_array (n, n_items) or None
        What is known of the test users. None: the rows of ``test`` are the users of ``train``.
    validation : Split or None
        A split of ``train`` by the same rule, to choose hyper-parameters: fit those on ``validation.train``.
    negatives : int32 (n, m) or None
        Sampled candidates of each test user, padded with -1. Metrics on them are flagged as sampled.
    train_users, test_users : int64 arrays or None
        The row of the data that each row of ``train`` and of ``test`` came from. None: the same row.
    n_dropped : int
        Users of the data that are in no part, or whose held-out part was dropped, for having too few items.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user
    >>> per_user(np.ones((4, 10)), test_size=0.3)
    Split(train 4 x 10 with 28 entries, test 4 x 10 with 12 entries)
    """

    train: Any
    test: Any
    fold_in: Any = None
    validation: "Split | None" = None
    negatives: NDArray[np.int32] | None = None
    train_users: NDArray[np.int64] | None = None
    test_users: NDArray[np.int64] | None = None
    n_dropped: int = 0

    def __repr__(self) -> str:
        parts = [
            f"{name} {X.shape[0]} x {X.shape[1]} with {X.nnz} entries"
            for name, X in (("train", self.train), ("fold_in", self.fold_in), ("test", self.test))
            if X is not None
        ]
        if self.validation is not None:
            parts.append(f"validation {self.validation.test.nnz} entries")
        if self.negatives is not None:
            parts.append(f"{self.negatives.shape[1]} negatives a user")
        if self.n_dropped:
            parts.append(f"{self.n_dropped} users dropped")
        return f"Split({', '.join(parts)})"


def leave_one_out(data: Any, *, time: Any = None, validation: bool = False) -> Split:
    """Hold out the latest item of each user.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        `Interactions` must have times; an item with several events counts at its latest one.
    time : sparse matrix (n_users, n_items), optional
        The time of each stored entry of ``data``, if that is a matrix. A time may be 0.
    validation : bool
        Whether to hold out, from what is then the training data, the latest item again.

    Returns
    -------
    Split
        Equal times: the larger item id is the later one. Users with fewer than 2 items keep all in ``train``.

    Raises
    ------
    ValueError
        No times, times given twice, or not of the same pattern as ``data``.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> from pyrec_core.split import leave_one_out
    >>> split = leave_one_out(Interactions.from_arrays([0, 0, 0], [0, 1, 2], time=[5, 9, 7]))
    >>> split.test.toarray()
    array([[0., 1., 0.]], dtype=float32)
    """
    check_bool("validation", validation)
    X, when = _with_time(data, time)
    row = _rows(X)
    age = _place(X, np.lexsort((when, row)), row)  # 0 is the oldest; stable, so equal times stay sorted by item
    lengths = np.diff(X.indptr)
    from_end = lengths[row] - 1 - age
    held_out = (lengths >= 2)[row] & (from_end == 0)
    inner = None
    if validation:
        latest = (lengths >= 3)[row] & (from_end == 1)
        inner = Split(_part(X, ~held_out & ~latest), _part(X, latest))
    return Split(_part(X, ~held_out), _part(X, held_out), validation=inner)


def per_user(
    data: Any, *, test_size: float = 0.2, validation_size: float = 0.0, random_state: RandomState = 0
) -> Split:
    """Hold out a random share of the items of each user.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
    test_size : float in (0, 1)
        Share of each user's items, rounded to the nearest number (halves up); one at least stays in ``train``.
    validation_size : float in [0, 1)
        Share of each user's items, of all of them, that ``validation`` holds out from ``train``.
    random_state : int, numpy Generator or None

    Raises
    ------
    ValueError
        Shares that are out of range or leave nothing to train on.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user
    >>> split = per_user(np.ones((3, 10)), test_size=0.2, validation_size=0.1)
    >>> split.train.nnz, split.test.nnz, split.validation.train.nnz, split.validation.test.nnz
    (24, 6, 21, 3)
    """
    test_size = check_float("test_size", test_size, low=0.0, low_open=True)
    validation_size = check_float("validation_size", validation_size, low=0.0)
    if test_size + validation_size >= 1.0:
        raise ValueError(f"test_size + validation_size must be < 1, got {test_size + validation_size}")
    X = _matrix(data)
    row = _rows(X)
    place = _shuffled_place(X, row, seed_of(random_state), "split-items")
    lengths = np.diff(X.indptr)
    n_test = _nearest(lengths, test_size)
    held_out = place < n_test[row]
    inner = None
    if validation_size > 0:
        n_validation = np.minimum(_nearest(lengths, validation_size), np.maximum(lengths - n_test - 1, 0))
        next_ones = ~held_out & (place < (n_test + n_validation)[row])
        inner = Split(_part(X, ~held_out & ~next_ones), _part(X, next_ones))
    return Split(_part(X, ~held_out), _part(X, held_out), validation=inner)


def strong_generalisation(
    data: Any,
    *,
    n_test: int | float,
    n_validation: int | float = 0,
    fold_in: float = 0.8,
    min_interactions: int = 5,
    random_state: RandomState = 0,
) -> Split:
    """Hold out users: a model is trained without them, sees a part of their items, and is to find the others.

    The protocol of Liang et al., WWW 2018 (Mult-VAE), and of Steck, WWW 2019 (EASE):

    1. Users with fewer than ``min_interactions`` items are dropped, from training too.
    2. Test users and validation users are drawn; all others are the training users, the rows of ``train``.
    3. Items that no training user has are removed from the held-out users; who then has fewer than 2 is dropped.
    4. The items of each held-out user are divided at random: a share of ``1 - fold_in``, rounded down but at least
       one item, goes to ``test``, the others to ``fold_in``.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        Filter ratings first, for instance ``data.matrix(min_value=4)``.
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
    fold_in = check_float("fold_in", fold_in, low=0.0, high=1.0, low_open=True)
    if fold_in == 1.0:
        raise ValueError("fold_in must be < 1, got 1.0")
    min_interactions = check_int("min_interactions", min_interactions, low=1)
    X = _matrix(data)
    seed = seed_of(random_state)
    users = np.flatnonzero(np.diff(X.indptr) >= min_interactions)
    n_out = _user_count("n_test", n_test, len(users), low=1)
    n_valid = _user_count("n_validation", n_validation, len(users), low=0)
    if n_out + n_valid >= len(users):
        raise ValueError(
            f"n_test + n_validation must be < {len(users)}, the users with {min_interactions} or more items, "
            f"got {n_out} + {n_valid}"
        )
    drawn = stream(seed, "split-users").permutation(users)
    train_users = np.sort(drawn[n_out + n_valid :])
    train = X.rows(train_users)
    known = np.bincount(train.indices, minlength=X.shape[1]) > 0
    n_few = X.shape[0] - len(users)

    def held_out(name: str, members: NDArray[np.int64]) -> Split:
        rows = X.rows(members)
        rows = _csr(rows, known[rows.indices])
        enough = np.flatnonzero(np.diff(rows.indptr) >= 2)
        if len(enough) == 0:
            raise ValueError(f"{name} must leave users with 2 or more items that are in training, got none")
        rows = rows.rows(enough)
        row, lengths = _rows(rows), np.diff(rows.indptr)
        n_hidden = np.maximum(1, np.floor((1.0 - fold_in) * lengths + _SLACK).astype(np.int64))
        hidden = _shuffled_place(rows, row, seed, f"split-{name}") < np.minimum(n_hidden, lengths - 1)[row]
        return Split(
            train.to_scipy(),
            _part(rows, hidden),
            _part(rows, ~hidden),
            train_users=train_users,
            test_users=members[enough],
            n_dropped=n_few + len(members) - len(enough),
        )

    split = held_out("n_test", np.sort(drawn[:n_out]))
    if n_valid == 0:
        return split
    inner = held_out("n_validation", np.sort(drawn[n_out : n_out + n_valid]))
    return replace(split, validation=replace(inner, train=split.train))


def sample_negatives(split: Split, n: int = 99, *, random_state: RandomState = 0) -> Split:
    """Return the split with ``n`` sampled candidates for each test user, for metrics in the manner of NCF.

    They are drawn uniformly, without replacement, from the items that the user has in none of the parts. Sampled
    metrics do not preserve the order of models (Krichene & Rendle, KDD 2020): they serve to compare with papers.

    Parameters
    ----------
    split : Split
        Of training users: without ``fold_in``. Its ``validation``, if it has one, gets its own negatives.
    n : int >= 1
        Users who lack fewer than ``n`` items get those, and -1 at the end.
    random_state : int, numpy Generator or None

    Returns
    -------
    Split
        With ``negatives`` int32 (n_users, n), ascending in each row.

    Raises
    ------
    ValueError
        ``n`` < 1, or a split of held-out users.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user, sample_negatives
    >>> sample_negatives(per_user(np.eye(5) + np.eye(5, k=1)), n=4).negatives[4]
    array([0, 1, 2, 3], dtype=int32)
    """
    n = check_int("n", n, low=1)
    seed = seed_of(random_state)
    if split.fold_in is not None:
        raise ValueError("split must have no fold_in, got held-out users")
    seen = check_interactions("split", abs(split.train) + abs(split.test))  # with the items of validation
    validation = split.validation
    if validation is not None:
        validation = replace(validation, negatives=_negatives(seen, n, seed, "negatives-validation"))
    return replace(split, negatives=_negatives(seen, n, seed, "negatives-test"), validation=validation)


def _negatives(seen: Csr, n: int, seed: int, purpose: str) -> NDArray[np.int32]:
    """Draw by Floyd's algorithm (Bentley & Floyd, CACM 1987) for all users at once, one step per negative."""
    n_users, n_items = seen.shape
    free = n_items - np.diff(seen.indptr)
    rng = stream(seed, purpose)
    rank = np.full((n_users, n), -1, np.int64)  # distinct ranks among the items that the user lacks
    for step in range(n):
        top = free - n + step  # where negative, the user lacks too few items and this step draws nothing
        draw = rng.integers(0, np.maximum(top, 0), endpoint=True)
        taken = (rank[:, :step] == draw[:, None]).any(axis=1)
        rank[:, step] = np.where(top < 0, -1, np.where(taken, top, draw))
    # the item of rank r is r + the number of touched items before it, and the touched item t, with c touched
    # ones before it, lies before that item if t - c <= r
    row = _rows(seen)
    shifted = seen.indices - (np.arange(seen.nnz) - seen.indptr[row])
    width = n_items + 1
    users = np.arange(n_users, dtype=np.int64)[:, None]
    before = np.searchsorted(row * width + shifted, users * width + rank, side="right") - seen.indptr[:-1, None]
    items = np.where(rank < 0, n_items, rank + before)
    items.sort(axis=1)
    return np.where(items == n_items, -1, items).astype(np.int32)


def _matrix(data: Any) -> Csr:
    return check_interactions("data", data.matrix() if isinstance(data, Interactions) else data)


def _with_time(data: Any, time: Any) -> tuple[Csr, NDArray[Any]]:
    """Return the matrix and the time of each of its entries."""
    if isinstance(data, Interactions):
        if time is not None:
            raise ValueError("time must be None, since data has its own times, got a matrix")
        if data.time is None:
            raise ValueError("data must have times to be split by them, got Interactions without time")
        X = _matrix(data)
        first, order = data._pairs(by_time=True)
        last = order[np.append(first[1:], len(order)) - 1] if len(order) else order
        return X, data.time[last]
    if time is None:
        raise ValueError("time must be given as a sparse matrix of the pattern of data, got None")
    if not sp.issparse(time) or time.dtype.kind not in "iuf":
        raise TypeError(f"time must be a sparse matrix of numbers, got {type(time).__name__}")
    X, when = _matrix(data), sp.coo_array(time)
    if when.shape != X.shape:
        raise ValueError(f"time must have the shape {X.shape} of data, got {when.shape}")
    if not np.isfinite(when.data).all():
        raise ValueError("time must be finite, got NaN or infinity")
    key = when.row.astype(np.int64) * X.shape[1] + when.col
    order = np.argsort(key)
    key = key[order]
    stored = sp.coo_array(data)  # with the zeros that are stored: they are no interactions, but may have a time
    stored_key = np.unique(stored.row.astype(np.int64) * X.shape[1] + stored.col)
    if not np.array_equal(key, stored_key):
        raise ValueError(f"time must have the pattern of data, got {len(key)} entries for {len(stored_key)}")
    return X, when.data[order[np.searchsorted(key, _rows(X) * X.shape[1] + X.indices)]]


def _rows(X: Csr) -> NDArray[np.int64]:
    """Return the row of each entry."""
    return np.repeat(np.arange(X.shape[0], dtype=np.int64), np.diff(X.indptr))


def _place(X: Csr, order: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each entry's position within its row, from 0, in ``order``, which sorts by row first."""
    place = np.empty(X.nnz, np.int64)
    place[order] = np.arange(X.nnz) - X.indptr[row]
    return place


def _shuffled_place(X: Csr, row: NDArray[np.int64], seed: int, purpose: str) -> NDArray[np.int64]:
    return _place(X, np.lexsort((stream(seed, purpose).random(X.nnz), row)), row)


def _nearest(lengths: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Return the share of each length, halves up, that leaves at least one."""
    wanted: NDArray[np.int64] = np.floor(share * lengths + 0.5 + _SLACK).astype(np.int64)
    return np.minimum(wanted, np.maximum(lengths - 1, 0))


def _user_count(name: str, value: int | float, n_users: int, low: int) -> int:
    if isinstance(value, (float, np.floating)):
        share = check_float(name, value, low=0.0, low_open=low > 0)
        if share >= 1.0:
            raise ValueError(f"{name} must be < 1 as a share of the users (a number of users is an int), got {value}")
        return max(low, int(share * n_users + _SLACK))
    return check_int(name, value, low=low)


def _csr(X: Csr, keep: NDArray[np.bool_]) -> Csr:
    before = np.zeros(X.nnz + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return Csr(before[X.indptr], X.indices[keep], X.data[keep], X.shape)


def _part(X: Csr, keep: NDArray[np.bool_]) -> Any:
    return _csr(X, keep).to_scipy()
