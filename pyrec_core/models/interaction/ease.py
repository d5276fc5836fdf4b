"""EASE: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, arXiv:1905.03375."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._backend import array_module, is_cuda
from ..._memory import require_memory
from ..._progress import progress
from ..._random import stream
from ..._validation import Csr, check_bool, check_choice, check_float, check_int
from ...kernels.gram import ease_weights, gram
from ._closed_form import ADVICE, ClosedFormModel, require_matrix, rows_to_host
from ._linear import largest_per_item, percent

FLOAT32_CONDITION = 1e4  # beyond it a float32 inverse is off by more than 2e-5
POWER_ITERATIONS = 15
POWER_MARGIN = 1.5  # power iterations approach mu_max from below, slowly where eigenvalues lie close


@dataclass(kw_only=True, eq=False, repr=False)
class EASE(ClosedFormModel):
    """Linear item-item model in closed form: ridge regression of each item on all others.

    Minimises ``|X - X B|_F^2 + l2 |B|_F^2`` subject to ``diag(B) = 0``. With ``P = (X^T X + l2 I)^-1`` the
    solution is ``B_ij = -P_ij / P_jj`` (eq. 8 of the paper); a user with row x gets the scores ``x B``.
    Training needs memory for one n_items x n_items matrix and about n_items**3 operations.

    Parameters
    ----------
    l2 : float
        Penalty >= 0; search 10 to 1e4 on a log grid. 0 works only if no item is a combination of others.
    dtype : {"auto", "float32", "float64"}
        "auto": the weights are float32; they are computed in float64 if ``mu_max / l2 >= 1e4``, where mu_max
        is the largest eigenvalue of ``X^T X`` (the error of a float32 inverse grows with this ratio). The
        others force both computation and weights.
    positive : bool
        Set negative weights to zero after training (the paper's "EASE >= 0"), at a little loss of accuracy.
    max_weights_per_item : int, optional
        Keep the largest ``|B_ij|`` of each column j only; ``item_weights_`` is then sparse.
    device : {"cpu", "cuda"}
        Where the weights are made, and used to score. They come back as NumPy arrays: `set_params` lets a model that
        was fitted on one device score on the other; results agree to rounding. See the notes.
    n_threads, random_state, verbose
        See `InteractionModel`.

    Attributes
    ----------
    item_weights_ : (n_items, n_items) float32 or float64, or scipy.sparse.csr_array
        B: row i is what having item i adds to the scores of the others. Zero for items without interactions.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int
    user_ids_, item_ids_ : array or None
        The ids that came with the training data.

    Notes
    -----
    `similar_items` ranks by row i of B. `fit` raises `NotEnoughMemoryError` before it allocates what does not
    fit. A matrix that does not fit on a GPU stays on the host, and the GPU gets blocks of it, whose size changes the
    last bits; weights that do not fit there score on the CPU. Evaluation by ranks takes place on the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import EASE
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    >>> items, scores = EASE(l2=1.0).fit(X).recommend(3, k=1)
    >>> items
    array([1], dtype=int32)
    """

    l2: float = 500.0
    dtype: str = "auto"
    positive: bool = False
    max_weights_per_item: int | None = None

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        l2 = check_float("l2", self.l2, low=0)
        dtype = check_choice("dtype", self.dtype, ("auto", "float32", "float64"))
        positive = check_bool("positive", self.positive)
        keep = self.max_weights_per_item
        keep = None if keep is None else check_int("max_weights_per_item", keep, low=1)
        if dtype == "auto":
            factor, storage = ("float32" if _is_benign(X, sample_weight, l2) else "float64"), "float32"
        else:
            factor = storage = dtype
        if self.device == "cpu":
            _require_memory(X.shape[1], factor, storage, keep)
        out = self._gram_on_host(X, factor)
        G = gram(X, sample_weight, dtype=factor, out=out, device=self.device, n_threads=self.n_threads)
        if self.device == "cuda" and (is_cuda(G) or factor != storage):
            require_matrix("the weights", G.shape, storage, _sparse_bytes(X.shape[1], storage, keep))
        with progress(100, "EASE", self.verbose) as bar:
            B = ease_weights(G, l2, overwrite=True, device=self.device, n_threads=self.n_threads, progress=percent(bar))
        if positive:
            array_module(B).maximum(B, 0, out=B)
        B = _as_stored(B, storage)
        return {"item_weights_": B if keep is None else largest_per_item(B, keep, self.n_threads)}


def _as_stored(B: Any, storage: str) -> Any:
    if not is_cuda(B):
        return B.astype(storage, copy=False)
    weights = np.empty(B.shape, storage)
    rows_to_host(B, weights)
    return weights


def _require_memory(n_items: int, factor: str, storage: str, keep: int | None) -> None:
    """Refuse before the Gram matrix, which becomes the weights in place, and what is made of them."""
    one, other = np.dtype(factor).itemsize, np.dtype(storage).itemsize
    needed = (one + (other if factor != storage else 0)) * n_items**2  # Python integers: no overflow
    require_memory(needed + _sparse_bytes(n_items, storage, keep), f"EASE with {n_items} items", ADVICE)


def _sparse_bytes(n_items: int, storage: str, keep: int | None) -> int:
    if keep is None:
        return 0
    return 3 * (8 + np.dtype(storage).itemsize) * n_items * min(keep, n_items)  # thrice, while a row list becomes CSR


def _is_benign(X: Csr, sample_weight: NDArray[np.float64] | None, l2: float) -> bool:
    """Whether ``mu_max(X^T W X) / l2`` is below the limit for float32: by a cheap bound, else by estimate."""
    A = X.to_scipy()
    w = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    magnitude = abs(A)
    row_sums = magnitude.T @ (w * (magnitude @ np.ones(X.shape[1])))  # of |X|^T W |X|: their maximum bounds mu_max
    limit = FLOAT32_CONDITION * l2
    return bool(row_sums.max() < limit) or _largest_eigenvalue(A, w) * POWER_MARGIN < limit


def _largest_eigenvalue(A: Any, w: NDArray[np.float64]) -> float:
    """Estimate of the largest eigenvalue of ``A^T diag(w) A``, the same in each run."""
    A = A.astype(np.float64)  # once, not in each product
    v = stream(0, "power-iteration").standard_normal(A.shape[1])
    value = 0.0
    for _ in range(POWER_ITERATIONS):
        v /= max(float(np.sqrt(np.sum(v * v))), np.finfo(np.float64).tiny)
        v = A.T @ (w * (A @ v))
        value = float(np.sqrt(np.sum(v * v)))
    return value
