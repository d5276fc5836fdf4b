"""Ids that come several times, put in order on a device: what the kernels there sum by, each group in one order."""

from typing import NamedTuple

import numpy as np

from .._backend import Array, array_module


class Groups(NamedTuple):
    """The distinct ids of an array, and where each stands.

    Attributes
    ----------
    unique : int32 (n,)
        The distinct ids, ascending.
    starts : int64 (n + 1,)
        ``order[starts[g] : starts[g + 1]]`` are the positions of ``unique[g]``.
    order : int64 (m,)
        The positions of all ids, by id, equal ones in the order of the array.
    """

    unique: Array
    starts: Array
    order: Array


def grouped(ids: Array) -> Groups:
    """Return the groups of ``ids``, int32 (m,)."""
    xp = array_module(ids)
    order = xp.argsort(ids, kind="stable").astype(np.int64, copy=False)
    by_id = ids[order]
    first = xp.ones(len(by_id), bool)
    first[1:] = by_id[1:] != by_id[:-1]
    starts = xp.flatnonzero(first).astype(np.int64, copy=False)
    return Groups(by_id[starts], xp.append(starts, xp.asarray([len(ids)], np.int64)), order)
