import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, assert_parts_are, assert_valid, random_matrix

from pyrec_core.split import strong_generalisation


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
