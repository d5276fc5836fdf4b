"""Draws from a discrete distribution that depend on nothing but their address: (seed, purpose, epoch, position)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._backend import Array, backend_of, cpu
from .._validation import MAX_ID, as_array, check_int
from .random import _stream

__all__ = ["AliasTable", "alias_table", "sample"]


class AliasTable(NamedTuple):
    """What `alias_table` makes of n weights and `sample` draws from.

    Attributes
    ----------
    threshold : float64 (n,)
    alias : int32 (n,)
        A uniform draw of item i stands with probability ``threshold[i]``, otherwise it is ``alias[i]``.
    """

    threshold: Array
    alias: Array


def alias_table(weights: ArrayLike) -> AliasTable:
    """Prepare draws with probabilities proportional to ``weights``, in float64 (Walker 1977; Vose 1991).

    The table is made on the CPU, one item after the other; ``AliasTable(*map(cupy.asarray, table))`` is on a device.

    Parameters
    ----------
    weights : numbers (n,)
        Finite and >= 0, one at least > 0. Items of weight 0 are never drawn.

    Raises
    ------
    TypeError
        Weights that are not numbers.
    ValueError
        Negative, not finite or no positive weights.

    Examples
    --------
    >>> from pyrec_core.kernels.sampling import alias_table
    >>> alias_table([1, 0, 3]).threshold
    array([0.75, 0.  , 1.  ])
    """
    given = as_array("weights", weights)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"weights must be numbers, got {given.dtype}")
    if given.ndim != 1 or not 1 <= len(given) <= MAX_ID:
        raise ValueError(f"weights must be 1-D with 1 to {MAX_ID} entries, got shape {given.shape}")
    w = np.ascontiguousarray(given, np.float64)
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        raise ValueError(f"weights must be finite and >= 0, got {w[bad][0]} at position {np.flatnonzero(bad)[0]}")
    top = w.max()
    if top == 0:
        raise ValueError("weights must be > 0 somewhere, got zeros only")
    table = AliasTable(np.empty(len(w)), np.empty(len(w), np.int32))
    cpu().alias_table(table.threshold, table.alias, w / top)  # so that their sum is finite
    return table


def sample(
    table: AliasTable, n: int, *, seed: int, purpose: str, epoch: int = 0, first: int = 0, n_threads: int | None = None
) -> NDArray[np.int32]:
    """Draws ``first .. first + n - 1`` of a stream, independent and with replacement.

    They are made where the table is, and are the same on all devices.

    Parameters
    ----------
    table : AliasTable
        Of NumPy or CuPy arrays.
    n : int
        How many.
    seed, purpose, epoch, first, n_threads
        Of the stream: see `pyrec_core.kernels.random.uniform`.

    Returns
    -------
    int32 array (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.sampling import alias_table, sample
    >>> np.bincount(sample(alias_table([1, 0, 3]), 40_000, seed=1, purpose="negatives")) // 1000
    array([ 9,  0, 30])
    """
    n, where = check_int("n", n, low=0), _stream(seed, purpose, epoch, first)
    xp, native, ex = backend_of(*table, n_threads=n_threads)
    out: NDArray[np.int32] = xp.empty(n, np.int32)
    native.sample_alias(ex, out, *table, *where)
    return out
