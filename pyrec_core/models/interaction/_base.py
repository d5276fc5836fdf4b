"""The interaction door: models that learn from a users x items matrix and rank items for users."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._interactions import Interactions
from ..._random import seed_of, stream
from ..._validation import (
    Csr,
    as_array,
    check_bool,
    check_id_range,
    check_ids,
    check_int,
    check_integers,
    check_interactions,
)
from ...metrics import ndcg
from .._estimator import Estimator

SCORE_DEPTH = 100


@dataclass(kw_only=True, eq=False, repr=False)
class InteractionModel(Estimator, ABC):
    """Base of the interaction models: a leaf adds ``_fit``, ``_top_k``, ``_pair_scores``, ``_similar_items``.

    Parameters
    ----------
    n_threads : int, optional
        Threads to use; None: all CPUs this process may use. Results do not depend on it.
    random_state : int, optional
        Seed of the held-out part in `score`. None is 0, so that a grid search compares on one split.
    verbose : bool, optional
        Whether ``fit`` shows its progress. None: in a terminal, after a second.
    """

    n_threads: int | None = None
    random_state: int | None = None
    verbose: bool | None = None
    n_users_: int = field(init=False)
    n_items_: int = field(init=False)
    interactions_: Any = field(init=False)

    def fit(self, X: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from the interactions ``X``.

        Parameters
        ----------
        X : sparse or dense matrix (n_users, n_items), or Interactions
            bool, integer or float; zeros are missing. Interactions stand for their ``matrix()``.
        sample_weight : array-like (n_users,), optional
            Finite weights >= 0 of the users.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            A parameter, ``X`` or ``sample_weight`` of the wrong type or dtype.
        ValueError
            A parameter out of range, no users, no items, NaN or infinity; weights of the wrong length,
            negative or all zero.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import EASE
        >>> EASE(l2=1.0).fit(np.array([[1, 1, 0], [0, 1, 1]])).n_items_
        3
        """
        self._check_common()
        matrix = _matrix(X)
        rows = check_interactions("X", matrix)
        n_users, n_items = rows.shape
        for n, what in ((n_users, "sample(s)"), (n_items, "feature(s)")):
            if n == 0:
                rule = f"X must have users and items, got 0 {what} (shape={rows.shape})"
                raise ValueError(f"{rule} while a minimum of 1 is required.")
        weights = None if sample_weight is None else _check_weights(sample_weight, n_users)
        learned = self._fit(rows, weights)
        if sp.issparse(matrix):  # may share memory with what the caller can change
            rows = Csr(rows.indptr, rows.indices.copy(), rows.data.copy(), rows.shape)
        sizes = {"n_users_": n_users, "n_items_": n_items, "n_features_in_": n_items}
        self._set_fitted({**sizes, "interactions_": rows.to_scipy(), **learned})
        return self

    def recommend(
        self, users: Any, k: int = 10, exclude_seen: bool = True, candidates: Any = None
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the ``k`` best items of each user, best first.

        Parameters
        ----------
        users : int, 1-D integers, or sparse or 2-D matrix (n, n_items)
            One user or several users of the training matrix by their ids; or the interactions of new users.
        k : int
            Length of the lists.
        exclude_seen : bool
            Leave out the items that the user has in the training matrix (new users: in their row).
        candidates : 1-D integers or sparse (n, n_items), optional
            Rank these items only: one list for all, or the stored entries of each user's row.

        Returns
        -------
        items : int32 (n, k), or (k,) for one user
            Padded with -1 where fewer than ``k`` items can be ranked. Ties: the smaller id first.
        scores : float32 or float64, same shape
            Padded with -inf.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            ``users`` are bool or float ids, or another argument has the wrong type.
        ValueError
            Unknown users, wrong number of columns, k < 1, unknown candidates; user ids for a model that was
            saved without its interactions.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import Popularity
        >>> model = Popularity().fit(np.array([[1, 0, 1], [1, 1, 0], [1, 0, 1]]))
        >>> items, scores = model.recommend([0, 1], k=2)
        >>> items
        array([[ 1, -1],
               [ 2, -1]], dtype=int32)
        """
        self._check_ready()
        k = check_int("k", k, low=1)
        exclude_seen = check_bool("exclude_seen", exclude_seen)
        rows, one = self._rows(users)
        if candidates is not None and not sp.issparse(candidates):
            candidates = check_ids("candidates", candidates, self.n_items_, "item")
        items, scores = self._top_k(rows, k, rows if exclude_seen else None, candidates)
        return (items[0], scores[0]) if one else (items, scores)

    def predict(self, users: ArrayLike, items: ArrayLike) -> NDArray[Any]:
        """Return the scores of pairs of a user and an item, element by element.

        Parameters
        ----------
        users, items : integers of any shapes that broadcast
            Ids of the training matrix. A column of users and a row of items give a whole table.

        Returns
        -------
        scores : float32 or float64
            Of the broadcast shape; a NumPy scalar for one pair. The cost is proportional to the pairs.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            Ids that are not integers.
        ValueError
            Unknown ids, shapes that do not broadcast, a model that was saved without its interactions.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import Popularity
        >>> model = Popularity().fit(np.array([[1, 0, 1], [1, 1, 0]]))
        >>> model.predict(0, [0, 1, 2])
        array([2., 1., 1.])
        """
        self._check_ready()
        user_ids, item_ids = self._dense("user", users), self._dense("item", items)
        try:
            user_ids, item_ids = np.broadcast_arrays(user_ids, item_ids)
        except ValueError:
            raise ValueError(
                f"users and items must broadcast, got shapes {user_ids.shape} and {item_ids.shape}"
            ) from None
        known, row_of = np.unique(user_ids, return_inverse=True)
        rows = self._training_rows(known.astype(np.int64))
        scores = self._pair_scores(rows, row_of.reshape(-1), item_ids.reshape(-1).astype(np.int64))
        return scores.reshape(user_ids.shape)[()]

    def similar_items(self, items: Any, k: int = 10) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the ``k`` items most similar to each of ``items``, which are left out themselves.

        Parameters
        ----------
        items : int or 1-D integers
        k : int

        Returns
        -------
        items : int32 (n, k), or (k,) for one item
            Padded with -1.
        scores : float32 or float64, same shape
            Padded with -inf.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError, ValueError
            Wrong ids or ``k``; a model without a notion of similarity.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import EASE
        >>> EASE(l2=1.0).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])).similar_items(0, k=1)[0]
        array([1], dtype=int32)
        """
        self._check_ready()
        k = check_int("k", k, low=1)
        ids = self._dense("item", items)
        one = ids.ndim == 0
        if ids.ndim > 1:
            raise ValueError(f"items must be one item or 1-D, got shape {ids.shape}")
        found, scores = self._similar_items(np.atleast_1d(ids), k)
        return (found[0], scores[0]) if one else (found, scores)

    def score(self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean NDCG@100 on held-out rows, for model selection by scikit-learn.

        A fifth of the items of each row, at least one, is hidden (drawn by ``random_state``); the others are
        given to `recommend`, and the hidden ones are to be found. Rows with fewer than two items are skipped.

        Parameters
        ----------
        X : sparse or dense matrix (n, n_items), or Interactions
            Rows of users, not necessarily of the training matrix.
        y : ignored
            There for scikit-learn.
        sample_weight : array-like (n,), optional
            Finite weights >= 0 of the rows in the mean.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        ValueError
            No row (of positive weight) has two items; wrong number of columns.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import Popularity
        >>> Popularity().fit(np.ones((3, 2))).score([[1, 1]])
        1.0
        """
        self._check_ready()
        rows = check_interactions("X", _matrix(X), n_items=self.n_items_)
        n = rows.shape[0]
        weights = np.ones(n) if sample_weight is None else _check_weights(sample_weight, n)
        scored = np.flatnonzero((np.diff(rows.indptr) >= 2) & (weights > 0))
        if len(scored) == 0:
            raise ValueError("X must have rows with 2 or more items, got none")
        visible, hidden = _hide_fifth(rows.rows(scored), seed_of(self.random_state or 0))
        ranked, _ = self._top_k(visible, SCORE_DEPTH, visible, None)
        return float(np.average(ndcg(ranked, hidden.to_scipy(), SCORE_DEPTH), weights=weights[scored]))

    def save(self, path: str | os.PathLike[str], include_interactions: bool = True) -> None:
        """Write the fitted model to exactly ``path``, without pickle; `pyrec_core.load` reads it.

        Parameters
        ----------
        path : str or path-like
            No suffix is added. The file appears whole or not at all.
        include_interactions : bool
            Whether the training matrix goes into the file. It is personal data; without it the loaded model
            still serves rows of new users, but no user ids.

        Raises
        ------
        NotFittedError
            The model is not fitted.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pyrec_core import Popularity
        >>> path = os.path.join(tempfile.mkdtemp(), "model")
        >>> Popularity().fit(np.eye(3)).save(path, include_interactions=False)
        """
        state = self._fitted_attributes()
        if not check_bool("include_interactions", include_interactions):
            state.pop("interactions_", None)
        self._save(path, state)

    @abstractmethod
    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        """Return what was learned, by attribute name. Setting nothing keeps an interrupted fit harmless."""

    @abstractmethod
    def _top_k(self, rows: Csr, k: int, exclude: Csr | None, candidates: Any) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the top k of users who have these rows."""

    @abstractmethod
    def _pair_scores(self, rows: Csr, row_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """Return (m,): the score of ``items[p]`` for the user with row ``row_of[p]``."""

    def _similar_items(self, items: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        name = type(self).__name__
        raise ValueError(f"model must relate items to each other, got {name}, which has no notion of similarity")

    def _check_common(self) -> None:
        """Check the fields of this base; they can be changed between ``fit`` and ``recommend``."""
        if self.n_threads is not None:
            check_int("n_threads", self.n_threads, low=1)
        if self.random_state is not None:
            check_int("random_state", self.random_state, low=0)
        if self.verbose is not None:
            check_bool("verbose", self.verbose)

    def _check_ready(self) -> None:
        self.check_fitted()
        self._check_common()

    def _dense(self, what: str, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the dense ids of the given users or items (``what``: "user" or "item"), of any shape."""
        n = self.n_users_ if what == "user" else self.n_items_
        return check_id_range(f"{what}s", check_integers(f"{what}s", ids), n, what)

    def _rows(self, users: Any) -> tuple[Csr, bool]:
        """Return the rows that ``users`` stands for, and whether it is a single user."""
        if not sp.issparse(users):
            given, users = users, as_array("users", users)
            if users.ndim < 2:
                ids = check_integers("users", given)
                one = ids.ndim == 0
                ids = check_ids("users", ids[None] if one else ids, self.n_users_, "user")
                return self._training_rows(ids), one
        return check_interactions("users", users, n_items=self.n_items_), False

    def _training_rows(self, ids: NDArray[np.int64]) -> Csr:
        X = getattr(self, "interactions_", None)
        if X is None:
            raise ValueError(
                "users must be rows of interactions, got user ids: this model was saved without its "
                "interactions (include_interactions=False)"
            )
        return Csr(X.indptr, X.indices, X.data, X.shape).rows(ids)


def _matrix(X: Any) -> Any:
    return X.matrix() if isinstance(X, Interactions) else X


def _check_weights(sample_weight: ArrayLike, n_users: int) -> NDArray[np.float64]:
    weights = as_array("sample_weight", sample_weight)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"sample_weight must be numbers, got {weights.dtype}")
    if weights.shape != (n_users,):
        raise ValueError(f"sample_weight must have shape ({n_users},), got {weights.shape}")
    weights = weights.astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = weights[~(weights >= 0) | np.isinf(weights)]
        raise ValueError(f"sample_weight must be finite and >= 0, got {bad[0]}")
    if not weights.any():
        raise ValueError("sample_weight must be > 0 somewhere, got zeros only")
    return weights


def _hide_fifth(X: Csr, seed: int) -> tuple[Csr, Csr]:
    """Split each row into a visible and a hidden part: a fifth of its items, at least one."""
    lengths = np.diff(X.indptr)
    row = np.repeat(np.arange(X.shape[0]), lengths)
    shuffled = np.lexsort((stream(seed, "score").random(X.nnz), row))
    place = np.empty(X.nnz, np.int64)
    place[shuffled] = np.arange(X.nnz) - X.indptr[row]
    hidden = place < np.maximum(1, lengths // 5)[row]
    return _part(X, row, ~hidden), _part(X, row, hidden)


def _part(X: Csr, row: NDArray[np.int64], keep: NDArray[np.bool_]) -> Csr:
    indptr = np.zeros(X.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(row[keep], minlength=X.shape[0]), out=indptr[1:])
    return Csr(indptr, X.indices[keep], X.data[keep], X.shape)
