from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from split_data import SEED, rows

from pyrec_core import Sessions
from pyrec_core.split import SessionSplit, filter_sessions, last_sessions, session_time

N_ITEMS = 9


def tiny(seed):
    """Empty and short sessions, rare items, sessions that begin before others end, and equal times."""
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([[0, 1], rng.integers(0, 6, 90), [4, 0]])
    items = np.minimum(rng.geometric(0.35, lengths.sum()) - 1, N_ITEMS - 2)
    start = rng.integers(0, 40, len(lengths))
    time = np.concatenate([start[s] + np.sort(rng.integers(0, 6, n)) for s, n in enumerate(lengths)])
    return Sessions(items, np.append(0, np.cumsum(lengths)), time, n_items=N_ITEMS)


def definition(sessions, held_out, min_length, min_item):
    """The three steps, one session at a time."""

    def long(parts):
        return {s: row for s, row in parts.items() if len(row) >= min_length}

    lists = rows(sessions)
    train = long({s: row for s, row in enumerate(lists) if row and not held_out(s)})
    support = np.bincount([i for row in train.values() for i in row], minlength=N_ITEMS)
    train = long({s: [i for i in row if support[i] >= min_item] for s, row in train.items()})
    known = {i for row in train.values() for i in row}
    test = long({s: [i for i in row if i in known] for s, row in enumerate(lists) if row and held_out(s)})
    return train, test


def as_lists(split):
    return (
        dict(zip(split.train_sessions.tolist(), rows(split.train), strict=True)),
        dict(zip(split.test_sessions.tolist(), rows(split.test), strict=True)),
    )


def ends(sessions):
    """The time of the last event of each session, -1 if it has none."""
    lengths, last = np.diff(sessions.offsets), sessions.offsets[1:] - 1
    return np.where(lengths > 0, sessions.time[last], -1)


@given(seed=SEED)
def test_session_time_holds_out_the_sessions_that_end_last(seed):
    data = tiny(seed)
    end = ends(data)
    split = session_time(data, duration=8, validation=True, min_item=2)
    cut = end.max() - 8
    assert as_lists(split) == definition(data, lambda s: end[s] >= cut, 2, 2)
    inner = data.take(np.flatnonzero(end < cut))
    inner_end = ends(inner)
    expected = definition(inner, lambda s: inner_end[s] >= inner_end.max() - 8, 2, 2)
    original = np.flatnonzero(end < cut)
    found = as_lists(split.validation)
    assert found == tuple({int(original[s]): row for s, row in part.items()} for part in expected)
    assert split.train.n_items == split.test.n_items == split.validation.test.n_items == N_ITEMS
    assert split.train.time.max() < cut


@given(seed=SEED)
def test_shares_of_sessions_keep_equal_ends_together(seed):
    data = tiny(seed)
    end = ends(data)
    split = session_time(data, n_test=0.25, min_item=1)
    n = int(0.25 * (end >= 0).sum())
    cut = np.sort(end[end >= 0])[-n]
    assert as_lists(split) == definition(data, lambda s: end[s] >= cut, 2, 1)
    same = session_time(data, n_test=n, min_item=1)
    assert as_lists(same) == as_lists(split)


@given(seed=SEED)
def test_last_sessions_go_by_their_order(seed):
    data = replace(tiny(seed), time=None)
    full = np.flatnonzero(np.diff(data.offsets))
    split = last_sessions(data, n_test=5, validation=True)
    assert as_lists(split) == definition(data, lambda s: s >= full[-5], 2, 1)
    expected = definition(data.take(np.arange(full[-5])), lambda s: s >= full[-10], 2, 1)
    assert as_lists(split.validation) == expected
    assert split.train.time is None


SPLITS = [
    lambda data: session_time(data, duration=8, validation=True, min_item=2),
    lambda data: session_time(data, n_test=0.2, validation=True, min_item=2),
    lambda data: last_sessions(data, n_test=0.2, validation=True, min_item=2),
]


def flat(split):
    parts = [] if split is None else [split.train, split.test]
    arrays = [array for part in parts for array in (part.items, part.offsets, part.time)]
    return arrays if split is None else [*arrays, *flat(split.validation)]


