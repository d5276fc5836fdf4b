"""Sessions: order in time, offsets, selection, the matrix they make, and tables."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Sessions

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
EVENTS = st.lists(st.tuples(st.sampled_from("cab"), st.integers(3, 8), st.integers(0, 5)), max_size=25)
SESSIONS = st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=6)


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]


def end_to_end(sessions):
    return Sessions([item for session in sessions for item in session], np.cumsum([0, *map(len, sessions)]), n_items=7)


def as_lists(data):
    items = data.items if data.item_ids is None else data.item_ids[data.items]
    return [items[a:b].tolist() for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)]


@pytest.mark.parametrize("with_time", [True, False])
@given(events=EVENTS)
def test_from_arrays_equals_a_plain_walk(events, with_time):
    wanted = {}
    for session, item, _ in sorted(events, key=lambda event: event[2]) if with_time else events:
        wanted.setdefault(session, []).append(item)
    session, item, time = ([event[at] for event in events] for at in range(3))
    data = Sessions.from_arrays(session, item, time if with_time else None)
    names = [] if data.session_ids is None else data.session_ids.tolist()
    assert dict(zip(names, as_lists(data), strict=True)) == wanted
    assert names == sorted(wanted)
    assert data.shape == (len(wanted), len({item for _, item, _ in events}))


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@given(events=EVENTS.filter(len))
def test_from_frame_equals_from_arrays(make, events):
    columns = [[event[at] for event in events] for at in range(3)]
    found = Sessions.from_frame(make(dict(zip("sit", columns, strict=True))), session="s", item="i", time="t")
    wanted = Sessions.from_arrays(*columns)
    for name in ("items", "offsets", "time", "session_ids", "item_ids"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert (a is None) == (b is None)
        np.testing.assert_array_equal(a, b)
    assert found.n_items == wanted.n_items


def test_from_frame_without_time_keeps_the_order_of_the_rows(table):
    df = table({"s": [1, 0, 1, 0], "i": ["d", "c", "b", "a"]})
    data = Sessions.from_frame(df, session="s", item="i")
    assert as_lists(data) == [["c", "a"], ["d", "b"]]
    assert data.session_ids is None
    assert data.time is None


def test_from_frame_names_what_is_wrong(table):
    df = table({"s": [1, None], "i": ["a", "b"]})
    with pytest.raises(ValueError, match=r"session must not be missing, got 1 missing in column 's' \(first rows: 1\)"):
        Sessions.from_frame(df, session="s", item="i")
    with pytest.raises(ValueError, match="time must be one of the columns 's', 'i', got 't'"):
        Sessions.from_frame(df, session="s", item="i", time="t")


def test_datetimes_order_events_and_become_nanoseconds():
    time = np.array(["1970-01-01T00:00:02", "1970-01-01T00:00:01"], "datetime64[s]")
    data = Sessions.from_arrays([0, 0], [5, 6], time)
    assert as_lists(data) == [[6, 5]]
    assert data.time.tolist() == [10**9, 2 * 10**9]


@given(sessions=SESSIONS, picks=st.lists(st.integers(0, 5)))
def test_take_picks_sessions_in_order_and_with_repeats(sessions, picks):
    data = end_to_end(sessions)
    picks = [pick for pick in picks if pick < len(sessions)]
    taken = data.take(picks)
    assert as_lists(taken) == [sessions[pick] for pick in picks]
    assert taken.n_items == data.n_items


def test_take_takes_times_and_ids_along():
    data = Sessions.from_arrays(["a", "b", "b"], ["x", "y", "z"], [3, 1, 2]).take([1, 0, 1])
    assert data.session_ids.tolist() == ["b", "a", "b"]
    assert data.time.tolist() == [1, 2, 3, 1, 2]
    assert as_lists(data) == [["y", "z"], ["x"], ["y", "z"]]


@given(sessions=SESSIONS)
def test_matrix_counts_the_items(sessions):
    data = end_to_end(sessions)
    before = data.items.copy()
    counts = np.array([np.bincount(session, minlength=7) for session in sessions]).reshape(-1, 7)
    X = data.matrix(binary=False)
    assert isinstance(X, sp.csr_array)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X.toarray(), counts)
    np.testing.assert_array_equal(data.matrix().toarray(), counts > 0)
    assert data.matrix().nnz == (counts > 0).sum()
    np.testing.assert_array_equal(data.items, before)


def test_dtypes_sizes_and_repr():
    data = Sessions(np.array([1, 0], np.uint8), np.array([0, 0, 2], np.uint16), [4, 9])
    assert (data.items.dtype, data.offsets.dtype, data.time.dtype) == (np.int32, np.int64, np.int64)
    assert (len(data), data.shape) == (2, (2, 2))
    assert repr(data) == "Sessions(2 sessions, 2 events, 2 items, times 4 to 9)"
    assert Sessions([], [0]).shape == (0, 0)
    assert repr(Sessions([], [0])) == "Sessions(0 sessions, 0 events, 0 items)"
    assert Sessions([0], [0, 1], n_items=5).shape == (1, 5)
    assert Sessions.from_arrays([], []).shape == (0, 0)


def test_time_may_fall_between_sessions_and_is_compared_across_empty_ones():
    assert Sessions([0, 1], [0, 1, 1, 2], [5, 1]).time.tolist() == [5, 1]


def test_is_frozen():
    with pytest.raises(AttributeError):
        Sessions([0], [0, 1]).items = np.zeros(1, np.int32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.0], [0, 1]), TypeError, "items must be integers, got float64"),
        (([-1], [0, 1]), ValueError, "items must hold ids in 0..2147483646, got -1 to -1"),
        (([0], [0.0, 1.0]), TypeError, "offsets must be integers, got float64"),
        (([0], [[0, 1]]), ValueError, r"offsets must be 1-D with at least one entry, got shape \(1, 2\)"),
        (([], []), ValueError, r"offsets must be 1-D with at least one entry, got shape \(0,\)"),
        (([0, 1], [0, 1]), ValueError, "offsets must rise from 0 to the 2 items, got 0 to 1"),
        (([0, 1], [1, 2]), ValueError, "offsets must rise from 0 to the 2 items, got 1 to 2"),
        (([0, 1], [0, 2, 1, 2]), ValueError, "offsets must rise from 0 to the 2 items"),
        (([0, 1], [0, 2], [1]), ValueError, r"time must have shape \(2,\) like items, got \(1,\)"),
        (([0, 1], [0, 2], [1, np.nan]), ValueError, "time must be finite, got nan at position 1"),
        (([0, 1, 2], [0, 1, 3], [9, 5, 4]), ValueError, "time must not fall .*, got 4 after 5 in session 1"),
        (([0], [0, 1], None, ["a", "b"]), ValueError, r"session_ids must have shape \(1,\) like offsets"),
        (([0], [0, 1], None, [0.5]), TypeError, "session_ids must hold integers or strings, got float64"),
        (([0, 2], [0, 2], None, None, ["a", "b"]), ValueError, "item_ids must have > 2 entries.*, got 2"),
        (([0], [0, 1], None, None, ["a", "a"]), ValueError, "item_ids must be distinct, got 1 more than once: 'a'"),
        (([0, 2], [0, 2], None, None, None, 2), ValueError, "n_items must be > 2, the largest item, got 2"),
    ],
)  # fmt: skip
def test_bad_arrays_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Sessions(*arguments)


def test_bad_columns_and_picks_are_refused():
    with pytest.raises(ValueError, match=r"item must have shape \(2,\) like session, got \(1,\)"):
        Sessions.from_arrays([0, 1], [0])
    with pytest.raises(TypeError, match="session must hold integers or strings, got float64"):
        Sessions.from_arrays([0.5], [0])
    with pytest.raises(ValueError, match=r"sessions must hold session ids in 0\.\.0, got 1 unknown: 3"):
        Sessions([0], [0, 1]).take([3])
