"""Normalisation on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases

from pyrec_core.kernels import norm as N

DTYPES = ("float32", "float64")
LARGE = [(1, 300), (300, 1), (70, 40), (200, 33)]  # several parts of rows, more columns than a block has


def check_all(devices, rng, shape, dtype):
    x, d_y = (rng.normal(size=(2, *shape)) * 3 + 1).astype(dtype)
    gamma, beta = rng.normal(size=(2, shape[1])).astype(dtype)
    mean, var = rng.normal(size=shape[1]).astype(dtype), rng.random(shape[1]).astype(dtype)
    if shape[0]:
        check_equals_cpu(devices, N.column_moments, x)
        mean, var = N.column_moments(x)
    check_equals_cpu(devices, N.batch_norm_forward, x, mean, var, gamma, beta, eps=1e-3)
    for constants in (False, True):
        check_equals_cpu(devices, N.batch_norm_backward, d_y, x, mean, var, gamma, constants=constants)
    check_equals_cpu(devices, N.layer_norm_forward, x, gamma, beta)
    check_equals_cpu(devices, N.layer_norm_backward, d_y, x, gamma, eps=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@cases(ndim=2)
def test_norms_equal_cpu(devices, dtype, shape, seed):
    check_all(devices, np.random.default_rng(seed), shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE)
def test_norms_of_many_rows_and_columns_equal_cpu(devices, dtype, shape):
    check_all(devices, np.random.default_rng(0), shape, dtype)


def test_moments_of_numbers_far_from_zero(devices):
    near = np.random.default_rng(0).normal(size=(500, 2))
    near[0, 1] = -1e6  # the number that the sums of its column are taken around
    x = 1e8 + near
    for device in devices:
        with device as on:
            (mean, var), _ = on(N.column_moments, x)
        np.testing.assert_allclose(mean, 1e8 + near.mean(0), rtol=1e-15)
        np.testing.assert_allclose(var, (x - 1e8).var(0), rtol=1e-8)  # as near as means of 1e8 can be told apart


def test_constant_columns_have_no_variance(devices):
    for device in devices:
        with device as on:
            (mean, var), _ = on(N.column_moments, np.full((300, 3), 0.1))
        assert (mean == 0.1).all()
        assert (var == 0.0).all()
