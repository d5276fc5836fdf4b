"""Tables of pandas, Polars and Arrow become arrays: dtypes, missing entries, wrong columns."""

import datetime as dt
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Interactions
from pyrec_core._frames import Frame

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
BIG = 2**63 + 5


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]


def one_column(column):
    """A table with the column "c", of the library that the column is from."""
    if isinstance(column, pd.Series):
        return column.to_frame("c")
    return pl.DataFrame({"c": column}) if isinstance(column, pl.Series) else pa.table({"c": column})


STRINGS = {
    "pandas str": pd.Series(["b", "a", "b"]),
    "pandas object": pd.Series(["b", "a", "b"], dtype=object),
    "pandas string": pd.Series(["b", "a", "b"], dtype="string"),
    "pandas category": pd.Series(["b", "a", "b"], dtype="category"),
    "pandas category with others": pd.Series(["b", "a", "b"], dtype=pd.CategoricalDtype(["c", "b", "a"])),
    "pandas arrow": pd.Series(["b", "a", "b"], dtype=pd.ArrowDtype(pa.string())),
    "pandas with labels": pd.Series(["b", "a", "b"], index=[5, 5, 1]),
    "polars string": pl.Series(["b", "a", "b"]),
    "polars categorical": pl.Series(["b", "a", "b"], dtype=pl.Categorical),
    "polars enum": pl.Series(["b", "a", "b"], dtype=pl.Enum(["c", "b", "a"])),
    "arrow string": pa.chunked_array([["b"], ["a", "b"]]),
    "arrow large string": pa.array(["b", "a", "b"], pa.large_string()),
    "arrow string view": pa.array(["b", "a", "b"], pa.string_view()),
    "arrow dictionary": pa.array(["b", "a", "b"]).dictionary_encode(),
}
INTEGERS = {
    "pandas int64": pd.Series([7, -3, 7]),
    "pandas int8": pd.Series([7, -3, 7], dtype="int8"),
    "pandas Int64": pd.Series([7, -3, 7], dtype="Int64"),
    "pandas object": pd.Series([7, -3, 7], dtype=object),
    "pandas category": pd.Series([7, -3, 7], dtype="category"),
    "polars": pl.Series([7, -3, 7]),
    "polars int16": pl.Series([7, -3, 7], dtype=pl.Int16),
    "arrow": pa.chunked_array([[7], [-3, 7]]),
}


@pytest.mark.parametrize("column", STRINGS.values(), ids=STRINGS)
def test_strings_of_any_kind_are_ids(column):
    ids, place = Frame(one_column(column), {"item": "c"}).ids("item")
    assert ids.dtype == np.dtype("U1")
    assert ids.tolist() == ["a", "b"]
    assert place.tolist() == [1, 0, 1]


@pytest.mark.parametrize("column", INTEGERS.values(), ids=INTEGERS)
def test_integers_of_any_kind_are_ids(column):
    ids, place = Frame(one_column(column), {"item": "c"}).ids("item")
    assert ids.dtype.kind == "i"
    assert ids.tolist() == [-3, 7]
    assert place.tolist() == [1, 0, 1]


@pytest.mark.parametrize("column", [pd.Series([BIG, 1], dtype="uint64"), pl.Series([BIG, 1], dtype=pl.UInt64)])
def test_large_integers_keep_every_digit(column):
    ids, place = Frame(one_column(column), {"item": "c"}).ids("item")
    assert (ids.tolist(), place.tolist()) == ([1, BIG], [1, 0])


def test_dense_ids_need_no_vocabulary(table):
    ids, place = Frame(table({"c": [2, 0, 1, 0]}), {"item": "c"}).ids("item")
    assert ids is None
    assert place.tolist() == [2, 0, 1, 0]


@given(names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4)))
def test_ids_of_all_tables_are_sorted_by_code_point(names):
    for make in TABLES.values():
        if not names:
            continue  # a column without entries has no dtype either
        ids, place = Frame(make({"c": names}), {"item": "c"}).ids("item")
        assert ids.tolist() == sorted(set(names))
        assert ids[place].tolist() == names


