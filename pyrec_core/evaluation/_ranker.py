"""Where the held-out items of test users come in a model's ranking: a batch of users at a time."""

from collections.abc import Iterator
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from .._errors import PyrecWarning
from .._validation import Csr, check_integers, check_interactions
from ..kernels.ranking import ranks_in_lists, ranks_in_scores
from ..split import Split

MAX_BATCH = 8192  # users
BATCH_ELEMENTS = 2**20  # ranked positions, or scored candidates, in one batch


class Ranker:
    """A model and a split: hands out batches of users, and the ranks of their held-out items.

    Attributes
    ----------
    test : Csr (n, n_items)
        What is to be found.
    seen : Csr (n, n_items)
        What is known of the same users.
    """

    def __init__(self, model: Any, split: Split, exclude_seen: bool, n_threads: int | None) -> None:
        self._model, self._split = model, split
        self._exclude_seen, self._n_threads = exclude_seen, n_threads
        self.test = check_interactions("split.test", split.test)
        name, known = ("train", split.train) if split.fold_in is None else ("fold_in", split.fold_in)
        n, n_items = self.test.shape
        self.seen = check_interactions(f"split.{name}", known, n_users=n, n_items=n_items)
        both = (abs(self.test.to_scipy()) * abs(self.seen.to_scipy())).nnz if exclude_seen else 0
        if both:
            rule = f"split.test must hold other items than split.{name} if exclude_seen=True"
            raise ValueError(f"{rule}, got {both} in both")
        if getattr(model, "n_items_", n_items) != n_items:
            fitted = (getattr(model, "n_users_", "?"), model.n_items_)
            raise ValueError(
                f"model must be fitted on matrices with the {n_items} columns (items) of split.test, got one fitted on "
                f"shape {fitted}"
            )
        self._negatives = None if split.negatives is None else self._check_negatives(split.negatives)

    @property
    def sampled(self) -> bool:
        """Whether held-out items are ranked among ``split.negatives`` only."""
        return self._negatives is not None

    def batches(self, depth: int, full: bool) -> Iterator[NDArray[np.int64]]:
        """Yield the users who have held-out items, few enough for lists of ``depth`` or, if ``full``, of all items."""
        if self._negatives is not None:
            width = self._negatives.shape[1] + 1
        else:
            width = self.test.shape[1] if full and not hasattr(self._model, "_ranks_dense") else depth
        users = np.flatnonzero(np.diff(self.test.indptr))
        size = min(MAX_BATCH, max(1, BATCH_ELEMENTS // max(1, width)))
        for first in range(0, len(users), size):
            yield users[first : first + size]

    def lists(self, ids: NDArray[np.int64], depth: int) -> NDArray[Any]:
        """Return the top ``depth`` of each user, after checking that no excluded item is among them."""
        return self._recommend(ids, depth)[0]

    def ranks(
        self, ids: NDArray[np.int64], held_out: Csr, ties: str, lists: NDArray[Any] | None
    ) -> NDArray[np.float64]:
        """Return the rank of each held-out item: from ``lists`` if given, else among all items.

        The conventions of ranks and ties are those of `pyrec_core.kernels.ranking`.
        """
        if self._negatives is not None:
            return self._sampled_ranks(ids, held_out, ties)
        if lists is not None:
            return ranks_in_lists(lists, held_out, n_threads=self._n_threads)
        if hasattr(self._model, "_ranks_dense"):  # which makes no table of scores
            ranks: NDArray[np.float64] = self._model._ranks_dense(self._known(ids), held_out, self._exclude_seen, ties)
            return ranks
        items, scores = self._recommend(ids, self.test.shape[1])
        table = np.full(items.shape, -np.inf, np.asarray(scores).dtype)
        row, place = np.nonzero(items >= 0)
        table[row, items[row, place]] = scores[row, place]
        seen = self.seen.rows(ids) if self._exclude_seen else None
        return ranks_in_scores(table, held_out, seen, ties=ties, n_threads=self._n_threads)

    def n_rankable(self, ids: NDArray[np.int64], held_out: Csr) -> NDArray[np.int64]:
        """Return how many items are ranked for each user."""
        if self._negatives is not None:
            n: NDArray[np.int64] = np.diff(held_out.indptr) + self._real_negatives(ids, held_out)[1].sum(axis=1)
            return n
        n = np.full(len(ids), self.test.shape[1], np.int64)
        return n - np.diff(self.seen.indptr)[ids] if self._exclude_seen else n

    def _known(self, ids: NDArray[np.int64]) -> Any:
        """Return what a model is given of the users: their ids, or the rows of users it was not fitted on."""
        return ids if self._split.fold_in is None else self.seen.rows(ids).to_scipy()

    def _recommend(self, ids: NDArray[np.int64], k: int) -> tuple[NDArray[Any], Any]:
        rows = self.seen.rows(ids)
        recommend = getattr(self._model, "_recommend_dense", self._model.recommend)  # without external ids
        found, scores = recommend(self._known(ids), k=k, exclude_seen=self._exclude_seen)[:2]
        ranked = check_integers("model.recommend", found)
        if ranked.shape != (len(ids), k):
            raise ValueError(f"model.recommend must return shape {(len(ids), k)}, got {ranked.shape}")
        if self._exclude_seen:
            excluded = np.isfinite(ranks_in_lists(ranked, rows, n_threads=self._n_threads))
            if excluded.any():
                at = int(np.flatnonzero(excluded)[0])
                row = int(np.searchsorted(rows.indptr, at, side="right")) - 1
                raise ValueError(
                    f"model.recommend must leave out seen items, got {excluded.sum()} of them "
                    f"(first: item {rows.indices[at]} for row {ids[row]} of split.test)"
                )
        return ranked, scores

    def _check_negatives(self, negatives: NDArray[np.int32]) -> NDArray[np.int64]:
        if self._split.fold_in is not None:
            raise ValueError("split.negatives must be None if there is fold_in: predict scores training users only")
        n = self.test.shape[0]
        checked = check_integers("split.negatives", negatives).astype(np.int64)
        if checked.ndim != 2 or len(checked) != n:
            raise ValueError(f"split.negatives must have {n} rows like split.test, got {checked.shape}")
        among_seen = np.isfinite(ranks_in_lists(checked, self.seen)).sum()  # checks ids and repetitions too
        if self._exclude_seen and among_seen:
            raise ValueError(f"split.negatives must not hold seen items if exclude_seen=True, got {among_seen} of them")
        return checked

    def _real_negatives(self, ids: NDArray[np.int64], held_out: Csr) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the negatives of each user, and which of them are: not padding, and not held out themselves."""
        assert self._negatives is not None
        others = self._negatives[ids]
        real = others >= 0
        row = np.repeat(np.arange(len(ids)), np.diff(held_out.indptr))
        place = ranks_in_lists(others, held_out)
        twice = np.isfinite(place)
        real[row[twice], place[twice].astype(np.int64) - 1] = False
        return others, real

    def _sampled_ranks(self, ids: NDArray[np.int64], held_out: Csr, ties: str) -> NDArray[np.float64]:
        others, real = self._real_negatives(ids, held_out)
        row = np.repeat(np.arange(len(ids)), np.diff(held_out.indptr))
        where, place = np.nonzero(real)
        scores = self._predict(
            np.concatenate([ids[row], ids[where]]),
            np.concatenate([held_out.indices, others[where, place]]),
        )
        positive = scores[: len(row)]
        negative = np.full(others.shape, -np.inf)
        negative[where, place] = scores[len(row) :]

        # the j-th best held-out item has rank j + the number of negatives ahead of it
        order = np.lexsort((-positive, row))
        rank = np.empty(len(row))
        rank[order] = 1 + np.arange(len(row)) - held_out.indptr[row]
        for step in range(others.shape[1]):
            ahead = (negative[row, step] > positive).astype(np.float64)
            equal = negative[row, step] == positive
            if ties == "id":
                ahead += equal & (others[row, step] < held_out.indices)
            else:
                ahead += {"conservative": 1.0, "median": 0.5, "standard": 0.0}[ties] * equal
            rank += ahead * real[row, step]
        return rank

    def _predict(self, users: NDArray[np.int64], items: NDArray[Any]) -> NDArray[np.float64]:
        predict = getattr(self._model, "_predict_dense", self._model.predict)  # without external ids
        scores = np.asarray(predict(users, items), np.float64)
        if scores.shape != users.shape:
            raise ValueError(f"model.predict must return shape {users.shape}, got {scores.shape}")
        missing = np.isnan(scores)
        if missing.any():
            warn(f"{missing.sum()} scores are NaN, they rank last", PyrecWarning, stacklevel=5)
            scores[missing] = -np.inf
        return scores
