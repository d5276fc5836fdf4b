"""What the models that count items together have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._memory import require_memory
from ..._progress import progress
from ..._validation import Csr, check_choice, check_int
from ...kernels.cooccurrence import cooccurrence_weights
from ._linear import percent


def neighbours(
    model: Any, X: Csr, measure: str, sample_weight: NDArray[np.float64] | None, min_count: float = 0.0
) -> Any:
    """Return the neighbours of each item as rows, ``model.n_neighbors`` at most, with the model's progress bar."""
    name, n_items = type(model).__name__, X.shape[1]
    dtype = check_choice("dtype", model.dtype, ("float32", "float64"))
    keep = n_items if model.n_neighbors is None else check_int("n_neighbors", model.n_neighbors, low=1)
    pairs = int((np.diff(X.indptr) ** 2).sum())  # no more can be neighbours
    needed = 3 * (4 + np.dtype(dtype).itemsize) * min(n_items * min(keep, n_items), pairs)
    advice = "Set a smaller n_neighbors, drop rare items, or use a machine with more memory."
    require_memory(needed, f"{name} with {n_items} items", advice)
    with progress(100, name, model.verbose) as bar:
        return cooccurrence_weights(
            X, measure, model.n_neighbors, weights=sample_weight, min_count=min_count, dtype=dtype,
            n_threads=model.n_threads, progress=percent(bar),
        )  # fmt: skip
