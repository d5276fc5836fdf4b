"""Session-parallel mini-batches: which events meet in which step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_on, cpu
from .._validation import check_int, check_integers

__all__ = ["Plan", "new_state", "plan"]


class Plan(NamedTuple):
    """Steps of an epoch, end to end.

    Attributes
    ----------
    rows : int64 (steps,)
        Lanes of each step.
    position : int64 (sum of rows,)
        Event that is the input of each lane; the one after it is the target.
    reset : bool (sum of rows,)
        Whether a session begins in the lane.
    keep : bool (rows of the steps before, end to end)
        Which lanes of the step before are still there; for the first step of an epoch those of the step itself.
    """

    rows: NDArray[np.int64]
    position: Array
    reset: Array
    keep: Array


def new_state(batch_size: int) -> NDArray[np.int64]:
    """Return the state of an epoch that has not begun, for `plan`: int64 (2 * batch_size + 2,)."""
    return np.zeros(2 * check_int("batch_size", batch_size, low=1) + 2, np.int64)


def plan(
    state: NDArray[np.int64], offsets: Array, order: Array, steps: int, *, fewest: int = 1, device: str = "cpu"
) -> Plan:
    """Plan the next steps of an epoch of session-parallel mini-batches (Hidasi et al. 2016, arXiv:1511.06939).

    Every lane works through a session, one pair of neighbouring events a step. A lane whose session is over gets the
    next one; when there is none left it is removed, and the others move up.

    As each step depends on the one before, plans are made on the CPU, also for a device; there, ``position`` gathers
    inputs, and ``position + 1`` targets, from events that stay on the device.

    Parameters
    ----------
    state : int64 array (2 * batch_size + 2,)
        From `new_state`; moves on with the epoch. A copy of it is all that is needed to go on later.
    offsets : int64 array (n_sessions + 1,)
        Where each session begins among the events.
    order : int64 array (n,)
        Sessions in the order in which they begin, each of two events or more.
    steps : int >= 1
    fewest : int >= 1
        The epoch is over when fewer lanes are left: 2 where the lanes serve as each other's negatives.
    device : "cpu" or "cuda"
        Where the arrays of the plan go, but for ``rows``, by which its user walks through it.

    Returns
    -------
    Plan
        Of fewer steps than asked for where the epoch ends, of none after its end.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.sessions import new_state, plan
    >>> planned = plan(new_state(2), np.array([0, 3, 5, 7]), np.arange(3), steps=10)
    >>> planned.rows
    array([2, 2])
    >>> planned.position, planned.reset
    (array([0, 3, 1, 5]), array([ True,  True, False,  True]))
    """
    steps, fewest = check_int("steps", steps, low=1), check_int("fewest", fewest, low=1)
    xp, _, _ = backend_on(device)
    if not isinstance(state, np.ndarray) or state.ndim != 1 or state.size < 4 or state.size % 2:
        raise ValueError("state must be an array from new_state, got another")
    batch_size = (state.size - 2) // 2
    size, before, begins = steps * batch_size, int(state[-2]), state[-1] == 0
    position, rows = np.empty(size, np.int64), np.empty(steps, np.int64)
    reset, keep = np.empty(size, bool), np.empty(size, bool)
    arrays = _ascending(offsets), _integers("order", order)
    n = cpu().plan_sessions(position, reset, keep, rows, state, *arrays, batch_size, fewest)
    rows = rows[:n]
    total = int(rows.sum())
    n_kept = total - int(rows[-1]) + (int(rows[0]) if begins else before) if n else 0
    return Plan(rows, xp.asarray(position[:total]), xp.asarray(reset[:total]), xp.asarray(keep[:n_kept]))


def _integers(name: str, a: Array) -> NDArray[np.int64]:
    array = check_integers(name, a)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    return np.ascontiguousarray(array, np.int64)


def _ascending(offsets: Array) -> NDArray[np.int64]:
    array = _integers("offsets", offsets)
    if not len(array) or array[0] or (np.diff(array) < 0).any():
        raise ValueError(f"offsets must rise from 0, got {array[:5].tolist()}{'...' if len(array) > 5 else ''}")
    return array
