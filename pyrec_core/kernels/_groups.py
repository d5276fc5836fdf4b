"""Ids that come several times, put in order on a device: what the kernels there sum by, each group in one order."""

from typing import NamedTuple

import numpy as np

from .._backend import Array, array_module
from .._validation import known_of_ids


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
    """Return the groups of ``ids``, int32 (m,). Within a step of a training equal ids are sorted once."""
    known = known_of_ids()
    if known is None:
        return _sorted(ids)
    where = ids.__cuda_array_interface__["data"][0], len(ids)
    if where not in known:
        known[where] = ids, _sorted(ids)  # the ids too: as long as they live, no others can lie there
    groups: Groups = known[where][1]
    return groups


def each_alone(ids: Array) -> Groups:
    """Return the groups of ``ids``, int32 (m,), that ascend without repeats."""
    xp = array_module(ids)
    places = xp.arange(len(ids) + 1, dtype=np.int64)
    return Groups(ids, places, places[:-1])


def _sorted(ids: Array) -> Groups:
    xp = array_module(ids)
    order = xp.argsort(ids, kind="stable").astype(np.int64, copy=False)
    by_id = ids[order]
    first = xp.ones(len(by_id), bool)
    first[1:] = by_id[1:] != by_id[:-1]
    begins = xp.flatnonzero(first)
    starts = xp.full(len(begins) + 1, len(ids), np.int64)
    starts[:-1] = begins
    return Groups(by_id[begins], starts, order)
