"""Quality of ranked lists, one value per user, computed for all users at once.

Each metric takes

* ``ranked``: integers (n, k'), best first, padded with -1; or one list of item ids per user,
* ``relevant``: the held-out items, the non-zeros of a sparse (n, n_items) matrix, or one list per user,
* ``k``: the depth. Lists may be shorter than ``k``: they end early, and empty positions are no hits.

and returns float64 (n,), NaN for users without a relevant item. Time is O((n k + nnz) log nnz), memory
O(n k + nnz).
With ``h_r`` = 1 if the item at rank r is relevant, and ``n`` relevant items:

============ ====================================================
precision    ``sum_{r<=k} h_r / k``
recall       ``sum_{r<=k} h_r / n``
recall_trunc ``sum_{r<=k} h_r / min(k, n)``
ndcg         ``sum_{r<=k} h_r / log2(r+1)``, divided by ``sum_{r<=min(k, n)} 1 / log2(r+1)``
hit_rate     1 if there is a hit in the first k, else 0
mrr          1 / rank of the first hit if that is at most k, else 0
============ ====================================================
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._validation import check_int, check_integers, check_interactions

__all__ = ["hit_rate", "mrr", "ndcg", "precision", "recall", "recall_trunc"]


def precision(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return the share of the first ``k`` positions that hold a relevant item.

    Parameters
    ----------
    ranked : integers (n, k') or list of lists
        Item ids, best first, each at most once a row, padded with -1.
    relevant : sparse matrix (n, n_items) or list of lists
        Held-out items.
    k : int >= 1
        Depth; the divisor also where fewer than ``k`` items are ranked.

    Returns
    -------
    float64 (n,)
        NaN for users without a relevant item.

    Raises
    ------
    TypeError
        Ids or ``k`` that are not integers.
    ValueError
        ``k`` < 1, an item twice in a row, ids out of range, different numbers of users.

    Examples
    --------
    >>> from pyrec_core.metrics import precision
    >>> precision([[4, 2, 7], [1, 2, 3]], [[2, 4, 9], []], k=2)
    array([ 1., nan])
    """
    return measure("precision", *hits(ranked, relevant, k), k)


