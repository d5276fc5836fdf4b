"""Activations, dropout and random numbers on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases

from pyrec_core.kernels import activations as A
from pyrec_core.kernels import random as R

ROWS = ((A.softmax_forward, A.softmax_backward), (A.log_softmax_forward, A.log_softmax_backward))
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", A.ACTIVATIONS)
def test_activations_equal_cpu(devices, name, dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate([[0.0, -0.0, np.inf, -np.inf, np.nan], rng.normal(scale=4, size=700)]).astype(dtype)
    d_y = rng.normal(size=x.shape).astype(dtype)
    check_equals_cpu(devices, A.activation_forward, x, name)
    check_equals_cpu(devices, A.activation_backward, d_y, A.activation_forward(x, name), name)
    check_equals_cpu(devices, A.activation_forward, x[:9], name, overwrite=True)


@pytest.mark.parametrize("dtype", DTYPES)
@cases(ndim=2)
def test_rows_equal_cpu(devices, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    x, d_y = rng.normal(size=(2, *shape)).astype(dtype)
    for forward, backward in ROWS:
        check_equals_cpu(devices, forward, x)
        check_equals_cpu(devices, backward, d_y, forward(x))
    check_equals_cpu(devices, A.l2_normalize_forward, x)
    check_equals_cpu(devices, A.l2_normalize_backward, d_y, x)


def test_long_rows_and_absent_elements(devices):
    x = np.random.default_rng(1).normal(size=(4, 1000)).astype("f4")
    x[1, 3:] = -np.inf
    x[2] = -np.inf
    x[3] = 0.0
    for forward in (A.softmax_forward, A.log_softmax_forward, A.l2_normalize_forward):
        rows = x[3:] if forward is A.l2_normalize_forward else x
        check_equals_cpu(devices, forward, rows)
        check_equals_cpu(devices, forward, rows.copy(), overwrite=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("first", [0, 1, 2**40 + 1])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_dropout_is_the_same_on_all_devices(devices, n, first, dtype):
    x = np.random.default_rng(2).normal(size=n).astype(dtype)
    check_equals_cpu(devices, A.dropout, x, 0.3, seed=5, purpose="dropout", epoch=1, first=first, rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 1001])
@pytest.mark.parametrize("first", [0, 7, 2**50])
def test_random_numbers_are_the_same_on_all_devices(devices, n, first):
    where = {"seed": 3, "purpose": "noise", "epoch": 2, "first": first}
    for device in devices:
        with device as on:
            for dtype in DTYPES:
                got = on.get(R.uniform(n, dtype=dtype, device="cuda", **where))
                np.testing.assert_array_equal(got, R.uniform(n, dtype=dtype, **where))
            high = 10**12 + 7
            np.testing.assert_array_equal(
                on.get(R.integers(n, high, device="cuda", **where)), R.integers(n, high, **where)
            )
    positions = np.array([first, 0, first + 3, 2**62])
    check_equals_cpu(devices, R.uniform_at, positions, seed=3, purpose="init", rtol=1e-15)


def test_host_and_device_arrays_do_not_mix(devices):
    x = np.ones((2, 3))
    for device in devices:
        with device as on, pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
            A.softmax_backward(on.put(x), x)
