"""Rows of a table and their gradients: definitions with loops, differences, the same bits for any number of threads."""

from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest
from helpers import SIZES, check_gradient, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.embedding import (
    MODES,
    bag_backward,
    bag_forward,
    gather,
    gather_backward,
    pooled_pairs_backward,
    pooled_pairs_forward,
)
from pyrec_core.kernels.interaction import bi_interaction_backward, bi_interaction_forward

N_ROWS = 11
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
batches = given(
    shape=st.tuples(SIZES, st.sampled_from([0, 1, 2, 5]), SIZES), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1)
)


def batch(shape, weighted, seed, dtype="float64"):
    """A table, ids (B, m) that repeat, and values."""
    rng = np.random.default_rng(seed)
    B, m, d = shape
    table = rng.normal(size=(N_ROWS, d)).astype(dtype)
    ids = rng.integers(0, N_ROWS, (B, m), dtype=np.int32)
    return table, ids, rng.normal(size=(B, m)).astype(dtype) if weighted else None


def whole(rows, d):
    """The gradient of the whole table; ids must be distinct and ascending."""
    ids, sums = rows
    assert ids.dtype == np.int32
    assert (np.diff(ids) > 0).all()
    dense = np.zeros((N_ROWS, d), sums.dtype)
    dense[ids] = sums
    return dense


def looked_up(table, ids, values):
    return table[ids] if values is None else table[ids] * values[..., None]


def bags_of(ids, seed):
    """Flat ids and offsets of bags of all sizes, some empty."""
    flat = ids.reshape(-1)
    inner = np.sort(np.random.default_rng(seed).integers(0, flat.size + 1, 7))
    return flat, np.concatenate([[0], inner, [flat.size]])


def close(a, b, dtype):
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@dtypes
@batches
def test_gather_looks_up(dtype, shape, weighted, seed):
    table, ids, values = batch(shape, weighted, seed, dtype)
    out = gather(table, ids, values)
    assert same_bits(out, looked_up(table, ids, values))
    one = gather(table, ids.astype("int64").reshape(-1), None if values is None else values.reshape(-1))
    assert same_bits(one, out.reshape(ids.size, shape[2]))


@dtypes
@batches
def test_gather_backward_sums_rows(dtype, shape, weighted, seed):
    table, ids, values = batch(shape, weighted, seed, dtype)
    d_out = np.random.default_rng(seed).normal(size=(*ids.shape, shape[2])).astype(dtype)
    wanted = np.zeros(table.shape)
    np.add.at(wanted, ids, d_out if values is None else d_out * values[..., None].astype("f8"))
    rows = gather_backward(d_out, ids, values)
    assert rows[1].dtype == dtype
    close(whole(rows, shape[2]), wanted, dtype)
    np.testing.assert_array_equal(rows[0], np.unique(ids))


@dtypes
@pytest.mark.parametrize("mode", MODES)
@batches
def test_bags_are_summed(dtype, mode, shape, weighted, seed):
    table, ids, values = batch(shape, weighted, seed, dtype)
    flat, offsets = bags_of(ids, seed)
    weights = None if values is None else values.reshape(-1)
    rows = looked_up(table, flat, weights).astype("f8")
    pieces = [rows[a:b] for a, b in pairwise(offsets)]
    total = [p.sum(0) / (max(len(p), 1) if mode == "mean" else 1) for p in pieces]
    out = bag_forward(table, flat, offsets, weights, mode=mode)
    assert out.dtype == dtype
    close(out, np.array(total).reshape(8, shape[2]), dtype)


@dtypes
@batches
def test_pooled_pairs_are_bi_interaction_of_rows(dtype, shape, weighted, seed):
    table, ids, values = batch(shape, weighted, seed, dtype)
    e = looked_up(table, ids, values)
    pairs = sum((e[:, i] * e[:, j] for i, j in combinations(range(shape[1]), 2)), np.zeros(e.shape[::2]))
    out, totals = pooled_pairs_forward(table, ids, values)
    assert out.dtype == totals.dtype == dtype
    close(out, pairs, dtype)
    close(totals, e.sum(1), dtype)
    close(out, bi_interaction_forward(e), dtype)
    d_out = np.random.default_rng(seed).normal(size=out.shape).astype(dtype)
    rows = pooled_pairs_backward(d_out, totals, table, ids, values)
    d_e = bi_interaction_backward(d_out, e)
    close(whole(rows, shape[2]), whole(gather_backward(d_e, ids, values), shape[2]), dtype)
    np.testing.assert_array_equal(rows[0], np.unique(ids))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 3, 17])
def test_the_ways_back_are_gradients(weighted, d):
    _, ids, values = batch((6, 5, d), weighted, 0)
    shape = N_ROWS, d
    check_gradient(
        lambda table: gather(table, ids, values),
        lambda d_out, _: whole(gather_backward(d_out, ids, values), d),
        shape,
        1,
    )
    check_gradient(
        lambda table: pooled_pairs_forward(table, ids, values)[0],
        lambda d_out, table: whole(
            pooled_pairs_backward(d_out, pooled_pairs_forward(table, ids, values)[1], table, ids, values), d
        ),
        shape,
        1,
    )
    flat, offsets = bags_of(ids, 3)
    weights = None if values is None else values.reshape(-1)
    for mode in MODES:
        bag = {"ids": flat, "offsets": offsets, "weights": weights, "mode": mode}
        check_gradient(
            partial(bag_forward, **bag), lambda d_out, _, bag=bag: whole(bag_backward(d_out, **bag), d), shape, 1
        )


