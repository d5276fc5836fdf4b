"""A log of interactions between users and items, as parallel arrays with dense ids."""

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
    check_values,
    check_vocabulary,
    number_ids,
    sort_pairs,
)
from ._frames import Frame
from ._validation import check_bool, check_choice, check_float

_DUPLICATES = ("sum", "last", "error")


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Who did what with which item, when: one row per event.

    `Interactions.from_frame` makes one from a table, `Interactions.from_arrays` from columns of external ids.

    Parameters
    ----------
    user, item : integers (n,)
        Dense ids from 0. Stored as int32.
    value : float (n,), optional
        Rating, count or weight of each event, finite. Stored as float32; 1 where not given.
    time : integers or float (n,), optional
        Any clock, finite. Stored as int64 or float64.
    user_ids, item_ids : integers or strings (n_users,) and (n_items,), optional
        The external id of each dense id, all different; None: the dense ids are the ids.
    n_users, n_items : int, optional
        Sizes, where users or items without an event shall count. Default (0): the number of external ids,
        else the largest dense id + 1.

    Attributes
    ----------
    shape : (n_users, n_items)

    Raises
    ------
    TypeError
        Ids that are not integers, values that are not numbers.
    ValueError
        Lengths that differ, negative ids, ids beyond the sizes, external ids given twice, NaN or infinity.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> data = Interactions.from_arrays(["ann", "bob", "ann"], [31, 31, 7], value=[5, 2, 4])
    >>> data
    Interactions(3 events, 2 users, 2 items, values 2 to 5)
    >>> data.matrix(min_value=4).toarray()
    array([[1., 1.],
           [0., 0.]], dtype=float32)
    >>> data.user_ids[0]
    np.str_('ann')
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    value: NDArray[np.float32] = None  # type: ignore[assignment]  # an array from __post_init__ on
    time: NDArray[Any] | None = None
    user_ids: NDArray[Any] | None = None
    item_ids: NDArray[Any] | None = None
    n_users: int = 0
    n_items: int = 0

    def __post_init__(self) -> None:
        fields: dict[str, Any] = {}
        n = None
        for name, size in (("user", "n_users"), ("item", "n_items")):
            ids = check_dense(name, getattr(self, name))
            n = len(ids) if n is None else n
            check_length(name, ids, n)
            vocabulary = getattr(self, f"{name}_ids")
            if vocabulary is not None:
                vocabulary = check_vocabulary(f"{name}_ids", vocabulary)
            fields |= {name: ids, f"{name}_ids": vocabulary}
            fields[size] = check_size(name, size, ids, getattr(self, size), vocabulary)
        value = self.value
        fields["value"] = np.ones(n or 0, np.float32) if value is None else check_values(value, n or 0)
        fields["time"] = None if self.time is None else check_time(self.time, n or 0)
        for name, field in fields.items():
            object.__setattr__(self, name, field)

    @classmethod
    def from_arrays(
        cls, user: ArrayLike, item: ArrayLike, value: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Self:
        """Make interactions from external ids; dense ids follow the sorted order of the external ones.

        Parameters
        ----------
        user, item : integers or strings (n,)
            External ids. If they are 0..n-1 without a gap already, ``user_ids`` and ``item_ids`` are None.
        value : numbers (n,), optional
        time : numbers or datetime64 (n,), optional
            datetime64 becomes int64 nanoseconds since 1970.

        Raises
        ------
        TypeError
            Ids that are neither integers nor strings (float ids often come from a table with missing ids).
        ValueError
            Lengths that differ, NaN or infinity, an empty string as an id.

        Examples
        --------
        >>> from pyrec_core import Interactions
        >>> Interactions.from_arrays([10, 20, 10], ["b", "a", "a"]).item
        array([1, 0, 0], dtype=int32)
        """
        user_ids, users = number_ids(check_external("user", user))
        item_ids, items = number_ids(check_external("item", item))
        return cls(users, items, value, time, user_ids, item_ids)  # type: ignore[arg-type]

    @classmethod
    def from_frame(
        cls,
        df: Any,
        *,
        user: Hashable,
        item: Hashable,
        value: Hashable | None = None,
        time: Hashable | None = None,
        duplicates: str | None = "sum",
    ) -> Self:
        """Make interactions from a table with one row per event. Needs the extra ``frames``.

        Parameters
        ----------
        df : pandas, Polars or Arrow table
            Of a lazy one these columns are collected.
        user, item : str
            Names of the columns of external ids: integers, strings or categories of them, none missing. Dense ids
            follow their sorted order; if they are 0..n-1 already, ``user_ids`` and ``item_ids`` are None.
        value : str, optional
            Name of a column of numbers, none missing. Without it each event counts 1.
        time : str, optional
            Name of a column of numbers, dates or datetimes, none missing. Datetimes become int64 nanoseconds since
            1970, in UTC.
        duplicates : {"sum", "last", "error"} or None
            What becomes of a pair with several events: one event with the sum of their values (added in float64)
            and the latest time; the latest one (by time; where that is missing or equal, by row); or a
            ``ValueError``. What is left is one event a pair, sorted by user and item. None: all events stay.

        Raises
        ------
        ImportError
            narwhals is not installed.
        TypeError
            ``df`` is no table, or a column of the wrong dtype (float ids often come from missing ones).
        ValueError
            A column that does not exist, missing entries, infinity, an empty string as an id; duplicates, if they
            are an error.

        Examples
        --------
        >>> import polars as pl
        >>> from pyrec_core import Interactions
        >>> plays = pl.DataFrame({"who": ["ann", "bob", "ann"], "song": ["x", "x", "x"], "n": [2, 5, 3]})
        >>> data = Interactions.from_frame(plays, user="who", item="song", value="n")
        >>> data.user_ids[data.user], data.value
        (array(['ann', 'bob'], dtype='<U3'), array([5., 5.], dtype=float32))
        """
        if duplicates is not None:
            check_choice("duplicates", duplicates, _DUPLICATES)
        frame = Frame(df, {"user": user, "item": item, "value": value, "time": time})
        (user_ids, users), (item_ids, items) = frame.ids("user"), frame.ids("item")
        when = None if time is None else frame.time("time")
        numbers = np.ones(len(users), np.float32) if value is None else frame.numbers("value")
        log = cls(users, items, numbers, when, user_ids, item_ids)  # type: ignore[arg-type]
        if duplicates is None:
            return log
        event, merged = log._merge(duplicates, numbers, by_time=True)
        when = None if log.time is None else log.time[event]
        return replace(log, user=log.user[event], item=log.item[event], value=merged, time=when)

    @property
    def shape(self) -> tuple[int, int]:
        """The pair (n_users, n_items)."""
        return self.n_users, self.n_items

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        parts = [f"{len(self)} events", f"{self.n_users} users", f"{self.n_items} items"]
        for name, array in (("values", self.value), ("times", self.time)):
            if array is not None and len(array):
                low, high = array.min(), array.max()
                parts.append(f"{name} {low:.10g}" if low == high else f"{name} {low:.10g} to {high:.10g}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def matrix(self, *, min_value: float | None = None, binary: bool = True, duplicates: str = "sum") -> Any:
        """Return the users x items matrix.

        Parameters
        ----------
        min_value : float, optional
            Leave out pairs whose merged value is smaller.
        binary : bool
            Each pair that is kept counts 1. If False it keeps its merged value, and zeros are dropped.
        duplicates : {"sum", "last", "error"}
            The merged value of a pair with several events: their sum, or the value of the latest one (by
            time; where that is missing or equal, by position), or a ``ValueError``.

        Returns
        -------
        scipy.sparse.csr_array, float32 (n_users, n_items)
            Sorted, without duplicates.

        Raises
        ------
        TypeError
            ``min_value`` is no number, ``binary`` no bool.
        ValueError
            ``duplicates="error"`` and there are some.

        Examples
        --------
        >>> from pyrec_core import Interactions
        >>> data = Interactions.from_arrays([0, 0], [0, 0], value=[2, 3])
        >>> data.matrix(binary=False).toarray(), data.matrix(binary=False, duplicates="last").toarray()
        (array([[5.]], dtype=float32), array([[3.]], dtype=float32))
        """
        binary = check_bool("binary", binary)
        check_choice("duplicates", duplicates, _DUPLICATES)
        event, value = self._merge(duplicates, self.value, by_time=duplicates == "last")
        keep = np.ones(len(event), bool)
        if min_value is not None:
            keep &= value >= np.float32(check_float("min_value", min_value))
        if not binary:
            keep &= value != 0
        event = event[keep]
        data = np.ones(len(event), np.float32) if binary else value[keep]
        indptr = np.zeros(self.n_users + 1, np.int64)
        np.cumsum(np.bincount(self.user[event], minlength=self.n_users), out=indptr[1:])
        X = sp.csr_array((data, self.item[event], indptr), shape=self.shape)
        X.has_canonical_format = True
        return X

    def _merge(
        self, duplicates: str, value: NDArray[Any], by_time: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the last event of each pair, sorted by user and item, and the merged value of the pair."""
        first, order = self._pairs(by_time)
        last = order[np.append(first[1:], len(order)) - 1] if len(order) else order
        if duplicates == "error" and len(last) < len(self):
            again = order[np.setdiff1d(np.arange(len(order)), first)[0]]
            user, item = _id_of(self.user_ids, self.user[again]), _id_of(self.item_ids, self.item[again])
            raise ValueError(
                f"duplicates must not occur, got {len(self) - len(last)} (first: user {user!r}, item {item!r})"
            )
        if duplicates == "last" or len(last) == len(self):
            return last, value[last].astype(np.float32, copy=False)
        return last, check_values(np.add.reduceat(value[order], first, dtype=np.float64), len(first))

    def _pairs(self, by_time: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each distinct (user, item) starts in the sorted events, and the sorting order."""
        return sort_pairs(self.user, self.item, self.shape, self.time if by_time else None)


def _id_of(ids: NDArray[Any] | None, dense: np.int32) -> int | str:
    return int(dense) if ids is None else ids[[dense]].tolist()[0]
