"""The marginalised denoising auto-encoder, linear: Chen, Xu, Weinberger & Sha, ICML 2012, arXiv:1206.4683."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._backend import device_of, to_device, to_host
from ..._memory import require_memory
from ..._progress import progress
from ..._validation import Csr, check_choice, check_float
from ...kernels.gram import denoising_weights, gram
from ._closed_form import ADVICE, ClosedFormModel, require_matrix, rows_to_host
from ._linear import percent


@dataclass(kw_only=True, eq=False, repr=False)
class MarginalizedDAE(ClosedFormModel):
    """Linear denoising auto-encoder in closed form: the expectation over all ways to drop items, not a sample.

    Minimises the expectation of ``|X - Z W - b|_F^2 + l2 |W|_F^2``, where Z is X with each element dropped with
    probability ``dropout``, over W and the constant b (the paper's closed form, with a ridge on all but the
    constant). An item that may be missing says little of itself, so W does not become the identity and needs no
    zero diagonal; on the other weights the noise acts as a penalty that grows with the popularity of an item.
    A user with row x gets the scores ``x W + b``.

    Parameters
    ----------
    dropout : float
        Probability with which an item is dropped, >= 0 and < 1. With 0 this is plain ridge regression, whose large
        diagonal leaves little for the other items: a baseline.
    l2 : float
        Penalty >= 0, as in `EASE`.
    dtype : {"float32", "float64"}
        Of the computation and of the weights.
    device : {"cpu", "cuda"}
        Where the weights are made, and used to score, as in `EASE`.
    n_threads, random_state, verbose
        See `InteractionModel`.

    Attributes
    ----------
    item_weights_ : float32 or float64 (n_items + 1, n_items)
        W: row i is what having item i adds to the scores, its own included; the last row is b, the scores of a user
        without interactions.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int

    Notes
    -----
    Training needs memory for two n_items x n_items matrices and about n_items**3 operations. There is one layer:
    further ones, which the paper puts on ``tanh(X W)``, reconstruct that layer and not the items, so they make
    features and no ranking, and would turn each user's row dense.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import MarginalizedDAE
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    >>> items, scores = MarginalizedDAE(dropout=0.5, l2=1.0).fit(X).recommend(3, k=1)
    >>> items
    array([1], dtype=int32)
    """

    dropout: float = 0.5
    l2: float = 100.0
    dtype: str = "float32"

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        dropout, l2 = check_float("dropout", self.dropout, low=0), check_float("l2", self.l2, low=0)
        if dropout >= 1:
            raise ValueError(f"dropout must be < 1, got {dropout}")
        dtype = check_choice("dtype", self.dtype, ("float32", "float64"))
        n_users, n_items = X.shape
        if self.device == "cpu":
            require_memory(2 * np.dtype(dtype).itemsize * n_items**2, f"MarginalizedDAE with {n_items} items", ADVICE)

        weight = np.ones(n_users) if sample_weight is None else sample_weight
        of_entry = np.repeat(weight, np.diff(X.indptr)) * X.data
        sums = np.bincount(X.indices, of_entry, minlength=n_items).astype(dtype)
        out = self._gram_on_host(X, dtype)
        G = gram(X, sample_weight, dtype=dtype, out=out, device=self.device, n_threads=self.n_threads)
        if self.device == "cuda":
            require_matrix("the weights", (n_items + 1, n_items), dtype)
        with progress(100, "MarginalizedDAE", self.verbose) as bar:
            W, b = denoising_weights(
                G, to_device(sums, device_of(G)), float(weight.sum()), dropout, l2, overwrite=True,
                device=self.device, n_threads=self.n_threads, progress=percent(bar),
            )  # fmt: skip
        weights = np.empty((n_items + 1, n_items), dtype)
        rows_to_host(W, weights[:-1])
        weights[-1] = to_host(b)
        return {"item_weights_": weights}
