import numpy as np
import pytest
import scipy.sparse as sp
from helpers import cases, random_sparse, same_bits

from pyrec_core.kernels import cooccurrence as module
from pyrec_core.kernels.cooccurrence import MEASURES, cooccurrence_weights

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
measures = pytest.mark.parametrize("measure", MEASURES)


def log_likelihood_ratio(both, n_i, n_j, total):
    """G^2 of the 2 x 2 tables: twice the sum of count times log(count / expected)."""
    value = 0.0
    for count, row, column in (
        (both, n_i, n_j),
        (n_i - both, n_i, total - n_j),
        (n_j - both, total - n_i, n_j),
        (total - n_i - n_j + both, total - n_i, total - n_j),
    ):
        count = np.maximum(count, 0)
        expected = row * column / total
        value += 2 * count * np.log(np.where(count > 0, count / np.where(expected > 0, expected, 1), 1))
    return np.where(both * total > n_i * n_j, value, 0)


DEFINITIONS = {
    "count": lambda both, n_i, n_j, total: both,
    "cosine": lambda both, n_i, n_j, total: both / np.sqrt(n_i * n_j),
    "jaccard": lambda both, n_i, n_j, total: both / (n_i + n_j - both),
    "confidence": lambda both, n_i, n_j, total: both / n_i,
    "lift": lambda both, n_i, n_j, total: both * total / (n_i * n_j),
    "llr": log_likelihood_ratio,
}


def reference(X, measure, weights=None, min_count=0.0):
    """All pairs of items by the definition."""
    s = np.ones(len(X)) if weights is None else weights
    X = X if measure == "cosine" else (X != 0).astype("f8")
    both = np.einsum("u,ui,uj->ij", s, X, X)
    sizes = np.diagonal(both)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = DEFINITIONS[measure](both, sizes[:, None], sizes, s.sum())
    np.fill_diagonal(both, 0)
    return np.where((both != 0) & (both >= min_count) & (value > 0), value, 0)


@dtypes
@pytest.mark.parametrize("ones", [True, False])
@cases(ndim=2)
def test_equals_definition(dtype, ones, shape, seed):
    X = random_sparse(np.random.default_rng(seed), *shape, 0.4, dtype, ones)
    for measure in MEASURES:
        found = cooccurrence_weights(X, measure)
        assert isinstance(found, sp.csr_array)
        assert found.dtype == dtype
        assert found.has_canonical_format
        assert (found.data > 0).all()
        expected = reference(X.toarray().astype("f8"), measure)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5, atol=1e-6, err_msg=measure)


@measures
def test_weights_and_min_count(measure):
    rng = np.random.default_rng(0)
    X, weights = random_sparse(rng, 60, 12, 0.4, "float64", ones=True), rng.integers(0, 4, 60)
    found = cooccurrence_weights(X, measure, weights=weights, min_count=12)
    expected = reference(X.toarray(), measure, weights, 12)
    assert 0 < np.count_nonzero(expected) < 12 * 11
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12)
    repeated = cooccurrence_weights(X[np.repeat(np.arange(60), weights)], measure, min_count=12)
    np.testing.assert_allclose(found.toarray(), repeated.toarray(), rtol=1e-12, atol=1e-12)


@measures
@pytest.mark.parametrize(("elements", "k"), [(1, 3), (100, 1), (100, 16), (2**21, 50)])
def test_keeps_the_largest_of_each_item(monkeypatch, measure, elements, k):
    monkeypatch.setattr(module, "_ELEMENTS", elements)
    X = random_sparse(np.random.default_rng(0), 40, 17, 0.3, ones=True)
    whole = cooccurrence_weights(X, measure).toarray()
    found = cooccurrence_weights(X, measure, k).toarray()
    for i in range(17):
        best = np.argsort(-whole[i], kind="stable")[:k]
        expected = np.zeros(17, "f4")
        expected[best] = whole[i, best]
        np.testing.assert_array_equal(found[i], expected)


def test_hand_worked_table():
    # items 0 and 1: together 3, alone 1 and 2, neither 4, of 10 users
    X = np.array([[1, 1]] * 3 + [[1, 0]] + [[0, 1]] * 2 + [[0, 0]] * 4)
    both = {m: cooccurrence_weights(X, m, dtype="float64")[0, 1] for m in MEASURES}
    assert both["count"] == 3
    assert both["confidence"] == 3 / 4
    assert cooccurrence_weights(X, "confidence", dtype="float64")[1, 0] == 3 / 5
    assert both["jaccard"] == 3 / 6
    assert both["cosine"] == pytest.approx(3 / np.sqrt(20), rel=1e-15)
    assert both["lift"] == 3 * 10 / (4 * 5)
    expected = [3 * np.log(3 / 2), 1 * np.log(1 / 2), 2 * np.log(2 / 3), 4 * np.log(4 / 3)]
    assert both["llr"] == pytest.approx(2 * sum(expected), rel=1e-14)


def test_items_that_avoid_each_other_are_no_neighbours_by_llr():
    X = np.array([[1, 0]] * 9 + [[0, 1]] * 9 + [[1, 1]])
    assert cooccurrence_weights(X, "llr").nnz == 0
    assert cooccurrence_weights(X, "count").nnz == 2


@dtypes
@measures
def test_bits_do_not_depend_on_threads(dtype, measure):
    rng = np.random.default_rng(0)
    X, weights = random_sparse(rng, 500, 120, 0.1, dtype), rng.random(500)
    one = cooccurrence_weights(X, measure, 20, weights=weights, n_threads=1)
    for threads in (2, 3, 8):
        other = cooccurrence_weights(X, measure, 20, weights=weights, n_threads=threads)
        assert same_bits(one.data, other.data)
        assert same_bits(one.indices, other.indices)


def test_progress_adds_up(monkeypatch):
    monkeypatch.setattr(module, "_ELEMENTS", 100)
    shares = []
    cooccurrence_weights(random_sparse(np.random.default_rng(0), 40, 17, 0.3), progress=shares.append)
    assert sum(shares) == pytest.approx(1)
    assert len(shares) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cooccurrence_weights(np.eye(2), "pmi"), ValueError, "measure must be one of 'count'"),
        (lambda: cooccurrence_weights(np.eye(2), n_neighbors=0), ValueError, "n_neighbors must be >= 1, got 0"),
        (lambda: cooccurrence_weights(np.eye(2), min_count=-1.0), ValueError, "min_count must be >= 0.0, got -1.0"),
        (lambda: cooccurrence_weights(np.eye(2), weights=[1.0]), ValueError, r"weights must have shape \(2,\)"),
        (lambda: cooccurrence_weights(np.eye(2), weights=["a", "b"]), TypeError, "weights must be numbers"),
        (lambda: cooccurrence_weights(np.eye(2), weights=[1, -2.0]), ValueError, "weights must be .* >= 0, got -2"),
        (lambda: cooccurrence_weights(np.eye(2), dtype="int8"), TypeError, "dtype must be float32 or float64"),
        (lambda: cooccurrence_weights(np.array([[np.nan]])), ValueError, "X must hold finite values"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
