"""Item-to-item: Linden, Smith & York, Amazon.com Recommendations, IEEE Internet Computing 2003."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import Csr, check_choice
from ...kernels.topk import sparse_top_k
from ._cooccurrence import neighbours
from ._linear import LinearItemModel


@dataclass(kw_only=True, eq=False, repr=False)
class ItemToItem(LinearItemModel):
    """Similar items: an item scores the sum of its similarities to the items that the user has.

    Parameters
    ----------
    similarity : {"cosine", "jaccard", "count"}
        Of two items: "cosine" of their columns of ``X``; with ``n_ij`` users who have both and ``n_i`` who have
        item i, "jaccard" is ``n_ij / (n_i + n_j - n_ij)`` and "count" is ``n_ij``. Values of ``X`` count for
        "cosine" only.
    n_neighbors : int, optional
        Each item is scored by the so many items most similar to it. None: by all.
    dtype : {"float32", "float64"}
        Of the weights.
    n_threads, random_state, verbose
        See `InteractionModel`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array (n_items, n_items)
        Column j holds the similarities of item j to its neighbours.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int

    Notes
    -----
    Memory is that of the neighbours; no n_items x n_items matrix is made. `similar_items` gives the neighbours of
    an item. With rows that are sessions instead of users this is the classic baseline of session models.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import ItemToItem
    >>> model = ItemToItem().fit(np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]]))
    >>> items, scores = model.similar_items(0, k=2)
    >>> items, scores.round(3)
    (array([1, 2], dtype=int32), array([0.816, 0.408], dtype=float32))
    """

    similarity: str = "cosine"
    n_neighbors: int | None = 50
    dtype: str = "float32"

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        similarity = check_choice("similarity", self.similarity, ("cosine", "jaccard", "count"))
        return {"item_weights_": neighbours(self, X, similarity, sample_weight).T.tocsr()}

    def _similar_items(self, items: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        # the neighbours of an item stand in its column: its row is where it serves as one
        n, own = len(items), self.item_weights_[:, items].T.tocsr()
        ids = items.astype(np.int32)
        itself = Csr(np.arange(n + 1), ids, np.ones(n, np.float32), (n, self.n_items_))
        each = Csr(np.arange(n + 1), np.arange(n, dtype=np.int32), np.ones(n, np.float32), (n, n))
        return sparse_top_k(each, own, k, itself, n_threads=self.n_threads)
