"""Shuffled batches."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .._backend import to_device
from .._random import Source
from .._validation import check_int
from ..kernels.random import integers


def shuffled(
    n: int, batch_size: int, source: Source, *, fewest: int = 1, device: str = "cpu"
) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers 0..n-1 in random order, ``batch_size`` at a time.

    The last batch may be smaller; if it has less than ``fewest``, it joins the one before. The numbers lie on
    ``device``; they are the same on all.

    Examples
    --------
    >>> from pyrec_core._random import Source
    >>> from pyrec_core.train import shuffled
    >>> sorted(int(i) for batch in shuffled(5, 2, Source(0)) for i in batch)
    [0, 1, 2, 3, 4]
    """
    n, batch_size = check_int("n", n, low=0), check_int("batch_size", batch_size, low=1)
    order = np.argsort(integers(n, 2**63 - 1, **source.take("shuffle", n)), kind="stable")
    order = to_device(order, device, "the order of the examples")
    bounds = [*range(0, n, batch_size), n]
    if len(bounds) > 2 and n - bounds[-2] < fewest:
        del bounds[-2]
    for first, last in pairwise(bounds):
        yield order[first:last]