@dtypes
def test_threads_do_not_matter(dtype):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3000, 33)).astype(dtype)
    ids = np.minimum(rng.zipf(1.3, (2000, 12)) - 1, 2999).astype(np.int32)  # popular ids repeat
    values = rng.normal(size=ids.shape).astype(dtype)
    d_bags, d_rows = rng.normal(size=(2000, 33)).astype(dtype), rng.normal(size=(2000, 12, 33)).astype(dtype)
    bags = {"ids": ids.reshape(-1), "offsets": np.arange(2001) * 12, "weights": values.reshape(-1), "mode": "mean"}

    def run(n):
        out, totals = pooled_pairs_forward(table, ids, values, n_threads=n)
        return [
            gather(table, ids, values, n_threads=n), *gather_backward(d_rows, ids, values, n_threads=n),
            bag_forward(table, **bags, n_threads=n), *bag_backward(d_bags, **bags, n_threads=n),
            out, totals, *pooled_pairs_backward(d_bags, totals, table, ids, values, n_threads=n),
        ]  # fmt: skip

    one = run(1)
    for n_threads in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(one, run(n_threads), strict=True))


TABLE, IDS, ONES = np.ones((4, 2)), np.array([[0, 3], [1, 1]]), np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gather(TABLE.astype(int), IDS), TypeError, "table must be float32 or float64, got int64"),
        (lambda: gather(TABLE[0], IDS), ValueError, r"table must be 2-D, got shape \(2,\)"),
        (lambda: gather(TABLE, IDS.astype(float)), TypeError, "ids must be integers, got float64"),
        (lambda: gather(TABLE, IDS + 1), ValueError, r"ids must hold row ids in 0..3, got 1 unknown: 4"),
        (lambda: gather(TABLE, IDS - 1), ValueError, r"ids must hold row ids in 0..3, got 1 unknown: -1"),
        (lambda: gather(TABLE[:0], IDS), ValueError, r"ids must hold row ids in 0..-1, got 4 unknown: 0"),
        (lambda: gather(TABLE, IDS, ONES[0]), ValueError, r"values must have shape \(2, 2\), got \(2,\)"),
        (lambda: gather(TABLE, IDS, ONES.astype("f4")), TypeError, "values must be float64, got float32"),
        (lambda: gather(TABLE, IDS, n_threads=0), ValueError, "n_threads must be >= 1, got 0"),
        (lambda: gather_backward(TABLE, IDS), ValueError, r"d_out must be 3-D, got shape \(4, 2\)"),
        (lambda: gather_backward(TABLE, IDS[0]), ValueError, r"d_out must have shape \(2, 2\), got \(4, 2\)"),
        (
            lambda: gather_backward(ONES, [2**31, 0]),
            ValueError,
            "ids must hold row ids in 0..2147483646, got 1 unknown",
        ),
        (lambda: bag_forward(TABLE, IDS, [0, 4]), ValueError, r"ids must be 1-D, got shape \(2, 2\)"),
        (
            lambda: bag_forward(TABLE, [0, 1], [0, 1]),
            ValueError,
            r"offsets must be 1-D and rise from 0 to 2, .*\[0, 1\]",
        ),
        (lambda: bag_forward(TABLE, [0, 1], [1, 2]), ValueError, r"offsets must be 1-D and rise from 0 to 2"),
        (lambda: bag_forward(TABLE, [0, 1], [0, 2, 1, 2]), ValueError, r"offsets must be 1-D and rise from 0 to 2"),
        (lambda: bag_forward(TABLE, [0, 1], []), ValueError, r"offsets must be 1-D and rise from 0 to 2"),
        (lambda: bag_forward(TABLE, [0, 1], [0.0, 2.0]), TypeError, "offsets must be integers, got float64"),
        (
            lambda: bag_forward(TABLE, [0], [0, 1], mode="max"),
            ValueError,
            "mode must be one of 'sum', 'mean', got 'max'",
        ),
        (lambda: bag_forward(TABLE, [0], [0, 1], ONES), ValueError, r"weights must have shape \(1,\), got \(2, 2\)"),
        (lambda: bag_backward(ONES, [0], [0, 1]), ValueError, r"d_out must have shape \(1, 2\), got \(2, 2\)"),
        (lambda: pooled_pairs_forward(TABLE, [0, 1]), ValueError, r"ids must be 2-D, got shape \(2,\)"),
        (
            lambda: pooled_pairs_backward(ONES, ONES[0], TABLE, IDS),
            ValueError,
            r"totals must have shape \(2, 2\), got \(2,\)",
        ),
        (
            lambda: pooled_pairs_backward(ONES.astype("f4"), ONES, TABLE, IDS),
            TypeError,
            "d_out must be float64, got float32",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
