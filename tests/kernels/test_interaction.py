from itertools import combinations

import numpy as np
import pytest
from helpers import cases, check_gradient

from pyrec_core.kernels.interaction import bi_interaction_backward, bi_interaction_forward


def reference(emb):  # the definition, sharing no algebra with the kernel
    pairs = combinations(range(emb.shape[1]), 2)
    return sum((emb[:, i] * emb[:, j] for i, j in pairs), np.zeros(emb.shape[::2]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=3)
def test_bi_interaction_equals_reference(dtype, shape, seed):
    emb = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(
        bi_interaction_forward(emb), reference(emb.astype("f8")), rtol=tolerance, atol=tolerance * 10
    )


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (2, 5, 3), (3, 2, 17)])
def test_bi_interaction_backward_is_the_gradient(shape):
    check_gradient(bi_interaction_forward, bi_interaction_backward, shape, seed=1)


@cases(ndim=3)
def test_bi_interaction_backward_float32_equals_float64(shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape), rng.normal(size=shape[::2])
    want = bi_interaction_backward(d_out, emb)
    got = bi_interaction_backward(d_out.astype("f4"), emb.astype("f4"))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_bi_interaction_rejects_integers():
    with pytest.raises(TypeError, match="emb must be float32 or float64, got int64"):
        bi_interaction_forward(np.zeros((2, 3, 4), "int64"))


def test_bi_interaction_rejects_wrong_shapes():
    with pytest.raises(ValueError, match=r"emb must be 3-D, got shape \(2, 3\)"):
        bi_interaction_forward(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"d_out must have shape \(2, 4\), got \(2, 3\)"):
        bi_interaction_backward(np.zeros((2, 3)), np.zeros((2, 3, 4)))
    with pytest.raises(TypeError, match="d_out must be float64, got float32"):
        bi_interaction_backward(np.zeros((2, 4), "f4"), np.zeros((2, 3, 4)))
