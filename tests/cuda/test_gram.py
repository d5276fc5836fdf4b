"""Gram matrices on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases, random_sparse
from hypothesis import settings

from pyrec_core.kernels.gram import ease_weights, gram


def check_gram(devices, X, *args):
    want = gram(X, *args)
    got = []
    for device in devices:
        with device as on:
            got.append(on.get(gram(X, *args, device="cuda")))
            assert got[-1].dtype == want.dtype
            tolerance = 1e-12 if want.dtype == np.float64 else 1e-6
            np.testing.assert_allclose(got[-1], want, rtol=tolerance, atol=tolerance)
            assert (got[-1] == got[-1].T).all()
    assert all((g == got[0]).all() for g in got)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=10)
@cases(ndim=2)
def test_gram_equals_cpu(devices, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    X = random_sparse(rng, *shape, dtype=dtype)
    check_gram(devices, X)
    check_gram(devices, X, rng.normal(size=shape[0]))
    check_gram(devices, random_sparse(rng, *shape, dtype=dtype, ones=True))


def test_more_columns_than_a_block_sums(devices):
    rng = np.random.default_rng(0)
    X = random_sparse(rng, 3, 2051, density=0.002)
    check_gram(devices, X[:, np.argsort(rng.random(2051))])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_items", [1, 2, 40])
@pytest.mark.parametrize("overwrite", [False, True])
def test_ease_weights_equal_cpu(devices, dtype, n_items, overwrite):
    X = random_sparse(np.random.default_rng(1), 60, n_items, dtype=dtype, ones=True)
    # float32: two libraries invert, each with the rounding that the condition of the matrix magnifies
    check_equals_cpu(
        devices, ease_weights, gram(X), 5.0, overwrite=overwrite, rtol=1e-4 if dtype == "float32" else None
    )


def test_matrices_that_are_not_definite_are_refused(devices):
    for device in devices:
        with device as on:
            with pytest.raises(ValueError, match="l2 must be large enough"):
                ease_weights(on.put(np.ones((3, 3))), 0.0)
            with pytest.raises(ValueError, match="gram must be finite"):
                ease_weights(on.put(np.full((3, 3), np.nan)), 1.0)
            with pytest.raises(ValueError, match="gram must be square"):
                ease_weights(on.put(np.ones((3, 4))), 1.0)
