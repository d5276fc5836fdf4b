"""The compressed interaction network on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels import cin as C

DTYPES = ("float32", "float64")
FEW = st.sampled_from([0, 1, 2, 3, 5, 17])
# B, m, H, O, D: more maps than a tile has, more fields than a step is deep, more columns than a tile, parts of d_w
LARGE = [(3, 2, 3, 70, 2), (2, 20, 7, 3, 5), (35, 3, 2, 5, 4), (260, 2, 2, 2, 4), (2, 17, 9, 2, 3)]


def check_layer(devices, rng, sizes, dtype):
    B, m, H, O, D = sizes
    x0, xk = rng.normal(size=(B, m, D)).astype(dtype), rng.normal(size=(B, H, D)).astype(dtype)
    w, bias = rng.normal(size=(O, H, m)).astype(dtype), rng.normal(size=O).astype(dtype)
    d_out = rng.normal(size=(B, O, D)).astype(dtype)
    check_equals_cpu(devices, C.cin_forward, x0, xk, w)
    check_equals_cpu(devices, C.cin_forward, x0, xk, w, bias)
    check_equals_cpu(devices, C.cin_backward, d_out, x0, xk, w)


@pytest.mark.parametrize("dtype", DTYPES)
@given(sizes=st.tuples(FEW, FEW, FEW, FEW, FEW), seed=st.integers(0, 2**32 - 1))
def test_layer_equals_cpu(devices, dtype, sizes, seed):
    check_layer(devices, np.random.default_rng(seed), sizes, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", LARGE)
def test_large_layer_equals_cpu(devices, dtype, sizes):
    check_layer(devices, np.random.default_rng(0), sizes, dtype)


def test_first_layer_multiplies_the_fields_with_themselves(devices):
    x0 = np.random.default_rng(0).normal(size=(4, 3, 2))
    w = np.random.default_rng(1).normal(size=(5, 3, 3))
    check_equals_cpu(devices, lambda x, weights: C.cin_forward(x, x, weights), x0, w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", C.ACTIVATIONS)
@pytest.mark.parametrize(
    ("B", "O", "D", "pooled", "hidden"),
    [(0, 2, 3, 1, 1), (1, 1, 1, 1, 0), (3, 5, 4, 3, 2), (40, 6, 16, 6, 6), (2, 3, 70, 0, 3), (3, 2, 0, 2, 1)],
)
def test_pooling_equals_cpu(devices, dtype, activation, B, O, D, pooled, hidden):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(B, O, D)).astype(dtype)
    check_equals_cpu(devices, C.cin_pool_forward, a, pooled, hidden, activation=activation)
    d_pooled = rng.normal(size=(B, pooled)).astype(dtype)
    d_hidden = rng.normal(size=(B, hidden, D)).astype(dtype)
    check_equals_cpu(devices, C.cin_pool_backward, d_pooled, d_hidden, a, activation=activation)
    if a.size:
        a.flat[0] = np.nan
        check_equals_cpu(devices, C.cin_pool_forward, a, pooled, hidden, activation=activation)
