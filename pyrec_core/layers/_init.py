"""First values of parameters. They depend on the seed and on what was taken from the source before, on nothing else.

Uniform ones are the same bits everywhere. Normal ones come from Box and Muller's formula in float64; NumPy's logarithm
and cosine may differ in the last bit from one machine to another.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._random import Source
from .._validation import check_float, check_float_dtype
from ..kernels.random import uniform

_BLOCK = 2**20  # numbers made at a time: even


def glorot_uniform(
    shape: Sequence[int], source: Source, *, dtype: DTypeLike = np.float32, fan: Sequence[int] | None = None
) -> NDArray[Any]:
    """Uniform in ``+-sqrt(6 / sum(fan))``, by default of the sides of ``shape``. Glorot & Bengio 2010."""
    n = math.prod(shape)
    u: NDArray[Any] = uniform(n, **source.take("init", n), dtype=dtype)
    u = (2.0 * u - 1.0) * u.dtype.type(math.sqrt(6.0 / max(sum(fan or shape), 1)))
    return u.reshape(shape)


def normal(shape: Sequence[int], source: Source, *, std: float, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Normal with mean 0 and standard deviation ``std``."""
    std = check_float("std", std, low=0.0)
    n = math.prod(shape)
    out = np.empty(n, check_float_dtype("dtype", dtype))
    address = source.take("init", n + n % 2)
    for at in range(0, n, _BLOCK):
        size = min(_BLOCK, n - at)
        u = uniform(size + size % 2, **{**address, "first": address["first"] + at})
        radius, angle = std * np.sqrt(-2.0 * np.log1p(-u[::2])), 2.0 * np.pi * u[1::2]
        out[at : at + size] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:size]
    return out.reshape(shape)


def he_normal(shape: Sequence[int], source: Source, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Normal with variance ``2 / shape[0]``, for ReLU. He et al. 2015 (arXiv:1502.01852)."""
    return normal(shape, source, std=math.sqrt(2.0 / max(shape[0], 1)), dtype=dtype)


def lecun_normal(shape: Sequence[int], source: Source, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Normal with variance ``1 / shape[0]``, for SELU. Klambauer et al. 2017 (arXiv:1706.02515)."""
    return normal(shape, source, std=math.sqrt(1.0 / max(shape[0], 1)), dtype=dtype)
