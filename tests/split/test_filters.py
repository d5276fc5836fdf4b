from collections import Counter
from itertools import cycle, islice

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, assert_valid, random_matrix

from pyrec_core import Interactions, Sessions
from pyrec_core.split import Dropped, filter_interactions, filter_sessions, per_user, strong_generalisation

ORDERS = st.sampled_from([("users", "items"), ("items", "users"), ("users", "items", "users"), ("items",), ()])


def passes(events, order, least, iterate, distinct):
    """Filter rows (user, item, ...) one pass after the other, until nothing changes if ``iterate``."""
    endless = cycle(order) if iterate else order
    for name in islice(endless, 50 * len(order)):
        column = ("users", "items").index(name)
        units = {event[:2] for event in events} if distinct else events
        count = Counter(unit[column] for unit in units)
        events = [event for event in events if count[event[column]] >= least[name]]
    return events


@given(seed=SEED, order=ORDERS, iterate=st.booleans(), min_value=st.sampled_from([None, 3.0]))
def test_interactions_are_filtered_pass_by_pass(seed, order, iterate, min_value):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, n, 90) for n in (15, 12)] + [rng.integers(1, 6, 90), np.arange(90)]
    data = Interactions(*columns, n_users=16, n_items=13)
    least = {"users": 3, "items": 5}
    filtered = filter_interactions(data, min_value=min_value, min_user=3, min_item=5, order=order, iterate=iterate)
    events = [event for event in np.transpose(columns).tolist() if min_value is None or event[2] >= min_value]
    events = passes([tuple(event) for event in events], order, least, iterate, distinct=True)
    left = filtered.data
    assert list(zip(*(a.tolist() for a in (left.user, left.item, left.value, left.time)), strict=True)) == events
    assert left.shape == data.shape
    assert filtered.users.tolist() == sorted({event[0] for event in events})
    assert filtered.items.tolist() == sorted({event[1] for event in events})
    lost = np.sum([step[1:] for step in filtered.dropped], axis=0) if filtered.dropped else [0, 0, 0]
    before = [len(np.unique(data.user)), len(np.unique(data.item)), 90]
    np.testing.assert_array_equal(np.subtract(before, lost), [len(filtered.users), len(filtered.items), len(events)])


@given(seed=SEED, order=ORDERS, iterate=st.booleans(), compact=st.booleans())
def test_a_matrix_is_filtered_like_its_events(seed, order, iterate, compact):
    data = random_matrix(seed)
    user, item = np.nonzero(data)
    events = Interactions(user, item, data[user, item], n_users=30, n_items=20)
    options = {"min_value": 2, "min_user": 4, "min_item": 5, "order": order, "iterate": iterate, "compact": compact}
    of_matrix, of_events = filter_interactions(data, **options), filter_interactions(events, **options)
    assert_valid(of_matrix.data)
    np.testing.assert_array_equal(of_matrix.data.toarray(), of_events.data.matrix(binary=False).toarray())
    assert of_matrix.dropped == of_events.dropped
    expected = np.where(data >= 2, data, 0)
    rows, columns = np.ix_(of_matrix.users, of_matrix.items) if compact else (slice(None), slice(None))
    whole = filter_interactions(data, **options | {"compact": False}).data.toarray()
    np.testing.assert_array_equal(of_matrix.data.toarray(), whole[rows, columns])
    np.testing.assert_array_equal(whole[whole > 0], expected[whole > 0])


@given(seed=SEED)
def test_the_core_is_the_largest_part_in_which_all_have_enough(seed):
    core = filter_interactions(random_matrix(seed), min_user=6, min_item=8, iterate=True)
    present = core.data.toarray() > 0
    assert (present.sum(1)[core.users] >= 6).all()
    assert (present.sum(0)[core.items] >= 8).all()
    again = filter_interactions(core, min_user=6, min_item=8)
    assert again.dropped == core.dropped
    other = filter_interactions(random_matrix(seed), min_user=6, min_item=8, order=("items", "users"), iterate=True)
    np.testing.assert_array_equal(other.data.toarray(), core.data.toarray())  # whatever the order


