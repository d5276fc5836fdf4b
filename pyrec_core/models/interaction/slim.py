"""SLIM: Ning & Karypis, Sparse Linear Methods for Top-N Recommender Systems, ICDM 2011."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._memory import require_memory
from ..._progress import progress
from ..._validation import Csr, check_bool, check_choice, check_float, check_int
from ...kernels.cooccurrence import cooccurrence_weights
from ...kernels.gram import gram
from ...kernels.slim import slim_weights
from ._linear import LinearItemModel, largest_per_item, percent


@dataclass(kw_only=True, eq=False, repr=False)
class SLIM(LinearItemModel):
    """Sparse linear item-item model: an elastic net of each item on all others.

    Minimises ``1/2 |X - X W|_F^2 + l2/2 |W|_F^2 + l1 |W|_1`` subject to ``diag(W) = 0`` and ``W >= 0`` by
    coordinate descent on the Gram matrix ``X^T X``; a user with row x gets the scores ``x W``.

    Parameters
    ----------
    l1 : float
        Penalty >= 0 on the sum of the weights: the larger, the fewer are not zero. An item gets no weight from
        items that fewer than l1 users have together with it.
    l2 : float
        Penalty >= 0 on their squares. Search both on a log grid, l1 from 1 to 100 and l2 from 10 to 1000.
    positive : bool
        Whether weights must not be negative. With ``positive=False`` and ``l1=0`` this is `EASE`, which is then
        far quicker.
    n_neighbors : int, optional
        Let only the items of largest cosine with an item have a weight for it ("fsSLIM" in the paper).
    max_weights_per_item : int, optional
        Keep the largest ``|W_ij|`` of each column j only, after training.
    tol : float
        Item j is done when its optimality conditions hold to ``tol`` times the largest entry of column j of the
        Gram matrix, its diagonal aside. See `pyrec_core.kernels.slim.slim_weights`.
    max_iter : int
        Largest number of sweeps over the weights of an item. A `ConvergenceWarning` tells if it was too small.
    dtype : {"float32", "float64"}
        Of the Gram matrix and of the weights.
    n_threads, random_state, verbose
        See `InteractionModel`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array (n_items, n_items)
        W: row i is what having item i adds to the scores of the others.
    n_iter_ : int
        The largest number of sweeps that an item took.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int

    Notes
    -----
    Training needs memory for one n_items x n_items matrix. `similar_items` ranks by row i of W. irspack's
    ``alpha`` and ``l1_ratio`` are ``l1 = n_users alpha l1_ratio`` and ``l2 = n_users alpha (1 - l1_ratio)``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import SLIM
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    >>> items, scores = SLIM(l1=0.1, l2=1.0).fit(X).recommend(3, k=1)
    >>> items
    array([1], dtype=int32)
    """

    l1: float = 1.0
    l2: float = 200.0
    positive: bool = True
    n_neighbors: int | None = None
    max_weights_per_item: int | None = None
    tol: float = 1e-4
    max_iter: int = 1000
    dtype: str = "float32"
    n_iter_: int = field(init=False)

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        l1, l2 = check_float("l1", self.l1, low=0), check_float("l2", self.l2, low=0)
        positive = check_bool("positive", self.positive)
        keep = _optional_int("max_weights_per_item", self.max_weights_per_item)
        n_neighbors = _optional_int("n_neighbors", self.n_neighbors)
        tol = check_float("tol", self.tol, low=0, low_open=True)
        max_iter = check_int("max_iter", self.max_iter, low=1)
        dtype = check_choice("dtype", self.dtype, ("float32", "float64"))
        n_items, n_threads = X.shape[1], self.n_threads
        advice = 'Drop rare items, set dtype="float32", or use a machine with more memory.'
        require_memory(np.dtype(dtype).itemsize * n_items**2, f"SLIM with {n_items} items", advice)

        candidates = None
        if n_neighbors is not None:
            candidates = cooccurrence_weights(X, "cosine", n_neighbors, weights=sample_weight, n_threads=n_threads)
        G = gram(X, sample_weight, dtype=dtype, n_threads=n_threads)
        with progress(100, "SLIM", self.verbose) as bar:
            W, n_iter = slim_weights(
                G, l1, l2, positive=positive, candidates=candidates, tol=tol, max_iter=max_iter,
                n_threads=n_threads, progress=percent(bar),
            )  # fmt: skip
        if keep is not None:
            W = largest_per_item(W, keep, n_threads)
        return {"item_weights_": W, "n_iter_": int(n_iter.max())}


def _optional_int(name: str, value: int | None) -> int | None:
    return None if value is None else check_int(name, value, low=1)
