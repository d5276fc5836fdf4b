"""The function `evaluate`."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_array, check_bool, check_choice, check_int
from ..metrics._inputs import parse
from ..split import Split
from ._ranker import Ranker
from ._report import Evaluation
from ._totals import ListTotals, RankingTotals

# What evaluate calls a mean over users, and what the value of one user is called.
_RANKING = {
    "precision": "precision",
    "recall": "recall",
    "recall_trunc": "recall_trunc",
    "f1": "f1",
    "hit_rate": "hit_rate",
    "mrr": "mrr",
    "map": "ap",
    "mar": "ar",
    "dcg": "dcg",
    "ndcg": "ndcg",
    "auc": "auc",
}
_METRICS = (*_RANKING, "novelty", "ild", "coverage", "gini")  # the others are of the lists, whatever is relevant
_TIES = ("id", "conservative", "standard", "median")


def evaluate(
    model: Any,
    split: Split,
    metrics: str | Sequence[str] = ("precision", "recall", "ndcg"),
    k: int | Sequence[int] = 10,
    *,
    exclude_seen: bool = True,
    ties: str | None = None,
    item_groups: ArrayLike | None = None,
    item_features: Any = None,
    n_threads: int | None = None,
) -> Evaluation:
    """Rank all items for the test users of ``split``, and measure where the held-out ones come.

    Parameters
    ----------
    model : fitted model
        Fitted on ``split.train``. It needs ``recommend(users or rows, k=, exclude_seen=)``, and for sampled
        metrics ``predict(users, items)``.
    split : Split
        Its ``fold_in`` rows, or if there are none the users of ``train``, are given to the model. If it has
        ``negatives``, the held-out items of a user are ranked among these only, by ``predict``.
    metrics : str or sequence of str
        With a depth of its own ("ndcg@100") or without. Of a ranking: precision, recall, recall_trunc, f1, hit_rate,
        mrr, map, mar, dcg, ndcg (module `metrics`), and auc, which has no depth and ranks all items. Of the lists
        alone: novelty and ild (mean over users), coverage and gini (of all lists together).
    k : int or sequence of int
        Depths of the metrics without one.
    exclude_seen : bool
        Leave out what is known of each user. The output of the model is checked for it.
    ties : {"id", "conservative", "standard", "median"}, optional
        Which items of equal score are ahead of a held-out one: those with a smaller id, all, none, half of them.
        Default: "id", as ``recommend`` lists them, and "conservative" if the split has ``negatives``, so that a model
        without an opinion gets 0. Others than "id" rank all items.
    item_groups : array (n_items,), optional
        Group of each item (integers or strings, such as `metrics.popularity_groups`): the metrics of the ranking
        are also reported with the held-out items of each group as the only relevant ones.
    item_features : matrix (n_items, d), optional
        For "ild".
    n_threads : int, optional
        Used instead of the model's own ``n_threads``.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError
        ``split`` is no `Split`, or another argument has the wrong type.
    ValueError
        An unknown metric, k < 1, no held-out item at all, held-out items that are among the seen ones, or a
        model that returns excluded items or was fitted on another number of items.

    Notes
    -----
    Users are ranked in batches of at most 8192, whose lists hold about a million items; nothing else grows with their
    number but one value per metric and user.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import Popularity
    >>> from pyrec_core import evaluate
    >>> from pyrec_core.split import per_user
    >>> split = per_user(np.tri(8), test_size=0.25)
    >>> print(evaluate(Popularity().fit(split.train), split, ["recall", "ndcg@2", "coverage@1"], k=(1, 2)))
                  mean  std. error
    recall@1    0.7857      0.0935
    recall@2    1.0000      0.0000
    ndcg@2      1.0000      0.0000
    coverage@1  0.5000
    7 users, 0 of them cold; 1 skipped, nothing held out
    """
    if not isinstance(split, Split):
        raise TypeError(f"split must be a Split, got {type(split).__name__}")
    exclude_seen = check_bool("exclude_seen", exclude_seen)
    wanted = parse(metrics, k, _METRICS)
    if n_threads is not None:
        model = _with_threads(model, check_int("n_threads", n_threads, low=1))
    ranker = Ranker(model, split, exclude_seen, n_threads)
    ties = ("conservative" if ranker.sampled else "id") if ties is None else check_choice("ties", ties, _TIES)
    n, n_items = ranker.test.shape
    labels, group_of = _group(item_groups, n_items)
    if not ranker.test.nnz:
        raise ValueError("split must have a held-out item in split.test, got none")

    of_lists = [w for w in wanted if w.metric not in _RANKING]
    if of_lists and ranker.sampled:
        raise ValueError(f"metrics must be those of a ranking if the split has negatives, got {of_lists[0].label!r}")
    if item_features is None and any(w.metric == "ild" for w in wanted):
        raise ValueError("item_features must be given for ild, got None")
    of_ranking = [(w, _RANKING[w.metric]) for w in wanted if w.metric in _RANKING]
    full = ties != "id" or any(w.metric == "auc" for w in wanted)
    depth = max((w.depth for w in wanted if w in of_lists or not full), default=0)

    whole = RankingTotals(of_ranking, n, n_threads)
    parts = [RankingTotals(of_ranking, n, n_threads) for _ in labels]
    lists_alone = ListTotals(of_lists, split.train, n, item_features)
    for ids in ranker.batches(depth, full):
        held_out = ranker.test.rows(ids)
        lists = ranker.lists(ids, depth) if depth and not ranker.sampled else None
        if lists is not None:
            lists_alone.add(ids, lists)
        ranks = ranker.ranks(ids, held_out, ties, None if full else lists)
        n_rankable = ranker.n_rankable(ids, held_out) if full else None
        whole.add(ids, ranks, held_out.indptr, n_rankable)
        for number, part in enumerate(parts):
            keep = group_of[held_out.indices] == number
            part.add(ids, ranks[keep], np.append(0, np.cumsum(keep))[held_out.indptr], n_rankable)

    cold = np.diff(ranker.seen.indptr) == 0
    found = whole.evaluation(lists_alone.per_user, cold, ranker.sampled)
    mean = found.mean | lists_alone.of_all()
    return replace(
        found,
        mean={w.label: mean[w.label] for w in wanted},
        standard_error={w.label: found.standard_error.get(w.label, float("nan")) for w in wanted},
        item_groups={
            label: part.evaluation({}, cold, ranker.sampled) for label, part in zip(labels, parts, strict=True)
        },
    )


def _with_threads(model: Any, n_threads: int) -> Any:
    if not hasattr(model, "n_threads"):
        raise ValueError(f"n_threads must be None for a model without that parameter, got {n_threads}")
    model = copy(model)  # shares the fitted arrays: the caller's model, which others may use now, is not touched
    model.n_threads = n_threads
    return model


def _group(item_groups: ArrayLike | None, n_items: int) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the labels of the groups, and the number of each item's group."""
    if item_groups is None:
        return [], np.zeros(0, np.int64)
    groups = as_array("item_groups", item_groups)
    if groups.shape != (n_items,):
        raise ValueError(f"item_groups must have shape ({n_items},), one for each item, got {groups.shape}")
    labels, number = np.unique(groups, return_inverse=True)
    return labels.tolist(), number
