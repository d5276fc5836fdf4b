"""Popularity: the baseline that every recommender has to beat."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import Csr
from ...kernels.topk import factor_top_k
from ._base import InteractionModel
from ._rows import Users


@dataclass(kw_only=True, eq=False, repr=False)
class Popularity(InteractionModel):
    """Score every item by the number of users who have it; the same for all users.

    The values of the interactions do not count, only that there is one: drop what is no sign of interest
    (low ratings) beforehand.

    Attributes
    ----------
    item_counts_ : float64 (n_items,)
        Users who have the item; with ``sample_weight`` the sum of their weights.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int
    user_ids_, item_ids_ : array or None
        The ids that came with the training data.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import Popularity
    >>> Popularity().fit(np.array([[1, 0, 1], [1, 1, 0]])).item_counts_
    array([2., 1., 1.])
    """

    item_counts_: NDArray[np.float64] = field(init=False)

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        weights = None if sample_weight is None else np.repeat(sample_weight, np.diff(X.indptr))
        counts = np.bincount(X.indices, weights, minlength=X.shape[1])
        return {"item_counts_": counts.astype(np.float64, copy=False)}

    def _top_k(
        self, users: Users, k: int, exclude: Csr | None, candidates: Any
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        all_alike, items = np.ones((users.rows.shape[0], 1)), self.item_counts_[:, None]
        return factor_top_k(all_alike, items, k, exclude, candidates=candidates, n_threads=self.n_threads)

    def _pair_scores(self, users: Users, user_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        return self.item_counts_[items]
