"""Dense linear algebra on devices, as far as it is there."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases

from pyrec_core.kernels import linalg as L

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("trans_b", [False, True])
@pytest.mark.parametrize("trans_a", [False, True])
@cases(ndim=3)
def test_gemm_equals_cpu(devices, dtype, trans_a, trans_b, shape, seed):
    m, k, n = shape
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, m) if trans_a else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if trans_b else (k, n)).astype(dtype)
    out = rng.normal(size=(m, n)).astype(dtype)
    trans = {"trans_a": trans_a, "trans_b": trans_b}
    check_equals_cpu(devices, L.gemm, a, b, **trans)
    check_equals_cpu(devices, L.gemm, a, b, alpha=-2.0, **trans)

    for beta in (0.0, 3.0):
        check_equals_cpu(devices, lambda a, b, out, beta=beta: L.gemm(a, b, beta=beta, out=out, **trans), a, b, out)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (3, 70), (1000, 2), (300, 33)])
def test_column_sums_equal_cpu(devices, dtype, shape):
    check_equals_cpu(devices, L.column_sums, np.random.default_rng(0).normal(size=shape).astype(dtype))


def test_operands_may_be_views_and_must_not_be_the_output(devices):
    a = np.random.default_rng(0).normal(size=(6, 6))
    for device in devices:
        with device as on:
            ours = on.put(a)
            np.testing.assert_allclose(on.get(L.gemm(ours.T, ours[:, ::2])), a.T @ a[:, ::2], rtol=1e-12)
            with pytest.raises(ValueError, match="out must not overlap a or b"):
                L.gemm(ours, ours, out=ours)
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                L.gemm(ours, ours, out=a)


def test_what_runs_on_the_cpu_only_says_so(devices):
    for device in devices:
        with device as on:
            a = on.put(np.eye(3))
            for function, name in ((L.syrk, "a"), (L.cholesky_, "a"), (L.inverse_from_cholesky_, "factor")):
                with pytest.raises(TypeError, match=f"{name} must be a NumPy array, as this runs on the CPU only"):
                    function(a)
