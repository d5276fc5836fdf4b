"""Metrics of rankings, of scores, of ratings, and of lists alone.

**Of rankings**, one value per user: ``metric(ranked, relevant, k)`` with

* ``ranked``: integers (n, k'), best first, padded with -1; or one list of item ids per user,
* ``relevant``: the held-out items, the non-zeros of a sparse (n, n_items) matrix, or one list per user,
* ``k``: the depth. Lists may be shorter than ``k``: they end early, and empty positions are no hits,

gives float64 (n,), NaN for users without a relevant item. With ``h_r`` = 1 if the item at rank r is relevant, ``n``
relevant items, and ``P_r``, ``R_r`` precision and recall of the first r positions:

================= =================================================================================
precision         ``sum_{r<=k} h_r / k``, also where fewer than k items are ranked
recall            ``sum_{r<=k} h_r / n``
recall_trunc      ``sum_{r<=k} h_r / min(k, n)``
f1                ``2 P_k R_k / (P_k + R_k)``, 0 if both are 0
hit_rate          1 if there is a hit in the first k, else 0
mrr               1 / rank of the first hit if that is at most k, else 0
average_precision ``sum_{r<=k} P_r h_r / min(k, n)``; its mean over users is MAP
average_recall    ``sum_{r<=k} R_r h_r / n``; its mean over users is MAR
dcg               ``sum_{r<=k} h_r / log2(r+1)``; with grades g ``(2^g - 1) / log2(r+1)``
ndcg              dcg over the dcg of the best possible list
auc               pairs of a relevant and another item in the right order, of all such pairs; ties count half
partial_auc       the same where only the first k positions are known
================= =================================================================================

`from_lists` and `from_scores` find the ranks once for several metrics and depths; `auc` and `rank` take scores.
**Of ratings and clicks**: `rmse`, `mae`, `log_loss`, `global_auc`. **Of lists alone**: `coverage`, `gini`, `novelty`,
`intra_list_diversity`, and `popularity_groups` to report metrics by.

**What other libraries call the same.** "@k" stands for their depth:

========== =================================== ==========================================================
library    theirs                              ours
========== =================================== ==========================================================
implicit   precision@k                         `pooled_recall_trunc`: sum of hits / sum of ``min(k, n)``
implicit   map@k, ndcg@k                       `average_precision`, `ndcg`
implicit   auc@k                               `partial_auc`
RecBole    Recall, Precision, Hit, MRR, MAP,   `recall`, `precision`, `hit_rate`, `mrr`,
           NDCG @k                             `average_precision`, `ndcg` (at the largest of its depths:
                                               its MAP at a smaller one divides by at most that depth)
RecBole    GAUC                                `auc`, weighted by the user's relevant items
RecBole    AUC, LogLoss, RMSE, MAE             `global_auc`, `log_loss`, `rmse`, `mae`
RecBole    ItemCoverage, GiniIndex @k          `coverage`, `gini`
vae_cf     Recall@k, NDCG@k                    `recall_trunc`, `ndcg`
GRU4Rec    Recall@k, MRR@k                     `hit_rate` and `mrr` of the single next item, ranked by `rank`
                                               with ties "standard", "conservative" or "median"
========== =================================== ==========================================================

RecBole limits probabilities to 1e-15 in its LogLoss, here it is 1e-7. A target whose score is NaN ranks last here; by
GRU4Rec's conservative count it would rank first. For implicit's "auc" seen items count as items to rank.
"""

from ._lists import (
    coverage,
    gini,
    gini_of_counts,
    intra_list_diversity,
    item_counts,
    novelty,
    popularity_groups,
)
from ._ranking import (
    average_precision,
    average_recall,
    dcg,
    f1,
    from_lists,
    hit_rate,
    mrr,
    ndcg,
    partial_auc,
    pooled_recall_trunc,
    precision,
    recall,
    recall_trunc,
)
from ._ratings import global_auc, log_loss, mae, rmse
from ._scores import auc, from_scores, rank

__all__ = [
    "auc",
    "average_precision",
    "average_recall",
    "coverage",
    "dcg",
    "f1",
    "from_lists",
    "from_scores",
    "gini",
    "gini_of_counts",
    "global_auc",
    "hit_rate",
    "intra_list_diversity",
    "item_counts",
    "log_loss",
    "mae",
    "mrr",
    "ndcg",
    "novelty",
    "partial_auc",
    "pooled_recall_trunc",
    "popularity_groups",
    "precision",
    "rank",
    "recall",
    "recall_trunc",
    "rmse",
]
