"""The latest item of each user."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Csr, check_bool
from ._common import part, rows_of, select, timed_events, unwrap
from ._result import Split


def leave_one_out(data: Any, *, time: Any = None, validation: bool = False, binary: bool = True) -> Split:
    """Hold out the latest item of each user.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        `Interactions` must have times; an item with several events counts at its latest one.
    time : sparse matrix (n_users, n_items), optional
        The time of each stored entry of ``data``, if that is a matrix. A time may be 0.
    validation : bool
        Whether to hold out, from what is then the training data, the latest item again.
    binary : bool
        Whether pairs of `Interactions` count 1, instead of keeping the value of their latest event, where 0 is no
        interaction. A matrix always keeps its values.

    Returns
    -------
    Split
        Equal times: the larger item id is the later one. Users with fewer than 2 items keep all in ``train``.

    Raises
    ------
    ValueError
        No times, times given twice, or not of the same pattern as ``data``.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> from pyrec_core.split import leave_one_out
    >>> split = leave_one_out(Interactions.from_arrays([0, 0, 0], [0, 1, 2], time=[5, 9, 7]))
    >>> split.test.toarray()
    array([[0., 1., 0.]], dtype=float32)
    """
    check_bool("validation", validation)
    data, dropped = unwrap(data)
    events = timed_events(data, time, check_bool("binary", binary))
    assert events.when is not None  # for mypy: these have times
    X, chosen = events.latest()
    when = events.when[chosen]
    held_out = _latest(X, when)
    train = select(X, ~held_out)
    inner = None
    if validation:
        next_ones = _latest(train, when[~held_out])
        inner = Split(part(train, ~next_ones), part(train, next_ones))
    return Split(train.to_scipy(), part(X, held_out), validation=inner, dropped=dropped)


def _latest(X: Csr, when: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the latest entry of each row with two or more; of equal ones the last, which has the largest item id."""
    marked = np.zeros(X.nnz, bool)
    lengths = np.diff(X.indptr)
    users = np.flatnonzero(lengths)
    if len(users) == 0:
        return marked
    row = rows_of(X)
    latest = np.maximum.reduceat(when, X.indptr[users])
    tied = np.flatnonzero(when == np.repeat(latest, lengths[users]))
    last = tied[np.append(np.diff(row[tied]) > 0, True)]
    marked[last[lengths[users] >= 2]] = True
    return marked
