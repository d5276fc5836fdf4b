"""Metrics of scores of all items: nothing is sorted, the items ahead of each relevant one are counted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import Csr, check_float_array, check_ids, check_interactions
from ..kernels._arguments import pattern
from ..kernels.ranking import measure, ranks_in_scores
from ._inputs import grades_of, parse
from ._ranking import RANKING, Values


def from_scores(
    scores: Any,
    relevant: Any,
    metrics: str | Sequence[str] = ("precision", "recall", "ndcg"),
    k: int | Sequence[int] = 10,
    exclude: Any = None,
    *,
    ties: str = "id",
    gains: str = "binary",
    n_threads: int | None = None,
) -> dict[str, Values]:
    """Return several metrics at several depths from the scores of all items.

    Parameters
    ----------
    scores : float32 or float64 array (n, n_items)
    relevant : sparse matrix (n, n_items)
        Held-out items.
    metrics, k, gains
        As for `from_lists`; "auc", which has no depth, too.
    exclude : sparse matrix (n, n_items), optional
        Items that are not ranked: its stored entries.
    ties : {"id", "conservative", "standard", "median"}
        Which items of equal score are ahead of a relevant one: those with a smaller id, all, none, half of them.
    n_threads : int, optional

    Returns
    -------
    dict of str to float64 (n,)
        NaN for users without a relevant item; excluded ones are relevant, but never found.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from pyrec_core.metrics import from_scores
    >>> from_scores(np.array([[0.3, 0.9, 0.5]]), sp.csr_array([[0, 0, 1]]), ["mrr", "auc"], k=2)
    {'mrr@2': array([0.5]), 'auc': array([0.5])}
    """
    wanted = parse(metrics, k, (*RANKING, "auc"))
    scores = check_float_array("scores", scores, ndim=2)
    X = check_interactions("relevant", relevant, n_users=scores.shape[0], n_items=scores.shape[1])
    deepest = None if any(w.metric == "auc" for w in wanted) else max(w.depth for w in wanted)
    ranks = ranks_in_scores(scores, X, exclude, ties=ties, depth=deepest, n_threads=n_threads)
    names, depths = [RANKING.get(w.metric, w.metric) for w in wanted], [max(1, w.depth) for w in wanted]
    values = measure(
        ranks, X.indptr, names, depths, n_rankable=_rankable(scores.shape, exclude), n_threads=n_threads,
        **grades_of(X, gains),
    )  # fmt: skip
    return {w.label: row for w, row in zip(wanted, values, strict=True)}


def auc(scores: Any, relevant: Any, exclude: Any = None, *, n_threads: int | None = None) -> Values:
    """Return the area under the ROC curve of each user; ties count half.

    The share of the pairs of a relevant and another item in which the relevant one has the higher score; from the
    average ranks of the relevant items, (Mann & Whitney 1947).

    Parameters
    ----------
    scores, relevant, exclude, n_threads
        As for `from_scores`.

    Returns
    -------
    float64 (n,)
        NaN for users without a relevant or without another item.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from pyrec_core.metrics import auc
    >>> auc(np.array([[0.3, 0.9, 0.3, 0.1]]), sp.csr_array([[1, 0, 0, 0]]))
    array([0.5])
    """
    return from_scores(scores, relevant, "auc", exclude=exclude, ties="median", n_threads=n_threads)["auc"]


def rank(
    scores: Any, targets: ArrayLike, exclude: Any = None, *, ties: str = "conservative", n_threads: int | None = None
) -> Values:
    """Return the rank of one target in each row of scores, from 1: what session models are measured by.

    Parameters
    ----------
    scores : float32 or float64 array (n, n_items)
    targets : integers (n,)
        Item of each row.
    exclude : sparse matrix (n, n_items), optional
    ties : {"conservative", "standard", "median", "id"}
        As for `from_scores`. Conservative: a model that scores all items alike ranks the target last.
    n_threads : int, optional

    Returns
    -------
    float64 (n,)
        Infinite where the target is excluded.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.metrics import rank
    >>> scores = np.array([[0.5, 0.5, 0.5, 0.9]])
    >>> [rank(scores, [1], ties=ties)[0].item() for ties in ("conservative", "standard", "median")]
    [4.0, 2.0, 3.0]
    """
    scores = check_float_array("scores", scores, ndim=2)
    n, n_items = scores.shape
    items = check_ids("targets", targets, n_items, "item")
    if len(items) != n:
        raise ValueError(f"targets must be as many as rows of scores ({n}), got {len(items)}")
    one_each = Csr(np.arange(n + 1), items.astype(np.int32), np.ones(n, np.float32), (n, n_items))
    return ranks_in_scores(scores, one_each, exclude, ties=ties, n_threads=n_threads)


def _rankable(shape: tuple[int, int], exclude: Any) -> NDArray[np.int64]:
    """Return how many items are ranked in each row: a stored entry of ``exclude`` is excluded, also a zero."""
    n, n_items = shape
    stored = pattern("exclude", exclude, n, n_items)
    return np.full(n, n_items, np.int64) - (0 if stored is None else np.diff(stored[0]))
