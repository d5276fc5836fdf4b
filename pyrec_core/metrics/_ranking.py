"""Metrics of ranked lists, one value per user."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import check_int
from ..kernels.ranking import measure, ranks_in_lists
from ._inputs import check_lists, grades_of, parse

Values = NDArray[np.float64]

# What a user calls a metric, and its name among the kernels.
RANKING = {
    "precision": "precision",
    "recall": "recall",
    "recall_trunc": "recall_trunc",
    "f1": "f1",
    "hit_rate": "hit_rate",
    "mrr": "mrr",
    "average_precision": "ap",
    "average_recall": "ar",
    "dcg": "dcg",
    "ndcg": "ndcg",
}


def precision(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the share of the first ``k`` positions that hold a relevant item.

    Parameters
    ----------
    ranked : integers (n, k') or list of lists
        Item ids, best first, each at most once a row, padded with -1.
    relevant : sparse matrix (n, n_items) or list of lists
        Held-out items.
    k : int >= 1
        Depth; the divisor also where fewer than ``k`` items are ranked.
    n_threads : int, optional

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
    return _one("precision", ranked, relevant, k, n_threads)


def recall(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the share of the relevant items that are among the first ``k``; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import recall
    >>> recall([[4, 2, 7]], [[2, 9, 5, 6]], k=2)
    array([0.25])
    """
    return _one("recall", ranked, relevant, k, n_threads)


