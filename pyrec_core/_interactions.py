"""A log of interactions between users and items, as parallel arrays with dense ids."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ._validation import MAX_ID, as_array, check_bool, check_choice, check_float, check_int, check_integers


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Who did what with which item, when: one row per event.

    `Interactions.from_arrays` makes one from external ids (numbers or strings).

    Parameters
    ----------
    user, item : integers (n,)
        Dense ids from 0. Stored as int32.
    value : float (n,), optional
        Rating, count or weight of each event, finite. Stored as float32; 1 where not given.
    time : integers or float (n,), optional
        Any clock, finite. Stored as int64 or float64.
    user_ids, item_ids : array (n_users,) and (n_items,), optional
        The external id of each dense id; None: the dense ids are the ids.
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
        Lengths that differ, negative ids, ids beyond the sizes, NaN or infinity.

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
            ids = _check_dense(name, getattr(self, name))
            n = len(ids) if n is None else n
            _check_length(name, ids, n)
            vocabulary = getattr(self, f"{name}_ids")
            if vocabulary is not None:
                vocabulary = _check_vocabulary(f"{name}_ids", vocabulary)
            fields |= {name: ids, f"{name}_ids": vocabulary}
            fields[size] = _check_size(name, size, ids, getattr(self, size), vocabulary)
        value = self.value
        fields["value"] = np.ones(n or 0, np.float32) if value is None else _check_values(value, n or 0)
        fields["time"] = None if self.time is None else _check_time(self.time, n or 0)
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
        user_ids, users = _number(_check_external("user", user))
        item_ids, items = _number(_check_external("item", item))
        return cls(users, items, value, time, user_ids, item_ids)  # type: ignore[arg-type]

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
        check_choice("duplicates", duplicates, ("sum", "last", "error"))
        first, order = self._pairs(by_time=duplicates == "last")
        if duplicates == "error" and len(first) < len(self):
            again = order[np.setdiff1d(np.arange(len(order)), first)[0]]
            raise ValueError(
                f"duplicates must not occur, got {len(self) - len(first)} "
                f"(first: user {self.user[again]}, item {self.item[again]})"
            )
        value = self._merged(first, order, duplicates)
        keep = np.ones(len(first), bool)
        if min_value is not None:
            keep &= value >= np.float32(check_float("min_value", min_value))
        if not binary:
            keep &= value != 0
        pair = order[first[keep]]
        data = np.ones(len(pair), np.float32) if binary else value[keep]
        indptr = np.zeros(self.n_users + 1, np.int64)
        np.cumsum(np.bincount(self.user[pair], minlength=self.n_users), out=indptr[1:])
        X = sp.csr_array((data, self.item[pair], indptr), shape=self.shape)
        X.has_canonical_format = True
        return X

    def _merged(self, first: NDArray[np.int64], order: NDArray[np.int64], duplicates: str) -> NDArray[np.float32]:
        if not len(order):
            return self.value
        if duplicates == "last":
            last = order[np.append(first[1:], len(order)) - 1]
            value: NDArray[np.float32] = self.value[last]
            return value
        return _check_values(np.add.reduceat(self.value[order], first, dtype=np.float64), len(first))

    def _pairs(self, by_time: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each distinct (user, item) starts in the sorted events, and the sorting order."""
        key = self.user.astype(np.int64) * self.n_items + self.item
        if by_time and self.time is not None:
            order = np.lexsort((self.time, key))
        else:
            order = np.argsort(key, kind="stable")
        key = key[order]
        return np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)]), order


def _check_dense(name: str, ids: ArrayLike) -> NDArray[np.int32]:
    array = check_integers(name, ids)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= MAX_ID):
        raise ValueError(f"{name} must hold ids in 0..{MAX_ID - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int32, copy=False)


def _check_length(name: str, array: NDArray[Any], n: int) -> None:
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},) like user, got {array.shape}")


def _check_vocabulary(name: str, ids: ArrayLike) -> NDArray[Any]:
    array = as_array(name, ids)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    return array


def _check_size(name: str, size: str, ids: NDArray[np.int32], given: int, vocabulary: NDArray[Any] | None) -> int:
    needed = int(ids.max()) + 1 if len(ids) else 0
    given = check_int(size, given, low=0)
    if vocabulary is not None:
        if given not in (0, len(vocabulary)):
            raise ValueError(f"{size} must be the length {len(vocabulary)} of {name}_ids, got {given}")
        given = len(vocabulary)
        if given < needed:
            raise ValueError(f"{name}_ids must have > {needed - 1} entries, the largest {name}, got {given}")
    if given and given < needed:
        raise ValueError(f"{size} must be > {needed - 1}, the largest {name}, got {given}")
    return given or needed


def _check_values(value: ArrayLike, n: int) -> NDArray[np.float32]:
    array = as_array("value", value)
    if array.size == 0 and not isinstance(value, np.ndarray):
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"value must be numbers, got {array.dtype}")
    _check_length("value", array, n)
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"value must be finite (as float32), got {array[at]} at position {at}")
    return array


def _check_time(time: ArrayLike, n: int) -> NDArray[Any]:
    array = as_array("time", time)
    if array.size == 0 and not isinstance(time, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iufM":
        raise TypeError(f"time must be numbers or datetime64, got {array.dtype}")
    _check_length("time", array, n)
    missing = np.isnat(array) if array.dtype.kind == "M" else ~np.isfinite(array)
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(f"time must be finite, got {array[at]} at position {at}")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]")
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)


def _check_external(name: str, ids: ArrayLike) -> NDArray[Any]:
    array = as_array(name, ids)
    if array.size == 0 and not isinstance(ids, np.ndarray):
        array = array.astype(np.int64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    if array.dtype == object:
        kinds = {type(entry) for entry in array.tolist()}
        if all(issubclass(kind, str) for kind in kinds):
            array = array.astype(str)
        elif all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
            array = array.astype(np.int64)
        else:
            found = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(f"{name} must hold integers or strings throughout, got {found}")
    if array.dtype.kind not in "iuUT":
        raise TypeError(f"{name} must hold integers or strings, got {array.dtype}")
    if array.dtype.kind in "UT" and (array == "").any():
        at = int(np.flatnonzero(array == "")[0])
        raise ValueError(f"{name} must not hold empty strings, got one at position {at}")
    return array


def _number(external: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[np.int64]]:
    """Return the sorted distinct ids (None if they are 0..n-1) and the position of each entry among them."""
    ids, dense = np.unique(external, return_inverse=True)
    already_dense = ids.dtype.kind in "iu" and bool((ids == np.arange(len(ids))).all())
    return None if already_dense else ids, dense
