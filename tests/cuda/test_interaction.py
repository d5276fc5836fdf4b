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


def test_large_arrays_and_other_streams(cupy):
    emb = np.random.default_rng(0).normal(size=(40_000, 3, 500)).astype("f4")  # more elements than threads
    with cupy.cuda.Stream(non_blocking=True):
        out = I.bi_interaction_forward(cupy.asarray(emb)).get()
    np.testing.assert_allclose(out, I.bi_interaction_forward(emb), rtol=1e-5, atol=1e-4)
