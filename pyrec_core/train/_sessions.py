"""Session-parallel mini-batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._backend import Array, to_device
from .._columns import check_dense
from .._validation import check_int, check_integers
from ..kernels.sessions import new_state, plan

_STEPS_AT_ONCE = 256  # planned by one native call

Batch = tuple[Array, Array, Array, Array]


class SessionParallel:
    """One epoch of session-parallel mini-batches: iterate once (Hidasi et al. 2016, arXiv:1511.06939, section 3.1.1).

    Every lane of a batch works through a session, one pair of neighbouring events a step; a lane whose session is over
    gets the next one. Sessions of fewer than two events are skipped; every pair of neighbours in the others comes
    exactly once if ``n_sample > 0``.

    Parameters
    ----------
    items : integers (n,)
        The sessions end to end.
    offsets : integers (n_sessions + 1,)
        Where each session begins; rises from 0 to n.
    batch_size : int >= 1
        Lanes, at most; fewer at the end of the epoch.
    n_sample : int >= 0
        Negatives that will be added to a batch. Without any (0) a single lane has no negatives: the epoch is over
        when fewer than two are left.
    order : integers (m,), optional
        Sessions in the order in which they begin; default: as they stand.
    device : "cpu" or "cuda"
        Where batches are planned and lie; they are the same on all.

    Yields
    ------
    inputs, targets : int32 (lanes,)
        Items of each pair.
    reset : bool (lanes,)
        Where a session begins: hidden states are zero there.
    keep : bool (lanes of the batch before)
        Which of the rows of the hidden state that the batch before left behind go on, in order; rows that do not are
        dropped. All of its own lanes for the first batch. Rows are dropped only where there are more of them than
        lanes: that can be told without a look at the mask.

    Raises
    ------
    TypeError
        Ids or offsets that are not integers.
    ValueError
        Offsets that do not rise from 0 to n, an unknown session in ``order``.

    Examples
    --------
    >>> from pyrec_core.train import SessionParallel
    >>> for inputs, targets, reset, keep in SessionParallel([5, 6, 7, 8, 9, 3, 4], [0, 3, 5, 7], batch_size=2):
    ...     print(inputs, targets, reset, keep)
    [5 8] [6 9] [ True  True] [ True  True]
    [6 3] [7 4] [False  True] [ True  True]
    """

    def __init__(
        self,
        items: ArrayLike,
        offsets: ArrayLike,
        batch_size: int,
        n_sample: int = 0,
        *,
        order: ArrayLike | None = None,
        device: str = "cpu",
    ) -> None:
        events = check_dense("items", items)
        bounds: NDArray[np.int64] = np.ascontiguousarray(check_integers("offsets", offsets), np.int64)
        ends = bounds[[0, -1]].tolist() if bounds.size else []
        if bounds.ndim != 1 or ends != [0, len(events)] or (np.diff(bounds) < 0).any():
            raise ValueError(f"offsets must rise from 0 to the {len(events)} items, got {ends}")
        self._fewest = 1 if check_int("n_sample", n_sample, low=0) else 2
        n = len(bounds) - 1
        sessions: NDArray[Any] = np.arange(n) if order is None else check_integers("order", order)
        if sessions.ndim != 1 or (sessions.size and (sessions.min() < 0 or sessions.max() >= n)):
            raise ValueError(f"order must be 1-D and hold sessions in 0..{n - 1}, got others")
        queue = sessions[np.diff(bounds)[sessions] >= 2].astype(np.int64)
        self._items, self._offsets, self._order = (to_device(a, device) for a in (events, bounds, queue))
        self._state = new_state(batch_size, device=device)

    def __iter__(self) -> Iterator[Batch]:
        before = -1
        while True:
            planned = plan(self._state, self._offsets, self._order, _STEPS_AT_ONCE, fewest=self._fewest)
            inputs, targets = self._items[planned.position], self._items[planned.position + 1]
            first = kept = 0
            for n in planned.rows.tolist():
                lanes, last = slice(first, first + n), kept + (n if before < 0 else before)
                yield inputs[lanes], targets[lanes], planned.reset[lanes], planned.keep[kept:last]
                first, kept, before = first + n, last, n
            if len(planned.rows) < _STEPS_AT_ONCE:
                return