def test_compacting_keeps_external_ids():
    data = Interactions.from_arrays(["a", "b", "b", "c", "c"], [10, 10, 20, 20, 30])
    filtered = filter_interactions(data, min_user=2, compact=True)
    assert filtered.data.user_ids.tolist() == ["b", "c"]
    assert filtered.data.item_ids.tolist() == [10, 20, 30]
    assert filtered.data.user.tolist() == [0, 0, 1, 1]
    dense = filter_interactions(Interactions([0, 2, 2], [0, 0, 3]), min_user=2, compact=True).data
    assert dense.user_ids.tolist() == [2]
    assert dense.item_ids.tolist() == [0, 3]
    kept = filter_interactions(data, min_user=2).data
    assert kept.user_ids.tolist() == ["a", "b", "c"]


def test_what_was_dropped_is_said():
    data = Interactions([0, 0, 0, 1, 1, 2], [0, 1, 1, 0, 2, 0], value=[5, 5, 4, 5, 2, 5])
    filtered = filter_interactions(data, min_value=4, min_user=2, min_item=2)
    assert filtered.dropped == (
        Dropped("values below 4", users=0, items=1, events=1),
        Dropped("users with fewer than 2 items", users=2, items=0, events=2),
        Dropped("items with fewer than 2 users", users=1, items=2, events=3),
    )
    assert str(filtered.dropped[2]) == "items with fewer than 2 users: 1 users, 2 items, 3 events"
    assert filter_interactions(filtered.data).dropped == ()
    split = strong_generalisation(filter_interactions(np.ones((9, 6)), min_user=2), n_test=2)
    assert split.dropped == ()
    nothing = filter_interactions(sp.csr_array((0, 5)), min_user=2, compact=True)
    assert nothing.data.shape == (0, 0)


def test_a_filter_of_a_filter_remembers_both():
    first = filter_interactions(np.tri(4), min_user=2)
    second = filter_interactions(first, min_item=3)
    assert [step.why for step in second.dropped] == ["users with fewer than 2 items", "items with fewer than 3 users"]
    assert per_user(second).dropped == second.dropped


@given(seed=SEED, iterate=st.booleans(), order=st.sampled_from([("sessions", "items", "sessions"), ("items",)]))
def test_sessions_are_filtered_pass_by_pass(seed, iterate, order):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 5, 25)
    items = rng.integers(0, 12, lengths.sum())
    data = Sessions(items, np.append(0, np.cumsum(lengths)), np.arange(len(items)), np.arange(25) + 7, n_items=13)
    filtered = filter_sessions(data, min_length=2, min_item=5, order=order, iterate=iterate)
    row = np.repeat(np.arange(25), lengths)
    events = list(zip(row.tolist(), items.tolist(), range(len(items)), strict=True))
    names = [{"sessions": "users"}.get(name, name) for name in order]
    events = passes(events, names, {"users": 2, "items": 5}, iterate, distinct=False)
    left = filtered.data
    sessions = filtered.users[np.repeat(np.arange(len(left)), np.diff(left.offsets))]
    assert list(zip(sessions.tolist(), left.items.tolist(), left.time.tolist(), strict=True)) == events
    assert (np.diff(left.offsets) > 0).all()
    assert left.session_ids.tolist() == (filtered.users + 7).tolist()
    assert left.n_items == 13
    compact = filter_sessions(data, min_length=2, min_item=5, order=order, iterate=iterate, compact=True).data
    assert compact.item_ids.tolist() == filtered.items.tolist() == sorted({event[1] for event in events})
    assert compact.item_ids[compact.items].tolist() == left.items.tolist()
    lost = np.sum([step[1:] for step in filtered.dropped], axis=0) if filtered.dropped else [0, 0, 0]
    assert (np.count_nonzero(lengths) - lost[0], len(items) - lost[2]) == (len(left), len(left.items))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_user": 0}, ValueError, "min_user must be >= 1, got 0"),
        ({"min_item": 2.0}, TypeError, r"min_item must be an integer, got 2\.0"),
        ({"min_value": "4"}, TypeError, "min_value must be a number, got '4'"),
        ({"order": ("users", "rows")}, ValueError, "order must be one of 'users', 'items', got 'rows'"),
        ({"order": "users"}, TypeError, "order must be a sequence of strings, got 'users'"),
        ({"iterate": 1}, TypeError, "iterate must be True or False, got 1"),
        ({"compact": None}, TypeError, "compact must be True or False, got None"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        filter_interactions(np.eye(3), **options)


def test_sessions_must_be_sessions():
    with pytest.raises(TypeError, match="data must be Sessions, got ndarray"):
        filter_sessions(np.eye(3))
    with pytest.raises(ValueError, match="min_length must be >= 1, got 0"):
        filter_sessions(Sessions([0], [0, 1]), min_length=0)
