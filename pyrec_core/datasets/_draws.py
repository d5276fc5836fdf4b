"""Draws that several generators make, and the blocks in which they make them."""

import numpy as np
from numpy.typing import NDArray

from .._random import stream

BLOCK_ELEMENTS = 2**19  # of a table made at one time
_POPULARITY = 0.8  # exponent of the law of Zipf
_ACTIVITY = 0.7  # standard deviation of the logarithm of a user's number of items
_DAY = 86_400
_YEAR = 365 * _DAY


def blocks(n_rows: int, row_length: int) -> list[tuple[int, int]]:
    """Return first and last (exclusive) row of the blocks of a table."""
    size = max(1, BLOCK_ELEMENTS // row_length)
    return [(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]


def log_popularity(rng: np.random.Generator, n_items: int) -> NDArray[np.float64]:
    """Return the logarithm of each item's weight by Zipf's law; the ranks have nothing to do with the ids."""
    log_weight: NDArray[np.float64] = -_POPULARITY * np.log(1.0 + rng.permutation(n_items))
    return log_weight


def activity(rng: np.random.Generator, mean: float, n_users: int, n_items: int) -> NDArray[np.int64]:
    """Return how many items each user takes: lognormal, limited to 2..n_items."""
    wanted = rng.lognormal(np.log(mean) - _ACTIVITY**2 / 2, _ACTIVITY, n_users)
    return np.clip(np.rint(wanted), min(2, n_items), n_items).astype(np.int64)


def take_largest(utility: NDArray[np.float64], n_taken: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the first ``n_taken`` columns of each row by falling utility, row after row.

    Log-weights + Gumbel noise make them draws without replacement in proportion to the weights (Yellott 1977).
    """
    most = int(n_taken.max())  # sorting more would cost more than all else
    ids = np.sort(np.argpartition(utility, -most, axis=1)[:, -most:], axis=1)
    order = np.argsort(-np.take_along_axis(utility, ids, axis=1), axis=1, kind="stable")
    ids = np.take_along_axis(ids, order, axis=1)
    return ids[np.arange(most) < n_taken[:, None]].astype(np.int32)


def times(seed: int, purpose: str, n_taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rising times: each user comes at some moment of a year, then every two days or so."""
    rng = stream(seed, purpose)
    gaps = 1 + rng.exponential(2 * _DAY, n_taken.sum()).astype(np.int64)
    ends: NDArray[np.int64] = np.cumsum(gaps)
    before = np.append(0, ends[np.cumsum(n_taken)[:-1] - 1])
    start = rng.integers(0, _YEAR, len(n_taken))
    shift: NDArray[np.int64] = np.repeat(start - before, n_taken)
    return ends + shift


def categories(rng: np.random.Generator, probability: NDArray[np.float64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one draw for each entry of ``row``, from the distribution in that row of ``probability``."""
    n_rows, width = probability.shape
    below = np.minimum(np.cumsum(probability[:, :-1], axis=1), 1.0)  # the last category takes what is left
    steps = np.append(below, np.ones((n_rows, 1)), axis=1) + np.arange(n_rows)[:, None]
    drawn = np.searchsorted(steps.ravel(), row + rng.random(len(row)), side="right") - row * width
    limited: NDArray[np.int64] = np.minimum(drawn, width - 1)  # row + 0.99... may round up
    return limited
