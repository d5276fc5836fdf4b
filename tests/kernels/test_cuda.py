"""The CUDA module: importable anywhere, and on a GPU the same results as the CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import cases

from pyrec_core.kernels.interaction import (
    attention_pooling_backward,
    attention_pooling_forward,
    bi_interaction_backward,
    bi_interaction_forward,
    fm_backward,
    fm_forward,
    inner_products_backward,
    inner_products_forward,
)


@pytest.fixture(scope="module", autouse=True)
def simd_level():
    """Hides the fixture of this name: one CPU level is enough to compare with."""


@pytest.fixture(scope="module")
def native():
    """The CUDA module."""
    return pytest.importorskip("pyrec_core._cuda", reason="_cuda was not built (no nvcc, or PYREC_CUDA=OFF)")


def check_equals_cpu(cupy, kernel, *arrays):
    """Compare a kernel on CuPy arrays with the same kernel on NumPy arrays."""
    on_gpu, on_cpu = kernel(*map(cupy.asarray, arrays)), kernel(*arrays)
    tolerance = 1e-5 if arrays[0].dtype == np.float32 else 1e-13
    for got, want in zip(*(r if isinstance(r, tuple) else (r,) for r in (on_gpu, on_cpu)), strict=True):
        assert isinstance(got, cupy.ndarray)
        assert got.dtype == arrays[0].dtype
        np.testing.assert_allclose(got.get(), want, rtol=tolerance, atol=tolerance * 100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=3)
def test_bi_interaction_equals_cpu(cupy, native, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[::2]).astype(dtype)
    check_equals_cpu(cupy, bi_interaction_forward, emb)
    check_equals_cpu(cupy, bi_interaction_backward, d_out, emb)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=3)
def test_fm_equals_cpu(cupy, native, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    emb, d_out = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[0]).astype(dtype)
    check_equals_cpu(cupy, fm_forward, emb)
    check_equals_cpu(cupy, fm_backward, d_out, emb)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=3)
def test_inner_products_equal_cpu(cupy, native, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    B, F, _ = shape
    emb, d_out = rng.normal(size=shape).astype(dtype), rng.normal(size=(B, F * (F - 1) // 2)).astype(dtype)
    check_equals_cpu(cupy, inner_products_forward, emb)
    check_equals_cpu(cupy, inner_products_backward, d_out, emb)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(ndim=4)
def test_attention_pooling_equals_cpu(cupy, native, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    B, F, D, A = shape
    d_pooled, emb, w, b, h = (rng.normal(size=s).astype(dtype) for s in ((B, D), (B, F, D), (A, D), A, A))
    inputs = emb, w / max(1, D), b, h / max(1, A)
    check_equals_cpu(cupy, attention_pooling_forward, *inputs)
    check_equals_cpu(cupy, attention_pooling_backward, d_pooled, *attention_pooling_forward(*inputs), *inputs)


def test_large_arrays_and_other_streams(cupy, native):
    emb = np.random.default_rng(0).normal(size=(40_000, 3, 500)).astype("f4")  # more elements than threads
    with cupy.cuda.Stream(non_blocking=True):
        check_equals_cpu(cupy, bi_interaction_forward, emb)


def test_module_says_whether_it_can_run(native):
    assert (native.cuda_status() == "") == (native.device_count() > 0)


def test_module_imports_and_explains_itself_where_no_gpu_is_visible(native):
    code = """
from pyrec_core import _cuda
class OnDevice:
    def __init__(self, shape):
        self.__cuda_array_interface__ = {"shape": shape, "typestr": "<f4", "data": (4096, False)}
print(_cuda.device_count())
print(_cuda.cuda_status())
_cuda.bi_interaction_forward(0, OnDevice((0, 4)), OnDevice((0, 3, 4)))  # nothing to do
try:
    _cuda.bi_interaction_forward(0, OnDevice((2, 4)), OnDevice((2, 3, 4)))
except RuntimeError as error:
    print(error)
"""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, status, error = done.stdout.splitlines()
    assert count == "0"
    assert "NVIDIA driver" in status
    assert error.startswith("CUDA kernel launch failed: ")
