"""Candidates beside the held-out items, for sampled metrics: drawn or as published."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._random import RandomState, seed_of, stream
from .._validation import Csr, check_float, check_int, check_integers, check_interactions
from ._common import is_among, pair_keys, rows_of
from ._result import Split

_CHUNK = 2**23  # users x items that are looked at together


def sample_negatives(split: Split, n: int = 99, *, popularity: float = 0.0, random_state: RandomState = 0) -> Split:
    """Return the split with ``n`` sampled candidates for each test user, for metrics in the manner of NCF.

    They are drawn without replacement from the items that the user has in none of the parts: uniformly, as for NCF
    (He et al., WWW 2017), or by popularity, as for BERT4Rec (Sun et al., CIKM 2019). Sampled metrics do not
    preserve the order of models (Krichene & Rendle, KDD 2020): they serve to compare with papers.

    Parameters
    ----------
    split : Split
        Of training users: without ``fold_in``. Its ``validation``, if it has one, gets its own negatives.
    n : int >= 1
        Users who lack fewer than ``n`` items get those, and -1 at the end.
    popularity : float >= 0
        Each draw takes an item with a probability proportional to its number of training users to this power,
        among those not drawn yet. If positive, items without a training user are never drawn.
    random_state : int, numpy Generator or None

    Returns
    -------
    Split
        With ``negatives`` int32 (n_users, n), ascending in each row, and ``negatives_kind``.

    Raises
    ------
    TypeError
        ``n`` is no integer, or ``popularity`` no number.
    ValueError
        ``n`` < 1, ``popularity`` < 0, or a split of held-out users.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user, sample_negatives
    >>> sample_negatives(per_user(np.eye(5) + np.eye(5, k=1)), n=4).negatives[4]
    array([0, 1, 2, 3], dtype=int32)
    """
    n = check_int("n", n, low=1)
    popularity = check_float("popularity", popularity, low=0.0)
    seed = seed_of(random_state)
    _check_users(split)
    seen = check_interactions("split", abs(split.train) + abs(split.test))  # with the items of validation

    def sampled(part: Split, purpose: str) -> Split:
        if popularity == 0:
            return replace(part, negatives=_uniform(seen, n, seed, purpose), negatives_kind="uniform")
        n_users = np.bincount(part.train.indices, minlength=seen.shape[1])
        weight = np.where(n_users > 0, n_users.astype(np.float64) ** popularity, 0.0)
        return replace(part, negatives=_weighted(seen, weight, n, seed, purpose), negatives_kind="popularity")

    validation = None if split.validation is None else sampled(split.validation, "negatives-validation")
    return replace(sampled(split, "negatives-test"), validation=validation)


def with_negatives(split: Split, negatives: ArrayLike) -> Split:
    """Return the split with published candidates for each test user.

    Parameters
    ----------
    split : Split
        Of training users: without ``fold_in``.
    negatives : integers (n_users, m)
        Item ids of the data, one row a row of ``split.test``, padded with -1. A held-out item may be among them, as
        for 156 users of the published ML-1M files of NCF: `evaluate` does not let it compete with itself.

    Returns
    -------
    Split
        With ``negatives`` int32 (n_users, m) as given, and ``negatives_kind`` "published".

    Raises
    ------
    TypeError
        ``negatives`` are not integers.
    ValueError
        Another shape, unknown ids, an item twice in a row or in training, or a split of held-out users.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import by_mask, with_negatives
    >>> split = by_mask(np.tri(3), test=np.eye(3, dtype=bool))
    >>> with_negatives(split, [[1, 2], [2, -1], [-1, -1]])
    Split(train 3 x 3 with 3 entries, test 3 x 3 with 3 entries, 2 published negatives a user)
    """
    _check_users(split)
    ids = check_integers("negatives", negatives)
    n_users, n_items = split.test.shape
    if ids.ndim != 2 or len(ids) != n_users:
        raise ValueError(f"negatives must have shape ({n_users}, m), one row a test user, got {ids.shape}")
    unknown = ids[(ids < -1) | (ids >= n_items)]
    if len(unknown):
        first = ", ".join(map(str, unknown[:3]))
        raise ValueError(f"negatives must hold item ids in -1..{n_items - 1}, got {len(unknown)} unknown: {first}")
    ids = ids.astype(np.int32)
    _refuse("be distinct in each row", "repeated", ids, _repeated(ids))
    train = check_interactions("split.train", split.train)
    keys = np.arange(n_users, dtype=np.int64)[:, None] * n_items + ids
    in_train = is_among(keys.ravel(), pair_keys(train)).reshape(ids.shape) & (ids >= 0)
    _refuse("not be in the training data of their user", "that are", ids, in_train)
    return replace(split, negatives=ids, negatives_kind="published")


def _check_users(split: Split) -> None:
    if not isinstance(split, Split):
        raise TypeError(f"split must be a Split, got {type(split).__name__}")
    if split.fold_in is not None:
        raise ValueError("split must have no fold_in, got held-out users")


def _refuse(rule: str, what: str, ids: NDArray[np.int32], bad: NDArray[np.bool_]) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"negatives must {rule}, got {bad.sum()} {what} (first: item {ids[row, column]} in row {row})")


def _repeated(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark what stands further left in its row too, -1 aside."""
    order = np.argsort(ids, axis=1, kind="stable")
    ordered = np.take_along_axis(ids, order, axis=1)
    marked = np.zeros(ids.shape, bool)
    np.put_along_axis(marked, order[:, 1:], (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0), axis=1)
    return marked


