import numpy as np
import pytest
import scipy.sparse as sp
from helpers import cases, random_sparse, same_bits

from pyrec_core.kernels.gram import ease_weights, gram

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@dtypes
@pytest.mark.parametrize("ones", [True, False])
@cases(ndim=2)
def test_gram_equals_definition(dtype, ones, shape, seed):
    X = random_sparse(np.random.default_rng(seed), *shape, dtype=dtype, ones=ones)
    dense = X.toarray().astype("f8")
    got = gram(X)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, dense.T @ dense, rtol=1e-6 if dtype == "float32" else 1e-13, atol=1e-6)
    assert same_bits(got, np.ascontiguousarray(got.T))


@dtypes
@cases(ndim=2)
def test_gram_with_weights_equals_definition(dtype, shape, seed):
    rng = np.random.default_rng(seed)
    X, w = random_sparse(rng, *shape, dtype=dtype), rng.random(shape[0])
    dense = X.toarray().astype("f8")
    np.testing.assert_allclose(gram(X, w), dense.T @ (w[:, None] * dense), rtol=1e-5, atol=1e-5)


def test_gram_counts_exactly_beyond_the_integers_of_float32_sums():
    # 2^24 + 2 users of one item: adding ones in float32 would stop at 2^24
    n = 2**24 + 2
    X = sp.csr_array((np.ones(n, "f4"), np.zeros(n, "i4"), np.arange(n + 1)), shape=(n, 1))
    assert gram(X)[0, 0] == n


def test_gram_of_long_rows_and_many_items():
    rng = np.random.default_rng(0)
    X = random_sparse(rng, 50, 3000, density=0.5, ones=True)
    dense = X.toarray()
    assert same_bits(gram(X), dense.T @ dense)


def test_gram_canonicalises_its_input():
    # unsorted, with a duplicate and an explicit zero
    X = sp.coo_array(([1.0, 1.0, 2.0, 0.0], ([0, 0, 0, 1], [2, 0, 2, 1])), shape=(2, 3))
    before = X.copy()
    assert same_bits(gram(X), np.array([[1.0, 0, 3], [0, 0, 0], [3, 0, 9]]))
    assert (X.toarray() == before.toarray()).all()
    assert X.nnz == 4


@dtypes
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_bits_do_not_depend_on_threads(dtype, weighted):
    rng = np.random.default_rng(1)
    X = random_sparse(rng, 700, 300, dtype=dtype)
    w = rng.random(700) if weighted else None
    one = gram(X, w, n_threads=1)
    assert all(same_bits(one, gram(X, w, n_threads=t)) for t in (2, 3, 8))


def reference_weights(G, l2):  # the definition: column j is the ridge regression of item j on all others
    n = len(G)
    B = np.zeros((n, n))
    for j in range(n):
        others = np.arange(n) != j
        ridge = G[np.ix_(others, others)] + l2 * np.eye(n - 1)
        B[others, j] = np.linalg.solve(ridge, G[others, j])
    return B


@dtypes
@pytest.mark.parametrize("n", [1, 2, 6, 40, 150])
def test_ease_weights_equal_ridge_regressions(dtype, n):
    X = random_sparse(np.random.default_rng(n), 3 * n + 5, n, ones=True)
    G = gram(X, dtype=dtype)
    before = G.copy()
    B = ease_weights(G, 2.5)
    assert same_bits(G, before)
    tolerance = 1e-10 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(B, reference_weights(G.astype("f8"), 2.5), rtol=0, atol=tolerance)
    assert (np.diagonal(B) == 0).all()


def test_ease_weights_divide_columns_not_rows():
    G = np.array([[5.0, 2, 0], [2, 9, 3], [0, 3, 4]])
    P = np.linalg.inv(G + np.eye(3))
    rows = -P / np.diag(P)[:, None]
    np.fill_diagonal(rows, 0)
    B = ease_weights(G, 1.0)
    assert np.abs(B - rows).max() > 0.05  # the classic bug, invisible in shapes
    np.testing.assert_allclose(B, rows.T, rtol=1e-12)


