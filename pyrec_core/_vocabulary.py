"""External ids, integers or strings, and the dense ids 0..n-1 that stand for them."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._columns import as_external, check_vocabulary, first_three


@dataclass(frozen=True)
class Vocabulary:
    """The external id of each dense id, and back by binary search, for arrays of any shape.

    Attributes
    ----------
    what : str
        What the ids number ("user", "item"), for messages.
    ids : array (n,)
        The external ids, all different, in any order.
    order : int64 (n,) or None
        What sorts ``ids``; None where they are sorted.
    """

    what: str
    ids: NDArray[Any]
    order: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, what: str, ids: ArrayLike) -> Self:
        """Make one from external ids."""
        known = check_vocabulary(f"{what}_ids", ids)
        ascending = bool((known[1:] > known[:-1]).all())
        return cls(what, known, None if ascending else np.argsort(known))

    def find(self, name: str, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the dense ids, -1 where an id is unknown; the wrong kind of id is a ``TypeError``."""
        given = as_external(name, ids)
        if given.size and (given.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            kind = "integers" if self.ids.dtype.kind in "iu" else "strings"
            raise TypeError(f"{name} must hold {kind} like the known {self.what} ids, got {given.dtype}")
        if len(self.ids) == 0 or given.size == 0:
            return np.full(given.shape, -1, np.int64)
        # in the dtype of the vocabulary, which would otherwise be converted, all of it, in each call;
        # an id that this cuts short or wraps around is found by chance at most, and then differs
        place = np.searchsorted(self.ids, given.astype(self.ids.dtype), sorter=self.order)
        place = np.minimum(place, len(self.ids) - 1)
        dense = place if self.order is None else self.order[place]
        return np.where(self.ids[dense] == given, dense, -1)

    def dense(self, name: str, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the dense ids; unknown ones are a ``ValueError`` with their number and the first three."""
        dense = self.find(name, ids)
        unknown = dense < 0
        if unknown.any():
            others = np.unique(as_external(name, ids)[unknown])
            raise ValueError(
                f"{name} must hold known {self.what} ids, got {len(others)} unknown: {first_three(others)}"
            )
        return dense

    def external(self, dense: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the external ids of dense ones; with a -1 among them an object array with None in its place."""
        known = dense >= 0
        found: NDArray[Any]
        if known.all():
            found = self.ids[dense]
        else:
            found = np.full(dense.shape, None, object)
            found[known] = self.ids[dense[known]]
        return found
