from itertools import combinations

import numpy as np
import pytest
from helpers import cases, check_gradient, same_bits

from pyrec_core.kernels.interaction import (
    bi_interaction_backward,
    bi_interaction_forward,
    fm_backward,
    fm_forward,
)


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=3)
def test_fm_equals_reference(dtype, shape, seed):
    emb = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    want = reference(emb.astype("f8")).sum(axis=1)
    tolerance = (1e-5 if dtype == "float32" else 1e-13) * np.abs(want).max(initial=1.0)
    got = fm_forward(emb)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (2, 5, 3), (3, 2, 17), (2, 3, 32)])
def test_fm_backward_is_the_gradient(shape):
    check_gradient(fm_forward, fm_backward, shape, seed=1)


@cases(ndim=3)
def test_fm_backward_float32_equals_float64(shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape), rng.normal(size=shape[0])
    got = fm_backward(d_out.astype("f4"), emb.astype("f4"))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, fm_backward(d_out, emb), rtol=1e-4, atol=1e-4)


def test_fm_does_not_cancel():
    emb = np.array([[[1e4], [1e-3]]], "f4")  # half of a difference of squares would be off by whole numbers
    np.testing.assert_allclose(fm_forward(emb), [10.0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fm_same_bits_for_any_number_of_threads(dtype):
    rng = np.random.default_rng(2)
    emb, d_out = rng.normal(size=(300, 7, 21)).astype(dtype), rng.normal(size=300).astype(dtype)
    for n in (2, 3, 8):
        assert same_bits(fm_forward(emb, n_threads=n), fm_forward(emb, n_threads=1))
        assert same_bits(fm_backward(d_out, emb, n_threads=n), fm_backward(d_out, emb, n_threads=1))


def test_fm_refuses_other_arrays():
    with pytest.raises(TypeError, match="emb must be float32 or float64, got int64"):
        fm_forward(np.zeros((2, 3, 4), "int64"))
    with pytest.raises(ValueError, match=r"emb must be 3-D, got shape \(2, 3\)"):
        fm_forward(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"d_out must have shape \(2,\), got \(2, 4\)"):
        fm_backward(np.zeros((2, 4)), np.zeros((2, 3, 4)))
    with pytest.raises(TypeError, match="d_out must be float64, got float32"):
        fm_backward(np.zeros(2, "f4"), np.zeros((2, 3, 4)))