def recall(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return the share of the relevant items that are among the first ``k``; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import recall
    >>> recall([[4, 2, 7]], [[2, 9, 5, 6]], k=2)
    array([0.25])
    """
    return measure("recall", *hits(ranked, relevant, k), k)


def recall_trunc(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return the hits among the first ``k`` over ``min(k, n)``, which a perfect list reaches for any ``k``.

    This is "Recall@k" of Liang et al., WWW 2018 (Mult-VAE) and of Steck, WWW 2019 (EASE). Arguments as for
    `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import recall_trunc
    >>> recall_trunc([[4, 2, 7]], [[2, 9, 5, 6]], k=2)
    array([0.5])
    """
    return measure("recall_trunc", *hits(ranked, relevant, k), k)


def ndcg(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return the normalised discounted cumulative gain at ``k``, with gains 0 and 1.

    Järvelin & Kekäläinen, TOIS 2002, with the discount ``1 / log2(rank + 1)``. Arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import ndcg
    >>> ndcg([[4, 2, 7]], [[2]], k=3).round(4)
    array([0.6309])
    """
    return measure("ndcg", *hits(ranked, relevant, k), k)


def hit_rate(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return 1 for users with a relevant item among the first ``k``, else 0; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import hit_rate
    >>> hit_rate([[4, 2, 7], [4, 2, 7]], [[2, 9], [9]], k=3)
    array([1., 0.])
    """
    return measure("hit_rate", *hits(ranked, relevant, k), k)


def mrr(ranked: Any, relevant: Any, k: int) -> NDArray[np.float64]:
    """Return 1 / rank of the first relevant item, 0 if that is beyond ``k``; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import mrr
    >>> mrr([[4, 2, 7]], [[2, 7]], k=3)
    array([0.5])
    """
    return measure("mrr", *hits(ranked, relevant, k), k)


# ---- what evaluate shares: the hits are found once and serve every metric and depth


def hits(ranked: Any, relevant: Any, k: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return the hits among the first ``k``, bool (n, min(k, k')), and each user's relevant count."""
    k = check_int("k", k, low=1)
    lists = _ranked_array(ranked)
    row, item, width = _relevant_pairs(relevant, len(lists))
    if width is not None and lists.size and lists.max() >= width:
        raise ValueError(f"ranked must hold item ids below {width} (columns of relevant), got {lists.max()}")
    # one int64 key per (user, item); ids are int32, so that the product cannot overflow below 2**32 users
    base = 1 + max(int(lists.max(initial=0)), int(item.max(initial=0)))
    keys = row * base + item
    if width is None:  # lists come in any order, maybe with repetitions
        keys = np.unique(keys)
    n_relevant = np.bincount(keys // base, minlength=len(lists))
    top = lists[:, :k]
    if keys.size == 0:
        return np.zeros(top.shape, bool), n_relevant
    wanted = np.arange(len(lists), dtype=np.int64)[:, None] * base + top
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return (keys[place] == wanted) & (top >= 0), n_relevant


def measure(name: str, hit: NDArray[np.bool_], n_relevant: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return metric ``name`` at ``k`` from hits that reach at least as deep as ``k`` or as the lists do."""
    known = n_relevant > 0
    out = np.full(len(hit), np.nan)
    out[known] = MEASURES[name](hit[known, :k], n_relevant[known], k)
    return out


_Measure = Callable[[NDArray[np.bool_], NDArray[np.int64], int], NDArray[np.float64]]


def _count(hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.add.reduce(hit, axis=1, dtype=np.float64, out=np.empty(len(hit)))


def _precision(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return _count(hit) / k


def _recall(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return _count(hit) / n


def _recall_trunc(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return _count(hit) / np.minimum(n, k)


def _ndcg(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    best = np.minimum(n, k)
    depth = max(hit.shape[1], int(best.max(initial=0)))
    discount = 1.0 / np.log2(np.arange(2, depth + 2))
    # both sums run rank by rank in the same order, so that a perfect list gives exactly 1
    gain = np.zeros(len(hit))
    for rank in range(hit.shape[1]):
        gain += discount[rank] * hit[:, rank]
    return np.asarray(gain / np.cumsum(discount)[best - 1])


def _hit_rate(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return np.asarray(hit.any(axis=1), np.float64)


def _mrr(hit: NDArray[np.bool_], n: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    first = hit.argmax(axis=1) if hit.shape[1] else np.zeros(len(hit), np.int64)
    return np.asarray(_hit_rate(hit, n, k) / (first + 1))


MEASURES: dict[str, _Measure] = {
    "precision": _precision,
    "recall": _recall,
    "recall_trunc": _recall_trunc,
    "ndcg": _ndcg,
    "hit_rate": _hit_rate,
    "mrr": _mrr,
}


def _ranked_array(ranked: Any) -> NDArray[np.int64]:
    """Return the lists as one int64 array padded with -1, after checking ids and repetitions."""
    if isinstance(ranked, np.ndarray):
        lists = check_integers("ranked", ranked)
        if lists.ndim != 2:
            raise ValueError(f"ranked must be 2-D (users x positions), got shape {lists.shape}")
        lists = lists.astype(np.int64, copy=False)
    else:
        flat, lengths = _flatten("ranked", ranked)
        lists = np.full((len(lengths), int(lengths.max(initial=0))), -1, np.int64)
        lists[np.arange(lists.shape[1]) < lengths[:, None]] = flat
    _check_ids("ranked", lists, low=-1)
    ordered = np.sort(lists, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        user, position = np.argwhere(twice)[0]
        item = ordered[user, position]
        raise ValueError(f"ranked must hold an item at most once a row, got item {item} twice in row {user}")
    return lists


def _relevant_pairs(relevant: Any, n_users: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int | None]:
    """Return row and item of each relevant pair, and the number of items where that is known."""
    if sp.issparse(relevant):
        X = check_interactions("relevant", relevant)
        lengths, item, width = np.diff(X.indptr), X.indices.astype(np.int64), X.shape[1]
    else:
        item, lengths = _flatten("relevant", relevant)
        _check_ids("relevant", item, low=0)
        width = None
    if len(lengths) != n_users:
        raise ValueError(f"relevant must have {n_users} rows like ranked, got {len(lengths)}")
    return np.repeat(np.arange(n_users, dtype=np.int64), lengths), item, width


def _flatten(name: str, lists: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the entries of one list per user, end to end, and the lengths."""
    if not isinstance(lists, Sequence) or isinstance(lists, (str, bytes)):
        other = "an integer array" if name == "ranked" else "a sparse matrix"
        raise TypeError(f"{name} must be {other} or a list of lists, got {type(lists).__name__}")
    for row in lists:
        if not isinstance(row, (Sequence, np.ndarray)) or isinstance(row, (str, bytes)):
            raise TypeError(f"{name} must hold one list per user, got {type(row).__name__}")
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    flat = check_integers(name, list(chain.from_iterable(lists)))
    if flat.ndim != 1:
        raise ValueError(f"{name} must hold lists of ids, got deeper nesting")
    return flat.astype(np.int64, copy=False), lengths


def _check_ids(name: str, ids: NDArray[np.int64], low: int) -> None:
    if ids.size and (ids.min() < low or ids.max() > np.iinfo(np.int32).max):
        raise ValueError(f"{name} must hold item ids from {low} to 2**31 - 1, got {ids.min()} to {ids.max()}")


# ---- metrics of lists, whatever is relevant


def gini_of_counts(counts: NDArray[np.int64]) -> float:
    """Return the Gini index of how often each item is recommended: 0 if all alike, near 1 if always the same few."""
    n, total = len(counts), int(counts.sum())
    if total == 0:
        return float("nan")
    share = np.sort(counts) / total
    return float(1 - 2 * np.sum((n + 1 - np.arange(1, n + 1)) / n * share) + 1 / n)


def novelty(ranked: NDArray[Any], item_users: NDArray[np.int64], n_users: int) -> NDArray[np.float64]:
    """Return the mean of ``-log2(share of users who have the item)`` over each list; NaN for empty lists."""
    surprise = -np.log2(np.maximum(item_users, 1) / n_users)
    return _mean(np.where(ranked >= 0, surprise[ranked], 0.0).sum(axis=1), (ranked >= 0).sum(axis=1))


def intra_list_diversity(ranked: NDArray[Any], item_features: Any) -> NDArray[np.float64]:
    """Return the mean of 1 - cosine over the pairs of items of each list; NaN for lists of fewer than two items."""
    features = np.asarray(item_features, np.float64)
    norms = np.sqrt((features * features).sum(axis=1, keepdims=True))
    unit = features / np.where(norms == 0, 1.0, norms)
    own = np.where((ranked >= 0)[:, :, None], unit[ranked], 0.0)
    n, total = (ranked >= 0).sum(axis=1), own.sum(axis=1)
    pairs = n * (n - 1) / 2
    cosines = ((total * total).sum(axis=1) - (own * own).sum(axis=(1, 2))) / 2
    return 1 - _mean(cosines, pairs)


def _mean(total: NDArray[np.float64], n: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
