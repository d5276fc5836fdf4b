"""Shuffled batches."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._random import Source
from .._validation import check_int
from ..kernels.random import integers


def shuffled(n: int, batch_size: int, source: Source) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers 0..n-1 in random order, ``batch_size`` at a time; the last batch may be smaller.

    Examples
    --------
    >>> from pyrec_core._random import Source
    >>> from pyrec_core.train import shuffled
    >>> sorted(int(i) for batch in shuffled(5, 2, Source(0)) for i in batch)
    [0, 1, 2, 3, 4]
    """
    n, batch_size = check_int("n", n, low=0), check_int("batch_size", batch_size, low=1)
    order = np.argsort(integers(n, 2**63 - 1, **source.take("shuffle", n)), kind="stable")
    for first in range(0, n, batch_size):
        yield order[first : first + batch_size]
