import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, assert_parts_are, assert_valid, random_matrix, same

from pyrec_core import Interactions
from pyrec_core.split import by_mask, k_fold, random

# ---- random


@given(seed=SEED)
def test_random_keeps_values_and_cuts_validation_from_training(seed):
    data = random_matrix(seed)
    split = random(data, test_size=0.3, validation_size=0.2, random_state=seed)
    assert_parts_are(data, split.train, split.test)
    assert_parts_are(split.train.toarray(), split.validation.train, split.validation.test)
    for X in (split.train, split.test, split.validation.train, split.validation.test):
        assert_valid(X)
    alone = random(data, test_size=0.3, random_state=seed)
    assert same(alone.test, split.test)  # validation does not change the test
    assert alone.validation is None


def test_random_is_a_coin_for_each_interaction():
    X = sp.csr_array(np.ones((500, 200), np.float32))
    counts = np.zeros((500, 200))
    for seed in range(20):
        split = random(X, test_size=0.1, validation_size=0.3, random_state=seed)
        counts += split.test.toarray()
        for n, p in ((split.test.nnz, 0.1), (split.validation.test.nnz, 0.3)):
            assert abs(n - p * 1e5) < 5 * np.sqrt(1e5 * p * (1 - p))
    # independent: over pairs, the number of times out of 20 is binomial
    assert abs(counts.var() - 20 * 0.1 * 0.9) < 0.05
    assert abs(np.corrcoef(counts[:, :-1].ravel(), counts[:, 1:].ravel())[0, 1]) < 0.015


def test_a_split_of_a_split_with_the_same_seed_is_another_draw():
    outer = random(np.ones((300, 100)), test_size=0.2)
    inner = random(outer.train, test_size=0.2)
    assert abs(inner.test.nnz - 0.2 * outer.train.nnz) < 5 * np.sqrt(outer.train.nnz * 0.16)


def test_the_latest_rating_of_a_pair_counts_and_zero_is_none():
    data = Interactions([0, 0, 0, 1], [0, 0, 1, 1], value=[5, 2, 0, 4], time=[1, 2, 3, 4])
    split = random(data, test_size=0.5)
    np.testing.assert_array_equal((split.train + split.test).toarray(), [[2, 0], [0, 4]])
    binary = random(data, test_size=0.5, binary=True)
    np.testing.assert_array_equal((binary.train + binary.test).toarray(), [[1, 1], [0, 1]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"test_size": 0.0}, ValueError, "test_size must be > 0.0, got 0.0"),
        ({"test_size": 0.6, "validation_size": 0.4}, ValueError, r"test_size \+ validation_size must be < 1, got 1.0"),
        ({"binary": 1}, TypeError, "binary must be True or False, got 1"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
    ],
)
def test_random_refuses_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        random(np.eye(3), **options)


# ---- k_fold


@given(seed=SEED, n_folds=st.sampled_from([2, 3, 7]), validation=st.booleans())
def test_folds_are_a_partition_of_even_sizes(seed, n_folds, validation):
    data = random_matrix(seed)
    validation = validation and n_folds > 2
    folds = list(k_fold(data, n_folds, validation=validation, random_state=seed))
    assert_parts_are(data, *(fold.test for fold in folds))
    sizes = [fold.test.nnz for fold in folds]
    assert len(folds) == n_folds
    assert max(sizes) - min(sizes) <= 1
    for at, fold in enumerate(folds):
        assert_parts_are(data, fold.train, fold.test)
        assert_valid(fold.train)
        if validation:
            assert_parts_are(fold.train.toarray(), fold.validation.train, fold.validation.test)
            assert same(fold.validation.test, folds[(at + 1) % n_folds].test)
        else:
            assert fold.validation is None


def test_k_fold_refuses_bad_arguments_at_the_call():
    with pytest.raises(ValueError, match="n_folds must be >= 2, got 1"):
        k_fold(np.eye(3), 1)
    with pytest.raises(ValueError, match="n_folds must be >= 3, got 2"):
        k_fold(np.eye(3), 2, validation=True)
    with pytest.raises(TypeError, match=r"n_folds must be an integer, got 2\.0"):
        k_fold(np.eye(3), 2.0)


# ---- by_mask


@given(seed=SEED)
def test_masks_decide(seed):
    data, rng = random_matrix(seed), np.random.default_rng(seed)
    test = (rng.random(data.shape) < 0.3) & (data != 0)
    valid = (rng.random(data.shape) < 0.3) & (data != 0) & ~test
    user, item = np.nonzero(data)
    order = rng.permutation(len(user))
    user, item = user[order], item[order]
    events = Interactions(user, item, value=data[user, item], n_users=30, n_items=20)
    for split in (
        by_mask(data, test, validation=valid),
        by_mask(data, sp.coo_array(test), validation=sp.csr_array(valid)),
        by_mask(events, test[user, item], validation=valid[user, item]),
    ):
        np.testing.assert_array_equal(split.test.toarray(), data * test)
        np.testing.assert_array_equal(split.train.toarray(), data * ~test)
        np.testing.assert_array_equal(split.validation.test.toarray(), data * valid)
        np.testing.assert_array_equal(split.validation.train.toarray(), data * ~test * ~valid)
        assert_valid(split.test)
    assert by_mask(events, test[user, item]).validation is None


def test_all_events_of_a_pair_go_together():
    data = Interactions([0, 0, 1, 1], [0, 0, 0, 1], value=[5, 2, 0, 4])
    split = by_mask(data, [True, True, True, False])
    np.testing.assert_array_equal(split.test.toarray(), [[2, 0], [0, 0]])
    with pytest.raises(
        ValueError, match=r"must hold all events of a pair or none, got 1 pairs .*\(first: user 0, item 0\)"
    ):
        by_mask(data, [True, False, True, False])
    with pytest.raises(
        ValueError, match=r"must hold all events of a pair or none, got 1 pairs .*\(first: user 0, item 0\)"
    ):
        by_mask(data, [True, False, False, False], validation=[False, True, False, False])


@pytest.mark.parametrize(
    ("data", "test", "options", "error", "message"),
    [
        (Interactions([0], [0]), [1], {}, TypeError, "test must be bool, got int64"),
        (Interactions([0], [0]), [True, False], {}, ValueError, r"test must have shape \(1,\), one entry an event"),
        (np.eye(2), np.eye(2), {}, TypeError, "test must be bool, got float64"),
        (np.eye(2), np.eye(3, dtype=bool), {}, ValueError, r"test must have shape \(2, 2\) like data, got \(3, 3\)"),
        (np.eye(2), np.ones((2, 2), bool), {}, ValueError, "test must be True at interactions only, got 2 places"),
        (
            np.eye(2),
            np.eye(2, dtype=bool),
            {"validation": np.eye(2, dtype=bool)},
            ValueError,
            "validation must not overlap test, got 2 interactions in both",
        ),
    ],
)
def test_bad_masks_are_refused(data, test, options, error, message):
    with pytest.raises(error, match=message):
        by_mask(data, test, **options)
