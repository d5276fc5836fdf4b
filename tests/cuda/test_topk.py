"""The k best of rows on devices."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from devices import check_equals_cpu
from helpers import random_sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core import PyrecWarning
from pyrec_core._validation import Csr, check_interactions
from pyrec_core.kernels import topk as K

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
SHAPES = [(0, 0), (0, 3), (1, 0), (1, 1), (3, 5), (2, 256), (4, 600), (2, 1500)]


def filters(rng, n, n_items):
    """No filter, excluded items, candidates for all rows, candidates of each row, and both."""
    some, others = random_sparse(rng, n, n_items), random_sparse(rng, n, n_items, density=0.5)
    ids = rng.integers(0, max(n_items, 1), n_items // 2)
    return [{}, {"exclude": some}, {"candidates": ids}, {"candidates": others}, {"exclude": some, "candidates": others}]


@dtypes
@settings(max_examples=15)
@given(
    shape=st.sampled_from(SHAPES),
    k=st.sampled_from([1, 2, 10, 300]),
    ties=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_top_k_equals_cpu(devices, dtype, shape, k, ties, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, shape).astype(dtype) if ties else rng.normal(size=shape).astype(dtype)
    scores[rng.random(shape) < 0.1] = -np.inf
    how = filters(rng, *shape)[seed % 5]
    check_equals_cpu(devices, K.top_k, scores, k, **how)


@dtypes
def test_rows_in_every_order(devices, dtype):
    n = 1300  # the buffer of a block fills several times
    rows = np.stack([np.arange(n), -np.arange(n), np.zeros(n), np.arange(n) % 7]).astype(dtype)
    for k in (1, 100, 256, 257):
        check_equals_cpu(devices, K.top_k, rows, k)


@dtypes
def test_more_places_than_a_block_keeps(devices, dtype):
    scores = np.random.default_rng(0).integers(0, 900, (2, 2600)).astype(dtype)
    check_equals_cpu(devices, K.top_k, scores, 2500)  # in three rounds
    check_equals_cpu(devices, K.top_k, scores, 2700, exclude=sp.csr_array(scores < 500))  # what is left ends in one


@dtypes
def test_nan_ranks_last_and_is_counted(devices, dtype):
    scores = np.random.default_rng(1).normal(size=(3, 700)).astype(dtype)
    scores[0, 5], scores[1], scores[2, 100:400] = np.nan, np.nan, np.nan
    exclude = sp.csr_array(np.eye(3, 700, 5, dtype=dtype))
    for k in (3, 500, 700):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PyrecWarning)
            check_equals_cpu(devices, K.top_k, scores, k, exclude=exclude)
    for device in devices:
        with device as on, pytest.warns(PyrecWarning, match="999 scores are NaN"):
            on(K.top_k, scores, 3, exclude)


@dtypes
@pytest.mark.parametrize("sizes", [(0, 3, 2), (1, 1, 1), (5, 40, 7), (3, 300, 0), (3, 300, 4)], ids=str)
def test_factor_top_k_equals_cpu(devices, dtype, sizes):
    n, n_items, d = sizes
    rng = np.random.default_rng(3)
    users, items = (rng.integers(-9, 9, (m, d)).astype(dtype) for m in (n, n_items))  # exact in any order
    for how in filters(rng, n, n_items):
        check_equals_cpu(devices, K.factor_top_k, users, items, 7, **how)


@dtypes
@pytest.mark.parametrize("block", [1, 2, 100])
def test_blocks_of_rows(devices, monkeypatch, dtype, block):
    n, n_inputs, n_items = 5, 30, 40
    rng = np.random.default_rng(2)
    X, weights = random_sparse(rng, n, n_inputs), rng.normal(size=(n_inputs, n_items)).astype(dtype)
    monkeypatch.setattr(K, "_SCORE_BYTES", block * (n_inputs + n_items) * weights.itemsize)
    for how in filters(rng, n, n_items):
        check_equals_cpu(devices, K.sparse_top_k, X=X, weights=weights, k=6, **how)


def on_host_and_there(on, weights):
    """Sparse weights for the CPU, and for a device."""
    csr = check_interactions("weights", weights)
    there = Csr(on.put(csr.indptr), on.put(csr.indices), on.put(csr.data), csr.shape)
    return weights, there


@dtypes
@pytest.mark.parametrize("block", [1, 2, 100])
@pytest.mark.parametrize("n_items", [0, 1, 40, 4099])  # more than a block sums at a time
def test_sparse_weights(devices, monkeypatch, dtype, block, n_items):
    n, n_inputs = 5, 30
    rng = np.random.default_rng(2)
    X = random_sparse(rng, n, n_inputs, density=0.4)
    whole = random_sparse(rng, n_inputs, n_items, density=0.2, dtype=dtype)
    monkeypatch.setattr(K, "_SCORE_BYTES", block * (n_inputs + n_items) * np.dtype(dtype).itemsize)
    for device in devices:
        with device as on:
            host, there = on_host_and_there(on, whole)
            for how in filters(rng, n, n_items):
                want, got = K.sparse_top_k(X, host, 6, **how), on.get(K.sparse_top_k(X, there, 6, **how))
                for one, other in zip(got, want, strict=True):  # the same sums in the same order
                    assert one.dtype == other.dtype
                    np.testing.assert_allclose(one, other, rtol=1e-5 if dtype == "float32" else 1e-12)


@dtypes
@settings(max_examples=15)
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 90), st.integers(1, 30)),
    n_pairs=st.sampled_from([0, 1, 7, 300]),
    density=st.sampled_from([0.0, 0.3, 1.0]),  # rows shorter and longer than a warp, and empty ones
    seed=st.integers(0, 2**32 - 1),
)
def test_pair_scores_equal_cpu(devices, dtype, sizes, n_pairs, density, seed):
    n, n_inputs, n_items = sizes
    rng = np.random.default_rng(seed)
    X, dense = random_sparse(rng, n, n_inputs, density), rng.normal(size=(n_inputs, n_items)).astype(dtype)
    rows, items = rng.integers(0, n, n_pairs), rng.integers(0, n_items, n_pairs)
    check_equals_cpu(devices, K.sparse_pair_scores, X=X, weights=dense, rows=rows, items=items)
    sparse = sp.csr_array(np.where(dense > 0, dense, 0))
    want = K.sparse_pair_scores(X, sparse, rows, items)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for device in devices:
        with device as on:
            _, there = on_host_and_there(on, sparse)
            got = on.get(K.sparse_pair_scores(X, there, rows, items))
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=10 * tolerance)


def test_bad_pairs_are_refused(devices):
    X = np.eye(2, 3)
    for device in devices:
        with device as on:
            for weights in (on.put(np.ones((3, 4))), on_host_and_there(on, sp.csr_array(np.ones((3, 4))))[1]):
                with pytest.raises(ValueError, match=r"rows must hold row ids in 0\.\.1, got 1 unknown: 2"):
                    K.sparse_pair_scores(X, weights, [0, 2], [0, 1])
                with pytest.raises(ValueError, match=r"items must hold item ids in 0\.\.3, got 1 unknown: 4"):
                    K.sparse_pair_scores(X, weights, [0, 1], [0, 4])
                with pytest.raises(ValueError, match=r"items must be as many as rows \(2\), got 1"):
                    K.sparse_pair_scores(X, weights, [0, 1], [0])
                with pytest.raises(ValueError, match=r"X must have 3 columns \(items\), got shape \(2, 2\)"):
                    K.sparse_pair_scores(np.eye(2), weights, [0], [0])
