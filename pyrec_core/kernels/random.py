"""Random numbers that depend on nothing but their address: (seed, purpose, epoch, position).

Philox4x32-10 (Salmon et al. 2011): the same numbers on any machine, SIMD level, device and number of threads.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._backend import Array, backend_of, backend_on
from .._validation import check_choice, check_float_dtype, check_int, check_integers, contiguous, looked_at

__all__ = ["PURPOSES", "integers", "uniform", "uniform_at"]

# A stream's number is part of what a seed means: append only.
PURPOSES = ("init", "shuffle", "negatives", "dropout", "noise", "split", "data")


def _stream(seed: int, purpose: str, epoch: int, first: int) -> tuple[int, int, int, int]:
    return (
        check_int("seed", seed, low=0, high=2**64 - 1),
        PURPOSES.index(check_choice("purpose", purpose, PURPOSES)),
        check_int("epoch", epoch, low=0, high=2**24 - 1),
        check_int("first", first, low=0, high=2**63 - 1),
    )


def uniform(
    n: int,
    *,
    seed: int,
    purpose: str,
    epoch: int = 0,
    first: int = 0,
    dtype: DTypeLike = np.float64,
    device: str = "cpu",
    n_threads: int | None = None,
) -> Array:
    """Elements ``first .. first + n - 1`` of a stream of numbers uniform in [0, 1).

    Parameters
    ----------
    n : int
        How many.
    seed : int in [0, 2**64)
    purpose : one of `PURPOSES`
        Streams of different purposes are independent.
    epoch : int in [0, 2**24)
        Independent streams of one purpose.
    first : int
        Position of the first element; a stream may be taken in pieces.
    dtype : float32 or float64
        float32 keeps the highest 24 of the bits from which float64 keeps 53.
    device : {"cpu", "cuda"}
        Where the result lies; its bits are the same.
    n_threads : int, optional

    Returns
    -------
    array (n,)

    Examples
    --------
    >>> from pyrec_core.kernels.random import uniform
    >>> whole = uniform(10, seed=7, purpose="noise")
    >>> bool((whole[4:] == uniform(6, seed=7, purpose="noise", first=4)).all())
    True
    """
    xp, native, ex = backend_on(device, n_threads=n_threads)
    out = xp.empty(check_int("n", n, low=0), check_float_dtype("dtype", dtype))
    native.random_uniform(ex, out, *_stream(seed, purpose, epoch, first))
    return out


def uniform_at(
    positions: ArrayLike,
    *,
    seed: int,
    purpose: str,
    epoch: int = 0,
    dtype: DTypeLike = np.float64,
    n_threads: int | None = None,
) -> Array:
    """Elements of the stream of `uniform` at these positions.

    What is drawn for one position does not depend on which others are asked for.

    Parameters
    ----------
    positions : integers >= 0 (n,)
        In any order, repeats allowed.
    seed, purpose, epoch, dtype, n_threads
        As in `uniform`.

    Returns
    -------
    array (n,)

    Examples
    --------
    >>> from pyrec_core.kernels.random import uniform, uniform_at
    >>> whole = uniform(10, seed=7, purpose="split")
    >>> bool((whole[[4, 1]] == uniform_at([4, 1], seed=7, purpose="split")).all())
    True
    """
    at = check_integers("positions", positions)
    if at.ndim != 1:
        raise ValueError(f"positions must be 1-D, got shape {at.shape}")
    if looked_at(at) and (at.min() < 0 or at.max() >= 2**63):
        raise ValueError(f"positions must be in 0..2**63 - 1, got {at.min()} to {at.max()}")
    at = contiguous(at, np.int64)
    xp, native, ex = backend_of(at, n_threads=n_threads)
    out = xp.empty(len(at), check_float_dtype("dtype", dtype))
    native.random_uniform_at(ex, out, at, *_stream(seed, purpose, epoch, 0)[:3])
    return out


def integers(
    n: int,
    high: int,
    *,
    seed: int,
    purpose: str,
    epoch: int = 0,
    first: int = 0,
    device: str = "cpu",
    n_threads: int | None = None,
) -> Array:
    """Elements ``first .. first + n - 1`` of a stream of integers uniform in [0, high).

    Parameters are those of `uniform`. The distribution is off by at most ``high / 2**64``.

    Returns
    -------
    int64 array (n,)
    """
    high = check_int("high", high, low=1, high=2**63 - 1)
    xp, native, ex = backend_on(device, n_threads=n_threads)
    out = xp.empty(check_int("n", n, low=0), np.int64)
    native.random_integers(ex, out, high, *_stream(seed, purpose, epoch, first))
    return out
