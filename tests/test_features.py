"""Features: validation, encoding of categories and numbers, a second table like the first."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Features

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
TRAIN = {"city": ["Rome", "Bonn", "Rome"], "age": [30, 41, 25], "dev": [7, 7, 2], "bought": [1, 0, 1]}


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]


@pytest.fixture
def train(table):
    return Features.from_frame(table(TRAIN), fields=["city", "dev"], numeric="age", target="bought")


def same(a, b):
    for name in ("ids", "values", "target", "field_sizes"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None), name
        if left is not None:
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
    assert a.names == b.names
    for left, right in zip(a.vocabularies, b.vocabularies, strict=True):
        np.testing.assert_array_equal(left, right)


def test_categories_are_numbered_in_sorted_order_and_numbers_are_values(train):
    assert train.names == ("city", "dev", "age")
    assert train.ids.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert train.values.tolist() == [[1, 1, 30], [1, 1, 41], [1, 1, 25]]
    assert train.target.tolist() == [1, 0, 1]
    assert [None if known is None else known.tolist() for known in train.vocabularies] == [
        ["Bonn", "Rome"],
        [2, 7],
        None,
    ]
    assert train.field_sizes.tolist() == [2, 2, 1]
    assert train.numeric == (False, False, True)
    assert (train.ids.dtype, train.values.dtype, train.target.dtype) == (np.int32, np.float32, np.float32)
    assert repr(train) == "Features(3 rows, 3 fields, 5 categories, with target)"


def test_arrays_and_tables_give_the_same(train):
    fields = {"city": TRAIN["city"], "dev": np.array(TRAIN["dev"])}
    same(Features.from_arrays(fields, {"age": TRAIN["age"]}, TRAIN["bought"]), train)


def test_without_numbers_there_are_no_values(table):
    data = Features.from_frame(table({"c": [1, 0]}), fields="c")
    assert data.values is None
    assert data.vocabularies[0].tolist() == [0, 1]  # kept though dense: None would mean any number of categories
    assert data.numeric == (False,)


def test_numbers_alone_are_fields(table):
    data = Features.from_frame(table({"a": [0.5, 2.0], "b": [True, False]}), numeric=["a", "b"])
    assert data.ids.tolist() == [[0, 0], [0, 0]]
    assert data.values.tolist() == [[0.5, 1], [2, 0]]
    assert data.numeric == (True, True)


@given(
    train=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), min_size=1),
    test=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-2, 7)), min_size=1),
)
def test_a_second_table_is_encoded_like_the_first(train, test):
    vocabularies = [sorted({row[at] for row in train}) for at in range(2)]
    wanted = [[v.index(x) if x in v else -1 for x, v in zip(row, vocabularies, strict=True)] for row in test]
    for make in TABLES.values():
        first, second = (make({"x": [r[0] for r in rows], "y": [r[1] for r in rows]}) for rows in (train, test))
        known = Features.from_frame(first, fields=["x", "y"])
        found = Features.from_frame(second, like=known, unknown="ignore")
        assert found.ids.tolist() == wanted
        same(Features.from_frame(first, like=known), known)
        if min(map(min, wanted)) < 0:
            with pytest.raises(ValueError, match=r"field '[xy]' must hold known categories"):
                Features.from_frame(second, like=known)


def test_unknown_categories_are_counted_and_named(table, train):
    df = table({"city": ["Oslo", "Bonn", "Paris", "Lima", "Kyiv", "Oslo"], "dev": [7] * 6, "age": [1] * 6})
    message = r"field 'city' must hold known categories .*, got 4 unknown in 5 rows: 'Kyiv', 'Lima', 'Oslo'$"
    with pytest.raises(ValueError, match=message):
        Features.from_frame(df, like=train)
    found = Features.from_frame(df, like=train, unknown="ignore")
    assert found.ids[:, 0].tolist() == [-1, 0, -1, -1, -1, -1]
    assert found.target is None
    with pytest.raises(TypeError, match="field 'dev' must hold integers like the known category ids, got <U1"):
        Features.from_frame(table({"city": ["Rome"], "dev": ["7"], "age": [1]}), like=train)


def test_given_vocabularies_keep_their_order(table):
    df = table({"size": ["M", "S", "L"], "c": [1, 2, 1]})
    data = Features.from_frame(df, fields=["size", "c"], vocabularies={"size": ["S", "M", "L", "XL"]})
    assert data.ids.tolist() == [[1, 0], [0, 1], [2, 0]]
    assert data.field_sizes.tolist() == [4, 2]
    data = Features.from_arrays({"size": ["XL"]}, vocabularies={"size": ["S", "M"]}, unknown="ignore")
    assert data.ids.tolist() == [[-1]]


def test_missing_entries_are_refused_or_add_nothing(table):
    df = table({"c": ["a", None, "b"], "d": [3, 4, None], "x": [0.5, None, 2.0]})
    for name, kind in (("c", "fields"), ("d", "fields"), ("x", "numeric")):
        with pytest.raises(ValueError, match=f"field '{name}' must not be missing, got 1 missing in column '{name}'"):
            Features.from_frame(df, **{kind: name})
    data = Features.from_frame(df, fields=["c", "d"], numeric="x", missing="ignore")
    assert data.ids.tolist() == [[0, 0, 0], [-1, 1, -1], [1, -1, 0]]
    assert data.values.tolist() == [[1, 1, 0.5], [1, 1, 0], [1, 1, 2]]
    assert data.vocabularies[1].tolist() == [3, 4]
    same(Features.from_frame(df, like=data, missing="ignore"), data)


def test_a_missing_target_is_refused(table):
    df = table({"c": [1, 2], "y": [1.0, None]})
    with pytest.raises(ValueError, match="target must not be missing, got 1 missing in column 'y'"):
        Features.from_frame(df, fields="c", target="y", missing="ignore")


def test_infinite_numbers_name_their_field(table):
    with pytest.raises(ValueError, match=r"field 'x' must be finite \(as float32\), got inf at position \(1,\)"):
        Features.from_frame(table({"x": [1.0, np.inf]}), numeric="x")
    with pytest.raises(ValueError, match=r"field 'x' must be finite \(as float32\), got nan at position \(0,\)"):
        Features.from_arrays(numeric={"x": [np.nan]})


def test_like_takes_features_without_vocabularies():
    known = Features([[0, 2], [1, 0]], field_sizes=[2, 4], names=["a", "b"])
    found = Features.from_arrays({"b": [3, 1], "a": [1, 5]}, like=known, unknown="ignore")
    assert found.ids.tolist() == [[1, 3], [-1, 1]]
    assert found.vocabularies == (None, None)
    assert found.field_sizes.tolist() == [2, 4]


def test_like_keeps_the_order_of_mixed_fields():
    known = Features(
        [[0, 1]], values=[[2.0, 1.0]], field_sizes=[1, 3], names=["x", "c"], vocabularies=[None, list("abc")]
    )
    found = Features.from_arrays({"c": ["c"]}, {"x": [4]}, like=known)
    assert (found.ids.tolist(), found.values.tolist()) == ([[0, 2]], [[4, 1]])


def test_take_picks_rows(train):
    taken = train.take([2, 0, 2])
    assert taken.ids.tolist() == train.ids[[2, 0, 2]].tolist()
    assert taken.values[:, 2].tolist() == [25, 30, 25]
    assert taken.target.tolist() == [1, 1, 1]
    assert taken.vocabularies == train.vocabularies
    assert Features([[3]]).take([]).field_sizes.tolist() == [4]
    with pytest.raises(ValueError, match=r"rows must hold row ids in 0\.\.2, got 1 unknown: 3"):
        train.take([3])


def test_sizes_come_from_vocabularies_else_from_ids():
    assert Features([[0, 5], [-1, 2]]).field_sizes.tolist() == [1, 6]
    assert Features([[0]], vocabularies=[["a", "b"]]).field_sizes.tolist() == [2]
    assert Features(np.zeros((0, 2), int)).field_sizes.tolist() == [0, 0]
    assert Features([[0, 1]]).names == ("0", "1")
    assert len(Features([[0], [1]])) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ids": [[0.0]]}, TypeError, "ids must be integers, got float64"),
        ({"ids": [0]}, ValueError, r"ids must be 2-D \(rows x fields\), got shape \(1,\)"),
        ({"ids": [[-2]]}, ValueError, "ids must be in -1..2147483646, got -2 to -2"),
        ({"values": [["a"]]}, TypeError, "values must be numbers, got <U1"),
        ({"values": [[1.0, 2.0]]}, ValueError, r"values must have shape \(1, 1\), got \(1, 2\)"),
        ({"values": [[np.nan]]}, ValueError, r"values must be finite \(as float32\), got nan at position \(0, 0\)"),
        ({"target": [1, 2]}, ValueError, r"target must have shape \(1,\), got \(2,\)"),
        ({"field_sizes": [3, 4]}, ValueError, r"field_sizes must have shape \(1,\), got \(2,\)"),
        ({"ids": [[3]], "field_sizes": [3]}, ValueError, "field_sizes must be >= 4 for field '0', got 3"),
        ({"field_sizes": [1], "vocabularies": [["a", "b"]]}, ValueError, "field_sizes must be >= 2 for field '0'"),
        ({"names": ["a", "b"]}, ValueError, "names must have 1 entries, one a field, got 2"),
        ({"ids": [[0, 0]], "names": ["a", "a"]}, ValueError, "names must hold each name once, got 'a' again"),
        ({"names": [3]}, TypeError, "names must hold names of fields, got 3"),
        ({"vocabularies": [["a", "a"]]}, ValueError, "the vocabulary of field '0' must be distinct, got 1"),
        ({"vocabularies": [[0.5]]}, TypeError, "the vocabulary of field '0' must hold integers or"),
    ],
)  # fmt: skip
def test_bad_arrays_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Features(**{"ids": [[0]], **arguments})


KNOWN = Features([[0, 0]], values=[[1, 2]], field_sizes=[2, 1], names=["c", "x"], vocabularies=[["a", "b"], None])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "fields and numeric must name at least one column, got none"),
        ({"fields": ["c", "c"]}, ValueError, "fields and numeric must hold each name once, got 'c' again"),
        ({"fields": "c", "numeric": "c"}, ValueError, "fields and numeric must hold each name once, got 'c' again"),
        ({"fields": {"c"}}, TypeError, "fields must be a name or a sequence of names, got set"),
        ({"fields": "z"}, ValueError, "field 'z' must be one of the columns 'c', 'x', got 'z'"),
        ({"fields": "c", "target": "z"}, ValueError, "target must be one of the columns"),
        ({"fields": "c", "target": "c"}, TypeError, "target must be numbers, got String in column 'c'"),
        ({"numeric": "c"}, TypeError, "field 'c' must be numbers, got String in column 'c'"),
        ({"fields": "x"}, TypeError, "field 'x' must hold integers or strings, got Float64: is it numeric"),
        ({"fields": "c", "unknown": "drop"}, ValueError, "unknown must be one of 'error', 'ignore', got 'drop'"),
        ({"fields": "c", "missing": 0}, TypeError, "missing must be one of 'error', 'ignore', got 0"),
        ({"fields": "c", "vocabularies": {"x": [1]}}, ValueError, "vocabularies must be of 'c', the fields, got 'x'"),
        ({"like": [0]}, TypeError, "like must be Features, got list"),
        ({"like": KNOWN, "fields": "c"}, ValueError, "fields and numeric must be left out where like is given"),
        ({"like": KNOWN, "vocabularies": {"c": ["a"]}}, ValueError, "vocabularies must be left out where"),
    ],
)  # fmt: skip
def test_bad_columns_are_refused(table, arguments, error, message):
    with pytest.raises(error, match=message):
        Features.from_frame(table({"c": ["a", "b"], "x": [0.5, 1.5]}), **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (({"c": ["a"]}, {"x": [1, 2]}), ValueError, r"field 'x' must have shape \(1,\), got \(2,\)"),
        (({"c": ["a"], "d": [1, 2]},), ValueError, r"field 'd' must have shape \(1,\) like field 'c', got \(2,\)"),
        (({"c": [0.5]},), TypeError, "field 'c' must hold integers or strings, got float64"),
        ((None, {"x": ["a"]}), TypeError, "field 'x' must be numbers, got <U1"),
        (({"c": ["a"]}, None, ["y"]), TypeError, "target must be numbers, got <U1"),
        (({"c": ["a"]}, None, [1, 2]), ValueError, r"target must have shape \(1,\), got \(2,\)"),
    ],
)  # fmt: skip
def test_bad_column_arrays_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Features.from_arrays(*arguments)


def test_arrays_must_have_the_fields_of_like():
    rule = "fields and numeric must have the columns 'c', 'x' of like, got 'c' and none"
    with pytest.raises(ValueError, match=rule):
        Features.from_arrays({"c": ["a"]}, like=KNOWN)
