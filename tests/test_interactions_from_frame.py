"""Interactions.from_frame: ids, duplicates, values and times, for each library of tables."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Interactions

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
NAMES = st.sampled_from(["ann", "Bob", "ann2", "élan", "z"])
EVENTS = st.lists(
    st.tuples(NAMES, st.integers(-2, 3), st.integers(-50, 50).map(lambda x: x / 4), st.integers(0, 4)), min_size=1
)


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]


def walk(events, duplicates):
    """The merged value and time of each pair, by a plain walk through the events."""
    pairs = {}
    for user, item, value, time in events:
        before = pairs.get((user, item))
        if before is None:
            pairs[user, item] = (value, time)
        elif duplicates == "sum":
            pairs[user, item] = (before[0] + value, max(before[1], time))
        elif time >= before[1]:
            pairs[user, item] = (value, time)
    return pairs


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("duplicates", ["sum", "last"])
@given(events=EVENTS)
def test_from_frame_equals_a_plain_walk(make, events, duplicates):
    df = make(dict(zip("uivt", map(list, zip(*events, strict=True)), strict=True)))
    data = Interactions.from_frame(df, user="u", item="i", value="v", time="t", duplicates=duplicates)
    users, items = ids_of(data)
    found = {
        (user, item): (value, time)
        for user, item, value, time in zip(users, items, data.value.tolist(), data.time.tolist(), strict=True)
    }
    assert found == walk(events, duplicates)
    assert len(found) == len(data)
    assert np.array_equal(np.lexsort((data.item, data.user)), np.arange(len(data)))


def ids_of(data):
    user_ids = np.arange(data.n_users) if data.user_ids is None else data.user_ids
    item_ids = np.arange(data.n_items) if data.item_ids is None else data.item_ids
    return user_ids[data.user].tolist(), item_ids[data.item].tolist()


def test_all_tables_and_arrays_give_the_same(table):
    columns = {"u": ["b", "a", "c", "a"], "i": [30, 10, 10, 30], "v": [1.5, 2.5, 3.0, 4.0], "t": [4, 3, 2, 1]}
    found = Interactions.from_frame(table(columns), user="u", item="i", value="v", time="t", duplicates=None)
    wanted = Interactions.from_arrays(*columns.values())
    for name in ("user", "item", "value", "time", "user_ids", "item_ids"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b)


def test_none_keeps_every_event(table):
    df = table({"u": ["a", "a", "a"], "i": [0, 0, 0], "t": [3, 1, 2]})
    log = Interactions.from_frame(df, user="u", item="i", time="t", duplicates=None)
    assert log.time.tolist() == [3, 1, 2]
    merged = Interactions.from_frame(df, user="u", item="i", time="t")
    assert (merged.value.tolist(), merged.time.tolist()) == ([3], [3])


def test_values_are_summed_before_they_are_rounded(table):
    df = table({"u": ["a"] * 3, "i": [0] * 3, "v": [2.0**24, 1.0, 1.0]})
    assert Interactions.from_frame(df, user="u", item="i", value="v").value.tolist() == [2.0**24 + 2]
    df = table({"u": ["a"] * 2, "i": [0] * 2, "v": [2**24 + 1, 2**24 + 3]})  # float32 holds neither
    assert Interactions.from_frame(df, user="u", item="i", value="v").value.tolist() == [2.0**25 + 4]


def test_duplicates_error_counts_and_names_the_first_by_its_ids(table):
    df = table({"u": ["b", "a", "b", "b"], "i": [7, 5, 7, 7]})
    with pytest.raises(ValueError, match=r"duplicates must not occur, got 2 \(first: user 'b', item 7\)"):
        Interactions.from_frame(df, user="u", item="i", duplicates="error")
    once = Interactions.from_frame(table({"u": ["b", "a"], "i": [7, 7]}), user="u", item="i", duplicates="error")
    assert len(once) == 2
    with pytest.raises(ValueError, match="duplicates must be one of 'sum', 'last', 'error', got 'first'"):
        Interactions.from_frame(df, user="u", item="i", duplicates="first")


def test_last_goes_by_row_where_times_are_missing_or_equal(table):
    df = table({"u": ["a"] * 3, "i": [0] * 3, "v": [5, 7, 6], "t": [1, 1, 1]})
    for time in (None, "t"):
        data = Interactions.from_frame(df, user="u", item="i", value="v", time=time, duplicates="last")
        assert data.value.tolist() == [6]


def test_infinite_values_are_refused(table):
    df = table({"u": ["a", "b"], "i": [0, 0], "v": [1.0, np.inf]})
    with pytest.raises(ValueError, match=r"value must be finite .*, got inf at position 1"):
        Interactions.from_frame(df, user="u", item="i", value="v")
    df = table({"u": ["a", "a"], "i": [0, 0], "v": [3e38, 3e38]})
    with pytest.raises(ValueError, match=r"value must be finite .*, got inf"):
        Interactions.from_frame(df, user="u", item="i", value="v")


def test_a_table_without_rows(table):
    data = Interactions.from_frame(table({"u": [], "i": []}), user="u", item="i")
    assert data.shape == (0, 0)
    assert data.user_ids is None


def test_the_matrix_of_a_table(table):
    df = table({"u": ["b", "a", "b"], "i": [7, 5, 7], "v": [1, 2, 3]})
    data = Interactions.from_frame(df, user="u", item="i", value="v")
    np.testing.assert_array_equal(data.matrix(binary=False).toarray(), [[2, 0], [0, 4]])
