"""Rows of a table and their gradients on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels import embedding as E

DTYPES = ("float32", "float64")
ROWS = st.sampled_from([1, 2, 50])
WIDTHS = st.sampled_from([0, 1, 3, 16, 33])
SEEDS = st.integers(0, 2**32 - 1)


def grouped_ids(rng, shape, rows):
    """Ids of which one is frequent, as the value of a field with few of them."""
    return np.where(rng.random(shape) < 0.3, rows - 1, rng.integers(0, rows, shape)).astype(np.int32)


@pytest.mark.parametrize("dtype", DTYPES)
@given(n=st.sampled_from([0, 1, 65, 300]), d=WIDTHS, rows=ROWS, seed=SEEDS)
def test_gather_equals_cpu(devices, dtype, n, d, rows, seed):
    rng = np.random.default_rng(seed)
    ids = grouped_ids(rng, n, rows)
    table, d_out = rng.normal(size=(rows, d)).astype(dtype), rng.normal(size=(n, d)).astype(dtype)
    for values in (None, rng.normal(size=n).astype(dtype)):
        check_equals_cpu(devices, E.gather, table, ids, values)
        check_equals_cpu(devices, E.gather_backward, d_out, ids, values)


def test_gather_of_ids_of_any_shape_and_type(devices):
    table = np.random.default_rng(0).normal(size=(9, 5))
    for ids in (np.array(3), np.arange(8).reshape(2, 2, 2), np.arange(6, dtype=np.uint8)[::2]):
        check_equals_cpu(devices, E.gather, table, ids)
        check_equals_cpu(devices, E.gather_backward, E.gather(table, ids), ids)


@pytest.mark.parametrize("d", [1, 16, 300])
@pytest.mark.parametrize("n", [64, 65, 1000])
def test_gradient_of_a_row_that_most_ask_for(devices, n, d):
    rng = np.random.default_rng(n)
    ids = np.where(np.arange(n) % 7 == 0, 3, 0)
    check_equals_cpu(devices, E.gather_backward, rng.normal(size=(n, d)), ids, rng.normal(size=n))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", E.MODES)
@given(lengths=st.lists(st.sampled_from([0, 1, 2, 40]), max_size=12), d=WIDTHS, rows=ROWS, seed=SEEDS)
def test_bags_equal_cpu(devices, dtype, mode, lengths, d, rows, seed):
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64)
    ids = grouped_ids(rng, offsets[-1], rows)
    table, d_out = rng.normal(size=(rows, d)).astype(dtype), rng.normal(size=(len(lengths), d)).astype(dtype)
    for weights in (None, rng.normal(size=len(ids)).astype(dtype)):
        check_equals_cpu(devices, E.bag_forward, table, ids, offsets, weights, mode=mode)
        check_equals_cpu(devices, E.bag_backward, d_out, ids, offsets, weights, mode=mode)


@pytest.mark.parametrize("dtype", DTYPES)
@given(B=st.sampled_from([0, 1, 33, 80]), F=st.sampled_from([0, 1, 2, 7]), d=WIDTHS, rows=ROWS, seed=SEEDS)
def test_pooled_pairs_equal_cpu(devices, dtype, B, F, d, rows, seed):
    rng = np.random.default_rng(seed)
    ids = grouped_ids(rng, (B, F), rows)
    table, d_out = rng.normal(size=(rows, d)).astype(dtype), rng.normal(size=(B, d)).astype(dtype)
    for values in (None, rng.normal(size=(B, F)).astype(dtype)):
        check_equals_cpu(devices, E.pooled_pairs_forward, table, ids, values)
        _, totals = E.pooled_pairs_forward(table, ids, values)
        check_equals_cpu(devices, E.pooled_pairs_backward, d_out, totals, table, ids, values)


def test_bad_ids_and_offsets_are_refused_on_devices_too(devices):
    table, ids = np.ones((4, 2)), np.array([0, 4, -1])
    for device in devices:
        with device as on:
            with pytest.raises(ValueError, match=r"ids must hold row ids in 0..3, got 2 unknown: 4, -1"):
                E.gather(on.put(table), on.put(ids))
            with pytest.raises(ValueError, match=r"offsets must be 1-D and rise from 0 to 1, .*, got \[0, 2\]"):
                E.bag_forward(on.put(table), on.put(ids[:1]), on.put(np.array([0, 2])))
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                E.gather(on.put(table), ids[:1])
