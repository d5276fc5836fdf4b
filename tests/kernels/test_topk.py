import numpy as np
import pytest
import scipy.sparse as sp
from helpers import random_sparse, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import PyrecWarning
from pyrec_core.kernels.topk import factor_top_k, sparse_pair_scores, sparse_top_k, top_k

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def reference(scores, k, exclude=None, candidates=None):  # the definition: sort all that may be ranked
    n, n_items = scores.shape
    items, best = np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, scores.dtype)
    for r in range(n):
        allowed = set(range(n_items))
        if candidates is not None:
            allowed = set(candidates[[r]].indices) if sp.issparse(candidates) else set(np.asarray(candidates).tolist())
        if exclude is not None:
            allowed -= set(exclude[[r]].indices)
        # NaN last, then higher score, then smaller id
        order = sorted(allowed, key=lambda i: (np.isnan(scores[r, i]), -scores[r, i], i))
        order = [i for i in order if not np.isnan(scores[r, i])] + sorted(i for i in allowed if np.isnan(scores[r, i]))
        for c, i in enumerate(order[:k]):
            items[r, c], best[r, c] = i, scores[r, i]
    return items, best


problems = given(
    n=st.integers(0, 9),
    n_items=st.sampled_from([0, 1, 2, 15, 16, 31, 33, 64, 127, 128, 129, 300, 513]),
    k=st.sampled_from([1, 2, 5, 20, 100]),
    excluded=st.booleans(),
    candidates=st.sampled_from(["all", "shared", "rows"]),
    seed=st.integers(0, 2**32 - 1),
)


def filters(rng, n, n_items, excluded, candidates):
    exclude = random_sparse(rng, n, n_items) if excluded else None
    some = {
        "all": None,
        "shared": rng.integers(0, max(n_items, 1), 40 if n_items else 0),
        "rows": random_sparse(rng, n, n_items),
    }
    return exclude, some[candidates]


def integers(rng, *shape):  # products and sums of small integers are exact, so orders must agree, ties included
    return rng.integers(-3, 4, shape).astype(float)


@dtypes
@problems
def test_top_k_equals_sorting(dtype, n, n_items, k, excluded, candidates, seed):
    rng = np.random.default_rng(seed)
    scores = integers(rng, n, n_items).astype(dtype)
    exclude, some = filters(rng, n, n_items, excluded, candidates)
    got = top_k(scores, k, exclude, candidates=some)
    want = reference(scores, k, exclude, some)
    assert all(same_bits(a, b) for a, b in zip(got, want, strict=True))


@dtypes
@problems
def test_factor_top_k_equals_sorting(dtype, n, n_items, k, excluded, candidates, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.choice([0, 1, 3, 16, 40]))
    users, items = integers(rng, n, d).astype(dtype), integers(rng, n_items, d).astype(dtype)
    exclude, some = filters(rng, n, n_items, excluded, candidates)
    got = factor_top_k(users, items, k, exclude, candidates=some)
    want = reference(users @ items.T, k, exclude, some)
    assert (got[0] == want[0]).all()
    np.testing.assert_array_equal(got[1], want[1])


@dtypes
@pytest.mark.parametrize("sparse", [False, True])
@problems
def test_sparse_top_k_equals_sorting(dtype, sparse, n, n_items, k, excluded, candidates, seed):
    rng = np.random.default_rng(seed)
    inner = int(rng.choice([0, 1, 8, 50]))
    X = sp.csr_array(integers(rng, n, inner) * (rng.random((n, inner)) < 0.4))
    W = integers(rng, inner, n_items).astype(dtype)
    exclude, some = filters(rng, n, n_items, excluded, candidates)
    got = sparse_top_k(X, sp.csr_array(W) if sparse else W, k, exclude, candidates=some)
    want = reference((X.toarray() @ W).astype(dtype), k, exclude, some)
    assert (got[0] == want[0]).all()
    np.testing.assert_array_equal(got[1], want[1])


@dtypes
def test_factor_top_k_on_real_numbers(dtype):
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(333, 47)).astype(dtype), rng.normal(size=(2001, 47)).astype(dtype)
    got_items, got_scores = factor_top_k(users, items, 30)
    exact = users.astype("f8") @ items.T.astype("f8")
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got_scores, -np.sort(-exact, axis=1)[:, :30], rtol=0, atol=tolerance)
    np.testing.assert_allclose(got_scores, np.take_along_axis(exact, got_items.astype(int), 1), rtol=0, atol=tolerance)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_special_scores(value):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(5, 200)).astype("f4")
    scores[rng.random(scores.shape) < 0.9] = value
    want = reference(scores, 50)
    if np.isnan(value):
        with pytest.warns(PyrecWarning, match="scores are NaN; they rank last"):
            got = top_k(scores, 50)
    else:
        got = top_k(scores, 50)
    assert (got[0] == want[0]).all()
    np.testing.assert_array_equal(got[1], want[1])


