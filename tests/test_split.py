"""Splits: nothing leaks, nothing is lost, and one seed decides."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Interactions
from pyrec_core.split import leave_one_out, per_user, sample_negatives, strong_generalisation

SEED = st.integers(0, 2**32 - 1)


def random_matrix(seed, n_users=30, n_items=20, density=0.3):
    rng = np.random.default_rng(seed)
    share = rng.random((n_users, 1)) * 2 * density  # users with none and with many items
    return np.where(rng.random((n_users, n_items)) < share, rng.integers(1, 6, (n_users, n_items)), 0)


def assert_parts_are(data, *parts):
    """The parts are disjoint, and together they are the data with its values."""
    dense = [part.toarray() for part in parts]
    assert (sum((part != 0).astype(int) for part in dense) <= 1).all()
    np.testing.assert_array_equal(sum(dense), data)


def assert_valid(X):
    assert isinstance(X, sp.csr_array)
    assert X.dtype == np.float32
    X.check_format(full_check=True)
    assert all((np.diff(X.indices[a:b]) > 0).all() for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True))


def same(a, b):
    return a.shape == b.shape and (a != b).nnz == 0


# ---- leave_one_out


def timed(seed):
    data = random_matrix(seed)
    time = np.random.default_rng(seed + 1).integers(0, 4, data.shape)  # 0 is a time, and there are ties
    user, item = np.nonzero(data)
    return data, time, sp.coo_array((time[user, item], (user, item)), shape=data.shape)


@given(seed=SEED)
def test_leave_one_out_holds_out_the_latest(seed):
    data, time, stored = timed(seed)
    split = leave_one_out(data, time=stored, validation=True)
    assert_parts_are(data, split.train, split.test)
    assert_parts_are(split.train.toarray(), split.validation.train, split.validation.test)
    for X in (split.train, split.test, split.validation.train, split.validation.test):
        assert_valid(X)
    for user in range(len(data)):
        history = sorted(np.flatnonzero(data[user]), key=lambda item, user=user: (time[user, item], item))
        found = [list(np.flatnonzero(part.toarray()[user])) for part in (split.test, split.validation.test)]
        assert found[0] == (history[-1:] if len(history) >= 2 else [])
        assert found[1] == (history[-2:-1] if len(history) >= 3 else [])


@given(seed=SEED)
def test_leave_one_out_of_interactions_is_that_of_their_matrix(seed):
    data, _, stored = timed(seed)
    order = np.random.default_rng(seed).permutation(stored.nnz)
    events = Interactions(stored.row[order], stored.col[order], time=stored.data[order], n_users=30, n_items=20)
    of_events, of_matrix = leave_one_out(events), leave_one_out((data > 0).astype(float), time=stored)
    assert same(of_events.test, of_matrix.test)
    assert same(of_events.train, of_matrix.train)
    assert of_events.validation is None


def test_leave_one_out_counts_a_repeated_item_at_its_latest_event():
    split = leave_one_out(Interactions([0, 0, 0, 0], [0, 1, 2, 0], time=[1, 5, 4, 9]))
    np.testing.assert_array_equal(split.test.toarray(), [[1, 0, 0]])
    np.testing.assert_array_equal(split.train.toarray(), [[0, 1, 1]])  # the item is in one part only


def test_leave_one_out_ignores_stored_zeros_but_takes_their_times():
    data = sp.csr_array((np.array([1.0, 1.0, 0.0]), ([0, 0, 0], [0, 1, 2])), shape=(1, 3))
    time = sp.csr_array((np.array([2.0, 0.0, 9.0]), ([0, 0, 0], [0, 1, 2])), shape=(1, 3))
    np.testing.assert_array_equal(leave_one_out(data, time=time).test.toarray(), [[1, 0, 0]])


@pytest.mark.parametrize(
    ("data", "time", "error", "message"),
    [
        (
            np.eye(2),
            None,
            ValueError,
            "time must be given as a sparse matrix of the pattern of data, got None",
        ),
        (np.eye(2), np.eye(2), TypeError, "time must be a sparse matrix of numbers, got ndarray"),
        (np.eye(2), sp.eye_array(2, dtype=complex), TypeError, "time must be a sparse matrix of numbers"),
        (np.eye(2), sp.eye_array(3), ValueError, r"time must have the shape \(2, 2\) of data, got \(3, 3\)"),
        (
            np.eye(2),
            sp.csr_array((2, 2)),
            ValueError,
            "time must have the pattern of data, got 0 entries for 2",
        ),
        (np.eye(2), sp.csr_array(np.eye(2)[::-1]), ValueError, "time must have the pattern of data"),
        (np.eye(2), sp.csr_array(np.nan * np.eye(2)), ValueError, "time must be finite, got NaN or infinity"),
        (Interactions([0], [0]), None, ValueError, "data must have times to be split by them"),
        (Interactions([0], [0], time=[1]), sp.eye_array(1), ValueError, "time must be None, since data has"),
    ],
)
def test_leave_one_out_refuses_bad_times(data, time, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        leave_one_out(data, time=time)


# ---- per_user


@given(
    seed=SEED,
    test_size=st.sampled_from([0.1, 0.2, 0.5, 0.8]),
    validation_size=st.sampled_from([0.0, 0.1, 0.15]),
)
def test_per_user_takes_the_share_of_each_user(seed, test_size, validation_size):
    data = random_matrix(seed)
    split = per_user(data, test_size=test_size, validation_size=validation_size, random_state=seed)
    assert_parts_are(data, split.train, split.test)
    assert_valid(split.train)
    assert_valid(split.test)
    for n, n_test in zip((data > 0).sum(1), np.diff(split.test.indptr), strict=True):
        assert n_test == min(int(n * test_size + 0.5 + 1e-9), max(n - 1, 0))
    if validation_size:
        assert_parts_are(split.train.toarray(), split.validation.train, split.validation.test)
        for n, rest, n_valid in zip(
            (data > 0).sum(1), np.diff(split.train.indptr), np.diff(split.validation.test.indptr), strict=True
        ):
            assert n_valid == min(int(n * validation_size + 0.5 + 1e-9), max(rest - 1, 0))
    else:
        assert split.validation is None


def test_per_user_takes_every_item_equally_often():
    held_out = sum(per_user(np.ones((400, 10)), random_state=seed).test.sum(axis=0) for seed in range(5))
    assert held_out.sum() == 4000
    assert (np.abs(held_out - 400) < 5 * np.sqrt(2000 * 0.2 * 0.8)).all()


def test_per_user_does_not_depend_on_the_other_users_values():
    data = random_matrix(3)
    a, b = per_user(data, random_state=1), per_user(data * 2, random_state=1)
    np.testing.assert_array_equal(a.test.toarray() * 2, b.test.toarray())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"test_size": 0.0}, ValueError, "test_size must be > 0.0, got 0.0"),
        ({"test_size": 1.0}, ValueError, r"test_size \+ validation_size must be < 1, got 1.0"),
        (
            {"test_size": 0.6, "validation_size": 0.5},
            ValueError,
            r"test_size \+ validation_size must be < 1, got 1.1",
        ),
        ({"test_size": "0.2"}, TypeError, "test_size must be a number, got '0.2'"),
        ({"validation_size": -0.1}, ValueError, "validation_size must be >= 0.0, got -0.1"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
    ],
)
def test_per_user_refuses_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        per_user(np.eye(3), **options)


# ---- strong_generalisation


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
    assert split.n_dropped == (lengths < 3).sum() + 6 - len(split.test_users)


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
        assert split.n_dropped == 2 + 3 - len(split.test_users)


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


# ---- sample_negatives


@given(seed=SEED, n=st.sampled_from([1, 3, 12, 25]))
def test_negatives_are_distinct_items_that_the_user_never_touched(seed, n):
    data = random_matrix(seed)
    split = sample_negatives(per_user(data, validation_size=0.2, random_state=seed), n, random_state=seed)
    for negatives in (split.negatives, split.validation.negatives):
        assert negatives.dtype == np.int32
        assert negatives.shape == (30, n)
        for user, row in enumerate(negatives):
            drawn, free = row[row >= 0], np.flatnonzero(data[user] == 0)
            assert len(drawn) == min(n, len(free))
            assert (np.diff(drawn) > 0).all()
            assert (row[len(drawn) :] == -1).all()
            assert set(drawn) <= set(free)


def test_negatives_need_training_users():
    with pytest.raises(ValueError, match="split must have no fold_in, got held-out users"):
        sample_negatives(strong_generalisation(np.ones((10, 20)), n_test=2))
    with pytest.raises(ValueError, match="n must be >= 1, got 0"):
        sample_negatives(per_user(np.ones((10, 20))), 0)


def test_negatives_are_uniform():
    data = np.zeros((3000, 9))
    data[:, [2, 7]] = 1
    counts = np.bincount(sample_negatives(per_user(data, test_size=0.5), 3).negatives.ravel(), minlength=9)
    assert counts[[2, 7]].sum() == 0
    expected = 3000 * 3 / 7
    assert (np.abs(counts[[0, 1, 3, 4, 5, 6, 8]] - expected) < 5 * np.sqrt(expected * 4 / 7)).all()


# ---- all splits

SPLITS = [
    lambda data, seed: per_user(data, validation_size=0.2, random_state=seed),
    lambda data, seed: strong_generalisation(data, n_test=5, n_validation=5, random_state=seed),
    lambda data, seed: sample_negatives(per_user(data, random_state=0), 3, random_state=seed),
]


def flat(split):
    inner = split.validation
    return [
        part.toarray() if sp.issparse(part) else part
        for part in (split.train, split.test, split.fold_in, split.negatives, inner and inner.test)
        if part is not None
    ]


@pytest.mark.parametrize("make", SPLITS)
def test_one_seed_one_split(make):
    data = random_matrix(0, 60, 40)
    first, again, other = (flat(make(data, seed)) for seed in (7, 7, 8))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("make", SPLITS)
def test_any_kind_of_matrix_gives_the_same_split_and_stays_unchanged(make):
    data = random_matrix(0, 60, 40).astype(np.float32)
    unsorted = sp.csr_array(data[:, ::-1])
    unsorted.indices = 39 - unsorted.indices
    unsorted.has_sorted_indices = False
    user, item = np.nonzero(data)
    events = Interactions(user, item, n_users=60, n_items=40)
    binary = (data > 0).astype(np.int8)
    for given_data, same_data in [
        (data, sp.coo_array(data)),
        (data, sp.csr_matrix(data)),
        (data, unsorted),
        (binary, binary.tolist()),
        (binary, events),
    ]:
        expected, found = flat(make(given_data, 1)), flat(make(same_data, 1))
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not unsorted.has_sorted_indices


def test_many_users():
    rng = np.random.default_rng(0)
    X = sp.csr_array((np.ones(400_000, np.float32), rng.integers(0, [[100_000], [500]], (2, 400_000))))
    X.sum_duplicates()
    split = per_user(X, random_state=0)
    assert split.train.nnz + split.test.nnz == X.nnz
    assert same(split.train + split.test, X)


def test_repr_says_what_is_in_it():
    split = strong_generalisation(np.vstack([np.ones((10, 20)), np.zeros((3, 20))]), n_test=2, n_validation=1)
    assert repr(split) == (
        "Split(train 7 x 20 with 140 entries, fold_in 2 x 20 with 32 entries, test 2 x 20 with 8 entries, "
        "validation 4 entries, 3 users dropped)"
    )
    split = sample_negatives(per_user(np.eye(9)), 5)
    assert repr(split) == "Split(train 9 x 9 with 9 entries, test 9 x 9 with 0 entries, 5 negatives a user)"
