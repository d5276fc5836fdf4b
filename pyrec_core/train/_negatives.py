"""Negative items, shared by all rows of a batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._backend import to_device
from .._random import Source
from .._validation import as_array, check_float, check_int
from ..kernels.sampling import AliasTable, alias_table, sample


class Negatives:
    """Items drawn with replacement, with probabilities proportional to ``support ** alpha``.

    Parameters
    ----------
    support : numbers (n_items,)
        How often each item occurs in the training data. Items with 0 are never drawn.
    n_sample : int >= 0
        Items a batch.
    alpha : float >= 0
        0: all items alike, 1: by popularity.
    cache : int >= 1
        How many items are drawn at once, at least one batch: the calls are few, the draws are the same.
    device : "cpu" or "cuda"
        Where they are drawn; they are the same on all.

    Examples
    --------
    >>> from pyrec_core._random import Source
    >>> from pyrec_core.train import Negatives
    >>> next(Negatives([1, 0, 100], n_sample=5, alpha=1.0).draws(Source(3)))
    array([2, 2, 2, 2, 2], dtype=int32)
    """

    def __init__(
        self,
        support: ArrayLike,
        n_sample: int,
        alpha: float = 0.5,
        *,
        cache: int = 1_000_000,
        device: str = "cpu",
    ) -> None:
        counts = as_array("support", support).astype(np.float64)
        if not (counts >= 0).all():
            raise ValueError(f"support must be >= 0, got {counts[~(counts >= 0)][0]}")
        self.n_sample = check_int("n_sample", n_sample, low=0)
        alpha = check_float("alpha", alpha, low=0.0)
        self._steps = max(1, check_int("cache", cache, low=1) // max(1, self.n_sample))
        self.weights: NDArray[np.float64] = np.where(counts > 0, counts**alpha, 0.0)
        self._table = AliasTable(*(to_device(a, device) for a in alias_table(self.weights)))

    def draws(self, source: Source) -> Iterator[NDArray[np.int32]]:
        """Yield the items of one batch after the other, without end."""
        n = self._steps * self.n_sample
        while True:
            address: dict[str, Any] = source.take("negatives", n)
            yield from sample(self._table, n, **address).reshape(self._steps, self.n_sample)
