"""Who is asked for: rows of the training matrix by their ids, and rows of new users."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._validation import Csr, as_array, check_id_range, check_integers, check_interactions
from ..._vocabulary import Vocabulary
from .._estimator import Estimator
from ._inputs import align, is_log, refuse_frame


@dataclass(kw_only=True, eq=False, repr=False)
class FittedRows(Estimator):
    """The training matrix of a fitted model, and what its rows and columns are called.

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

    def _rows(self, users: Any) -> tuple[Csr, bool]:
        """Return the rows that ``users`` stands for, and whether it is a single user."""
        if not (is_log(users) or sp.issparse(users)):
            refuse_frame("users", users)
            given, users = users, as_array("users", users)
            if users.ndim < 2:
                ids = self._dense("user", given)
                return self._training_rows(np.atleast_1d(ids)), ids.ndim == 0
        return self._new_rows("users", users), False

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

    def _training_matrix(self) -> Any:
        X = getattr(self, "interactions_", None)
        if X is None:
            raise ValueError(
                "users must be rows of interactions, got user ids: this model was saved without its "
                "interactions (include_interactions=False)"
            )
        return X

    def _training_rows(self, ids: NDArray[np.int64]) -> Csr:
        X = self._training_matrix()
        return Csr(X.indptr, X.indices, X.data, X.shape).rows(ids)
