import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from split_data import SEED, assert_valid, same, timed

from pyrec_core import Interactions
from pyrec_core.split import global_time


def definition(events, cut, keep_items, keep_users, keep_repeats):
    """Dictionaries of (user, item) to value, one event after the other."""
    events = sorted(events, key=lambda event: event[3])
    train = {(u, i): r for u, i, r, t in events if t <= cut}
    test = {(u, i): r for u, i, r, t in events if t > cut}
    users, items = {u for u, _ in train}, {i for _, i in train}
    return train, {
        pair: r
        for pair, r in test.items()
        if (keep_items or pair[1] in items) and (keep_users or pair[0] in users) and (keep_repeats or pair not in train)
    }


def as_dict(X):
    X = sp.coo_array(X)
    return dict(zip(zip(X.row.tolist(), X.col.tolist(), strict=True), X.data.tolist(), strict=True))


@pytest.mark.parametrize(
    "keep", [(False, False, False), (True, False, False), (False, True, False), (True, True, True)]
)
@given(seed=SEED)
def test_what_is_later_is_test(keep, seed):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, n, 60) for n in (8, 9)] + [rng.integers(1, 6, 60), rng.permutation(60)]
    data = Interactions(*columns, n_users=9, n_items=10)
    events = np.transpose(columns).tolist()
    flags = dict(zip(("keep_new_items", "keep_new_users", "keep_repeats"), keep, strict=True))
    split = global_time(data, test_after=25, validation_after=12, binary=False, **flags)
    train, test = definition(events, 25, *keep)
    assert (as_dict(split.train), as_dict(split.test)) == (train, test)
    inner = split.validation
    expected = definition([event for event in events if event[3] <= 25], 12, *keep)
    assert (as_dict(inner.train), as_dict(inner.test)) == expected
    n_later = len({(u, i) for u, i, _, t in events if t > 25})
    assert len(test) + sum(step.events for step in split.dropped) == n_later
    for X in (split.train, split.test, inner.train, inner.test):
        assert_valid(X)
        assert X.shape == (9, 10)


@given(seed=SEED)
def test_a_matrix_with_times_is_split_like_its_events(seed):
    data, _, stored = timed(seed)
    events = Interactions(stored.row, stored.col, data[stored.row, stored.col], stored.data, n_users=30, n_items=20)
    of_events = global_time(events, test_after=2, validation_after=0, binary=False)
    of_matrix = global_time(data, test_after=2, validation_after=0, time=stored)
    assert same(of_events.train, of_matrix.train)
    assert same(of_events.test, of_matrix.test)
    assert same(of_events.validation.test, of_matrix.validation.test)
    assert of_events.dropped == of_matrix.dropped


def test_shares_count_events_and_equal_times_stay_in_training():
    data = Interactions(np.zeros(10, int), np.arange(10), time=[0, 1, 2, 3, 4, 5, 6, 7, 7, 9])
    for share, n_later in ((0.1, 1), (0.2, 1), (0.3, 3), (0.5, 5)):
        split = global_time(data, test_size=share, keep_new_items=True)
        assert split.test.nnz == n_later, share
    split = global_time(data, test_size=0.3, validation_size=0.2, keep_new_items=True)
    assert (split.validation.train.nnz, split.validation.test.nnz, split.test.nnz) == (5, 2, 3)


def test_instants_are_exact():
    start = 1_400_000_000_000_000_000
    data = Interactions([0, 0, 0], [0, 1, 2], time=np.array([start, start + 1, start + 2]))
    for instant in (start + 1, np.datetime64(start + 1, "ns")):
        split = global_time(data, test_after=instant, keep_new_items=True)
        np.testing.assert_array_equal(split.test.toarray(), [[0, 0, 1]])
    whole = Interactions([0, 0], [0, 1], time=[1, 2])
    assert global_time(whole, test_after=1.5, keep_new_items=True).test.nnz == 1
    decimal = Interactions([0, 0, 0], [0, 1, 2], time=[1.25, 1.5, 1.75])
    np.testing.assert_array_equal(global_time(decimal, test_after=1.5, keep_new_items=True).test.toarray(), [[0, 0, 1]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "test_after or test_size must be given, and only one of them, got None and None"),
        ({"test_after": 1, "test_size": 0.5}, ValueError, "only one of them, got 1 and 0.5"),
        ({"test_after": 3}, ValueError, "test_after must be an instant with events before and after it in 0 to 3, got"),
        ({"test_after": -1}, ValueError, "test_after must be an instant with events before and after it in 0 to 3"),
        ({"test_after": 2, "validation_after": 2}, ValueError, "validation_after must be an instant .* in 0 to 2, got"),
        ({"test_after": "1"}, TypeError, "test_after must be a number, got '1'"),
        ({"test_after": True}, TypeError, "test_after must be a number, got True"),
        ({"test_after": np.datetime64("NaT")}, ValueError, "test_after must be finite, got NaT"),
        ({"test_after": 1, "validation_size": 0.1}, ValueError, "validation_size must be 0 if test_after is given"),
        ({"test_size": 0.3, "validation_after": 1}, ValueError, "validation_after must be None if test_size is given"),
        ({"test_size": 1.0}, ValueError, r"test_size \+ validation_size must be < 1, got 1.0"),
        ({"test_size": 0.2}, ValueError, "test_size must be an instant with events before and after"),
        ({"test_after": 1, "keep_repeats": 1}, TypeError, "keep_repeats must be True or False, got 1"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    data = Interactions([0, 0, 0, 0], [0, 1, 2, 3], time=[0, 1, 2, 3])
    with pytest.raises(error, match=message):
        global_time(data, **options)


def test_data_without_times_or_events_are_refused():
    with pytest.raises(ValueError, match="data must have times to be split by them"):
        global_time(Interactions([0], [0]), test_after=1)
    with pytest.raises(ValueError, match="data must have events to be split by time, got none"):
        global_time(Interactions([], [], time=[]), test_after=1)
