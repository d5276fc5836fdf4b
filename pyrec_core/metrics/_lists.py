"""Metrics of recommended lists alone, whatever is relevant: of the catalogue they cover, and of their variety."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from .._validation import as_array, check_id_range, check_int, check_integers, check_interactions
from ._inputs import check_ranked


def item_counts(ranked: Any, n_items: int) -> NDArray[np.int64]:
    """Return in how many lists each item is; counts of batches of users add up.

    Parameters
    ----------
    ranked : integers (n, k), padded with -1, or list of lists
    n_items : int >= 1

    Returns
    -------
    int64 (n_items,)

    Examples
    --------
    >>> from pyrec_core.metrics import item_counts
    >>> item_counts([[0, 2], [2]], n_items=4)
    array([1, 0, 2, 0])
    """
    lists = _lists(ranked, check_int("n_items", n_items, low=1))
    return np.bincount(lists[lists >= 0], minlength=n_items)


def coverage(ranked: Any, n_items: int) -> float:
    """Return the share of the catalogue that is in at least one list; arguments as for `item_counts`.

    Examples
    --------
    >>> from pyrec_core.metrics import coverage
    >>> coverage([[0, 2], [2]], n_items=4)
    0.5
    """
    return float((item_counts(ranked, n_items) > 0).mean())


def gini(ranked: Any, n_items: int) -> float:
    """Return how unevenly the lists use the catalogue; arguments as for `item_counts`.

    ``1 - 2 sum_i (I + 1 - i) / I * f_i / sum f + 1 / I`` over all I items, with the counts f ascending: 0 if all items
    are recommended alike, ``1 - 1 / I`` if always the same one. NaN without any recommendation.

    Examples
    --------
    >>> from pyrec_core.metrics import gini
    >>> gini([[0, 1], [2, 3]], n_items=4), gini([[0], [0]], n_items=4)
    (0.0, 0.75)
    """
    return gini_of_counts(item_counts(ranked, n_items))


def gini_of_counts(counts: ArrayLike) -> float:
    """Return `gini` from `item_counts`.

    Examples
    --------
    >>> from pyrec_core.metrics import gini_of_counts
    >>> round(gini_of_counts([0, 3, 1]), 4)
    0.5
    """
    f = check_integers("counts", counts)
    if f.ndim != 1 or not len(f):
        raise ValueError(f"counts must be 1-D and not empty, got shape {f.shape}")
    if f.min() < 0:
        raise ValueError(f"counts must be >= 0, got {f.min()}")
    total = int(f.sum(dtype=np.int64))
    if total == 0:
        return float("nan")
    n = len(f)
    weighted = ((n - np.arange(n)) * np.sort(f).astype(np.float64)).sum()
    return float(1 - 2 * weighted / (n * total) + 1 / n)


def novelty(ranked: Any, item_users: ArrayLike, n_users: int) -> NDArray[np.float64]:
    """Return the mean self-information of the items of each list: ``-log2(users who have the item / all users)``.

    Parameters
    ----------
    ranked : integers (n, k), padded with -1, or list of lists
    item_users : integers (n_items,)
        Training users who have each item; nobody counts as one.
    n_users : int >= 1
        Training users.

    Returns
    -------
    float64 (n,)
        NaN for empty lists.

    Examples
    --------
    >>> from pyrec_core.metrics import novelty
    >>> novelty([[0, 1], [2]], item_users=[8, 2, 0], n_users=8)
    array([1., 3.])
    """
    users = check_integers("item_users", item_users)
    n_users = check_int("n_users", n_users, low=1)
    if users.ndim != 1 or (users.size and (users.min() < 0 or users.max() > n_users)):
        raise ValueError(f"item_users must be 1-D in 0..{n_users}, got shape {users.shape}")
    lists = _lists(ranked, len(users))
    information = np.append(-np.log2(np.maximum(users, 1) / n_users), 0.0)  # the last one for padding
    return _mean(information[lists].sum(axis=1), (lists >= 0).sum(axis=1))


def intra_list_diversity(ranked: Any, item_features: Any) -> NDArray[np.float64]:
    """Return the mean of 1 - cosine similarity over all pairs of items of each list.

    Parameters
    ----------
    ranked : integers (n, k), padded with -1, or list of lists
    item_features : array or sparse matrix (n_items, d)
        An item whose features are all zero is like no other.

    Returns
    -------
    float64 (n,)
        NaN for lists of fewer than two items.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.metrics import intra_list_diversity
    >>> intra_list_diversity([[0, 1], [0, 2]], np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
    array([1., 0.])
    """
    features = check_interactions("item_features", item_features, dtype=np.float64).to_scipy()
    lists = _lists(ranked, features.shape[0])
    norm = np.sqrt((features * features).sum(axis=1))
    unit = sp.diags_array(1 / np.where(norm > 0, norm, 1.0)) @ features
    row, place = np.nonzero(lists >= 0)
    chosen = lists[row, place]
    sums = sp.csr_array((np.ones(len(row)), (row, chosen)), shape=(len(lists), features.shape[0])) @ unit
    # |sum of unit vectors|^2 is the sum of the cosines of all ordered pairs, an item with itself included
    own = np.bincount(row, norm[chosen] > 0, minlength=len(lists))
    cosines = ((sums * sums).sum(axis=1) - own) / 2
    n = (lists >= 0).sum(axis=1)
    return 1 - _mean(cosines, n * (n - 1) / 2)


def popularity_groups(item_users: ArrayLike, shares: tuple[float, ...] = (0.5, 0.8)) -> NDArray[np.str_]:
    """Return "head", "mid" or "tail" for each item, to report metrics by.

    Parameters
    ----------
    item_users : integers (n_items,)
        Training users, or interactions, of each item.
    shares : (head, mid)
        The most popular items that together have this share of all interactions are the head; those that follow, up
        to the second share, the mid; the others the tail. An item on the edge belongs to the more popular group,
        ties of popularity go by id.

    Returns
    -------
    str array (n_items,)

    Examples
    --------
    >>> from pyrec_core.metrics import popularity_groups
    >>> popularity_groups([1, 50, 2, 30, 17])
    array(['tail', 'head', 'tail', 'mid', 'tail'], dtype='<U4')
    """
    counts = check_integers("item_users", item_users)
    if counts.ndim != 1 or (counts.size and counts.min() < 0):
        raise ValueError(f"item_users must be 1-D and >= 0, got shape {counts.shape}")
    given = as_array("shares", shares)
    if given.shape != (2,) or not 0 < given[0] <= given[1] < 1:
        raise ValueError(f"shares must be two with 0 < head <= mid < 1, got {shares}")
    order = np.argsort(-counts.astype(np.int64), kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    edges = given * counts.sum()
    groups = np.empty(len(counts), "<U4")
    groups[order] = np.array(["head", "mid", "tail"])[np.searchsorted(edges, before, side="right")]
    return groups


def _lists(ranked: Any, n_items: int) -> NDArray[np.int64]:
    lists = check_ranked(ranked)
    check_id_range("ranked", lists[lists >= 0], n_items, "item")
    return lists.astype(np.int64, copy=False)


def _mean(total: NDArray[Any], n: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