def _uniform(seen: Csr, n: int, seed: int, purpose: str) -> NDArray[np.int32]:
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
    row = rows_of(seen)
    shifted = seen.indices - (np.arange(seen.nnz) - seen.indptr[row])
    width = n_items + 1
    users = np.arange(n_users, dtype=np.int64)[:, None]
    before = np.searchsorted(row * width + shifted, users * width + rank, side="right") - seen.indptr[:-1, None]
    return _ascending(np.where(rank < 0, -1, rank + before), n_items)


def _weighted(seen: Csr, weight: NDArray[np.float64], n: int, seed: int, purpose: str) -> NDArray[np.int32]:
    n_users, n_items = seen.shape
    items = np.full((n_users, n), -1, np.int64)
    size = max(1, _CHUNK // max(n_items, 1))
    for start in range(0, n_users, size):
        rows = seen.rows(np.arange(start, min(start + size, n_users)))
        free = np.tile(weight > 0, (rows.shape[0], 1))
        free[rows_of(rows), rows.indices] = False
        _draw(items[start : start + size], free, weight, stream(seed, purpose, example=start))
    return _ascending(items, n_items)


def _draw(
    items: NDArray[np.int64], free: NDArray[np.bool_], weight: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """Fill the rows of ``items``, which are -1, with draws one by one among the free items that are left."""
    n_users, n = items.shape
    # almost all users: draw with replacement, and pass over what is taken or repeated
    total = np.cumsum(weight)
    drawn = np.searchsorted(total, rng.random((n_users, 2 * n)) * total[-1:], side="right")
    drawn = np.minimum(drawn, len(weight) - 1)
    fresh = np.take_along_axis(free, drawn, axis=1) & ~_repeated(drawn)
    place = np.cumsum(fresh, axis=1) - 1
    user, step = np.nonzero(fresh & (place < n))
    items[user, place[user, step]] = drawn[user, step]
    # the others go on from there: with exponential waiting times, items arrive in the order of such draws
    done = place[:, -1] + 1
    short = np.flatnonzero(done < n)
    free[user, drawn[user, step]] = False
    waiting = rng.exponential(size=(len(short), len(weight))) / np.where(weight > 0, weight, 1.0)
    waiting[~free[short]] = np.inf
    arrival = np.argsort(waiting, axis=1, kind="stable")[:, :n]
    place = done[short, None] + np.arange(arrival.shape[1])
    fits = (place < n) & np.isfinite(np.take_along_axis(waiting, arrival, axis=1))
    user, step = np.nonzero(fits)
    items[short[user], place[user, step]] = arrival[user, step]


def _ascending(items: NDArray[np.int64], n_items: int) -> NDArray[np.int32]:
    """Return the rows sorted, with -1 last."""
    items = np.sort(np.where(items < 0, n_items, items), axis=1)
    return np.where(items == n_items, -1, items).astype(np.int32)
