"""What is kept of each batch of users: a value per metric and user, and how often each item is recommended."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation import check_interactions
from ..kernels.ranking import measure
from ..metrics import gini_of_counts, intra_list_diversity, novelty
from ._report import Evaluation, summary


class Wanted(NamedTuple):
    """A value to report: "ndcg@10" is the metric "ndcg" at depth 10; "auc" has no depth (0)."""

    label: str
    metric: str
    depth: int


class RankingTotals:
    """Metrics of where the held-out items come, for each user."""

    def __init__(self, wanted: list[tuple[Wanted, str]], n_users: int, n_threads: int | None) -> None:
        self._labels = [w.label for w, _ in wanted]
        self._names, self._depths = [name for _, name in wanted], [max(1, w.depth) for w, _ in wanted]
        self._n_threads = n_threads
        self._evaluated = np.zeros(n_users, bool)
        self._values = np.full((len(wanted), n_users), np.nan)

    def add(
        self,
        ids: NDArray[np.int64],
        ranks: NDArray[np.float64],
        indptr: NDArray[np.int64],
        n_rankable: NDArray[np.int64] | None,
    ) -> None:
        """Take the ranks of the held-out items of users ``ids``."""
        self._evaluated[ids] = np.diff(indptr) > 0
        self._values[:, ids] = measure(
            ranks, indptr, self._names, self._depths, n_rankable=n_rankable, n_threads=self._n_threads
        )

    def evaluation(self, others: dict[str, NDArray[np.float64]], cold: NDArray[np.bool_], sampled: bool) -> Evaluation:
        """Return the summary of all batches, together with ``others``, values of the same users."""
        per_user = dict(zip(self._labels, self._values, strict=True)) | others
        return summary(per_user, self._evaluated, cold & self._evaluated, sampled)


class ListTotals:
    """Metrics of the lists alone, whatever is relevant."""

    def __init__(self, wanted: list[Wanted], train: Any, n_users: int, item_features: Any) -> None:
        self._wanted, self._features = wanted, item_features
        X = check_interactions("split.train", train)
        self._n_train_users, self._item_users = X.shape[0], np.bincount(X.indices, minlength=X.shape[1])
        self.per_user = {w.label: np.full(n_users, np.nan) for w in wanted if w.metric in ("novelty", "ild")}
        self._counts = {w.depth: np.zeros(X.shape[1], np.int64) for w in wanted if w.metric in ("coverage", "gini")}

    def add(self, ids: NDArray[np.int64], lists: NDArray[Any]) -> None:
        """Take the lists of users ``ids``."""
        for w in self._wanted:
            top = lists[:, : w.depth]
            if w.metric == "novelty":
                self.per_user[w.label][ids] = novelty(top, self._item_users, self._n_train_users)
            elif w.metric == "ild":
                self.per_user[w.label][ids] = intra_list_diversity(top, self._features)
        for depth, counts in self._counts.items():
            top = lists[:, :depth]
            counts += np.bincount(top[top >= 0], minlength=len(counts))

    def of_all(self) -> dict[str, float]:
        """Return coverage and Gini of all lists so far."""
        found = {}
        for w in self._wanted:
            if w.metric == "coverage":
                found[w.label] = float((self._counts[w.depth] > 0).mean())
            elif w.metric == "gini":
                found[w.label] = gini_of_counts(self._counts[w.depth])
        return found