MISSING = {
    "pandas str": pd.Series(["a", None, "b", None]),
    "pandas object": pd.Series(["a", None, "b", np.nan], dtype=object),
    "pandas float": pd.Series([1.0, np.nan, 2.0, np.nan]),
    "pandas Int64": pd.Series([1, None, 2, None], dtype="Int64"),
    "pandas Float64": pd.Series([1, None, 2, None], dtype="Float64"),
    "pandas category": pd.Series(["a", None, "b", None], dtype="category"),
    "pandas boolean": pd.Series([False, None, True, None], dtype="boolean"),
    "polars string": pl.Series(["a", None, "b", None]),
    "polars integer": pl.Series([1, None, 2, None]),
    "polars float": pl.Series([1.0, None, 2.0, np.nan]),
    "polars categorical": pl.Series(["a", None, "b", None], dtype=pl.Categorical),
    "polars boolean": pl.Series([False, None, True, None]),
    "arrow string": pa.array(["a", None, "b", None]),
    "arrow string view": pa.array(["a", None, "b", None], pa.string_view()),
    "arrow integer": pa.array([1, None, 2, None]),
    "arrow float": pa.array([1.0, None, 2.0, np.nan]),
    "arrow dictionary": pa.array(["a", None, "b", None]).dictionary_encode(),
    "arrow boolean": pa.array([False, None, True, None]),
}


@pytest.mark.parametrize("column", MISSING.values(), ids=MISSING)
def test_missing_entries_are_counted_and_named_or_minus_one(column):
    frame = Frame(one_column(column), {"item": "c"})
    message = r"item must not be missing, got 2 missing in column 'c' \(first rows: 1, 3\)"
    with pytest.raises(ValueError, match=message):
        frame.ids("item")
    with pytest.raises(ValueError, match=message):
        frame.categories("item", allow_missing=False)
    ids, place = frame.categories("item", allow_missing=True)
    assert ids.tolist() in ([1, 2], [0, 1], ["a", "b"])
    assert place.tolist() == [0, -1, 1, -1]


def test_only_the_first_three_missing_rows_are_named(table):
    frame = Frame(table({"c": ["a", None, None, "b", None, None]}), {"item": "c"})
    with pytest.raises(ValueError, match=r"got 4 missing in column 'c' \(first rows: 1, 2, 4\)"):
        frame.ids("item")


def test_a_column_of_nothing_but_missing_entries(table):
    frame = Frame(table({"c": [None, None]}), {"item": "c"})
    with pytest.raises(ValueError, match="item must not be missing, got 2 missing"):
        frame.ids("item")
    ids, place = frame.categories("item", allow_missing=True)
    assert (len(ids), place.tolist()) == (0, [-1, -1])


def test_empty_strings_are_no_ids(table):
    frame = Frame(table({"c": ["a", "b", "", "b"]}), {"item": "c"})
    with pytest.raises(ValueError, match="item must not hold empty strings, got one in row 2"):
        frame.ids("item")
    frame = Frame(table({"c": [None, "b", "", "b"]}), {"item": "c"})
    with pytest.raises(ValueError, match="item must not hold empty strings, got one in row 2"):
        frame.categories("item", allow_missing=True)


NO_IDS = {
    "pandas float": (pd.Series([0.5, 1.5]), "Float64"),
    "pandas bool": (pd.Series([True, False]), "Boolean"),
    "pandas mixed": (pd.Series([1, "a"], dtype=object), "int, str"),
    "pandas datetime": (pd.Series([dt.datetime(2020, 1, 1)]), "Datetime"),
    "polars float": (pl.Series([1.0, 2.0]), "Float64"),
    "polars bool": (pl.Series([True, False]), "Boolean"),
    "polars date": (pl.Series([dt.date(2020, 1, 1)]), "Date"),
    "arrow decimal": (pa.array([Decimal("1.5")]), "Decimal"),
    "arrow bool": (pa.array([True, False]), "Boolean"),
}


