"""Models that learn something of each single user, and so know the users of the training data only."""

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...metrics import ndcg
from ._base import SCORE_DEPTH, InteractionModel
from ._inputs import beyond, check_weights, same_users
from ._rows import Users


@dataclass(kw_only=True, eq=False, repr=False)
class KnownUsersModel(InteractionModel, ABC):
    """Base of the models that score by who a user is: ``_top_k`` and ``_pair_scores`` always get the ids of users.

    Rows of new users are refused. A file of such a model has what was learned of each user, also if it was saved
    without the interactions; it then answers `similar_items` only.
    """

    answers_new_users: ClassVar[bool] = False

    def score(self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean NDCG@100 of what users have beyond their training interactions, which are left out.

        Parameters
        ----------
        X : sparse or dense matrix (n_users, n_items), or Interactions or Sessions
            Interactions of the users of the training data, with all or none of those that training had. Row u
            of a matrix is user u; the users and items of a container are found by their ids.
        y : ignored
            There for scikit-learn.
        sample_weight : array-like (n_users,), optional
            Finite weights >= 0 of the users in the mean.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        ValueError
            No user (of positive weight) has anything new; a matrix of another shape, or with only a part of what
            training had, as rows of other users have; unknown users or items.

        Notes
        -----
        The folds of scikit-learn are made of rows, which are other users each time, so that nothing can be asked of
        this model. Let all rows be both, and score what was held out of them::

            GridSearchCV(model, grid, cv=[(rows, rows)], scoring=lambda model, X, y=None: model.score(held_out))
        """
        self._check_ready()
        known = self._training_matrix()
        dense = (lambda ids: self._dense("user", ids, "X")), (lambda ids: self._dense("item", ids, "X"))
        hidden = beyond(same_users("X", X, known, *dense), known)
        weights = np.ones(known.shape[0]) if sample_weight is None else check_weights(sample_weight, known.shape)
        scored = np.flatnonzero((np.diff(hidden.indptr) > 0) & (weights > 0))
        if len(scored) == 0:
            raise ValueError("X must have interactions beyond those of the training data, got none")
        seen = known.rows(scored)
        ranked, _ = self._top_k(Users(seen, scored), SCORE_DEPTH, seen, None)
        found = ndcg(ranked, hidden.rows(scored).to_scipy(), SCORE_DEPTH)
        return float(np.average(found, weights=weights[scored]))
