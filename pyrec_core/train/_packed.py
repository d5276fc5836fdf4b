"""Sequences of different lengths, step by step: the layout that recurrent kernels work on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import check_integers


class Packed(NamedTuple):
    """Sequences sorted by length, longest first, and their events step by step, end to end.

    Attributes
    ----------
    order : int64 (B,)
        The sequences in the order of the lanes.
    steps : int64 (T,)
        How many sequences are still there in each step; does not rise.
    position : int64 (n,)
        Which event stands in each row: the rows of step 0, then those of step 1, and so on.
    last : int64 (B,)
        The row of the last event of each sequence, in the order of the lanes.
    """

    order: NDArray[np.int64]
    steps: NDArray[np.int64]
    position: NDArray[np.int64]
    last: NDArray[np.int64]


def pack(offsets: ArrayLike) -> Packed:
    """Lay sequences out step by step; ``offsets`` (B + 1,) say where each begins among the events.

    Empty sequences have no lane.

    Raises
    ------
    TypeError
        Offsets that are not integers.
    ValueError
        Offsets that do not rise from 0.

    Examples
    --------
    >>> from pyrec_core.train import pack
    >>> packed = pack([0, 2, 5])
    >>> packed.order, packed.steps, packed.position
    (array([1, 0]), array([2, 2, 1]), array([2, 0, 3, 1, 4]))
    """
    bounds = check_integers("offsets", offsets).astype(np.int64)
    if bounds.ndim != 1 or bounds[:1].tolist() != [0] or (np.diff(bounds) < 0).any():
        raise ValueError(f"offsets must be 1-D and rise from 0, got {bounds[:3].tolist()}... of shape {bounds.shape}")
    lengths = np.diff(bounds)
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    ends = lengths[order]
    n_steps = int(ends[0]) if len(ends) else 0
    steps = np.searchsorted(-ends, -np.arange(n_steps), side="left").astype(np.int64)
    before = np.cumsum(steps) - steps
    step = np.repeat(np.arange(n_steps), steps)
    lane = np.arange(len(step)) - before[step]
    return Packed(order, steps, bounds[:-1][order][lane] + step, before[ends - 1] + np.arange(len(ends)))
