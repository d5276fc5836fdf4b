"""Fields of lists, beside fields of one category or number, as layers take them."""

import numpy as np
from numpy.typing import NDArray

from ..._lists import Lists
from ...layers import Fields


def fill_empty(lists: Lists) -> Lists:
    """Return the lists, empty ones with one category that is unknown in them."""
    lengths = np.maximum(lists.lengths, 1)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64)
    if offsets[-1] == len(lists.ids):
        return lists
    at = np.arange(len(lists.ids)) + np.repeat(offsets[:-1] - lists.offsets[:-1], lists.lengths)
    ids = np.full(offsets[-1], -1, np.int32)
    ids[at] = lists.ids
    weights = None if lists.weights is None else np.ones(len(ids), np.float32)
    if weights is not None:
        weights[at] = lists.weights
    return Lists(ids, offsets, weights, lists.pooling)


def ragged(
    rows: NDArray[np.int32], values: NDArray[np.float32] | None, lists: list[Lists], entries: list[NDArray[np.int32]]
) -> Fields:
    """Return fields of one row of the table each, and then those of lists, whose ``entries`` are rows of the table."""
    n, n_single = rows.shape
    lengths = np.stack([*np.ones((n_single, n), np.int64), *(field.lengths for field in lists)], axis=1)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    offsets = np.concatenate([ends[:, :1] - lengths[:, :1], ends], axis=1)
    ids = np.empty(lengths.sum(), np.int32)
    weights = np.ones(len(ids), np.float32)
    ids[offsets[:, :n_single]] = rows
    if values is not None:
        weights[offsets[:, :n_single]] = values
    for slot, (field, of_list) in enumerate(zip(lists, entries, strict=True), start=n_single):
        at = np.arange(len(of_list)) + np.repeat(offsets[:, slot] - field.offsets[:-1], field.lengths)
        ids[at] = of_list
        if field.weights is not None:
            weights[at] = field.weights
        if field.pooling == "mean":
            weights[at] /= np.repeat(field.lengths, field.lengths)
    return Fields(ids, weights, offsets)
