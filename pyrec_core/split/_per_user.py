"""A random share of the items of each user."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._random import RandomState, seed_of
from ._common import SLACK, check_shares, matrix_of, part, rows_of, shuffled_place
from ._result import Split


def per_user(
    data: Any, *, test_size: float = 0.2, validation_size: float = 0.0, random_state: RandomState = 0
) -> Split:
    """Hold out a random share of the items of each user.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        `Interactions` stand for their binary ``matrix()``.
    test_size : float in (0, 1)
        Share of each user's items, rounded to the nearest number (halves up); one at least stays in ``train``.
    validation_size : float in [0, 1)
        Share of each user's items, of all of them, that ``validation`` holds out from ``train``.
    random_state : int, numpy Generator or None
        What is held out of one user does not depend on the other users.

    Raises
    ------
    ValueError
        Shares that are out of range or leave nothing to train on.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user
    >>> split = per_user(np.ones((3, 10)), test_size=0.2, validation_size=0.1)
    >>> split.train.nnz, split.test.nnz, split.validation.train.nnz, split.validation.test.nnz
    (24, 6, 21, 3)
    """
    test_size, validation_size = check_shares(test_size, validation_size)
    X, dropped = matrix_of(data)
    row = rows_of(X)
    place = shuffled_place(X, row, seed_of(random_state))
    lengths = np.diff(X.indptr)
    n_test = _nearest(lengths, test_size)
    held_out = place < n_test[row]
    inner = None
    if validation_size > 0:
        n_validation = np.minimum(_nearest(lengths, validation_size), np.maximum(lengths - n_test - 1, 0))
        next_ones = ~held_out & (place < (n_test + n_validation)[row])
        inner = Split(part(X, ~held_out & ~next_ones), part(X, next_ones))
    return Split(part(X, ~held_out), part(X, held_out), validation=inner, dropped=dropped)


def _nearest(lengths: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Return the share of each length, halves up, that leaves at least one."""
    wanted: NDArray[np.int64] = np.floor(share * lengths + 0.5 + SLACK).astype(np.int64)
    return np.minimum(wanted, np.maximum(lengths - 1, 0))
