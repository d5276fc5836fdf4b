"""Interactions made up from a seed: they can be learned, and what is to be learned is known."""

import numpy as np

from .._interactions import Interactions
from .._random import RandomState, seed_of, stream
from .._validation import check_float, check_int
from ._draws import activity, blocks, log_popularity, take_largest, times

_AFFINITY = 2.0  # standard deviation of what factors add to the log-odds of an item


def make_implicit(
    n_users: int = 2000,
    n_items: int = 1000,
    n_factors: int = 8,
    interactions_per_user: float = 40.0,
    random_state: RandomState = 0,
) -> Interactions:
    """Make implicit feedback with the usual shape: some items are popular, some users active, and tastes differ.

    Users and items have normal factors ``p_u`` and ``q_i``. User u takes items one after the other, without
    repetition, with probabilities proportional to ``popularity_i * exp(2 p_u . q_i / sqrt(n_factors))``; popularity
    falls with the rank of the item by Zipf's law with exponent 0.8, and the number of items is lognormal.

    Parameters
    ----------
    n_users, n_items, n_factors : int >= 1
    interactions_per_user : float >= 1
        Mean number of items of a user, before it is rounded and limited to 2..n_items.
    random_state : int, numpy Generator or None

    Returns
    -------
    Interactions
        Each user's items in the order in which they were taken, with times in seconds.

    Raises
    ------
    TypeError, ValueError
        Sizes of the wrong type, or too small.

    Examples
    --------
    >>> from pyrec_core.datasets import make_implicit
    >>> make_implicit(n_users=100, n_items=50, interactions_per_user=10).shape
    (100, 50)
    """
    n_users = check_int("n_users", n_users, low=1)
    n_items = check_int("n_items", n_items, low=1)
    n_factors = check_int("n_factors", n_factors, low=1)
    mean = check_float("interactions_per_user", interactions_per_user, low=1.0)
    seed = seed_of(random_state)

    rng = stream(seed, "make-implicit-items")
    popularity = log_popularity(rng, n_items)
    item_factors = rng.normal(0.0, _AFFINITY / np.sqrt(n_factors), (n_factors, n_items))
    rng = stream(seed, "make-implicit-users")
    user_factors = rng.normal(size=(n_factors, n_users))
    n_taken = activity(rng, mean, n_users, n_items)

    rng = stream(seed, "make-implicit-choices")
    taken = []
    for first, last in blocks(n_users, n_items):
        utility = popularity + rng.gumbel(size=(last - first, n_items))
        for p, q in zip(user_factors[:, first:last], item_factors, strict=True):
            utility += p[:, None] * q  # not a BLAS product: the same bits on each machine
        taken.append(take_largest(utility, n_taken[first:last]))
    user = np.repeat(np.arange(n_users, dtype=np.int32), n_taken)
    time = times(seed, "make-implicit-times", n_taken)
    return Interactions(user, np.concatenate(taken), time=time, n_users=n_users, n_items=n_items)


def make_blocks(
    n_users: int = 500,
    n_items: int = 200,
    n_blocks: int = 5,
    inside: float = 0.3,
    outside: float = 0.02,
    random_state: RandomState = 0,
) -> Interactions:
    """Make users and items in blocks: whatever learns must recommend items of the user's own block.

    User u and item i belong to the blocks ``u % n_blocks`` and ``i % n_blocks``. They interact with probability
    ``inside`` if the blocks are the same, else ``outside``, independently of all others.

    Parameters
    ----------
    n_users, n_items, n_blocks : int >= 1
    inside, outside : float in [0, 1]
    random_state : int, numpy Generator or None

    Raises
    ------
    TypeError, ValueError
        Sizes or probabilities of the wrong type or out of range.

    Examples
    --------
    >>> from pyrec_core.datasets import make_blocks
    >>> make_blocks(n_users=4, n_items=6, n_blocks=2, inside=1.0, outside=0.0).matrix().toarray()[0]
    array([1., 0., 1., 0., 1., 0.], dtype=float32)
    """
    n_users = check_int("n_users", n_users, low=1)
    n_items = check_int("n_items", n_items, low=1)
    n_blocks = check_int("n_blocks", n_blocks, low=1)
    inside = check_float("inside", inside, low=0.0, high=1.0)
    outside = check_float("outside", outside, low=0.0, high=1.0)
    rng = stream(seed_of(random_state), "make-blocks")
    item_block = np.arange(n_items) % n_blocks
    users, items = [], []
    for first, last in blocks(n_users, n_items):
        same = (np.arange(first, last) % n_blocks)[:, None] == item_block
        user, item = np.nonzero(rng.random(same.shape) < np.where(same, inside, outside))
        users.append((user + first).astype(np.int32))
        items.append(item.astype(np.int32))
    return Interactions(np.concatenate(users), np.concatenate(items), n_users=n_users, n_items=n_items)