@dtypes
def test_ease_weights_of_unseen_items_are_positive_zero(dtype):
    X = random_sparse(np.random.default_rng(0), 60, 20, ones=True).tolil()
    X[:, [3, 17]] = 0
    B = ease_weights(gram(X.tocsr(), dtype=dtype), 1.0)
    zeros = np.zeros(20, dtype)
    for i in (3, 17):
        assert same_bits(B[i].copy(), zeros)
        assert same_bits(B[:, i].copy(), zeros)


def test_ease_weights_overwrite_uses_the_same_memory():
    G = gram(random_sparse(np.random.default_rng(0), 60, 20))
    want = ease_weights(G, 1.0)
    assert ease_weights(G, 1.0, overwrite=True) is G
    assert same_bits(G, want)


@dtypes
def test_ease_weights_bits_do_not_depend_on_threads(dtype):
    G = gram(random_sparse(np.random.default_rng(2), 900, 600, ones=True), dtype=dtype)
    one = ease_weights(G, 10.0, n_threads=1)
    assert all(same_bits(one, ease_weights(G, 10.0, n_threads=t)) for t in (2, 3, 8))


@dtypes
def test_ease_weights_refuse_rank_deficiency(dtype):
    X = random_sparse(np.random.default_rng(0), 500, 30, ones=True).toarray()
    X[:, 7] = X[:, 3]  # always together; rounding may leave a tiny positive pivot
    with pytest.raises(ValueError, match=r"l2 must be large enough .* got l2=0\.0"):
        ease_weights(gram(X, dtype=dtype), 0.0)
    X[:, 7] = 0  # never seen
    with pytest.raises(ValueError, match="l2 must be large enough"):
        ease_weights(gram(X, dtype=dtype), 0.0)
    assert np.isfinite(ease_weights(gram(X, dtype=dtype), 0.5)).all()


@dtypes
@pytest.mark.parametrize("at", [(1, 0), (299, 150), (299, 0)])
def test_ease_weights_refuse_nan_beside_the_diagonal(dtype, at):
    G = 5 * np.eye(300, dtype=dtype)
    G[at] = np.nan
    with pytest.raises(ValueError, match="gram must be finite, got NaN or infinity"):
        ease_weights(G, 1.0)


def test_ease_weights_report_progress():
    shares = []
    ease_weights(gram(random_sparse(np.random.default_rng(0), 900, 400)), 1.0, progress=shares.append)
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gram(np.ones((2, 2), object)), TypeError, "X must be bool, integer, float16, float32 or float64"),
        (lambda: gram(np.array([[np.nan]])), ValueError, "X must hold finite values"),
        (lambda: gram(np.ones(3)), ValueError, "X must be 2-D"),
        (lambda: gram(np.eye(3), dtype="int64"), TypeError, "dtype must be float32 or float64, got int64"),
        (lambda: gram(np.eye(3), [1.0, 2.0]), ValueError, r"weights must have shape \(3,\), one a row of X"),
        (lambda: gram(np.eye(3), [1.0, 2.0, np.inf]), ValueError, "weights must be finite"),
        (lambda: gram(np.eye(3), ["a", "b", "c"]), TypeError, "weights must be numbers"),
        (lambda: ease_weights(np.eye(3), -1.0), ValueError, "l2 must be >= 0.0, got -1.0"),
        (lambda: ease_weights(np.eye(3), "1"), TypeError, "l2 must be a number, got '1'"),
        (lambda: ease_weights(np.ones((2, 3)), 1.0), ValueError, r"gram must be square, got shape \(2, 3\)"),
        (lambda: ease_weights(np.full((2, 2), np.nan), 1.0), ValueError, "gram must be finite"),
        (lambda: ease_weights(np.eye(3, dtype=int), 1.0), TypeError, "gram must be float32 or float64, got int64"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
