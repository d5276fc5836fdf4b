"""Ranks against sorting in float64, whatever the source of the scores; bits, memory, bad input."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import random_sparse, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import PyrecWarning
from pyrec_core._backend import cpu
from pyrec_core.kernels.ranking import TIES, ranks_in_factors, ranks_in_lists, ranks_in_scores, ranks_in_sparse
from pyrec_core.kernels.topk import factor_top_k, sparse_top_k, top_k

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_policy = pytest.mark.parametrize("ties", TIES)


def reference(scores, relevant, exclude=None, ties="id", depth=np.inf):
    """The definition: the j-th best relevant item has rank j + the others ahead of it; NaN is below all numbers."""
    ids, ranks = np.arange(scores.shape[1]), []
    for row, s in enumerate(np.asarray(scores, "f8")):
        key = np.where(np.isnan(s), -1, np.unique(s, return_inverse=True)[1])  # ranks of scores, without inf and NaN
        hidden = np.zeros(len(s), bool) if exclude is None else np.isin(ids, exclude[[row]].indices)
        wanted = np.isin(ids, relevant[[row]].indices)
        found = np.full(len(s), np.inf)
        best = sorted(ids[wanted & ~hidden], key=lambda i: (-key[i], i))
        others = ids[~wanted & ~hidden]
        for j, i in enumerate(best, start=1):
            tied = others[key[others] == key[i]]
            ahead = {"id": np.sum(tied < i), "conservative": len(tied), "standard": 0, "median": len(tied) / 2}[ties]
            found[i] = j + ahead + np.sum(key[others] > key[i])
        ranks += found[wanted].tolist()
    return np.where(np.array(ranks) <= depth, ranks, np.inf)


problems = given(
    n=st.integers(0, 9),
    n_items=st.sampled_from([1, 2, 15, 16, 33, 127, 128, 129, 255, 256, 257, 300, 700]),
    share=st.sampled_from([0.0, 0.02, 0.3, 0.9]),
    excluded=st.booleans(),
    depth=st.sampled_from([None, 1, 2, 20, 1000]),
    seed=st.integers(0, 2**32 - 1),
)


def draw(seed, n, n_items, share, excluded):
    rng = np.random.default_rng(seed)
    relevant = random_sparse(rng, n, n_items, share)
    exclude = random_sparse(rng, n, n_items, 0.2) if excluded else None
    return rng, relevant, exclude


def integers(rng, *shape):  # products and sums of small integers are exact, so ranks must agree, ties included
    return rng.integers(-3, 4, shape).astype(float)


def expected(scores, relevant, exclude, ties, depth):
    return reference(scores, relevant, exclude, ties, np.inf if depth is None else depth)


@dtypes
@each_policy
@problems
def test_ranks_in_scores_equal_sorting(dtype, ties, n, n_items, share, excluded, depth, seed):
    rng, relevant, exclude = draw(seed, n, n_items, share, excluded)
    scores = integers(rng, n, n_items).astype(dtype)
    got = ranks_in_scores(scores, relevant, exclude, ties=ties, depth=depth)
    np.testing.assert_array_equal(got, expected(scores, relevant, exclude, ties, depth))


@dtypes
@each_policy
@pytest.mark.parametrize("biased", [False, True])
@problems
def test_ranks_in_factors_equal_sorting(dtype, ties, biased, n, n_items, share, excluded, depth, seed):
    rng, relevant, exclude = draw(seed, n, n_items, share, excluded)
    d = int(rng.choice([0, 1, 3, 16, 40]))
    users, items = integers(rng, n, d).astype(dtype), integers(rng, n_items, d).astype(dtype)
    bias = integers(rng, n_items).astype(dtype) if biased else None
    got = ranks_in_factors(users, items, relevant, exclude, item_bias=bias, ties=ties, depth=depth)
    scores = users @ items.T + (bias if biased else 0)
    np.testing.assert_array_equal(got, expected(scores, relevant, exclude, ties, depth))


@dtypes
@each_policy
@pytest.mark.parametrize("sparse", [False, True])
@problems
def test_ranks_in_sparse_equal_sorting(dtype, ties, sparse, n, n_items, share, excluded, depth, seed):
    rng, relevant, exclude = draw(seed, n, n_items, share, excluded)
    inner = int(rng.choice([0, 1, 8, 50]))
    X = sp.csr_array(integers(rng, n, inner) * (rng.random((n, inner)) < 0.4))
    W = integers(rng, inner, n_items).astype(dtype)
    got = ranks_in_sparse(X, sp.csr_array(W) if sparse else W, relevant, exclude, ties=ties, depth=depth)
    np.testing.assert_array_equal(got, expected(X.toarray() @ W, relevant, exclude, ties, depth))


@dtypes
@each_policy
def test_special_scores_and_more_than_a_vector_of_them(dtype, ties):
    rng = np.random.default_rng(5)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max], dtype)
    scores = rng.choice(special, (12, 600))
    relevant, exclude = random_sparse(rng, 12, 600, 0.05), random_sparse(rng, 12, 600, 0.3)
    for depth in (None, 200, 30):
        with pytest.warns(PyrecWarning, match="scores are NaN; they rank last"):
            got = ranks_in_scores(scores, relevant, exclude, ties=ties, depth=depth)
        np.testing.assert_array_equal(got, expected(scores, relevant, exclude, ties, depth))


def test_nan_are_counted_but_excluded_ones_are_not():
    scores = np.array([[np.nan, 1.0, np.nan, np.nan, 2.0]])
    relevant, exclude = sp.csr_array([[0, 1.0, 0, 1, 0]]), sp.csr_array([[1.0, 0, 0, 0, 0]])
    with pytest.warns(PyrecWarning, match="^2 scores are NaN"):
        assert ranks_in_scores(scores, relevant, exclude).tolist() == [2, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranks_in_scores(scores[:, :2], relevant[:, :2], exclude[:, :2])


@dtypes
@each_policy
def test_a_model_that_gives_every_item_the_same_real_score(dtype, ties):
    """The scores of the relevant items, made first, have the bits of those made in tiles: all are tied."""
    rng = np.random.default_rng(6)
    n, n_items, d = 40, 777, 21
    relevant = random_sparse(rng, n, n_items, 0.01)
    users, items = rng.normal(size=(n, d)).astype(dtype), np.tile(rng.normal(size=d).astype(dtype), (n_items, 1))
    X = random_sparse(rng, n, 90, dtype=dtype)
    W = np.tile(rng.normal(size=(90, 1)).astype(dtype), (1, n_items))
    want = expected(np.zeros((n, n_items)), relevant, None, ties, None)
    np.testing.assert_array_equal(ranks_in_factors(users, items, relevant, ties=ties), want)
    bias = np.full(n_items, rng.normal(), dtype)
    np.testing.assert_array_equal(ranks_in_factors(users, items, relevant, item_bias=bias, ties=ties), want)
    for weights in (W, W[:, :100], sp.csr_array(W)):
        some = relevant[:, : weights.shape[1]]
        want = expected(np.zeros(some.shape), some, None, ties, None)
        np.testing.assert_array_equal(ranks_in_sparse(X, weights, some, ties=ties), want)


@dtypes
def test_ranks_by_id_are_the_places_in_the_lists_of_top_k(dtype):
    rng = np.random.default_rng(7)
    n, n_items, d, k = 50, 500, 9, 60
    relevant, seen = random_sparse(rng, n, n_items, 0.1), random_sparse(rng, n, n_items, 0.1)
    users, items = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(n_items, d)).astype(dtype)
    X, W = random_sparse(rng, n, 70, dtype=dtype), rng.normal(size=(70, n_items)).astype(dtype)
    scores = rng.normal(size=(n, n_items)).astype(dtype).round(1)
    for lists, ranks in (
        (top_k(scores, k, seen)[0], ranks_in_scores(scores, relevant, seen, depth=k)),
        (factor_top_k(users, items, k, seen)[0], ranks_in_factors(users, items, relevant, seen, depth=k)),
        (sparse_top_k(X, W, k, seen)[0], ranks_in_sparse(X, W, relevant, seen, depth=k)),
    ):
        np.testing.assert_array_equal(ranks_in_lists(lists, relevant), ranks)
        assert np.isfinite(ranks).any()


@dtypes
@each_policy
def test_very_many_relevant_items(dtype, ties):
    rng = np.random.default_rng(8)
    relevant, exclude = random_sparse(rng, 5, 3000, 0.4), random_sparse(rng, 5, 3000, 0.1)
    scores = rng.integers(0, 900, (5, 3000)).astype(dtype)
    scores[1, ::7] = np.nan
    for depth in (None, 1500, 300):
        with pytest.warns(PyrecWarning):
            got = ranks_in_scores(scores, relevant, exclude, ties=ties, depth=depth)
        np.testing.assert_array_equal(got, expected(scores, relevant, exclude, ties, depth))


# ---- lists


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "uint64"])
@given(
    n=st.integers(0, 8), k=st.sampled_from([0, 1, 2, 3, 17, 60, 100]), share=st.sampled_from([0, 0.1, 0.9]),
    padded=st.booleans(), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_ranks_in_lists_equal_searching(dtype, n, k, share, padded, seed):
    rng = np.random.default_rng(seed)
    relevant = random_sparse(rng, n, 100, share)
    ranked = np.array([rng.permutation(100)[:k] for _ in range(n)], dtype).reshape(n, k)
    if padded and not dtype.startswith("u"):
        ranked[rng.random(ranked.shape) < 0.3] = -1
    want = [
        next((place for place, item in enumerate(ranked[row], start=1) if item == i), np.inf)
        for row in range(n)
        for i in relevant[[row]].indices
    ]
    np.testing.assert_array_equal(ranks_in_lists(ranked, relevant), np.array(want, float))
    np.testing.assert_array_equal(ranks_in_lists(np.asfortranarray(ranked), relevant), np.array(want, float))


def test_long_lists_of_scattered_ids():
    rng = np.random.default_rng(9)
    n_items = 2**31 - 2
    ids = np.unique(rng.integers(0, n_items, 5000)).astype(np.int32)
    ranked = rng.permuted(np.tile(ids, (3, 1)), axis=1)
    relevant = sp.csr_array((np.ones(3 * 50), np.tile(ids[::100], 3), np.arange(4) * 50), shape=(3, n_items))
    want = np.concatenate([[np.flatnonzero(row == i)[0] + 1 for i in ids[::100]] for row in ranked])
    np.testing.assert_array_equal(ranks_in_lists(ranked, relevant), want)


def test_ids_that_share_a_hash_are_told_apart():
    """Multiples of 2**22 times an odd number: the table of a short list keeps few of their bits apart."""
    ids = (np.arange(1, 500, dtype=np.int64) * 2**22)[None]
    relevant = sp.csr_array((np.ones(499), ids[0], [0, 499]), shape=(1, 2**31 - 2))
    np.testing.assert_array_equal(ranks_in_lists(ids, relevant), np.arange(1, 500))
    twice = ids.copy()
    twice[0, -1] = ids[0, 3]
    with pytest.raises(ValueError, match=f"got item {ids[0, 3]} twice in row 0"):
        ranks_in_lists(twice, relevant)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_the_first_bad_row_is_named(dtype):
    ranked = np.tile(np.arange(40, dtype=dtype), (5000, 1))
    relevant = sp.csr_array((5000, 40))
    assert ranks_in_lists(ranked, relevant).shape == (0,)
    ranked[[1234, 4000], 5] = 17
    for n_threads in (1, 2, 8):
        with pytest.raises(ValueError, match="at most once a row, got item 17 twice in row 1234"):
            ranks_in_lists(ranked, relevant, n_threads=n_threads)
    ranked[77, 3] = 40
    with pytest.raises(ValueError, match=r"ranked must hold item ids in -1..39, got 40 in row 77"):
        ranks_in_lists(ranked, relevant)
    ranked[76, 39] = -2
    with pytest.raises(ValueError, match=r"ranked must hold item ids in -1..39, got -2 in row 76"):
        ranks_in_lists(ranked, relevant)


# ---- all


@dtypes
@each_policy
def test_bits_do_not_depend_on_threads(dtype, ties):
    rng = np.random.default_rng(2)
    relevant, exclude = random_sparse(rng, 400, 900, 0.02), random_sparse(rng, 400, 900, 0.1)
    users, items = rng.normal(size=(400, 20)).astype(dtype), rng.normal(size=(900, 20)).astype(dtype)
    X, W = random_sparse(rng, 400, 300, dtype=dtype), rng.normal(size=(300, 900)).astype(dtype)
    some, scores = random_sparse(rng, 300, 900, dtype=dtype), integers(rng, 400, 900).astype(dtype)
    ranked = rng.permuted(np.tile(np.arange(900), (400, 1)), axis=1)

    def results(t):
        how = {"ties": ties, "n_threads": t}
        yield ranks_in_lists(ranked, relevant, n_threads=t)
        for depth in (None, 50):
            yield ranks_in_scores(scores, relevant, exclude, depth=depth, **how)
            yield ranks_in_factors(users, items, relevant, exclude, depth=depth, **how)
            yield ranks_in_sparse(X, W, relevant, exclude, depth=depth, **how)
            yield ranks_in_sparse(X, some, relevant, exclude, depth=depth, **how)

    one = list(results(1))
    for t in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(one, results(t), strict=True))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_memory_does_not_grow_with_the_rows():
    """8,000 x 20,000 scores would be 640 MB."""
    code = """
