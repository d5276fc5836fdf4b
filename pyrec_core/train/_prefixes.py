"""Sessions cut into all their beginnings."""

import numpy as np
from numpy.typing import NDArray

from .._random import Source
from .._validation import check_float, check_int
from ..kernels.random import uniform


def prefixes(
    items: NDArray[np.int32],
    offsets: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    drop: float = 0.0,
    max_length: int | None = None,
    source: Source,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return what comes before each target in its session (Tan, Xu & Liu 2016, arXiv:1606.08117, section 3.1).

    Parameters
    ----------
    items : int32 (n,)
        The sessions end to end.
    offsets : int64 (n_sessions + 1,)
    targets : int64 (m,)
        Positions among ``items``, none of them the first of its session.
    drop : float in [0, 1)
        Probability with which each item is left out; the last one stays.
    max_length : int >= 1, optional
        Only so many items before a target are taken.
    source : Source
        Of the draws.

    Returns
    -------
    items : int32 (k,)
        The prefixes end to end.
    offsets : int64 (m + 1,)

    Raises
    ------
    ValueError
        ``drop`` or ``max_length`` out of range; a target that has no event before it in its session.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core._random import Source
    >>> from pyrec_core.train import prefixes
    >>> prefixes(np.array([5, 6, 7], "i4"), np.array([0, 3]), np.array([1, 2]), source=Source(0))
    (array([5, 5, 6], dtype=int32), array([0, 1, 3]))
    """
    if check_float("drop", drop, low=0.0) >= 1.0:
        raise ValueError(f"drop must be < 1, got {drop}")
    begins = offsets[np.searchsorted(offsets, targets, side="right") - 1]
    if max_length is not None:
        begins = np.maximum(begins, targets - check_int("max_length", max_length, low=1))
    lengths = targets - begins
    if lengths.min(initial=1) < 1 or targets.max(initial=-1) >= len(items):
        raise ValueError("targets must be events that have another before them in their session, got others")
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    event = np.repeat(begins - bounds[:-1], lengths) + np.arange(bounds[-1])
    if not drop:
        return items[event], bounds
    kept = uniform(len(event), **source.take("noise", len(event))) >= drop
    kept[bounds[1:] - 1] = True
    counts = np.concatenate([[0], np.cumsum(kept)])
    return items[event[kept]], counts[bounds]