def test_minus_infinity_is_ranked_before_nan_and_padding():
    scores = np.array([[np.nan, -np.inf, 1.0, np.nan]])
    with pytest.warns(PyrecWarning):
        items, values = top_k(scores, 6, exclude=sp.csr_array([[1.0, 0, 0, 0]]))
    assert items.tolist() == [[2, 1, 3, -1, -1, -1]]
    np.testing.assert_array_equal(values, [[1.0, -np.inf, np.nan, -np.inf, -np.inf, -np.inf]])


def test_excluded_nan_do_not_warn():
    top_k(np.array([[np.nan, 1.0]]), 1, exclude=sp.csr_array([[1.0, 0.0]]))


def test_ties_go_to_the_smaller_id_in_all_orders_of_arrival():
    scores = np.tile(np.array([0.0, 1.0] * 500, "f4"), (3, 1))
    items, _ = top_k(scores, 10)
    assert items.tolist() == [list(range(1, 20, 2))] * 3


def test_stored_zeros_exclude_and_admit():
    stored = sp.csr_array((np.zeros(2), [1, 3], [0, 2]), shape=(1, 4))
    scores = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert top_k(scores, 2, exclude=stored)[0].tolist() == [[2, 0]]
    assert top_k(scores, 3, candidates=stored)[0].tolist() == [[3, 1, -1]]


@dtypes
def test_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(2)
    users, items = rng.normal(size=(400, 20)).astype(dtype), rng.normal(size=(900, 20)).astype(dtype)
    X, W = random_sparse(rng, 400, 300, dtype=dtype), rng.normal(size=(300, 900)).astype(dtype)

    def results(t):
        return *factor_top_k(users, items, 15, n_threads=t), *sparse_top_k(X, W, 15, n_threads=t)

    one = results(1)
    for t in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(one, results(t), strict=True))


@dtypes
@pytest.mark.parametrize("sparse", [False, True])
def test_pair_scores_are_elements_of_the_product(dtype, sparse):
    rng = np.random.default_rng(3)
    X, W = random_sparse(rng, 30, 40), integers(rng, 40, 50).astype(dtype)
    rows, items = rng.integers(0, 30, 500), rng.integers(0, 50, 500)
    got = sparse_pair_scores(X, sp.csr_array(W) if sparse else W, rows, items)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, (X.toarray() @ W)[rows, items], rtol=1e-5, atol=1e-5)
    assert sparse_pair_scores(X, W, [], []).shape == (0,)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: top_k(np.eye(3), 0), ValueError, "k must be >= 1, got 0"),
        (lambda: top_k(np.eye(3), 1.5), TypeError, "k must be an integer, got 1.5"),
        (lambda: top_k(np.eye(3, dtype=int), 1), TypeError, "scores must be float32 or float64, got int64"),
        (lambda: top_k(np.eye(3), 1, exclude=np.eye(3)), TypeError, "exclude must be a sparse matrix, got ndarray"),
        (lambda: top_k(np.eye(3), 1, exclude=sp.eye_array(4)), ValueError, "exclude must have 3 columns"),
        (lambda: top_k(np.eye(3), 1, candidates=[0, 3]), ValueError, r"candidates must hold item ids .* unknown: 3"),
        (lambda: top_k(np.eye(3), 1, candidates=[0.5]), TypeError, "candidates must be integers, got float64"),
        (lambda: factor_top_k(np.eye(3), np.ones((4, 2)), 1), ValueError, "item_factors must have 3 columns"),
        (lambda: factor_top_k(np.eye(3), np.eye(3, dtype="f4"), 1), TypeError, "item_factors must be float64"),
        (lambda: sparse_top_k(np.eye(3), np.eye(4), 1), ValueError, "X must have 4 columns"),
        (lambda: sparse_pair_scores(np.eye(3), np.eye(3), [3], [0]), ValueError, "rows must hold row ids in 0..2"),
        (lambda: sparse_pair_scores(np.eye(3), np.eye(3), [0, 1], [0]), ValueError, "items must be as many as rows"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