import re
import numpy as np
import scipy.sparse as sp
from pyrec_core.kernels.ranking import ranks_in_factors, ranks_in_sparse

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024

def run(n):
    relevant = sp.csr_array((np.ones(n), np.arange(n) % n_items, np.arange(n + 1)), shape=(n, n_items))
    X = sp.csr_array((np.ones(n, "f4"), np.arange(n) % 3, np.arange(n + 1)), shape=(n, 3))
    ranks_in_factors(users[:n], items, relevant, n_threads=2)
    ranks_in_sparse(X, items.T.copy(), relevant, n_threads=2)

n_items = 20_000
rng = np.random.default_rng(0)
users, items = rng.normal(size=(8_000, 3)).astype("f4"), rng.normal(size=(n_items, 3)).astype("f4")
run(500)
before = peak_mb()
run(8_000)
print(peak_mb() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60


def test_bindings_cannot_be_led_out_of_bounds():
    native, ranks, scores = cpu(), np.empty(2), np.zeros((2, 5))
    indptr, ids = np.array([0, 1, 2]), np.array([1, 4], np.int32)
    good, depth = (indptr, ids), 9
    assert native.ranks_in_scores(1, ranks, scores, good, None, 0, depth) == 0
    for bad in (
        (indptr, np.array([1, 5], np.int32)),
        (indptr, np.array([-1, 4], np.int32)),
        (np.array([0, 2, 2]), np.array([4, 1], np.int32)),  # descending
        (np.array([0, 2, 2]), np.array([4, 4], np.int32)),
        (np.array([0, 2, 1]), ids),
        (np.array([0, 2]), ids),  # one list for all rows will not do
    ):
        with pytest.raises(ValueError, match="relevant"):
            native.ranks_in_scores(1, ranks, scores, bad, None, 0, depth)
        with pytest.raises(ValueError, match="exclude"):
            native.ranks_in_scores(1, ranks, scores, good, bad, 0, depth)
    for ties, deep in ((-1, 1), (4, 1), (0, 0)):
        with pytest.raises(ValueError, match="ties or depth out of range"):
            native.ranks_in_scores(1, ranks, scores, good, None, ties, deep)
    with pytest.raises(ValueError, match="ranks has the wrong shape"):
        native.ranks_in_scores(1, np.empty(3), scores, good, None, 0, depth)
    with pytest.raises(ValueError, match="metric or depth out of range"):
        native.measure(1, np.empty((1, 2)), ranks, indptr, np.array([99], np.int32), np.array([1]), None, None)
    with pytest.raises(ValueError, match="gains has the wrong shape"):
        native.measure(1, np.empty((1, 2)), ranks, indptr, np.zeros(1, np.int32), np.array([1]), np.ones(3), None)


EYE = sp.eye_array(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ranks_in_lists(np.zeros((3, 1)), EYE), TypeError, "ranked must be integers, got float64"),
        (lambda: ranks_in_lists(np.zeros(3, int), EYE), ValueError, r"ranked must be 2-D .*, got shape \(3,\)"),
        (lambda: ranks_in_lists(np.zeros((2, 1), int), EYE), ValueError, "relevant must have 2 rows"),
        (lambda: ranks_in_lists(np.full((3, 1), 2**64 - 1, "u8"), EYE), ValueError, r"item ids in -1..2, got 9223372"),
        (lambda: ranks_in_scores(np.eye(3, dtype=int), EYE), TypeError, "scores must be float32 or float64, got int64"),
        (lambda: ranks_in_scores(np.eye(3), sp.eye_array(4)), ValueError, "relevant must have 3 columns"),
        (lambda: ranks_in_scores(np.eye(3), EYE, sp.eye_array(4)), ValueError, "exclude must have 3 columns"),
        (lambda: ranks_in_scores(np.eye(3), EYE, np.eye(3)), TypeError, "exclude must be a sparse matrix, got ndarray"),
        (lambda: ranks_in_scores(np.eye(3), EYE, ties="mean"), ValueError, "ties must be one of 'id', .*, got 'mean'"),
        (lambda: ranks_in_scores(np.eye(3), EYE, depth=0), ValueError, "depth must be >= 1, got 0"),
        (lambda: ranks_in_factors(np.eye(3), np.ones((3, 2)), EYE), ValueError, "item_factors must have 3 columns"),
        (lambda: ranks_in_factors(np.eye(3), np.eye(3, dtype="f4"), EYE), TypeError, "item_factors must be float64"),
        (lambda: ranks_in_factors(np.eye(3), np.eye(3), EYE, item_bias=np.ones(2)), ValueError, r"item_bias must have"),
        (lambda: ranks_in_sparse(np.eye(3), np.eye(4), EYE), ValueError, "X must have 4 columns"),
        (lambda: ranks_in_sparse(np.eye(3), np.eye(3), EYE, n_threads=0), ValueError, "n_threads must be >= 1, got 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
