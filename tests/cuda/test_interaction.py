"""Feature interactions on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases

from pyrec_core.kernels import interaction as I

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@cases(ndim=3)
def test_bi_interaction_equals_cpu(devices, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[::2]).astype(dtype)
    check_equals_cpu(devices, I.bi_interaction_forward, emb)
    check_equals_cpu(devices, I.bi_interaction_backward, d_out, emb)


@pytest.mark.parametrize("dtype", DTYPES)
@cases(ndim=3)
def test_fm_equals_cpu(devices, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[0]).astype(dtype)
    check_equals_cpu(devices, I.fm_forward, emb)
    check_equals_cpu(devices, I.fm_backward, d_out, emb)


# examples, fields, dimensions, units: nothing, one, many blocks, several strips of pairs, strips of few pairs
PAIRS = [
    (0, 3, 2, 2), (2, 0, 3, 2), (2, 1, 3, 2), (2, 3, 0, 2), (2, 3, 2, 0), (1, 2, 1, 1), (40, 3, 5, 4), (2, 12, 33, 20),
    (1, 9, 150, 200),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", PAIRS)
def test_inner_products_equal_cpu(devices, dtype, shape):
    B, F, D, _ = shape
    rng = np.random.default_rng(1)
    emb, d_out = rng.normal(size=(B, F, D)).astype(dtype), rng.normal(size=(B, F * (F - 1) // 2)).astype(dtype)
    check_equals_cpu(devices, I.inner_products_forward, emb)
    check_equals_cpu(devices, I.inner_products_backward, d_out, emb)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", PAIRS)
def test_attention_pooling_equals_cpu(devices, dtype, shape):
    B, F, D, A = shape
    rng = np.random.default_rng(2)
    d_pooled, emb, w, b, h = (rng.normal(size=s).astype(dtype) for s in ((B, D), (B, F, D), (A, D), A, A))
    inputs = emb, w / max(1, D), b, h / max(1, A)
    check_equals_cpu(devices, I.attention_pooling_forward, *inputs)
    check_equals_cpu(devices, I.attention_pooling_backward, d_pooled, *I.attention_pooling_forward(*inputs), *inputs)


def test_attention_pooling_refuses_what_shared_memory_cannot_hold(devices):
    emb, w = np.ones((1, 2, 4000)), np.ones((3000, 4000))
    for device in devices:
        with device as on, pytest.raises(ValueError, match=r"w must be smaller"):
            on(I.attention_pooling_forward, emb, w, w[:, 0], w[:, 0])


def test_large_arrays_and_other_streams(cupy):
    emb = np.random.default_rng(0).normal(size=(40_000, 3, 500)).astype("f4")  # more elements than threads
    with cupy.cuda.Stream(non_blocking=True):
        out = I.bi_interaction_forward(cupy.asarray(emb)).get()
    np.testing.assert_allclose(out, I.bi_interaction_forward(emb), rtol=1e-5, atol=1e-4)
