import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, assert_parts_are, assert_valid, random_matrix, rows, same, timed

from pyrec_core import Interactions, Sessions
from pyrec_core.split import Dropped, strong_generalisation, temporal_fold_in


@given(seed=SEED, n_validation=st.sampled_from([0, 4]))
def test_strong_generalisation_keeps_held_out_users_out_of_training(seed, n_validation):
    data = random_matrix(seed, n_users=40)
    lengths = (data > 0).sum(1)
    split = strong_generalisation(data, n_test=6, n_validation=n_validation, min_interactions=3, random_state=seed)
    parts = [split] if n_validation == 0 else [split, split.validation]
    np.testing.assert_array_equal(split.train.toarray(), data[split.train_users])
    known = split.train.toarray().any(axis=0)
    for part in parts:
        assert_valid(part.test)
        assert_valid(part.fold_in)
        assert_parts_are(data[part.test_users] * known, part.fold_in, part.test)
        n = np.diff(part.fold_in.indptr) + np.diff(part.test.indptr)
        np.testing.assert_array_equal(np.diff(part.test.indptr), np.maximum(1, n // 5))
        assert (np.diff(part.fold_in.indptr) >= 1).all()
        assert part.train is split.train
    groups = [split.train_users, *(part.test_users for part in parts)]
    together = np.concatenate(groups)
    assert len(np.unique(together)) == len(together)  # no user is in two groups
    assert (lengths[together] >= 3).all()
    assert len(split.train_users) == (lengths >= 3).sum() - 6 - n_validation
    few = (lengths > 0) & (lengths < 3)
    assert split.n_dropped == few.sum() + 6 - len(split.test_users)


def test_strong_generalisation_removes_unseen_items_and_drops_and_counts_users():
    # Items 4 to 9 have one user each: who is held out loses them. Users 6 and 7 have too few items anyway.
    data = np.zeros((8, 10))
    data[:6, 0] = 1
    data[np.arange(6), 4 + np.arange(6)] = 1
    data[6, 0] = 1
    with pytest.raises(ValueError, match="n_test must leave users with 2 or more items that are in training, got none"):
        strong_generalisation(data, n_test=2, min_interactions=2)

    data[:4, 1] = 1
    for seed in range(10):
        split = strong_generalisation(data, n_test=3, min_interactions=2, random_state=seed)
        held_out = np.setdiff1d(np.arange(6), split.train_users)
        np.testing.assert_array_equal(split.test_users, held_out[held_out < 4])
        np.testing.assert_array_equal(
            (split.fold_in + split.test).toarray(), data[split.test_users] * (np.arange(10) < 2)
        )
        n_lost = len(held_out) - len(split.test_users)  # each has one known item, and one that only they have
        assert split.dropped == (
            Dropped("users with fewer than 2 items", users=1, events=1),
            Dropped("held-out items unseen in training", items=3, events=3),
            *[Dropped("held-out users with fewer than 2 items left", users=n_lost, events=n_lost)] * (n_lost > 0),
        )
        assert split.n_dropped == 1 + n_lost


def test_strong_generalisation_takes_shares_of_users():
    split = strong_generalisation(np.ones((20, 8)), n_test=0.25, n_validation=0.1, fold_in=0.5)
    assert (split.train.shape[0], split.test.shape[0], split.validation.test.shape[0]) == (13, 5, 2)
    assert (np.diff(split.test.indptr) == 4).all()
    tiny_share = strong_generalisation(np.ones((20, 8)), n_test=0.01)
    assert tiny_share.test.shape[0] == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_test": 0}, ValueError, "n_test must be >= 1, got 0"),
        ({"n_test": 1.0}, ValueError, "n_test must be < 1 as a share .*, got 1.0"),
        ({"n_test": 0.0}, ValueError, "n_test must be > 0.0, got 0.0"),
        ({"n_test": True}, TypeError, "n_test must be an integer, got True"),
        ({"n_test": 9, "n_validation": 1}, ValueError, r"n_test \+ n_validation must be < 10, .*got 9 \+ 1"),
        ({"n_test": 2, "fold_in": 1.0}, ValueError, "fold_in must be < 1, got 1.0"),
        ({"n_test": 2, "fold_in": 0.0}, ValueError, "fold_in must be > 0.0, got 0.0"),
        ({"n_test": 2, "min_interactions": 0}, ValueError, "min_interactions must be >= 1, got 0"),
        ({"n_test": 2, "min_interactions": 9}, ValueError, "must be < 0, the users with 9 or more items"),
        ({"n_test": 2, "n_validation": -1}, ValueError, "n_validation must be >= 0, got -1"),
    ],
)
def test_strong_generalisation_refuses_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        strong_generalisation(np.ones((10, 8)), **options)