@pytest.mark.parametrize(("column", "kind"), NO_IDS.values(), ids=NO_IDS)
def test_other_dtypes_are_no_ids(column, kind):
    with pytest.raises(TypeError, match=f"item must hold integers or strings.*, got .*{kind}"):
        Frame(one_column(column), {"item": "c"}).ids("item")


def test_whole_floats_and_booleans_are_categories(table):
    frame = Frame(table({"c": [2.0, 0.0, 2.0], "d": [True, False, True], "e": [0.5, 1.0, 2.0]}), {x: x for x in "cde"})
    for name, ids in (("c", [0, 2]), ("d", [0, 1])):
        found = frame.categories(name, allow_missing=False)
        assert found.ids.dtype == np.int64
        assert (found.ids.tolist(), found.place.tolist()) == (ids, [1, 0, 1])
    with pytest.raises(TypeError, match="e must hold integers or strings, got Float64: is it numeric"):
        frame.categories("e", allow_missing=False)


NUMBERS = {
    "pandas": pd.Series([1.5, 2.0]),
    "pandas Float64": pd.Series([1.5, 2.0], dtype="Float64"),
    "polars float32": pl.Series([1.5, 2.0], dtype=pl.Float32),
    "polars decimal": pl.Series([Decimal("1.5"), Decimal("2")]),
    "arrow": pa.chunked_array([[1.5], [2.0]]),
    "arrow decimal": pa.array([Decimal("1.5"), Decimal("2")]),
}


