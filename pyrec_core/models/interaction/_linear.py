"""Linear item-item models: what they share once their weights are learned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._backend import to_host
from ..._progress import Progress
from ..._validation import Csr, check_int
from ...kernels.ranking import ranks_in_sparse
from ...kernels.topk import sparse_pair_scores, sparse_top_k, top_k
from ._base import InteractionModel
from ._rows import Users

BLOCK_BYTES = 2**25  # work memory of largest_per_item


@dataclass(kw_only=True, eq=False, repr=False)
class LinearItemModel(InteractionModel):
    """Base of the models that score by ``x W`` for a user with row x: a leaf adds ``_fit``, which learns W.

    ``item_weights_`` is dense or CSR, (n_items, n_items); or it has one more row: the scores of a user without
    interactions, which all users get.
    """

    item_weights_: Any = field(init=False)

    def explain(self, users: Any, items: ArrayLike, k: int = 10) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return which of a user's items make the score of an item, and how much of it.

        Item j of a user with row x contributes ``x_j W_ji`` to the score of item i. The contributions of all
        items add up to what `predict` gives (of `MarginalizedDAE`: without the last row of its weights, which
        is the same for all users).

        Parameters
        ----------
        users : id, 1-D ids, sparse or 2-D matrix (n, n_items), or Interactions or Sessions
            Users of the training data; or the interactions of new users.
        items : id or ids of a shape that broadcasts with the users
            The items whose scores are to be explained.
        k : int
            How many contributions to return; the user's number of items gives them all.

        Returns
        -------
        items : int32 (k,) for one user and item, else (..., k)
            Items of the user, largest contribution first, ties: the first column first; items that contribute
            nothing are left out. Padded with -1; external ids as in `recommend`.
        contributions : float32 or float64, same shape
            Padded with 0.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError, ValueError
            As `recommend` and `predict`.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import EASE
        >>> model = EASE(l2=1.0, dtype="float64").fit(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]]))
        >>> items, parts = model.explain(0, 2, k=3)
        >>> items
        array([ 1,  0, -1], dtype=int32)
        >>> bool(np.isclose(parts.sum(), model.predict(0, 2)))
        True
        """
        self._check_ready()
        k = check_int("k", k, low=1)
        (rows, _), one = self._users(users)
        wanted = self._dense("item", items)
        users_shape = () if one else (rows.shape[0],)
        try:
            shape = np.broadcast_shapes(users_shape, wanted.shape)
        except ValueError:
            raise ValueError(f"users and items must broadcast, got shapes {users_shape} and {wanted.shape}") from None
        row_of = np.broadcast_to(np.arange(rows.shape[0]).reshape(users_shape), shape).reshape(-1)
        found, parts = self._contributions(rows.rows(row_of), np.broadcast_to(wanted, shape).reshape(-1), k)
        return self._external("item", found.reshape(*shape, k)), parts.reshape(*shape, k)

    def _contributions(self, rows: Csr, items: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the k largest contributions to the score of ``items[r]`` for row r, and the items they come from."""
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        n_entries, n_inputs = len(row), self.item_weights_.shape[0]
        entries = Csr(np.arange(n_entries + 1), rows.indices, rows.data, (n_entries, n_inputs))
        each = np.arange(n_entries)
        parts = to_host(sparse_pair_scores(entries, self._weights(), each, items[row], n_threads=self.n_threads))
        order = np.lexsort((rows.indices, -parts, row))
        order = order[parts[order] != 0]
        start = np.searchsorted(row[order], np.arange(rows.shape[0]))
        place = np.arange(len(order)) - start[row[order]]
        order, place = order[place < k], place[place < k]
        found = np.full((rows.shape[0], k), -1, np.int32)
        values = np.zeros((rows.shape[0], k), parts.dtype)
        found[row[order], place] = rows.indices[order]
        values[row[order], place] = parts[order]
        return found, values

    def _top_k(
        self, users: Users, k: int, exclude: Csr | None, candidates: Any
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        inputs, weights = self._inputs(users.rows), self._weights()
        items, scores = sparse_top_k(inputs, weights, k, exclude, candidates=candidates, n_threads=self.n_threads)
        return to_host(items), to_host(scores)

    def _pair_scores(self, users: Users, user_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        inputs, weights = self._inputs(users.rows), self._weights()
        scores: NDArray[Any] = to_host(sparse_pair_scores(inputs, weights, user_of, items, n_threads=self.n_threads))
        return scores

    def _similar_items(self, items: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        n = len(items)
        one_hot = Csr(np.arange(n + 1), items.astype(np.int32), np.ones(n, np.float32), (n, self.n_items_))
        weights = self._weights()
        if weights.shape[0] > self.n_items_:
            weights = weights[:-1]
        found, scores = sparse_top_k(one_hot, weights, k, one_hot, n_threads=self.n_threads)
        return to_host(found), to_host(scores)

    def _ranks_dense(self, users: Any, relevant: Csr, exclude_seen: bool, ties: str) -> NDArray[np.float64]:
        """Return the ranks of the relevant items of ``users``, as in `_recommend_dense`: for evaluation."""
        rows = self._users_dense(users).rows
        exclude = rows if exclude_seen else None
        inputs, weights = self._inputs(rows), self.item_weights_
        return ranks_in_sparse(inputs, weights, relevant, exclude, ties=ties, n_threads=self.n_threads)

    def _weights(self) -> Any:
        """Return the weights where scores are made: dense, sparse, or a `Csr` of arrays on a GPU."""
        return self.item_weights_

    def _inputs(self, rows: Csr) -> Csr:
        """Return the rows, with a 1 at their end where the weights have a row for it."""
        if self.item_weights_.shape[0] == self.n_items_:
            return rows
        indices = np.insert(rows.indices, rows.indptr[1:], np.int32(self.n_items_))
        data = np.insert(rows.data, rows.indptr[1:], 1)
        indptr = rows.indptr + np.arange(rows.shape[0] + 1)
        return Csr(indptr, indices, data, (rows.shape[0], self.n_items_ + 1))


def percent(bar: Progress) -> Callable[[float], None]:
    """Return what turns the shares of work that a kernel reports into whole steps of a bar of 100."""
    done = 0.0

    def report(share: float) -> None:
        nonlocal done
        before = round(100 * done)
        done += share
        bar.update(round(100 * done) - before)

    return report


def largest_per_item(weights: Any, keep: int, n_threads: int | None) -> Any:
    """Return the weights with the ``keep`` largest magnitudes of each column, as CSR; ties: the smaller row.

    Parameters
    ----------
    weights : dense array or CSR (n_items, n_items)
    keep : int >= 1
    n_threads : int, optional
    """
    return _largest_of_sparse(weights, keep) if sp.issparse(weights) else _largest_of_dense(weights, keep, n_threads)


def _largest_of_dense(weights: NDArray[Any], keep: int, n_threads: int | None) -> Any:
    n_items = weights.shape[1]
    keep = min(keep, n_items)
    block = max(1, BLOCK_BYTES // (n_items * weights.dtype.itemsize))
    rows, columns, values = [], [], []
    for first in range(0, n_items, block):
        part = np.ascontiguousarray(weights[:, first : first + block].T)
        found, _ = top_k(np.abs(part), keep, n_threads=n_threads)
        value = np.take_along_axis(part, found, axis=1)
        column, place = np.nonzero(value)  # zeros, such as the diagonal, are not stored
        rows.append(found[column, place])
        columns.append((column + first).astype(np.int32))
        values.append(value[column, place])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.coo_array(entries, shape=weights.shape).tocsr()


def _largest_of_sparse(weights: Any, keep: int) -> Any:
    w = weights.tocoo()
    order = np.lexsort((w.row, -np.abs(w.data), w.col))
    start = np.searchsorted(w.col[order], np.arange(w.shape[1]))
    kept = np.sort(order[np.arange(len(order)) - start[w.col[order]] < keep])
    return sp.coo_array((w.data[kept], (w.row[kept], w.col[kept])), shape=w.shape).tocsr()
