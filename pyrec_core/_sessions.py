"""Sessions: sequences of items, end to end, with dense ids."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ._columns import (
    check_dense,
    check_external,
    check_length,
    check_size,
    check_time,
    check_vocabulary,
    number_ids,
)
from ._frames import Frame
from ._validation import check_ids, check_integers


@dataclass(frozen=True, eq=False, repr=False)
class Sessions:
    """Who clicked what after what: session ``s`` is ``items[offsets[s]:offsets[s + 1]]``, in order of time.

    `Sessions.from_frame` makes them from a table with one row per event, `Sessions.from_arrays` from its columns.

    Parameters
    ----------
    items : integers (n,)
        Dense item ids from 0, the sessions end to end. Stored as int32.
    offsets : integers (n_sessions + 1,)
        Where each session begins; rises from 0 to n. Stored as int64. Sessions may be empty.
    time : integers or float (n,), optional
        The time of each event, finite, not falling inside a session. Stored as int64 or float64.
    session_ids : integers or strings (n_sessions,), optional
        The external id of each session; None: its position is the id. May repeat, as after `take`.
    item_ids : integers or strings (n_items,), optional
        The external id of each dense item id, all different; None: the dense ids are the ids.
    n_items : int, optional
        Size of the catalogue. Default (0): the number of external ids, else the largest dense id + 1.

    Attributes
    ----------
    shape : (n_sessions, n_items)

    Raises
    ------
    TypeError
        Ids or offsets that are not integers.
    ValueError
        Offsets that do not rise from 0 to n, lengths that differ, negative ids, ids beyond the catalogue, external
        item ids given twice, times that fall inside a session, NaN or infinity.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> sessions = Sessions.from_arrays(["a", "b", "a"], [31, 31, 7], time=[10, 20, 30])
    >>> sessions
    Sessions(2 sessions, 3 events, 2 items, times 10 to 30)
    >>> sessions.items, sessions.offsets
    (array([1, 0, 1], dtype=int32), array([0, 2, 3]))
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    time: NDArray[Any] | None = None
    session_ids: NDArray[Any] | None = None
    item_ids: NDArray[Any] | None = None
    n_items: int = 0

    def __post_init__(self) -> None:
        items = check_dense("items", self.items)
        offsets = check_integers("offsets", self.offsets)
        if offsets.ndim != 1 or len(offsets) == 0:
            raise ValueError(f"offsets must be 1-D with at least one entry, got shape {offsets.shape}")
        offsets = offsets.astype(np.int64, copy=False)
        if offsets[0] != 0 or offsets[-1] != len(items) or (np.diff(offsets) < 0).any():
            raise ValueError(f"offsets must rise from 0 to the {len(items)} items, got {offsets[0]} to {offsets[-1]}")
        fields: dict[str, Any] = {"items": items, "offsets": offsets}
        if self.time is not None:
            fields["time"] = check_time(self.time, len(items), "items")
            _check_order(fields["time"], offsets)
        if self.session_ids is not None:
            fields["session_ids"] = check_external("session_ids", self.session_ids)
            check_length("session_ids", fields["session_ids"], len(offsets) - 1, "offsets[1:]")
        if self.item_ids is not None:
            fields["item_ids"] = check_vocabulary("item_ids", self.item_ids)
        fields["n_items"] = check_size("item", "n_items", items, self.n_items, fields.get("item_ids"))
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_arrays(cls, session: ArrayLike, item: ArrayLike, time: ArrayLike | None = None) -> Self:
        """Make sessions from one row per event; dense ids follow the sorted order of the external ones.

        Parameters
        ----------
        session, item : integers or strings (n,)
            External ids. Ids that are 0..n-1 without a gap already give ``session_ids`` or ``item_ids`` None.
        time : numbers or datetime64 (n,), optional
            Events of a session are sorted by it; where it is equal or not given they stay in the order of the rows.

        Raises
        ------
        TypeError
            Ids that are neither integers nor strings (float ids often come from a table with missing ids).
        ValueError
            Lengths that differ, NaN or infinity, an empty string as an id.

        Examples
        --------
        >>> from pyrec_core import Sessions
        >>> Sessions.from_arrays([7, 7, 3], ["b", "a", "b"], time=[2, 1, 5]).items
        array([1, 0, 1], dtype=int32)
        """
        session_ids, row = number_ids(check_external("session", session))
        item_ids, items = number_ids(check_external("item", item))
        check_length("item", items, len(row), "session")
        return cls._from_events(row, items, time, session_ids, item_ids)

    @classmethod
    def from_frame(cls, df: Any, *, session: Hashable, item: Hashable, time: Hashable | None = None) -> Self:
        """Make sessions from a table with one row per event. Needs the extra ``frames``.

        Parameters
        ----------
        df : pandas, Polars or Arrow table
            Of a lazy one these columns are collected.
        session, item : str
            Names of the columns of external ids: integers, strings or categories of them, none missing.
        time : str, optional
            Name of a column of numbers, dates or datetimes, none missing; datetimes become int64 nanoseconds since
            1970, in UTC. Events of a session are sorted by it; where it is equal or not given they stay in the order
            of the rows.

        Raises
        ------
        ImportError
            narwhals is not installed.
        TypeError
            ``df`` is no table, or a column of the wrong dtype (float ids often come from missing ones).
        ValueError
            A column that does not exist, missing entries, infinity, an empty string as an id.

        Examples
        --------
        >>> import polars as pl
        >>> from pyrec_core import Sessions
        >>> clicks = pl.DataFrame({"visit": [7, 7, 3], "page": ["b", "a", "b"], "at": [2, 1, 5]})
        >>> Sessions.from_frame(clicks, session="visit", item="page", time="at").items
        array([1, 0, 1], dtype=int32)
        """
        frame = Frame(df, {"session": session, "item": item, "time": time})
        (session_ids, row), (item_ids, items) = frame.ids("session"), frame.ids("item")
        when = None if time is None else frame.time("time")
        return cls._from_events(row, items, when, session_ids, item_ids)

    @classmethod
    def _from_events(
        cls,
        row: NDArray[np.int64],
        items: NDArray[np.int64],
        time: ArrayLike | None,
        session_ids: NDArray[Any] | None,
        item_ids: NDArray[Any] | None,
    ) -> Self:
        when = None if time is None else check_time(time, len(row), "session")
        order = np.lexsort((row,) if when is None else (when, row))  # stable: rows keep their order
        offsets = np.zeros(int(row.max(initial=-1)) + 2, np.int64)
        np.cumsum(np.bincount(row, minlength=len(offsets) - 1), out=offsets[1:])
        when = None if when is None else when[order]
        return cls(items[order], offsets, when, session_ids, item_ids)  # type: ignore[arg-type]

    @property
    def shape(self) -> tuple[int, int]:
        """The pair (n_sessions, n_items)."""
        return len(self), self.n_items

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        parts = [f"{len(self)} sessions", f"{len(self.items)} events", f"{self.n_items} items"]
        if self.time is not None and len(self.time):
            parts.append(f"times {self.time.min():.10g} to {self.time.max():.10g}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def take(self, sessions: ArrayLike) -> Self:
        """Return these sessions (dense ids, repeats allowed), in this order; the catalogue stays the same.

        Raises
        ------
        TypeError
            ``sessions`` are not integers.
        ValueError
            Unknown sessions.

        Examples
        --------
        >>> from pyrec_core import Sessions
        >>> Sessions([5, 6, 7], [0, 2, 3]).take([1, 0]).items
        array([7, 5, 6], dtype=int32)
        """
        ids = check_ids("sessions", sessions, len(self), "session")
        lengths = np.diff(self.offsets)[ids]
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        # event t of output session r lies at offsets[ids[r]] + (t - new offsets[r])
        event = np.repeat(self.offsets[ids] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self,
            items=self.items[event],
            offsets=offsets,
            time=None if self.time is None else self.time[event],
            session_ids=None if self.session_ids is None else self.session_ids[ids],
        )

    def matrix(self, *, binary: bool = True) -> Any:
        """Return the sessions x items matrix: 1 where a session has an item, or how often if not ``binary``.

        Returns
        -------
        scipy.sparse.csr_array, float32 (n_sessions, n_items)
            Sorted, without duplicates.

        Examples
        --------
        >>> from pyrec_core import Sessions
        >>> Sessions([1, 0, 1], [0, 3]).matrix(binary=False).toarray()
        array([[1., 2.]], dtype=float32)
        """
        X = sp.csr_array((np.ones(len(self.items), np.float32), self.items, self.offsets), shape=self.shape)
        X = X.copy()  # the order of the items is not the caller's to lose
        X.sum_duplicates()
        if binary:
            X.data[:] = 1.0
        return X


def _check_order(time: NDArray[Any], offsets: NDArray[np.int64]) -> None:
    falls = np.flatnonzero(time[1:] < time[:-1]) + 1
    inside = falls[~np.isin(falls, offsets)]
    if len(inside):
        at = int(inside[0])
        session = int(np.searchsorted(offsets, at, side="right")) - 1
        raise ValueError(
            f"time must not fall inside a session, got {time[at]} after {time[at - 1]} in session {session}"
        )
