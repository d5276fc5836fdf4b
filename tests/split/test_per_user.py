import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, assert_parts_are, assert_valid, random_matrix, same

from pyrec_core.split import per_user


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


def test_what_is_held_out_of_a_user_does_not_depend_on_the_others():
    data = random_matrix(4)
    split = per_user(data, validation_size=0.2, random_state=1)
    for user in range(0, 30, 5):
        others = random_matrix(5)
        others[user] = data[user]
        other = per_user(others, validation_size=0.2, random_state=1)
        assert same(other.test[[user]], split.test[[user]])
        assert same(other.validation.test[[user]], split.validation.test[[user]])


def test_many_users():
    rng = np.random.default_rng(0)
    X = sp.csr_array((np.ones(400_000, np.float32), rng.integers(0, [[100_000], [500]], (2, 400_000))))
    X.sum_duplicates()
    split = per_user(X, random_state=0)
    assert split.train.nnz + split.test.nnz == X.nnz
    assert same(split.train + split.test, X)
