"""First values of parameters."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._random import Source
from ..kernels.random import uniform


def glorot_uniform(
    shape: Sequence[int], source: Source, *, dtype: DTypeLike = np.float32, fan: Sequence[int] | None = None
) -> NDArray[Any]:
    """Uniform in ``+-sqrt(6 / sum(fan))``; ``fan`` is inputs and outputs, by default ``shape``."""
    n = math.prod(shape)
    u: NDArray[Any] = uniform(n, **source.take("init", n), dtype=dtype)
    limit = math.sqrt(6.0 / max(sum(fan or shape), 1))
    values: NDArray[Any] = (2.0 * u - 1.0) * u.dtype.type(limit)
    return values.reshape(shape)
