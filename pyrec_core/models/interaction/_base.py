"""The interaction door: models that learn from a users x items matrix and rank items for users."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._errors import TrainingInterrupted
from ..._random import seed_of
from ..._validation import (
    Csr,
    check_bool,
    check_id_range,
    check_ids,
    check_int,
    check_integers,
)
from ..._vocabulary import Vocabulary
from ...metrics import ndcg
from ._inputs import check_training, check_weights, hide_fifth, is_log, vocabularies_of
from ._rows import FittedRows, Users

SCORE_DEPTH = 100


@dataclass(kw_only=True, eq=False, repr=False)
class InteractionModel(FittedRows, ABC):
    """Base of the interaction models: a leaf adds ``_fit``, ``_top_k``, ``_pair_scores``, ``_similar_items``.

    The scoring hooks get ``Users``: what they have, and who they are if they are users of the training data. A model
    that scores by what they have answers new users as well; one that does not is a `KnownUsersModel`.

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

    def fit(self, X: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from the interactions ``X``.

        Parameters
        ----------
        X : sparse or dense matrix (n_users, n_items), or Interactions or Sessions
            bool, integer or float; zeros are missing. The containers stand for their ``matrix()``; if they have
            external ids, these are the ids that the other methods take and give.
        sample_weight : array-like (n_users,), optional
            Finite weights >= 0 of the users.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            A parameter, ``X`` or ``sample_weight`` of the wrong type or dtype; a data frame as ``X``.
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
        return self._fit_by(self._fit, X, sample_weight)

    def _fit_by(
        self, learn: Callable[[Csr, NDArray[np.float64] | None], dict[str, Any]], X: Any, sample_weight: Any
    ) -> Self:
        """Check the input of ``fit``, and set what ``learn`` makes of it, also where Ctrl-C ends a training."""
        self._check_common()
        rows = check_training(X)
        weights = None if sample_weight is None else check_weights(sample_weight, rows.shape)
        known = vocabularies_of(X) if is_log(X) else {}
        try:
            learned = learn(rows, weights)
        except TrainingInterrupted as stop:
            self._set_learned(X, rows, known, stop.learned)
            raise
        self._set_learned(X, rows, known, learned)
        return self

    def _set_learned(self, X: Any, rows: Csr, known: dict[str, Vocabulary], learned: dict[str, Any]) -> None:
        if sp.issparse(X):  # may share memory with what the caller can change
            rows = Csr(rows.indptr, rows.indices.copy(), rows.data.copy(), rows.shape)
        n_users, n_items = rows.shape
        state: dict[str, Any] = {"n_users_": n_users, "n_items_": n_items, "n_features_in_": n_items}
        for what, vocabulary in known.items():
            state[f"{what}_ids_"] = vocabulary.ids.copy()
            if vocabulary.order is not None:
                state[f"{what}_order_"] = vocabulary.order
        self._set_fitted({**state, "interactions_": rows.to_scipy(), **learned})

    def recommend(
        self, users: Any, k: int = 10, exclude_seen: bool = True, candidates: Any = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the ``k`` best items of each user, best first.

        Parameters
        ----------
        users : id, 1-D ids, sparse or 2-D matrix (n, n_items), or Interactions or Sessions
            One user or several users of the training data by their ids; or the interactions of new users. Rows of
            a matrix have the columns of the training matrix; the items of a container are found by their ids.
        k : int
            Length of the lists.
        exclude_seen : bool
            Leave out the items that the user has in the training matrix (new users: in their row).
        candidates : 1-D ids or sparse (n, n_items), optional
            Rank these items only: one list for all, or the stored entries of each user's row.

        Returns
        -------
        items : int32 (n, k), or (k,) for one user
            Padded with -1 where fewer than ``k`` items can be ranked. Ties: the first column first. If the model
            has ``item_ids_``, these ids in their dtype; an object array, padded with None, where lists are short.
        scores : float32 or float64, same shape
            Padded with -inf.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            Ids of another kind than those of the training data (bool or float, strings for integers), a data
            frame, or another argument of the wrong type.
        ValueError
            Unknown users or items, wrong number of columns, k < 1; user ids for a model that was saved without
            its interactions.

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
        asked, one = self._users(users)
        if candidates is not None and not sp.issparse(candidates):
            candidates = self._dense("item", candidates, "candidates")
            if candidates.ndim != 1:
                raise ValueError(f"candidates must be 1-D, got shape {candidates.shape}")
        items, scores = self._ranked(asked, k, exclude_seen, candidates)
        found = self._external("item", items)
        return (found[0], scores[0]) if one else (found, scores)

    def predict(self, users: ArrayLike, items: ArrayLike) -> NDArray[Any]:
        """Return the scores of pairs of a user and an item, element by element.

        Parameters
        ----------
        users, items : ids, in arrays of any shapes that broadcast
            Ids of the training data. A column of users and a row of items give a whole table.

        Returns
        -------
        scores : float32 or float64
            Of the broadcast shape; a NumPy scalar for one pair. The cost is proportional to the pairs.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            Ids of another kind than those of the training data.
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
        return self._pairs(self._dense("user", users), self._dense("item", items))

    def similar_items(self, items: Any, k: int = 10) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the ``k`` items most similar to each of ``items``, which are left out themselves.

        Parameters
        ----------
        items : id or 1-D ids
        k : int

        Returns
        -------
        items : int32 (n, k), or (k,) for one item
            Padded with -1; external ids as in `recommend`.
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
        dense, scores = self._similar_items(np.atleast_1d(ids), k)
        found = self._external("item", dense)
        return (found[0], scores[0]) if one else (found, scores)

    def score(self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean NDCG@100 on held-out rows, for model selection by scikit-learn.

        A fifth of the items of each row, at least one, is hidden (drawn by ``random_state``); the others are
        given to `recommend`, and the hidden ones are to be found. Rows with fewer than two items are skipped.

        Parameters
        ----------
        X : sparse or dense matrix (n, n_items), or Interactions or Sessions
            Rows of users, not necessarily of the training data. The items of a container are found by their ids.
        y : ignored
            There for scikit-learn.
        sample_weight : array-like (n,), optional
            Finite weights >= 0 of the rows in the mean.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        ValueError
            No row (of positive weight) has two items; wrong number of columns, unknown items.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import Popularity
        >>> Popularity().fit(np.ones((3, 2))).score([[1, 1]])
        1.0
        """
        self._check_ready()
        rows = self._new_rows("X", X)
        weights = np.ones(rows.shape[0]) if sample_weight is None else check_weights(sample_weight, rows.shape)
        scored = np.flatnonzero((np.diff(rows.indptr) >= 2) & (weights > 0))
        if len(scored) == 0:
            raise ValueError("X must have rows with 2 or more items, got none")
        visible, hidden = hide_fifth(rows.rows(scored), seed_of(self.random_state or 0))
        ranked, _ = self._top_k(Users(visible), SCORE_DEPTH, visible, None)
        return float(np.average(ndcg(ranked, hidden.to_scipy(), SCORE_DEPTH), weights=weights[scored]))

    def save(self, path: str | os.PathLike[str], include_interactions: bool = True) -> None:
        """Write the fitted model to exactly ``path``, without pickle; `pyrec_core.load` reads it.

        Parameters
        ----------
        path : str or path-like
            No suffix is added. The file appears whole or not at all.
        include_interactions : bool
            Whether the training matrix and ``user_ids_`` go into the file. They are personal data; without them
            the loaded model still serves rows of new users, but no user ids.

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
            for name in ("interactions_", "user_ids_", "user_order_"):
                state.pop(name, None)
        self._save(path, state)

    @abstractmethod
    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        """Return what was learned, by attribute name. Setting nothing keeps an interrupted fit harmless."""

    @abstractmethod
    def _top_k(
        self, users: Users, k: int, exclude: Csr | None, candidates: Any
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the top k of these users."""

    @abstractmethod
    def _pair_scores(self, users: Users, user_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """Return (m,): the score of ``items[p]`` for user ``user_of[p]`` of ``users``."""

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

    def _recommend_dense(
        self, users: Any, k: int = 10, exclude_seen: bool = True, candidates: Any = None
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """`recommend` in positions, whatever the model's ids: what evaluation asks.

        Parameters
        ----------
        users : 1-D integers (n,), or `Csr`, sparse or 2-D matrix (n, n_items)
            Rows of the training matrix, or rows of new users in its columns.
        k, exclude_seen
            As in `recommend`.
        candidates : 1-D integers or sparse (n, n_items), optional

        Returns
        -------
        items : int32 (n, k)
            Columns of the training matrix, padded with -1.
        scores : float32 or float64 (n, k)
        """
        return self._ranked(self._users_dense(users), k, exclude_seen, candidates)

    def _users_dense(self, users: Any) -> Users:
        """Return the users that ``users`` stands for, as in `_recommend_dense`."""
        self._check_ready()
        if isinstance(users, Csr) or sp.issparse(users) or np.ndim(users) != 1:
            return self._new_users("users", users)
        return self._training_users(check_ids("users", users, self.n_users_, "user"))

    def _predict_dense(self, users: ArrayLike, items: ArrayLike) -> NDArray[Any]:
        """`predict` for rows and columns of the training matrix, whatever the model's ids."""
        self._check_ready()
        user_ids = check_id_range("users", check_integers("users", users), self.n_users_, "user")
        item_ids = check_id_range("items", check_integers("items", items), self.n_items_, "item")
        return self._pairs(user_ids, item_ids)

    def _ranked(
        self, users: Users, k: int, exclude_seen: bool, candidates: Any
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        k = check_int("k", k, low=1)
        return self._top_k(users, k, users.rows if check_bool("exclude_seen", exclude_seen) else None, candidates)

    def _pairs(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        try:
            users, items = np.broadcast_arrays(users, items)
        except ValueError:
            raise ValueError(f"users and items must broadcast, got shapes {users.shape} and {items.shape}") from None
        known, user_of = np.unique(users, return_inverse=True)
        items = np.ascontiguousarray(items).reshape(-1)
        scores = self._pair_scores(self._training_users(known), user_of.reshape(-1), items)
        return scores.reshape(users.shape)[()]
