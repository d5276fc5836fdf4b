"""Lists of categories: a field of which an example may have several, such as the genres of a film."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._columns import Distinct, distinct_objects
from ._validation import MAX_ID, as_array, check_choice, check_ids, check_integers

POOLINGS = ("mean", "sum")


@dataclass(frozen=True, eq=False, repr=False)
class Lists:
    """A field of which each example has any number of categories: one list after the other.

    Models take the mean, or the sum, of the embeddings of a list, and of the weights of its categories.

    Parameters
    ----------
    ids : integers (n,)
        The categories of all lists, numbered from 0; -1 where one is unknown. Stored as int32.
    offsets : integers (n_lists + 1,)
        Where each list begins; the last is n. Stored as int64.
    weights : float (n,), optional
        What each category is multiplied by. Finite. Stored as float32. None: all 1.
    pooling : {"mean", "sum"}
        "mean" divides by the length of a list, whatever its weights.

    Raises
    ------
    TypeError
        Ids or offsets that are not integers, weights that are not numbers.
    ValueError
        Ids out of range, offsets that do not rise from 0 to n, another pooling, NaN or infinity.

    Examples
    --------
    >>> from pyrec_core import Lists
    >>> genres = Lists([4, 7, 19], [0, 2, 2, 3])
    >>> genres  # two, none, one
    Lists(3 lists, 3 categories in them, pooling='mean')
    >>> genres.take([2, 0]).ids
    array([19,  4,  7], dtype=int32)
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None
    pooling: str = "mean"

    def __post_init__(self) -> None:
        ids, offsets = check_integers("ids", self.ids), check_integers("offsets", self.offsets)
        if ids.ndim != 1:
            raise ValueError(f"ids must be 1-D, got shape {ids.shape}")
        if ids.size and (ids.min() < -1 or ids.max() >= MAX_ID):
            raise ValueError(f"ids must be in -1..{MAX_ID - 1}, got {ids.min()} to {ids.max()}")
        rises = offsets.ndim == 1 and len(offsets) and offsets[0] == 0 and offsets[-1] == len(ids)
        if not rises or (offsets[1:] < offsets[:-1]).any():
            got = offsets.tolist()[:9]
            raise ValueError(f"offsets must be 1-D and rise from 0 to {len(ids)}, the number of ids, got {got}")
        check_choice("pooling", self.pooling, POOLINGS)
        object.__setattr__(self, "ids", ids.astype(np.int32, copy=False))
        object.__setattr__(self, "offsets", offsets.astype(np.int64, copy=False))
        if self.weights is not None:
            object.__setattr__(self, "weights", _check_weights(self.weights, len(ids)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Lists({len(self)} lists, {len(self.ids)} categories in them, pooling={self.pooling!r})"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each list."""
        return np.diff(self.offsets)

    def take(self, rows: ArrayLike) -> Self:
        """Return these lists (repeats allowed), in this order.

        Raises
        ------
        TypeError
            ``rows`` are not integers.
        ValueError
            Unknown rows.
        """
        at, offsets = elements_of(self.offsets, check_ids("rows", rows, len(self), "row"))
        weights = None if self.weights is None else self.weights[at]
        return replace(self, ids=self.ids[at], offsets=offsets, weights=weights)


def elements_of(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the elements of these lists lie, one list after the other, and their new offsets."""
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    ends = np.cumsum(lengths)
    at = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
    return at, np.append(0, ends).astype(np.int64)


class Column(NamedTuple):
    """A column of lists as it was read.

    Attributes
    ----------
    entries : Distinct
        Integers or strings, one list after the other.
    offsets : int64 (n_rows + 1,)
        Where the list of each row begins. One that is missing has no entries.
    """

    entries: Distinct
    offsets: NDArray[np.int64]


def split_cells(name: str, cells: list[Any], missing: NDArray[np.bool_], separator: str) -> Column:
    """Return the lists of cells that are strings to be split, or sequences; all of one kind.

    Parts of a string that are empty do not count.
    """
    given = [cell for cell, absent in zip(cells, missing.tolist(), strict=True) if not absent]
    kinds = set(map(type, given))
    strings = all(issubclass(kind, str) for kind in kinds)
    if not strings and not all(issubclass(kind, (list, tuple, np.ndarray)) for kind in kinds):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{name} must hold lists, arrays or strings throughout, got {found}")
    place = np.full(len(cells), -1, np.int64)
    lists: list[Any] = given
    if strings:  # most of them occur often: each is split once
        number = {cell: i for i, cell in enumerate(dict.fromkeys(given))}
        place[~missing] = np.fromiter(map(number.__getitem__, given), np.int64, len(given))
        lists = [[part for part in cell.split(separator) if part] for cell in number]
    else:
        place[~missing] = np.arange(len(given))
    entries = distinct_objects(name, list(chain.from_iterable(lists)))
    if entries.ids.dtype.kind == "U" and (entries.ids[:1] == "").any():
        raise ValueError(f"{name} must not hold empty strings in its lists, got one")
    lengths = [0, *map(len, lists), 0]  # the last list, an empty one, stands for what is missing
    at, offsets = elements_of(np.cumsum(lengths, dtype=np.int64), place % (len(lists) + 1))
    return Column(Distinct(entries.ids, entries.place[at]), offsets)


def _check_weights(weights: Any, n: int) -> NDArray[np.float32]:
    array = as_array("weights", weights)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"weights must be numbers, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"weights must have shape ({n},) like ids, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("weights must be finite, got NaN or infinity")
    return array.astype(np.float32, copy=False)
