"""Session-parallel mini-batches: which events meet in which step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of, backend_on, to_host
from .._validation import check_int, check_integers, contiguous

__all__ = ["Plan", "new_state", "plan"]

# What a kernel on a device has met, by what it reports
_REFUSED = {
    -1: "order must hold sessions of two events or more",
    -2: "state must be one that was handed out",
}


class Plan(NamedTuple):
    """Steps of an epoch, end to end.

    Attributes
    ----------
    rows : int64 (steps,)
        Lanes of each step; on the host.
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


def new_state(batch_size: int, *, device: str = "cpu") -> Array:
    """Return the state of an epoch that has not begun, for `plan`: int64 (2 * batch_size + 2,), on "cpu" or "cuda"."""
    xp, _, _ = backend_on(device)
    return xp.zeros(2 * check_int("batch_size", batch_size, low=1) + 2, np.int64)


def plan(state: Array, offsets: Array, order: Array, steps: int, *, fewest: int = 1) -> Plan:
    """Plan the next steps of an epoch of session-parallel mini-batches (Hidasi et al. 2016, arXiv:1511.06939).

    Every lane works through a session, one pair of neighbouring events a step. A lane whose session is over gets the
    next one; when there is none left it is removed, and the others move up.

    Plans are the same on all devices. From a GPU the host reads back how many lanes the steps have, once a call, and no
    more: sessions are looked at there when their turn comes.

    Parameters
    ----------
    state : int64 array (2 * batch_size + 2,), NumPy or CuPy
        From `new_state`; moves on with the epoch. A copy of it is all that is needed to go on later.
    offsets : int64 array (n_sessions + 1,)
        Where each session begins among the events.
    order : int64 array (n,)
        Sessions in the order in which they begin, each of two events or more.
    steps : int >= 1
    fewest : int >= 1
        The epoch is over when fewer lanes are left: 2 where the lanes serve as each other's negatives.

    Returns
    -------
    Plan
        Of fewer steps than asked for where the epoch ends, of none after its end.

    Raises
    ------
    TypeError
        Offsets or sessions that are not integers; NumPy and CuPy arrays together.
    ValueError
        Offsets that do not rise from 0, a session of fewer than two events, a state of another kind.

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
    offsets, order = _integers("offsets", offsets), _integers("order", order)
    if getattr(state, "dtype", None) != np.int64 or state.ndim != 1 or state.size < 4 or state.size % 2:
        raise ValueError("state must be an array from new_state, got another")
    xp, native, ex = backend_of(state, offsets, order)
    if not len(offsets) or (xp is np and (offsets[0] or (np.diff(offsets) < 0).any())):
        raise ValueError(f"offsets must rise from 0, got {offsets[:5].tolist()}{'...' if len(offsets) > 5 else ''}")
    batch_size = (state.size - 2) // 2
    size = steps * batch_size
    position, lanes = xp.empty(size, np.int64), xp.empty(steps + 1, np.int64)
    reset, keep = xp.empty(size, bool), xp.empty(size, bool)
    native.plan_sessions(ex, position, reset, keep, lanes, state, offsets, order, batch_size, fewest)
    lanes = to_host(lanes)
    if lanes[0] < 0:
        raise ValueError(_REFUSED[int(lanes[0])])
    n = np.count_nonzero(lanes[1:])
    total, n_kept = int(lanes[1 : n + 1].sum()), int(lanes[:n].sum())
    return Plan(lanes[1 : n + 1], position[:total], reset[:total], keep[:n_kept])


def _integers(name: str, a: Array) -> Array:
    array = check_integers(name, a)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    return contiguous(array, np.int64)
