"""Ratings of low rank, with a known noise floor."""

import numpy as np
from numpy.typing import NDArray

from .._interactions import Interactions
from .._random import RandomState, seed_of, stream
from .._validation import MAX_ID, check_float, check_int
from ._draws import blocks

_BIAS = 0.5  # standard deviation of the biases; that of p . q is 1


def make_ratings(
    n_users: int = 1000,
    n_items: int = 1000,
    n_factors: int = 5,
    ratings_per_user: int = 50,
    noise: float = 1.0,
    random_state: RandomState = 0,
) -> Interactions:
    """Make ratings of low rank: ``r_ui = p_u . q_i + b_u + b_i + e_ui`` with normal noise ``e_ui``.

    Factors and biases are normal, ``p_u . q_i`` has variance 1 and each bias variance 0.25. Ratings are real numbers
    around 0, not limited to a scale. Each user rates ``ratings_per_user`` different items; all are equally likely.

    No model has an expected RMSE on new ratings below ``noise``. With 5 factors, and about 50 training ratings of each
    user and each item, a correct factorization of the same rank with biases stays below 1.15 times that. The same
    seed with another ``noise`` gives the same users, items and choices: with 0, the ratings without their noise.

    Parameters
    ----------
    n_users, n_items, n_factors : int >= 1
    ratings_per_user : int in 1..n_items
        An item gets ``n_users * ratings_per_user / n_items`` ratings on average.
    noise : float >= 0
        Standard deviation of ``e_ui``.
    random_state : int, numpy Generator or None

    Returns
    -------
    Interactions
        With ratings as values, sorted by user and item, without times.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong type or out of range.

    Examples
    --------
    >>> from pyrec_core.datasets import make_ratings
    >>> data = make_ratings(n_users=20, n_items=10, ratings_per_user=4)
    >>> data.shape, len(data), data.value.dtype
    ((20, 10), 80, dtype('float32'))
    """
    n_users = check_int("n_users", n_users, low=1, high=MAX_ID)
    n_items = check_int("n_items", n_items, low=1, high=MAX_ID)
    n_factors = check_int("n_factors", n_factors, low=1)
    n_rated = check_int("ratings_per_user", ratings_per_user, low=1, high=n_items)
    noise = check_float("noise", noise, low=0.0)
    seed = seed_of(random_state)

    rng = stream(seed, "make-ratings-items")
    scale = n_factors**-0.25  # of both sides, so that the variance of their product is 1
    item_factors = rng.normal(0.0, scale, (n_factors, n_items))
    item_bias = rng.normal(0.0, _BIAS, n_items)
    rng = stream(seed, "make-ratings-users")
    user_factors = rng.normal(0.0, scale, (n_factors, n_users))
    user_bias = rng.normal(0.0, _BIAS, n_users)

    items = _distinct(stream(seed, "make-ratings-choices"), n_users, n_items, n_rated)
    value = np.empty(items.shape, np.float32)
    rng = stream(seed, "make-ratings-noise")
    for first, last in blocks(n_users, n_rated):
        item = items[first:last]
        rating = rng.normal(0.0, noise, item.shape)
        rating += user_bias[first:last, None] + item_bias[item]
        for p, q in zip(user_factors[:, first:last], item_factors, strict=True):
            rating += p[:, None] * q[item]
        value[first:last] = rating
    user = np.repeat(np.arange(n_users, dtype=np.int32), n_rated)
    return Interactions(user, items.ravel(), value.ravel(), n_users=n_users, n_items=n_items)


def _distinct(rng: np.random.Generator, n_rows: int, high: int, n: int) -> NDArray[np.int32]:
    """Return ``n`` different integers of 0..high-1 in each row, rising; all sets are equally likely."""
    if 2 * n > high:  # to draw the few that are left out needs fewer repeats
        inside = np.ones((n_rows, high), bool)
        np.put_along_axis(inside, _distinct(rng, n_rows, high, high - n), False, axis=1)
        return np.nonzero(inside)[1].astype(np.int32).reshape(n_rows, n)
    chosen = np.sort(rng.integers(0, high, (n_rows, n), np.int32), axis=1)
    row = np.arange(n_rows)
    while len(row):  # draw again what a row has twice; each time at least half of it becomes new, on average
        repeated = np.zeros((len(row), n), bool)
        np.equal(chosen[row, 1:], chosen[row, :-1], out=repeated[:, 1:])
        with_repeats = repeated.any(axis=1)
        row, repeated = row[with_repeats], repeated[with_repeats]
        again = chosen[row]
        again[repeated] = rng.integers(0, high, np.count_nonzero(repeated), np.int32)
        chosen[row] = np.sort(again, axis=1)
    return chosen
