"""Models that count items together: what they share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._memory import require_memory
from ..._progress import progress
from ..._validation import Csr, check_choice, check_int
from ...kernels.cooccurrence import cooccurrence_weights
from ._linear import LinearItemModel, percent


@dataclass(kw_only=True, eq=False, repr=False)
class CooccurrenceModel(LinearItemModel):
    """Base of the models whose weights follow from how many users two items have in common."""

    n_neighbors: int | None = 50
    dtype: str = "float32"

    def _neighbours(
        self, X: Csr, measure: str, sample_weight: NDArray[np.float64] | None, min_count: float = 0.0
    ) -> Any:
        """Return the neighbours of each item as rows of a CSR matrix."""
        name, n_items = type(self).__name__, X.shape[1]
        dtype = check_choice("dtype", self.dtype, ("float32", "float64"))
        keep = n_items if self.n_neighbors is None else check_int("n_neighbors", self.n_neighbors, low=1)
        pairs = int((np.diff(X.indptr) ** 2).sum())  # no more can be neighbours
        needed = 3 * (4 + np.dtype(dtype).itemsize) * min(n_items * min(keep, n_items), pairs)  # lists, joined, sorted
        advice = "Set a smaller n_neighbors, drop rare items, or use a machine with more memory."
        require_memory(needed, f"{name} with {n_items} items", advice)
        with progress(100, name, self.verbose) as bar:
            return cooccurrence_weights(
                X, measure, self.n_neighbors, weights=sample_weight, min_count=min_count, dtype=dtype,
                n_threads=self.n_threads, progress=percent(bar),
            )  # fmt: skip
