"""Who is asked for: rows of the training matrix by their ids, and rows of new users."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._validation import Csr, as_array, check_id_range, check_integers, check_interactions
from ..._vocabulary import Vocabulary
from .._estimator import Estimator
from ._inputs import align, is_log, refuse_frame


class Users(NamedTuple):
    """The users who are asked for: what they have, and who they are.

    Attributes
    ----------
    rows : Csr (n, n_items)
    ids : int64 (n,) or None
        Their rows in the training matrix; None: they are new, and their rows are all that is known of them.
    """

    rows: Csr
    ids: NDArray[np.int64] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class FittedRows(Estimator):
    """The training matrix of a fitted model, and what its rows and columns are called.

    ``answers_new_users`` is False in the models that learn something of each single user, and nothing of others.

    Attributes
    ----------
    n_users_, n_items_ : int
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix; absent in a model that was saved without it.
    user_ids_, item_ids_ : array (n_users,) and (n_items,), or None
        The ids of rows and columns as they came with the training data; None: their positions are their ids.
    user_order_, item_order_ : int64 array or None
        What sorts these ids; None where they are sorted.
    """

    answers_new_users: ClassVar[bool] = True

    n_users_: int = field(init=False)
    n_items_: int = field(init=False)
    interactions_: Any = field(init=False)
    user_ids_: NDArray[Any] | None = field(init=False, default=None)
    item_ids_: NDArray[Any] | None = field(init=False, default=None)
    user_order_: NDArray[np.int64] | None = field(init=False, default=None)
    item_order_: NDArray[np.int64] | None = field(init=False, default=None)

    def _vocabulary(self, what: str) -> Vocabulary | None:
        ids = getattr(self, f"{what}_ids_")
        return None if ids is None else Vocabulary(what, ids, getattr(self, f"{what}_order_"))

    def _dense(self, what: str, ids: ArrayLike, name: str | None = None) -> NDArray[np.int64]:
        """Return the dense ids of users or items (``what``: "user" or "item") given by their ids, of any shape."""
        name = name or f"{what}s"
        if what == "user":
            self._training_matrix()
        vocabulary = self._vocabulary(what)
        if vocabulary is not None:
            return vocabulary.dense(name, ids)
        n = self.n_users_ if what == "user" else self.n_items_
        return check_id_range(name, check_integers(name, ids), n, what)

    def _external(self, what: str, dense: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the ids of dense users or items, of any shape: the inverse of `_dense`, with -1 for nothing."""
        vocabulary = self._vocabulary(what)
        return dense if vocabulary is None else vocabulary.external(dense)

    def _users(self, users: Any) -> tuple[Users, bool]:
        """Return the users that ``users`` stands for, and whether it is a single one."""
        if not (is_log(users) or sp.issparse(users)):
            refuse_frame("users", users)
            given, users = users, as_array("users", users)
            if users.ndim < 2:
                ids = self._dense("user", given)
                return self._training_users(np.atleast_1d(ids)), ids.ndim == 0
        return self._new_users("users", users), False

    def _new_users(self, name: str, X: Any) -> Users:
        """Return users who have the rows of ``X``."""
        rows = self._new_rows(name, X)
        if not self.answers_new_users:
            raise ValueError(
                f"{name} must be ids of users of the training data, got rows of interactions: "
                f"{type(self).__name__} has learned nothing of new users"
            )
        return Users(rows)

    def _new_rows(self, name: str, X: Any) -> Csr:
        """Return rows of new users in the columns of the training matrix."""
        if is_log(X):
            return align(name, X, self.n_items_, lambda ids: self._dense("item", ids, name))
        refuse_frame(name, X)
        rows = check_interactions(name, X)
        if rows.shape[1] != self.n_items_:
            hint = ": it looks transposed" if rows.shape[1] == self.n_users_ else ""
            raise ValueError(
                f"{name} must have {self.n_items_} columns (items), got shape {rows.shape} "
                f"for a model of shape {(self.n_users_, self.n_items_)}{hint}"
            )
        return rows

    def _training_matrix(self) -> Csr:
        X = getattr(self, "interactions_", None)
        if X is None:
            why = "this model was saved without its interactions (include_interactions=False)"
            if self.answers_new_users:
                raise ValueError(f"users must be rows of interactions, got user ids: {why}")
            raise ValueError(f"the model must have its interactions to know users, got one without: {why}")
        return Csr(X.indptr, X.indices, X.data, X.shape)

    def _training_users(self, ids: NDArray[np.int64]) -> Users:
        return Users(self._training_matrix().rows(ids), ids)
