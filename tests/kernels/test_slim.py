"""SLIM weights satisfy the optimality conditions of their problem, checked in float64 from the definition."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import cases, random_sparse, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import ConvergenceWarning
from pyrec_core.kernels import slim as module
from pyrec_core.kernels.gram import ease_weights, gram
from pyrec_core.kernels.slim import slim_weights

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def counts(n_users, n_items, seed=0, dtype="float32", ones=True, density=0.2):
    return gram(random_sparse(np.random.default_rng(seed), n_users, n_items, density, ones=ones), dtype=dtype)


def largest_violation(G, W, l1, l2, positive=True, allowed=None):
    """By how much the conditions fail, relative to the largest entry of a column of G, its diagonal aside."""
    G, W = G.astype("f8"), W.toarray().astype("f8")
    slope = G @ W - G + l2 * W  # of the smooth part
    fails = np.where(W > 0, np.abs(slope + l1), np.abs(slope - l1))
    low = np.maximum(-slope - l1, 0)
    fails = np.where(W == 0, low if positive else np.maximum(low, slope - l1), fails)
    np.fill_diagonal(fails, 0)
    if allowed is not None:
        fails[~allowed] = 0
    off = np.abs(G)
    np.fill_diagonal(off, 0)
    scale = off.max(axis=0, initial=0)
    assert (fails[:, scale == 0] == 0).all()
    return (fails / np.maximum(scale, 1e-300)).max(initial=0)


def objective(G, W, l1, l2):
    """Without the constant |X|^2 / 2."""
    G, W = G.astype("f8"), W.astype("f8")
    return np.sum(W * (G @ W)) / 2 - np.sum(G * W) + l2 / 2 * np.sum(W**2) + l1 * np.abs(W).sum()


@dtypes
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("ones", [True, False])
@cases(ndim=2)
def test_optimality_conditions_hold(dtype, positive, ones, shape, seed):
    n_users, n_items = shape[0] + 1, shape[1]
    G = counts(n_users, n_items, seed, dtype, ones)
    l1, l2 = np.random.default_rng(seed).choice([0.0, 0.1, 1.0, 3.0]), 1.0
    W, n_iter = slim_weights(G, l1, l2, positive=positive)
    assert isinstance(W, sp.csr_array)
    assert W.has_canonical_format
    assert W.dtype == dtype
    assert W.shape == G.shape
    assert n_iter.shape == (n_items,)
    assert (W.diagonal() == 0).all()
    assert (W.data != 0).all()
    assert not positive or (W.data > 0).all()
    assert largest_violation(G, W, l1, l2, positive) <= 1.01e-4


@dtypes
@pytest.mark.parametrize(("l1", "l2"), [(3.0, 20.0), (30.0, 20.0), (0.5, 200.0)])
def test_optimality_conditions_hold_where_working_sets_grow_often(dtype, l1, l2):
    G = counts(1500, 600, dtype=dtype)
    W, _ = slim_weights(G, l1, l2)
    assert largest_violation(G, W, l1, l2) <= 1e-4
    assert 0 < W.nnz < 600 * 599


def test_a_small_tol_is_reached():
    G = counts(900, 300, dtype="float64")
    W, _ = slim_weights(G, 2.0, 10.0, tol=1e-10)
    assert largest_violation(G, W, 2.0, 10.0) <= 1e-10
    single, _ = slim_weights(G.astype("f4"), 2.0, 10.0, tol=1e-5)
    assert largest_violation(G, single, 2.0, 10.0) <= 1.2e-5
    np.testing.assert_allclose(single.toarray(), W.toarray(), atol=1e-5)


@pytest.mark.parametrize(("n_items", "l2"), [(90, 30.0), (1030, 50000.0)])
def test_without_l1_and_signs_the_weights_are_those_of_ease(n_items, l2):
    """No weight is zero: the working set is all items, and the Gram matrix itself serves as its matrix."""
    G = counts(3 * n_items, n_items, density=0.05, dtype="float64")
    W, _ = slim_weights(G, 0.0, l2, positive=False, tol=1e-6)
    assert W.nnz == n_items * (n_items - 1)
    np.testing.assert_allclose(W.toarray(), ease_weights(G, l2), atol=1e-5)


def test_a_set_that_outgrows_its_copy_goes_on_without():
    rng = np.random.default_rng(0)
    G = np.ones((1300, 1300))
    G[:, 5] = G[5] = 4.0 + rng.random(1300)  # the column of item 5 alone gets more than 1024 weights
    G[np.diag_indices(1300)] = 2000.0
    W, _ = slim_weights(G, 2.0, 10.0)
    assert np.bincount(W.indices, minlength=1300).tolist() == [1] * 5 + [1299] + [1] * 1294
    assert largest_violation(G, W, 2.0, 10.0) <= 1e-4


@given(st.integers(0, 999), st.booleans())
def test_no_other_weights_do_better(seed, positive):
    rng = np.random.default_rng(seed)
    G = counts(30, 8, seed, "float64", ones=False, density=0.6)
    W = slim_weights(G, 0.3, 0.5, positive=positive, tol=1e-9)[0].toarray()
    best = objective(G, W, 0.3, 0.5)
    for size in (1e-3, 0.1):
        other = W + size * rng.normal(size=W.shape) * (rng.random(W.shape) < 0.3)
        np.fill_diagonal(other, 0)
        assert objective(G, np.maximum(other, 0) if positive else other, 0.3, 0.5) >= best - 1e-12


def test_hand_worked_pair():
    # column 0: minimise (2 w^2) / 2 - 2 w + w for the weight of item 1; column 1: (4 w^2) / 2 - 2 w + w
    G = np.array([[4.0, 2.0], [2.0, 2.0]])
    W, _ = slim_weights(G, 1.0, 0.0, tol=1e-12)
    np.testing.assert_allclose(W.toarray(), [[0, 0.25], [0.5, 0]], rtol=1e-11)
    W, _ = slim_weights(G, 1.0, 2.0, tol=1e-12)
    np.testing.assert_allclose(W.toarray(), [[0, 1 / 6], [0.25, 0]], rtol=1e-11)
    assert slim_weights(G, 2.0, 0.0)[0].nnz == 0  # no more often together than l1


def test_negative_weights_only_where_they_are_allowed():
    G = np.array([[4.0, -2.0], [-2.0, 2.0]])
    assert slim_weights(G, 1.0, 0.0)[0].nnz == 0
    W, _ = slim_weights(G, 1.0, 0.0, positive=False, tol=1e-12)
    np.testing.assert_allclose(W.toarray(), [[0, -0.25], [-0.5, 0]], rtol=1e-11)


@dtypes
def test_candidates_alone_get_weights(dtype):
    rng = np.random.default_rng(0)
    G = counts(400, 70, dtype=dtype)
    allowed = rng.random((70, 70)) < 0.2
    W, _ = slim_weights(G, 0.5, 2.0, candidates=sp.csr_array(allowed))
    assert W.nnz > 0
    assert not W.toarray()[~allowed.T].any()  # row j lists the candidates of column j
    assert largest_violation(G, W, 0.5, 2.0, allowed=allowed.T) <= 1.01e-4
    everything, _ = slim_weights(G, 0.5, 2.0, candidates=sp.csr_array(np.ones((70, 70))))
    np.testing.assert_allclose(everything.toarray(), slim_weights(G, 0.5, 2.0)[0].toarray(), atol=1e-3)
    assert slim_weights(G, 0.5, 2.0, candidates=sp.csr_array((70, 70)))[0].nnz == 0


def test_more_candidates_than_a_copy_usually_holds():
    lists = sp.lil_array((1200, 1200))
    lists[7, :1150] = 1
    G = np.ones((1200, 1200))
    G[np.diag_indices(1200)] = 2000.0
    W, _ = slim_weights(G, 0.0, 50.0, positive=False, candidates=lists)
    assert W.nnz == 1149
    assert not W.toarray()[1150:].any()


@dtypes
@pytest.mark.parametrize("positive", [True, False])
def test_bits_do_not_depend_on_threads_or_blocks(monkeypatch, dtype, positive):
    G = counts(600, 300, dtype=dtype)
    one, n_iter = slim_weights(G, 4.0, 20.0, positive=positive, n_threads=1)
    for threads in (2, 3, 8):
        monkeypatch.setattr(module, "_COLUMNS", 64 * threads)
        other, sweeps = slim_weights(G, 4.0, 20.0, positive=positive, n_threads=threads)
        assert same_bits(one.data, other.data)
        assert same_bits(one.indices, other.indices)
        assert same_bits(n_iter, sweeps)


def test_unseen_items_have_no_weights():
    X = random_sparse(np.random.default_rng(0), 200, 20, ones=True).toarray()
    X[:, [3, 17]] = 0
    W = slim_weights(gram(X), 0.0, 0.0)[0].toarray()
    assert not W[[3, 17]].any()
    assert not W[:, [3, 17]].any()
    assert W.any()


def test_too_few_sweeps_are_reported():
    G = counts(900, 300)
    with pytest.warns(ConvergenceWarning, match=r"\d+ of 300 columns did not converge in max_iter=2 sweeps"):
        W, n_iter = slim_weights(G, 2.0, 10.0, max_iter=2)
    assert n_iter.max() == 2
    assert np.isfinite(W.data).all()
    with pytest.warns(ConvergenceWarning):  # float32 cannot
        slim_weights(G, 2.0, 10.0, tol=1e-12, max_iter=200)


def test_progress_adds_up():
    shares = []
    slim_weights(counts(300, 600), 1.0, 10.0, progress=shares.append)
    assert sum(shares) == pytest.approx(1)
    assert len(shares) == 3


@pytest.mark.parametrize("n_items", [0, 1])
def test_no_other_items(n_items):
    W, n_iter = slim_weights(np.ones((n_items, n_items)), 0.0, 0.0)
    assert W.shape == (n_items, n_items)
    assert W.nnz == 0
    assert n_iter.tolist() == [0] * n_items


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: slim_weights(np.eye(3), -1.0, 1.0), ValueError, "l1 must be >= 0.0, got -1.0"),
        (lambda: slim_weights(np.eye(3), 1.0, np.nan), ValueError, "l2 must be finite, got nan"),
        (lambda: slim_weights(np.eye(3), 1.0, "1"), TypeError, "l2 must be a number, got '1'"),
        (lambda: slim_weights(np.ones((2, 3)), 1.0, 1.0), ValueError, r"gram must be square, got shape \(2, 3\)"),
        (lambda: slim_weights(np.eye(3, dtype=int), 1.0, 1.0), TypeError, "gram must be float32 or float64, got int64"),
        (lambda: slim_weights(np.full((2, 2), np.nan), 1.0, 1.0), ValueError, "gram must be finite"),
        (lambda: slim_weights(np.diag([1.0, np.inf]), 1.0, 1.0), ValueError, "gram must be finite"),
        (lambda: slim_weights(np.eye(3), 1.0, 1.0, tol=0), ValueError, "tol must be > 0.0, got 0"),
        (lambda: slim_weights(np.eye(3), 1.0, 1.0, max_iter=0), ValueError, "max_iter must be >= 1, got 0"),
        (lambda: slim_weights(np.eye(3), 1.0, 1.0, positive=1), TypeError, "positive must be True or False, got 1"),
        (
            lambda: slim_weights(np.eye(3), 1.0, 1.0, candidates=np.eye(4)),
            ValueError,
            r"candidates must have 3 columns \(items\), got shape \(4, 4\)",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
