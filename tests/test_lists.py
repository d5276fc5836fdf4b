"""Lists of categories, alone and as fields of `Features`."""

import numpy as np
import pytest

from pyrec_core import Features, Lists
from pyrec_core._lists import split_cells

GENRES = Lists([4, 0, 2, -1], [0, 2, 2, 3, 4], weights=[1.0, 2.0, 3.0, 4.0], pooling="sum")


def as_lists(lists):
    return [lists.ids[a:b].tolist() for a, b in zip(lists.offsets, lists.offsets[1:], strict=False)]


def test_lists_are_kept_as_int32_int64_and_float32():
    assert (GENRES.ids.dtype, GENRES.offsets.dtype, GENRES.weights.dtype) == (np.int32, np.int64, np.float32)
    assert len(GENRES) == 4
    assert GENRES.lengths.tolist() == [2, 0, 1, 1]
    assert len(Lists([], [0])) == 0


@pytest.mark.parametrize("rows", [[3, 0, 0, 1], [], [2]])
def test_taken_lists_keep_their_weights(rows):
    taken = GENRES.take(np.array(rows, int))
    assert as_lists(taken) == [as_lists(GENRES)[row] for row in rows]
    weight = {4: 1.0, 0: 2.0, 2: 3.0, -1: 4.0}
    assert taken.weights.tolist() == [weight[i] for i in taken.ids.tolist()]
    assert taken.pooling == "sum"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.5], [0, 1]), TypeError, "ids must be integers, got float64"),
        (([[1]], [0, 1]), ValueError, "ids must be 1-D"),
        (([-2], [0, 1]), ValueError, r"ids must be in -1\.\."),
        (([1, 2], [0, 1]), ValueError, "offsets must be 1-D and rise from 0 to 2, the number of ids, got"),
        (([1, 2], [0, 2, 1, 2]), ValueError, "offsets must be 1-D and rise from 0 to 2"),
        (([1], []), ValueError, "offsets must be 1-D and rise from 0 to 1"),
        (([1], [0, 1], None, "max"), ValueError, "pooling must be one of 'mean', 'sum', got 'max'"),
        (([1], [0, 1], ["a"]), TypeError, "weights must be numbers"),
        (([1], [0, 1], [1.0, 2.0]), ValueError, r"weights must have shape \(1,\) like ids, got \(2,\)"),
        (([1], [0, 1], [np.nan]), ValueError, "weights must be finite"),
    ],
)
def test_bad_lists_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Lists(*arguments)


def split(cells, missing=None, separator="|"):
    missing = np.zeros(len(cells), bool) if missing is None else np.array(missing)
    column = split_cells("cells", cells, missing, separator)
    entries = column.entries.ids[column.entries.place].tolist()
    return [entries[a:b] for a, b in zip(column.offsets, column.offsets[1:], strict=False)]


def test_cells_are_split():
    assert split(["a|b", "", "b", "a|b", "c||a"]) == [["a", "b"], [], ["b"], ["a", "b"], ["c", "a"]]
    assert split(["a, b", None, "b"], [False, True, False], ", ") == [["a", "b"], [], ["b"]]
    assert split([[3, 1], (2,), np.array([1]), []]) == [[3, 1], [2], [1], []]
    assert split([["x"], None], [False, True]) == [["x"], []]
    assert split([None], [True]) == [[]]
    assert split([]) == []


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ([["a"], "b"], TypeError, "cells must hold lists, arrays or strings throughout, got list, str"),
        ([1, 2], TypeError, "cells must hold lists, arrays or strings throughout, got int"),
        ([["a", 1]], TypeError, "cells must hold integers or strings throughout"),
        ([[["a"]]], TypeError, "cells must hold integers or strings, got list"),
        ([[1.5]], TypeError, "cells must hold integers or strings, got float64"),
        ([["a", ""]], ValueError, "cells must not hold empty strings in its lists"),
    ],
)
def test_bad_cells_are_refused(cells, error, message):
    with pytest.raises(error, match=message):
        split(cells)


def test_features_have_fields_of_lists_and_crosses():
    features = Features(
        [[0], [1], [0], [-1]], lists=[GENRES], names=["city", "genres"], crosses=[[3], [1], [0], [7]], cross_size=8
    )
    assert features.shape == (4, 2)
    assert features.field_sizes.tolist() == [2, 5]
    assert repr(features) == "Features(4 rows, 2 fields, 1 of lists, 7 categories, 1 crosses)"
    taken = features.take([3, 0])
    assert as_lists(taken.lists[0]) == [[-1], [4, 0]]
    assert taken.crosses.tolist() == [[7], [3]]
    assert taken.field_sizes.tolist() == [2, 5]
    assert Features(np.empty((4, 0), int), lists=[GENRES]).numeric == (False,)


def test_unsigned_ids_are_taken():
    features = Features(np.array([[0], [3]], np.uint16), lists=[Lists(np.array([7], np.uint8), [0, 0, 1])])
    assert features.field_sizes.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lists": [[1]]}, TypeError, "lists must be Lists, got list"),
        ({"lists": [Lists([1], [0, 1])]}, ValueError, "lists must have 4 lists, one a row of ids, got 1"),
        ({"lists": [GENRES], "field_sizes": [2, 4]}, ValueError, "field_sizes must be >= 5 for field '1', got 4"),
        ({"lists": [GENRES], "names": ["a"]}, ValueError, "names must have 2 entries, one a field, got 1"),
        ({"crosses": [[0], [1]], "cross_size": 2}, ValueError, r"crosses must have shape \(4, n_crosses\)"),
        ({"crosses": [[0]] * 4}, ValueError, "crosses must hold cross ids in"),
        ({"crosses": [[0.5]] * 4, "cross_size": 2}, TypeError, "crosses must be integers"),
        ({"cross_size": -1}, ValueError, "cross_size must be >= 0, got -1"),
    ],
)
def test_bad_fields_of_lists_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Features([[0], [1], [0], [1]], **options)


def test_tables_have_no_lists_without_an_encoder():
    with pytest.raises(ValueError, match="like must have neither lists nor crosses, which FeatureEncoder makes"):
        Features.from_arrays({"0": [0]}, like=Features([[0]] * 4, lists=[GENRES]))
