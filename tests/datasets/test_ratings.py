"""Generated ratings are what their equation says, and a model of their rank reaches the noise."""

import numpy as np
import pytest

from pyrec_core.datasets import make_ratings
from pyrec_core.datasets._ratings import _distinct

PRIOR = np.array([np.sqrt(5)] * 5 + [4.0])  # 1 / variance of each of five factors, and of a bias


def half_step(own, other, factors, bias, rating, n, penalty):
    """Least squares for factors and bias of one side, given those of the other."""
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(n))
    x = np.append(factors[other[order]], np.ones((len(own), 1)), axis=1)
    y = rating[order] - bias[other[order]]
    gram = np.add.reduceat(x[:, :, None] * x[:, None, :], starts) + np.diag(penalty)
    solved = np.linalg.solve(gram, np.add.reduceat(x * y[:, None], starts)[:, :, None])[:, :, 0]
    return solved[:, :-1], solved[:, -1]


def expected_rmse(n_factors, seed, noise=1.0, n=1000):
    """Train on 50 of 60 ratings a user, by alternating least squares; the others are compared with what lies below."""
    data, clean = (make_ratings(n, n, 5, 60, noise=size, random_state=seed) for size in (noise, 0.0))
    rng = np.random.default_rng(seed)
    train = rng.permuted(np.tile(np.arange(60) < 50, (n, 1)), axis=1).ravel()
    user, item, rating = data.user[train], data.item[train], data.value[train].astype(float)
    # twice what the prior asks for, because the factors on the other side are estimates too
    penalty = 2 * noise**2 * PRIOR[-n_factors - 1 :]
    item_factors, item_bias = rng.normal(0, 0.1, (n, n_factors)), np.zeros(n)
    for _ in range(15):
        user_factors, user_bias = half_step(user, item, item_factors, item_bias, rating, n, penalty)
        item_factors, item_bias = half_step(item, user, user_factors, user_bias, rating, n, penalty)
    user, item = data.user[~train], data.item[~train]
    predicted = (user_factors[user] * item_factors[item]).sum(axis=1) + user_bias[user] + item_bias[item]
    return np.sqrt(noise**2 + np.mean((predicted - clean.value[~train]) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_a_model_of_the_same_rank_comes_close_to_the_noise(seed):
    # without a penalty and with little noise it would be sqrt(1 / (1 - 12 / 50)) = 1.147 on average
    assert 1.1 < expected_rmse(5, seed) <= 1.15


def test_a_model_of_a_lower_rank_does_not():
    assert expected_rmse(4, 0) > 1.17
    assert expected_rmse(0, 0) > 1.4  # biases only: the variance of p . q is left


def test_noise_has_its_standard_deviation():
    clean, noisy = (make_ratings(noise=noise, random_state=5) for noise in (0.0, 0.7))
    np.testing.assert_array_equal(clean.item, noisy.item)
    error = noisy.value - clean.value
    assert abs(error.std() / 0.7 - 1) < 4 / np.sqrt(2 * len(error))  # standard error of a standard deviation
    assert abs(error.mean()) < 4 * 0.7 / np.sqrt(len(error))


def test_without_noise_ratings_have_the_rank_of_factors_and_biases():
    full = make_ratings(30, 40, n_factors=3, ratings_per_user=40, noise=0.0).matrix(binary=False).toarray()
    spectrum = np.linalg.svd(full.astype(float), compute_uv=False)
    assert spectrum[4] > 1
    assert spectrum[5] < 1e-5  # float32


@pytest.mark.parametrize("n_factors", [1, 5, 40])
def test_parts_of_a_rating_have_their_variance(n_factors):
    data = make_ratings(1500, 1500, n_factors=n_factors, ratings_per_user=1500, noise=0.0)
    full = data.value.reshape(1500, 1500).astype(float)
    for bias in (full.mean(axis=1), full.mean(axis=0)):
        assert abs(bias.var() - 0.25) < 0.03
    interaction = full - full.mean(axis=1, keepdims=True) - full.mean(axis=0) + full.mean()
    assert abs(interaction.var() - 1) < 0.15


@pytest.mark.parametrize("n", range(6))
def test_all_sets_of_items_are_equally_likely(n):
    drawn = _distinct(np.random.default_rng(0), 20_000, 5, n)
    assert drawn.dtype == np.int32
    sets, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = 20_000 / [1, 5, 10, 10, 5, 1][n]
    assert len(sets) * expected == 20_000
    assert (np.abs(counts - expected) <= 4 * np.sqrt(expected)).all()


def test_users_rate_different_items_and_items_get_their_share():
    data = make_ratings(2000, 500, ratings_per_user=50)
    X = data.matrix(duplicates="error")
    np.testing.assert_array_equal(np.diff(X.indptr), 50)
    per_item = X.sum(axis=0)
    assert per_item.mean() == 200
    assert abs(per_item.std() - np.sqrt(200 * 0.9)) < 2  # binomial
    assert data.time is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_users": 0}, ValueError, "n_users must be >= 1, got 0"),
        ({"n_items": 2**31}, ValueError, "n_items must be <= 2147483647, got 2147483648"),
        ({"n_factors": 1.0}, TypeError, "n_factors must be an integer, got 1.0"),
        ({"n_items": 40}, ValueError, "ratings_per_user must be <= 40, got 50"),
        ({"ratings_per_user": 0}, ValueError, "ratings_per_user must be >= 1, got 0"),
        ({"noise": -0.5}, ValueError, "noise must be >= 0.0, got -0.5"),
        ({"noise": float("nan")}, ValueError, "noise must be finite, got nan"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_ratings(**options)
