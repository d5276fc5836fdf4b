from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import MarginalizedDAE, NotEnoughMemoryError
from pyrec_core.kernels.gram import denoising_weights, gram
from pyrec_core.models.interaction import mdae as module


def by_enumeration(X, dropout, l2, weights=None):
    """Least squares over every way to drop entries of X, each with its probability; the constant is not penalised."""
    weights = np.ones(len(X)) if weights is None else weights
    n_items = X.shape[1]
    Q, P = np.zeros((n_items + 1, n_items + 1)), np.zeros((n_items + 1, n_items))
    for x, weight in zip(X, weights, strict=True):
        for kept in product([0, 1], repeat=n_items):
            chance = np.prod([(1 - dropout) if k else dropout for k in kept])
            noisy = np.append(x * kept, 1)
            Q += weight * chance * np.outer(noisy, noisy)
            P += weight * chance * np.outer(noisy, x)
    Q[np.arange(n_items), np.arange(n_items)] += l2
    return np.linalg.solve(Q, P)


@pytest.mark.parametrize("dropout", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("signed", [False, True])
def test_weights_average_over_all_corruptions(dropout, signed):
    rng = np.random.default_rng(0)
    X = (rng.random((9, 5)) < 0.5) * (rng.normal(size=(9, 5)) if signed else 1.0)
    exact = MarginalizedDAE(dropout=dropout, l2=0.7, dtype="float64").fit(X)
    np.testing.assert_allclose(exact.item_weights_, by_enumeration(X, dropout, 0.7), atol=1e-12)
    single = MarginalizedDAE(dropout=dropout, l2=0.7).fit(X)
    np.testing.assert_allclose(single.item_weights_, by_enumeration(X, dropout, 0.7), atol=1e-5)
    weights = rng.random(9)
    exact.fit(X, sample_weight=weights)
    np.testing.assert_allclose(exact.item_weights_, by_enumeration(X, dropout, 0.7, weights), atol=1e-12)


def test_hand_worked_pair():
    # x = (1, 1) and (0, 0), half dropped: item 1 from item 0 alone would be E[z x] / E[z z] = 1 without a constant
    X = np.array([[1.0, 1.0], [0.0, 0.0]])
    model = MarginalizedDAE(dropout=0.5, l2=0.0, dtype="float64").fit(X)
    # Q = [[.5, .25, .5], [.25, .5, .5], [.5, .5, 2]] (constant last), P = [[.5, .5], [.5, .5], [1, 1]]
    np.testing.assert_allclose(model.item_weights_, [[0.5, 0.5], [0.5, 0.5], [0.25, 0.25]], rtol=1e-12)


def test_without_noise_it_is_ridge_regression():
    rng = np.random.default_rng(0)
    X = (rng.random((60, 12)) < 0.4).astype(np.float64)
    centred = X - X.mean(axis=0)
    expected = np.linalg.solve(centred.T @ centred + 3 * np.eye(12), centred.T @ centred)
    weights = MarginalizedDAE(dropout=0.0, l2=3.0, dtype="float64").fit(X).item_weights_
    np.testing.assert_allclose(weights[:12], expected, atol=1e-12)
    np.testing.assert_allclose(weights[12], X.mean(axis=0) - X.mean(axis=0) @ expected, atol=1e-12)


def test_the_score_of_a_user_is_what_the_others_lead_to_expect():
    """Dropped more often, an item counts for less: the share of its own weight falls."""
    rng = np.random.default_rng(0)
    X = (rng.random((300, 20)) < 0.3).astype(np.float32)
    own = [np.diagonal(MarginalizedDAE(dropout=p, l2=1.0).fit(X).item_weights_).mean() for p in (0.0, 0.2, 0.5, 0.8)]
    assert own == sorted(own, reverse=True)
    assert own[0] > 0.9


def test_unseen_items_have_zero_weights():
    rng = np.random.default_rng(0)
    X = (rng.random((60, 12)) < 0.4).astype(np.float32)
    X[:, [0, 7]] = 0
    weights = MarginalizedDAE(l2=1.0, dtype="float64").fit(X).item_weights_
    assert np.abs(weights[[0, 7]]).max() < 1e-15
    assert np.abs(weights[:, [0, 7]]).max() < 1e-15
    with pytest.raises(ValueError, match=r"^l2 must be .* got l2=0"):
        MarginalizedDAE(l2=0.0).fit(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_do_not_depend_on_the_threads(dtype):
    X = sp.random_array((900, 500), density=0.05, rng=np.random.default_rng(0), format="csr", dtype=np.float32)
    one, *others = (MarginalizedDAE(l2=1.0, dtype=dtype, n_threads=n).fit(X).item_weights_ for n in (1, 2, 3, 8))
    assert one.dtype == dtype
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", ["gram", "denoising_weights"])
def test_an_interrupted_fit_keeps_the_fitted_model(monkeypatch, step):
    X = (np.random.default_rng(0).random((60, 12)) < 0.4).astype(np.float32)
    model = MarginalizedDAE(l2=1.0).fit(X)
    wanted = model.recommend(np.arange(60))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :7])
    monkeypatch.undo()
    for found, expected in zip(model.recommend(np.arange(60)), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_fit_refuses_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr("pyrec_core._memory.available_memory", lambda: 2**30)
    monkeypatch.setattr(module, "gram", None)  # must not be reached
    X = sp.csr_array((np.ones(3, np.float32), ([0, 0, 1], [0, 49_999, 7])), shape=(2, 50_000))
    with pytest.raises(NotEnoughMemoryError, match="MarginalizedDAE with 50000 items needs 20000000000 bytes"):
        MarginalizedDAE().fit(X)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"dropout": 1.0}, ValueError, r"dropout must be < 1, got 1\.0"),
        ({"dropout": -0.1}, ValueError, r"dropout must be >= 0, got -0\.1"),
        ({"l2": True}, TypeError, "l2 must be a number, got True"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of 'float32', 'float64', got 'float16'"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, error, message):
    with pytest.raises(error, match=message):
        MarginalizedDAE(**parameters).fit(np.eye(3))


def test_kernel_leaves_its_input_alone_unless_told():
    X = sp.random_array((90, 20), density=0.3, rng=np.random.default_rng(0), format="csr")
    G, sums = gram(X), np.asarray(X.sum(axis=0))
    before = G.copy()
    shares = []
    W, b = denoising_weights(G, sums, 90.0, 0.5, 1.0, progress=shares.append)
    np.testing.assert_array_equal(G, before)
    assert sum(shares) == pytest.approx(1)
    again, c = denoising_weights(G, sums, 90.0, 0.5, 1.0, overwrite=True)
    assert again is G
    np.testing.assert_array_equal(again, W)
    np.testing.assert_array_equal(b, c)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.eye(2), np.ones(3), 1.0, 0.5, 1.0), ValueError, r"sums must have shape \(2,\), got \(3,\)"),
        ((np.eye(2), np.ones(2, "f4"), 1.0, 0.5, 1.0), TypeError, "sums must be float64, got float32"),
        ((np.eye(2), np.ones(2), 0.0, 0.5, 1.0), ValueError, r"total must be > 0\.0, got 0\.0"),
        ((np.eye(2), np.ones(2), 1.0, 1.0, 1.0), ValueError, r"dropout must be < 1, got 1\.0"),
        ((np.full((2, 2), np.nan), np.ones(2), 1.0, 0.5, 1.0), ValueError, "gram and sums must be finite"),
        ((np.array([[1, np.nan], [np.nan, 1]]), np.ones(2), 1.0, 0.5, 1.0), ValueError, "must be finite|NaN"),
        ((np.ones((2, 3)), np.ones(2), 1.0, 0.5, 1.0), ValueError, r"gram must be square, got shape \(2, 3\)"),
    ],
)
def test_kernel_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        denoising_weights(*arguments)