def same_arrays(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("make", SPLITS)
@given(seed=SEED)
def test_every_event_is_in_one_part_or_counted_as_dropped(make, seed):
    data = tiny(seed)
    split = make(data)
    inner = split.validation
    lost = [sum(step.events for step in part.dropped) for part in (split, inner)]
    assert len(split.train.items) + len(split.test.items) + lost[0] == len(data.items)
    from_training = sum(step.events for step in split.dropped if step.why.startswith("training: "))
    all_training = len(split.train.items) + from_training
    assert len(inner.train.items) + len(inner.test.items) + lost[1] == all_training
    assert not set(split.train_sessions) & set(split.test_sessions)
    assert not set(inner.train_sessions) & set(inner.test_sessions)
    assert set(inner.train_sessions) | set(inner.test_sessions) <= set(range(len(data))) - set(split.test_sessions)


@pytest.mark.parametrize("make", SPLITS)
@given(seed=SEED)
def test_training_sessions_do_not_depend_on_the_test_sessions(make, seed):
    data = tiny(seed)
    split = make(data)
    # all sessions of the test period: those of the split, and those that it dropped
    end = ends(data)
    if make is SPLITS[2]:
        full = np.flatnonzero(end >= 0)
        late = full[-int(0.2 * len(full)) :]
    else:
        late = np.flatnonzero(end >= end[split.test_sessions].min())
        late = late[~np.isin(late, split.train_sessions)]
    row = np.repeat(np.arange(len(data)), np.diff(data.offsets))
    others = np.random.default_rng(seed).integers(0, N_ITEMS, len(row))
    others[np.arange(len(row)) - data.offsets[row] < 2] = split.train.items[0]  # or nothing might be left to test
    kept = np.isin(row, late, invert=True)
    other = make(replace(data, items=np.where(kept, data.items, others)))
    assert not same_arrays(flat(split), flat(other))
    assert same_arrays(flat(split)[:3], flat(other)[:3])
    assert same_arrays(flat(split.validation), flat(other.validation))


def test_the_published_preparation_filters_before_the_split():
    data = tiny(11)
    filtered = filter_sessions(data, min_item=3)
    split = session_time(filtered, duration=8, min_item=1, min_length=1)
    lists = rows(filtered.data)
    end = ends(filtered.data)
    train = [row for s, row in enumerate(lists) if end[s] < end.max() - 8]
    known = {i for row in train for i in row}
    test = [[i for i in row if i in known] for s, row in enumerate(lists) if end[s] >= end.max() - 8]
    assert rows(split.train) == train
    assert rows(split.test) == [row for row in test if row]
    assert split.dropped[: len(filtered.dropped)] == filtered.dropped


def test_nanoseconds_are_not_rounded():
    start = np.datetime64("2014-04-07T00:00:00", "ns")
    time = start + np.array([0, 1, 86_400 * 10**9, 86_400 * 10**9 + 1]).astype("timedelta64[ns]")
    data = Sessions.from_arrays([0, 0, 1, 1], [0, 1, 0, 1], time)
    more = Sessions(np.tile(data.items, 2), [0, 2, 4, 6, 8], np.concatenate([data.time - 10**15, data.time]), n_items=2)
    # ends: long ago twice, start + 1 ns, and a day later: a day before the last event is exactly start + 1 ns
    for duration in (np.timedelta64(1, "D"), 86_400 * 10**9):
        assert session_time(more, duration=duration, min_item=1).test_sessions.tolist() == [2, 3]
    assert session_time(more, duration=86_400 * 10**9 - 1, min_item=1).test_sessions.tolist() == [3]


def test_published_files_make_a_split():
    train = Sessions([0, 1, 1, 2, 2, 1, 0, 1], [0, 2, 4, 6, 8], n_items=3)
    split = SessionSplit(train, Sessions([1, 2], [0, 2], n_items=3), validation=last_sessions(train, n_test=0.25))
    assert repr(split) == (
        "SessionSplit(train 4 sessions with 8 events, test 1 sessions with 2 events, validation 1 sessions)"
    )
    with pytest.raises(ValueError, match="test must have the 3 items of train, got 2"):
        SessionSplit(train, Sessions([1], [0, 1]))
    with pytest.raises(ValueError, match="fold_in must have 1 sessions like test, got 4"):
        SessionSplit(train, Sessions([1, 2], [0, 2], n_items=3), fold_in=train)
    with pytest.raises(TypeError, match="test must be Sessions, got list"):
        SessionSplit(train, [[1, 2]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "duration or n_test must be given, and only one of them, got None and None"),
        ({"duration": 1, "n_test": 1}, ValueError, "only one of them, got 1 and 1"),
        ({"duration": -1}, ValueError, "duration must be >= 0, got -1"),
        ({"duration": "1d"}, TypeError, "duration must be a number, got '1d'"),
        ({"duration": np.timedelta64("NaT")}, ValueError, "duration must be finite, got NaT"),
        ({"duration": 1000}, ValueError, "duration must leave sessions to train on, got none after the filter"),
        ({"n_test": 1000}, ValueError, "n_test must leave sessions to train on"),
        ({"n_test": 0}, ValueError, "n_test must be >= 1, got 0"),
        ({"n_test": 1.0}, ValueError, r"n_test must be < 1 as a share of the sessions \(a number of sessions is an"),
        ({"n_test": 1, "min_item": 10**6}, ValueError, "n_test must leave sessions to train on"),
        ({"n_test": 3, "min_length": 0}, ValueError, "min_length must be >= 1, got 0"),
        ({"n_test": 3, "order": ("users",)}, ValueError, "order must be one of 'sessions', 'items', got 'users'"),
        ({"n_test": 3, "order": "items"}, TypeError, "order must be a sequence of strings, got 'items'"),
        ({"n_test": 3, "validation": 1}, TypeError, "validation must be True or False, got 1"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        session_time(tiny(0), **options)


def test_data_without_what_is_needed_are_refused():
    with pytest.raises(ValueError, match="data must have times to be split by them, got Sessions without time"):
        session_time(Sessions([0, 1], [0, 2]), duration=1)
    with pytest.raises(TypeError, match="data must be Sessions, got list"):
        last_sessions([[0, 1]], n_test=1)
    with pytest.raises(ValueError, match="n_test must leave sessions to train on, got none"):
        last_sessions(Sessions([], [0, 0, 0]), n_test=1)
    with pytest.raises(ValueError, match="n_test must leave test sessions of 2 or more known items, got none"):
        last_sessions(Sessions([0, 1, 2, 3], [0, 2, 4]), n_test=1)