def recall_trunc(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the hits among the first ``k`` over ``min(k, n)``, which a perfect list reaches for any ``k``.

    This is "Recall@k" of Liang et al., WWW 2018 (Mult-VAE) and of Steck, WWW 2019 (EASE). Arguments as for
    `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import recall_trunc
    >>> recall_trunc([[4, 2, 7]], [[2, 9, 5, 6]], k=2)
    array([0.5])
    """
    return _one("recall_trunc", ranked, relevant, k, n_threads)


def pooled_recall_trunc(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> float:
    """Return the hits of all users over the sum of their ``min(k, n)``: users with more to find count more.

    The library implicit calls this "precision". Arguments as for `precision`; NaN if nobody has a relevant item.

    Examples
    --------
    >>> from pyrec_core.metrics import pooled_recall_trunc
    >>> pooled_recall_trunc([[4, 2], [1, 3]], [[2, 9, 5], [7]], k=2)  # 1 of 2, and 0 of 1
    0.3333333333333333
    """
    k = check_int("k", k, low=1)
    lists, X = check_lists(ranked, relevant)
    hits = int(np.count_nonzero(ranks_in_lists(lists, X, n_threads=n_threads) <= k))
    possible = int(np.minimum(np.diff(X.indptr), k).sum())
    return hits / possible if possible else float("nan")


def f1(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the harmonic mean of precision and recall at ``k``; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import f1
    >>> f1([[4, 2, 7]], [[2, 9, 5, 6]], k=2).round(4)
    array([0.3333])
    """
    return _one("f1", ranked, relevant, k, n_threads)


def hit_rate(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return 1 for users with a relevant item among the first ``k``, else 0; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import hit_rate
    >>> hit_rate([[4, 2, 7], [4, 2, 7]], [[2, 9], [9]], k=3)
    array([1., 0.])
    """
    return _one("hit_rate", ranked, relevant, k, n_threads)


def mrr(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return 1 / rank of the first relevant item, 0 if that is beyond ``k``; arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import mrr
    >>> mrr([[4, 2, 7]], [[2, 7]], k=3)
    array([0.5])
    """
    return _one("mrr", ranked, relevant, k, n_threads)


def average_precision(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the sum of the precisions at the hits among the first ``k``, over ``min(k, n)``; the mean is MAP.

    Arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import average_precision
    >>> average_precision([[4, 2, 7]], [[4, 7]], k=3).round(4)
    array([0.8333])
    """
    return _one("average_precision", ranked, relevant, k, n_threads)


def average_recall(ranked: Any, relevant: Any, k: int, *, n_threads: int | None = None) -> Values:
    """Return the sum of the recalls at the hits among the first ``k``, over ``n``; the mean over users is MAR.

    Arguments as for `precision`.

    Examples
    --------
    >>> from pyrec_core.metrics import average_recall
    >>> average_recall([[4, 2, 7]], [[4, 7]], k=3)
    array([0.75])
    """
    return _one("average_recall", ranked, relevant, k, n_threads)


def dcg(ranked: Any, relevant: Any, k: int, *, gains: str = "binary", n_threads: int | None = None) -> Values:
    """Return the discounted cumulative gain at ``k`` (Järvelin & Kekäläinen, TOIS 2002).

    Parameters
    ----------
    ranked, relevant, k, n_threads
        As for `precision`.
    gains : {"binary", "exponential", "linear"}
        What a relevant item counts: 1; or, with its value g >= 0 in the matrix ``relevant`` as its grade,
        ``2**g - 1`` or ``g``.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from pyrec_core.metrics import dcg
    >>> dcg([[0, 2]], sp.csr_array([[3.0, 0.0, 1.0]]), k=2, gains="exponential").round(4)
    array([7.6309])
    """
    return _one("dcg", ranked, relevant, k, n_threads, gains)


def ndcg(ranked: Any, relevant: Any, k: int, *, gains: str = "binary", n_threads: int | None = None) -> Values:
    """Return `dcg` over that of the best possible list: the ``min(k, n)`` largest gains in falling order.

    With the discount ``1 / log2(rank + 1)``. Arguments as for `dcg`.

    Examples
    --------
    >>> from pyrec_core.metrics import ndcg
    >>> ndcg([[4, 2, 7]], [[2]], k=3).round(4)
    array([0.6309])
    """
    return _one("ndcg", ranked, relevant, k, n_threads, gains)


def partial_auc(ranked: Any, relevant: Any, k: int, n_items: int, *, n_threads: int | None = None) -> Values:
    """Return the AUC as far as lists of ``k`` tell: what is not in them is taken to come in random order.

    The library implicit calls this "auc".

    Parameters
    ----------
    ranked, relevant, k, n_threads
        As for `precision`.
    n_items : int
        How many items there are to rank for each user.

    Examples
    --------
    >>> from pyrec_core.metrics import partial_auc
    >>> partial_auc([[4, 2]], [[2]], k=2, n_items=5)
    array([0.75])
    """
    k = check_int("k", k, low=1)
    lists, X = check_lists(ranked, relevant)
    most = max(1, lists.shape[1], int(np.diff(X.indptr).max(initial=0)))
    n_items = check_int("n_items", n_items, low=most)
    ranks = ranks_in_lists(lists, X, n_threads=n_threads)
    found: Values = measure(ranks, X.indptr, ["auc_at"], [k], n_rankable=n_items, n_threads=n_threads)[0]
    return found


def from_lists(
    ranked: Any,
    relevant: Any,
    metrics: str | Sequence[str] = ("precision", "recall", "ndcg"),
    k: int | Sequence[int] = 10,
    *,
    gains: str = "binary",
    n_threads: int | None = None,
) -> dict[str, Values]:
    """Return several metrics at several depths; the relevant items are looked up once.

    Parameters
    ----------
    ranked, relevant, n_threads
        As for `precision`.
    metrics : str or sequence of str
        Among precision, recall, recall_trunc, f1, hit_rate, mrr, average_precision, average_recall, dcg, ndcg; with a
        depth of its own ("ndcg@100") or without.
    k : int or sequence of int
        Depths of the metrics without one.
    gains : {"binary", "exponential", "linear"}
        For dcg and ndcg: see `dcg`.

    Returns
    -------
    dict of str to float64 (n,)
        By label, such as "ndcg@10", in the order asked for.

    Examples
    --------
    >>> from pyrec_core.metrics import from_lists
    >>> from_lists([[4, 2, 7]], [[2, 9]], ["recall", "mrr@1"], k=(1, 3))
    {'recall@1': array([0.]), 'recall@3': array([0.5]), 'mrr@1': array([0.])}
    """
    wanted = parse(metrics, k, tuple(RANKING))
    lists, X = check_lists(ranked, relevant)
    ranks = ranks_in_lists(lists, X, n_threads=n_threads)
    names, depths = [RANKING[w.metric] for w in wanted], [w.depth for w in wanted]
    values = measure(ranks, X.indptr, names, depths, n_threads=n_threads, **grades_of(X, gains))
    return {w.label: row for w, row in zip(wanted, values, strict=True)}


def _one(name: str, ranked: Any, relevant: Any, k: int, n_threads: int | None, gains: str = "binary") -> Values:
    (values,) = from_lists(ranked, relevant, name, check_int("k", k, low=1), gains=gains, n_threads=n_threads).values()
    return values