@pytest.mark.parametrize("column", NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_any_kind(column):
    found = Frame(one_column(column), {"value": "c"}).numbers("value")
    assert found.dtype.kind == "f"
    assert found.tolist() == [1.5, 2.0]


def test_missing_numbers_are_refused_or_nan(table):
    frame = Frame(table({"c": [1.0, None, np.nan]}), {"value": "c"})
    with pytest.raises(ValueError, match=r"value must not be missing, got 2 missing in column 'c' \(first rows: 1, 2"):
        frame.numbers("value")
    np.testing.assert_array_equal(frame.numbers("value", allow_missing=True), [1, np.nan, np.nan])


@pytest.mark.parametrize("column", [["a", "b"], [dt.date(2020, 1, 1)] * 2])
def test_other_dtypes_are_no_numbers(table, column):
    with pytest.raises(TypeError, match=r"value must be numbers, got .* in column 'c'"):
        Frame(table({"c": column}), {"value": "c"}).numbers("value")


UTC = dt.UTC
NOON = dt.datetime(2020, 1, 1, 12, tzinfo=UTC)
TIMES = {
    "pandas": pd.Series([NOON.replace(tzinfo=None)]),
    "pandas seconds": pd.Series([NOON.replace(tzinfo=None)]).astype("datetime64[s]"),
    "pandas zone": pd.Series([NOON]).dt.tz_convert("Asia/Tokyo"),
    "pandas arrow": pd.Series([NOON], dtype=pd.ArrowDtype(pa.timestamp("ms", "UTC"))),
    "polars": pl.Series([NOON.replace(tzinfo=None)]),
    "polars milliseconds": pl.Series([NOON.replace(tzinfo=None)], dtype=pl.Datetime("ms")),
    "polars zone": pl.Series([NOON], dtype=pl.Datetime("us", "Asia/Tokyo")),
    "arrow": pa.array([NOON.replace(tzinfo=None)]),
    "arrow seconds": pa.array([NOON], pa.timestamp("s", "Asia/Tokyo")),
    "arrow nanoseconds": pa.array([NOON], pa.timestamp("ns")),
}


@pytest.mark.parametrize("column", TIMES.values(), ids=TIMES)
def test_datetimes_become_nanoseconds_in_utc(column):
    df = one_column(column)
    log = Interactions(np.zeros(1, int), np.zeros(1, int), time=Frame(df, {"time": "c"}).time("time"))
    assert log.time.dtype == np.int64
    assert log.time.tolist() == [int(NOON.timestamp()) * 10**9]


@pytest.mark.parametrize("column", [pl.Series([dt.date(1970, 1, 2)]), pa.array([dt.date(1970, 1, 2)])])
def test_dates_become_nanoseconds(column):
    time = Frame(one_column(column), {"time": "c"}).time("time")
    assert time.astype("datetime64[ns]").astype(int).tolist() == [86400 * 10**9]


def test_numbers_are_times(table):
    frame = Frame(table({"c": [7], "d": [0.5], "e": ["noon"]}), {x: x for x in "cde"})
    assert (frame.time("c").tolist(), frame.time("d").tolist()) == ([7], [0.5])
    with pytest.raises(TypeError, match="e must be numbers, dates or datetimes, got String in column 'e'"):
        frame.time("e")


def test_missing_times_are_refused(table):
    frame = Frame(table({"c": [NOON, None]}), {"time": "c"})
    with pytest.raises(ValueError, match=r"time must not be missing, got 1 missing in column 'c' \(first rows: 1\)"):
        frame.time("time")


def test_times_beyond_nanoseconds_are_refused():
    far = pl.DataFrame({"c": [dt.datetime(2020, 1, 1), dt.datetime(2300, 1, 1)], "i": [0, 1]})
    with pytest.raises(ValueError, match=r"time must lie in the years 1678 to 2261, got 2300-01-01.* at position 1"):
        Interactions.from_frame(far, user="i", item="i", time="c")


def test_wrong_columns_and_tables_are_named(table):
    df = table({"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="user must be one of the columns 'a', 'b', got 'c'"):
        Frame(df, {"user": "c"})
    with pytest.raises(TypeError, match="user must be the name of a column, got list"):
        Frame(df, {"user": ["a"]})
    wide = table({f"c{at}": [0] for at in range(12)})
    with pytest.raises(ValueError, match="'c9' and 2 more, got 'd'"):
        Frame(wide, {"user": "d"})


@pytest.mark.parametrize("df", [[1], {"a": [1]}, np.ones(3), pl.Series([1]), pa.record_batch({"a": [1]}), None])
def test_other_things_are_no_tables(df):
    with pytest.raises(TypeError, match="df must be a pandas, Polars or Arrow table, got"):
        Frame(df, {"user": "a"})


def test_of_a_lazy_table_the_chosen_columns_are_collected():
    lazy = pl.LazyFrame({"a": ["x", "y"], "b": ["1", "?"]}).with_columns(pl.col("b").cast(pl.Int64))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        lazy.collect()
    assert Frame(lazy, {"user": "a"}).ids("user")[0].tolist() == ["x", "y"]


def test_integer_names_of_pandas_columns():
    assert Interactions.from_frame(pd.DataFrame([[5, 6]]), user=0, item=1).user_ids.tolist() == [5]


def test_a_table_is_not_changed():
    df = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}, index=[4, 4])
    before = df.copy()
    Interactions.from_frame(df, user="a", item="b")
    pd.testing.assert_frame_equal(df, before)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_import_brings_no_table_library():
    code = (
        "import sys, numpy as np, pyrec_core; from pyrec_core import *\n"
        "EASE().fit(Interactions.from_arrays(['a', 'b'], ['x', 'y'])).recommend('a')\n"
        "print({'narwhals', 'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
    )
    assert run(code).stdout.strip() == "set()"


def test_without_narwhals_the_extra_is_named():
    code = (
        "import sys; sys.modules['narwhals'] = None\n"
        "from pyrec_core import Interactions\n"
        "try: Interactions.from_frame({}, user='a', item='b')\n"
        "except ImportError as error: print(error)"
    )
    assert "data frames need narwhals, which is missing: pip install 'pyrec_core[frames]' adds it" in run(code).stdout
