"""Interactions: vocabularies, validation, and the matrix they make."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Interactions
from pyrec_core._columns import distinct, sort_pairs

EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 5), st.integers(-3, 3)), max_size=30)


def columns(events):
    return [np.array([event[at] for event in events], np.int64) for at in range(4)]


def merged_by_hand(events, duplicates):
    """The value of each pair by a plain walk through the events, in order of time if the last one counts."""
    pairs = {}
    for user, item, value, _ in sorted(events, key=lambda event: event[3]) if duplicates == "last" else events:
        pairs[user, item] = value + (pairs.get((user, item), 0) if duplicates == "sum" else 0)
    return pairs


@pytest.mark.parametrize("duplicates", ["sum", "last"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("min_value", [None, 3])
@given(events=EVENTS)
def test_matrix_equals_a_plain_walk(events, duplicates, binary, min_value):
    user, item, value, time = columns(events)
    X = Interactions(user, item, value, time, n_users=5, n_items=6).matrix(
        min_value=min_value, binary=binary, duplicates=duplicates
    )
    expected = np.zeros((5, 6))
    for pair, merged in merged_by_hand(events, duplicates).items():
        if min_value is None or merged >= min_value:
            expected[pair] = 1 if binary else merged
    assert isinstance(X, sp.csr_array)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X.toarray(), expected)
    assert X.nnz == np.count_nonzero(expected)
    assert all((np.diff(X.indices[a:b]) > 0).all() for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True))


def test_last_goes_by_position_where_times_are_equal_or_missing():
    for time in (None, [4, 4, 4]):
        data = Interactions([0, 0, 0], [0, 0, 0], [1, 3, 2], time)
        assert data.matrix(binary=False, duplicates="last").toarray() == 2


def test_position_decides_among_many_equal_events():
    value = np.random.default_rng(0).permutation(5000)
    pair = np.arange(5000) % 3
    last = Interactions(pair, pair, value).matrix(binary=False, duplicates="last")
    np.testing.assert_array_equal(last.diagonal(), [value[pair == at][-1] for at in range(3)])


def test_duplicates_error_counts_and_names_the_first():
    data = Interactions([1, 0, 1, 1], [2, 0, 2, 2])
    with pytest.raises(ValueError, match=r"duplicates must not occur, got 2 \(first: user 1, item 2\)"):
        data.matrix(duplicates="error")
    assert Interactions([1, 0], [2, 0]).matrix(duplicates="error").nnz == 2


@given(events=EVENTS)
def test_from_arrays_keeps_the_external_ids(events):
    user, item, _, _ = columns(events)
    names = np.array([f"i{number:02d}" for number in item], str)
    data = Interactions.from_arrays(user * 7 - 3, names)
    assert data.n_users == len(set(user))
    assert data.n_items == len(set(item))
    if events:
        np.testing.assert_array_equal(data.user_ids[data.user], user * 7 - 3)
        np.testing.assert_array_equal(data.item_ids[data.item], names)
        assert (data.item_ids[1:] > data.item_ids[:-1]).all()
        assert (data.user_ids[1:] > data.user_ids[:-1]).all()


def test_from_arrays_has_no_vocabulary_for_dense_ids():
    data = Interactions.from_arrays([2, 0, 1], [0, 2, 0])
    assert data.user_ids is None
    np.testing.assert_array_equal(data.item_ids, [0, 2])
    np.testing.assert_array_equal(data.item, [0, 1, 0])


@pytest.mark.parametrize(
    "ids",
    [["b", "a", "b"], np.array(["b", "a", "b"], object), np.array(["b", "a", "b"], np.dtypes.StringDType())],
)
def test_strings_of_any_array_kind_are_ids(ids):
    data = Interactions.from_arrays(ids, [5, 5, 6])
    assert list(data.user_ids) == ["a", "b"]
    np.testing.assert_array_equal(data.user, [1, 0, 1])


def test_object_integers_are_ids():
    assert Interactions.from_arrays(np.array([9, 4], object), [0, 0]).user_ids.tolist() == [4, 9]


def test_large_integer_ids_survive():
    big = 2**62 + np.arange(3)
    np.testing.assert_array_equal(Interactions.from_arrays(big, big).item_ids, big)


@given(ids=st.lists(st.integers(-40, 40) | st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_numbered_as_by_sorting(ids):
    ids = np.array(ids, np.int64)
    found = distinct(ids)
    wanted = np.unique(ids, return_inverse=True)
    np.testing.assert_array_equal(found.ids, wanted[0])
    np.testing.assert_array_equal(found.place, wanted[1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "uint64"])
def test_the_ends_of_a_dtype_are_ids(dtype):
    ends = np.iinfo(dtype)
    for ids in ([ends.max, ends.max - 2, ends.max], [ends.min, ends.min + 1], [ends.min, ends.max]):
        column = np.array(ids, dtype)
        found = distinct(column)
        assert found.ids.dtype == column.dtype
        np.testing.assert_array_equal(found.ids, sorted(set(ids)))
        np.testing.assert_array_equal(found.ids[found.place], column)


def test_dtypes_and_sizes():
    data = Interactions(np.array([0, 2], np.uint16), np.array([1, 0], np.int64), [1, 2], [3, 4])
    assert (data.user.dtype, data.item.dtype) == (np.int32, np.int32)
    assert (data.value.dtype, data.time.dtype) == (np.float32, np.int64)
    assert data.shape == (3, 2)
    assert len(data) == 2
    assert Interactions([0], [0], time=[0.5]).time.dtype == np.float64
    np.testing.assert_array_equal(Interactions([0, 0], [1, 2]).value, [1, 1])
    assert Interactions([0], [0], n_users=4, n_items=9).shape == (4, 9)
    assert Interactions([], []).shape == (0, 0)
    assert Interactions([], []).matrix().shape == (0, 0)


def test_datetime_becomes_nanoseconds():
    time = np.array(["1970-01-01T00:00:01", "1970-01-02"], "datetime64[s]")
    np.testing.assert_array_equal(Interactions([0, 0], [0, 1], time=time).time, [10**9, 86400 * 10**9])


def test_times_that_nanoseconds_cannot_hold_are_refused():
    time = np.array(["2020-01-01", "1500-01-01"], "datetime64[D]")
    with pytest.raises(ValueError, match="time must lie in the years 1678 to 2261, got 1500-01-01 at position 1"):
        Interactions([0, 0], [0, 1], time=time)
    assert Interactions([0], [0], time=np.array([1500], "datetime64[ps]")).time == 1


def test_repr_names_sizes_and_ranges():
    data = Interactions([0, 1], [0, 0], [0.5, 4], [874724710, 874724711])
    expected = "Interactions(2 events, 2 users, 1 items, values 0.5 to 4, times 874724710 to 874724711)"
    assert repr(data) == expected


def test_is_frozen():
    with pytest.raises(AttributeError):
        Interactions([0], [0]).user = np.zeros(1, np.int32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.0], [0]), TypeError, "user must be integers, got float64"),
        (([True], [0]), TypeError, "user must be integers, got bool"),
        (([[0]], [0]), ValueError, r"user must be 1-D, got shape \(1, 1\)"),
        (([-1], [0]), ValueError, "user must hold ids in 0..2147483646, got -1 to -1"),
        (([0], [2**31]), ValueError, "item must hold ids in 0..2147483646"),
        (([0, 1], [0]), ValueError, r"item must have shape \(2,\) like user, got \(1,\)"),
        (([0], [0], [1, 2]), ValueError, r"value must have shape \(1,\) like user, got \(2,\)"),
        (([0], [0], ["x"]), TypeError, "value must be numbers, got <U1"),
        (([0, 0], [0, 1], [1, np.nan]), ValueError, "value must be finite .*, got nan at position 1"),
        (([0], [0], [1e300]), ValueError, "value must be finite .*, got inf at position 0"),
        (([0], [0], None, [np.inf]), ValueError, "time must be finite, got inf at position 0"),
        (
            ([0], [0], None, np.array(["NaT"], "M8[s]")),
            ValueError,
            "time must be finite, got NaT at position 0",
        ),
        (([0], [0], None, ["1"]), TypeError, "time must be numbers or datetime64, got <U1"),
        (([0, 3], [0, 0], None, None, ["a", "b"]), ValueError, "user_ids must have > 3 entries.*got 2"),
        (([0], [0], None, None, None, [["a"]]), ValueError, "item_ids must be 1-D"),
        (([0], [0], None, None, None, [0.5]), TypeError, "item_ids must hold integers or strings, got float64"),
        (
            ([0], [0], None, None, ["b", "a", "b", "a"]),
            ValueError,
            "user_ids must be distinct, got 2 more than once: 'a', 'b'",
        ),
        (
            ([0, 3], [0, 0], None, None, None, None, 3),
            ValueError,
            "n_users must be > 3, the largest user, got 3",
        ),
        (
            ([0], [0], None, None, ["a"], None, 2),
            ValueError,
            "n_users must be the length 1 of user_ids, got 2",
        ),
        (([0], [0], None, None, None, None, -1), ValueError, "n_users must be >= 0, got -1"),
    ],
)
def test_bad_arrays_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Interactions(*arguments)


@pytest.mark.parametrize(
    ("user", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "user must hold integers or strings, got float64"),
        (
            np.array([1, "a"], object),
            TypeError,
            "user must hold integers or strings throughout, got int, str",
        ),
        (
            np.array([None, "a"], object),
            TypeError,
            "user must hold integers or strings throughout, got NoneType, str",
        ),
        (["a", ""], ValueError, "user must not hold empty strings, got one at position 1"),
        ([["a", "b"]], ValueError, "user must be 1-D"),
        ([True, False], TypeError, "user must hold integers or strings, got bool"),
        ([1, "a"], TypeError, "user must hold integers or strings throughout, got int, str"),
        ([2**70, 1], ValueError, "user must hold integers of 64 bits, got a larger one"),
        (
            np.array(["a", None], np.dtypes.StringDType(na_object=None)),
            TypeError,
            "user must hold integers or strings throughout, got NoneType, str",
        ),
    ],
)
def test_bad_external_ids_are_refused(user, error, message):
    with pytest.raises(error, match=message):
        Interactions.from_arrays(user, [0, 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"binary": 1}, TypeError, "binary must be True or False, got 1"),
        (
            {"duplicates": "first"},
            ValueError,
            "duplicates must be one of 'sum', 'last', 'error', got 'first'",
        ),
        ({"min_value": "4"}, TypeError, "min_value must be a number, got '4'"),
    ],
)
def test_bad_matrix_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Interactions([0], [0]).matrix(**options)


def test_min_value_of_a_decimal_keeps_that_value():
    assert Interactions([0], [0], [0.7]).matrix(min_value=0.7).nnz == 1


def test_matrix_changes_nothing():
    arrays = [np.array([1, 0, 1]), np.array([1, 1, 1]), np.array([2, 1, 3], np.float32), np.array([9, 8, 7])]
    copies = [array.copy() for array in arrays]
    Interactions(*arrays).matrix(min_value=2, duplicates="last")
    for array, copied in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copied)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 40), with_time=st.booleans())
def test_pairs_are_sorted_alike_in_small_and_in_huge_catalogues(seed, n, with_time):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 5, n).astype(np.int32), rng.integers(0, 6, n).astype(np.int32)
    time = rng.integers(0, 3, n) if with_time else None

    def key(at):
        return user[at], item[at], time[at] if with_time else 0, at

    order = sorted(range(n), key=key)
    first = [at for at in range(n) if at == 0 or key(order[at])[:2] != key(order[at - 1])[:2]]
    for shape in ((5, 6), (5, 2**31 - 1), (2**31 - 1, 6)):  # counting sort where it pays, else a sort of keys
        found = sort_pairs(user, item, shape, time)
        assert [array.tolist() for array in found] == [first, order]