@given(seed=SEED)
def test_a_held_out_user_is_split_whatever_the_others_have(seed):
    data = random_matrix(seed, n_users=40)
    split = strong_generalisation(data, n_test=6, n_validation=4, min_interactions=1, random_state=seed)
    row = split.test_users[0]
    everything = (data + (np.arange(40) != row)[:, None]) * (data.sum(1) > 0)[:, None]  # all others have all items
    other = strong_generalisation(everything, n_test=6, n_validation=4, min_interactions=1, random_state=seed)
    np.testing.assert_array_equal(other.train_users, split.train_users)
    known = split.train.toarray().any(axis=0)
    if known[data[row] > 0].all():  # if not, fewer of its items count
        first = np.flatnonzero(other.test_users == row)[0]
        assert same(other.test[[first]], split.test[[0]])


# ---- temporal_fold_in


@given(seed=SEED, n_validation=st.sampled_from([0, 4]))
def test_temporal_fold_in_hides_the_end_of_the_history(seed, n_validation):
    data, time, stored = timed(seed)
    options = {"n_test": 6, "n_validation": n_validation, "min_interactions": 3, "random_state": seed}
    split = temporal_fold_in(data, time=stored, **options)
    random = strong_generalisation(data, **options)
    np.testing.assert_array_equal(split.train_users, random.train_users)  # the same users
    np.testing.assert_array_equal(split.train.toarray(), data[split.train_users])
    known = split.train.toarray().any(axis=0)
    for part in [split] if n_validation == 0 else [split, split.validation]:
        assert_parts_are(data[part.test_users] * known, part.fold_in, part.test)
        for at, user in enumerate(part.test_users):
            items = np.flatnonzero((data[user] > 0) & known)
            history = sorted(items, key=lambda item, user=user: (time[user, item], item))
            n = max(1, len(history) // 5)
            assert set(np.flatnonzero(part.test.toarray()[at])) == set(history[-n:])
            assert set(np.flatnonzero(part.fold_in.toarray()[at])) == set(history[:-n])


@given(seed=SEED)
def test_temporal_fold_in_of_interactions_is_that_of_their_matrix(seed):
    data, _, stored = timed(seed)
    events = Interactions(stored.row, stored.col, data[stored.row, stored.col], stored.data, n_users=30, n_items=20)
    of_matrix = temporal_fold_in(data, time=stored, n_test=5, min_interactions=3)
    for binary in (False, True):
        of_events = temporal_fold_in(events, n_test=5, min_interactions=3, binary=binary)
        for name in ("train", "fold_in", "test"):
            expected = getattr(of_matrix, name)
            assert same(getattr(of_events, name), (expected > 0).astype("float32") if binary else expected)


@given(seed=SEED)
def test_temporal_fold_in_of_sessions_keeps_order_and_repetitions(seed):
    rng = np.random.default_rng(seed)
    lengths = np.append([0, 4], rng.integers(5, 12, 28))
    items = rng.integers(0, 25, lengths.sum())
    data = Sessions(items, np.append(0, np.cumsum(lengths)), np.arange(len(items)), np.arange(30) + 100, n_items=30)
    lists = rows(data)
    split = temporal_fold_in(data, n_test=5, n_validation=5, random_state=seed)
    users = split.train_sessions
    assert rows(split.train) == [lists[user] for user in users]
    known = {item for user in users for item in lists[user]}
    for part in (split, split.validation):
        assert part.train is split.train
        for at, user in enumerate(part.test_sessions):
            history = [item for item in lists[user] if item in known]
            n = max(1, len(history) // 5)
            shown, hidden = (sessions.take([at]) for sessions in (part.fold_in, part.test))
            assert (shown.items.tolist(), hidden.items.tolist()) == (history[:-n], history[-n:])
            assert shown.session_ids.tolist() == hidden.session_ids.tolist() == [user + 100]
            assert items[hidden.time].tolist() == history[-n:]  # times stay with their events
    groups = [set(users), set(split.test_sessions), set(split.validation.test_sessions)]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_temporal_fold_in_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="time must be None, since sessions are in order of time, got a matrix"):
        temporal_fold_in(Sessions([0, 1], [0, 2]), time=np.eye(2), n_test=1)
    with pytest.raises(ValueError, match="data must have times to be split by them"):
        temporal_fold_in(Interactions([0], [0]), n_test=1)
    with pytest.raises(ValueError, match=r"fold_in must be < 1, got 1\.0"):
        temporal_fold_in(Interactions([0], [0], time=[0]), n_test=1, fold_in=1.0)
    with pytest.raises(ValueError, match=r"n_test \+ n_validation must be < 1, the users with 1 or more items"):
        temporal_fold_in(Interactions([0], [0], time=[0]), n_test=1, min_interactions=1)
