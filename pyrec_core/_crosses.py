"""Crosses: combinations of categories, hashed to the rows of a table (Cheng et al. 2016, section 3.1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def cross(columns: Sequence[NDArray[np.integer[Any]]], size: int) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Return the row of each combination of ids in a table of ``size`` rows, and its 64 bits.

    The ids of a combination are mixed in one after the other by the finaliser of SplitMix64 (Steele, Lea & Flood 2014);
    the row is what is left after division by ``size``. The order of the columns counts.
    """
    bits = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        bits = _mixed((bits + _STEP) ^ column.astype(np.int64).view(np.uint64))
    return (bits % np.uint64(size)).astype(np.int32), bits


def collision_rate(bits: NDArray[np.uint64], size: int) -> float:
    """Return the share of the distinct combinations whose row is that of another one too."""
    distinct = np.unique(bits)
    if not len(distinct):
        return 0.0
    rows = distinct % np.uint64(size)
    _, count = np.unique(rows, return_counts=True)
    return float(1.0 - np.count_nonzero(count == 1) / len(distinct))


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        bits = (bits ^ (bits >> shift)) * factor
    mixed: NDArray[np.uint64] = bits ^ (bits >> _SHIFTS[2])
    return mixed
