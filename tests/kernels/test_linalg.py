import numpy as np
import pytest
from helpers import cases, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import _blas
from pyrec_core.kernels import linalg

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def relative(got, want):
    return np.abs(got - want).max(initial=0.0) / max(1.0, np.abs(want).max(initial=0.0))


def positive_definite(n, seed):
    a = np.random.default_rng(seed).normal(size=(n, n + 5))
    return a @ a.T / (n + 5) + np.eye(n)


@dtypes
@cases(ndim=3)
def test_gemm_equals_numpy(dtype, shape, seed):
    m, n, k = shape
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(m, k)), rng.normal(size=(k, n)), rng.normal(size=(m, n))
    for trans_a in (False, True):
        for trans_b in (False, True):
            left = np.ascontiguousarray(a.T if trans_a else a, dtype)
            right = np.ascontiguousarray(b.T if trans_b else b, dtype)
            out = c.astype(dtype)
            got = linalg.gemm(left, right, trans_a=trans_a, trans_b=trans_b, alpha=1.5, beta=-0.5, out=out)
            assert got is out
            assert relative(got, 1.5 * a @ b - 0.5 * c) < TOLERANCE[dtype]


# A single column; few columns, with several chunks of rows and blocks of depth; many columns
SHAPES = [(0, 1, 3), (5, 1, 0), (700, 1, 600), (3, 1, 5000), (600, 37, 530), (300, 40, 0), (40, 800, 700), (9, 5, 300)]


@dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_gemm_adds_the_bias_in_all_its_forms(dtype, shape):
    m, n, k = shape
    rng = np.random.default_rng(2)
    a, b, bias, c = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (n,), (m, n)))
    for trans_a in (False, True):
        for trans_b in (False, True):
            left, right = np.ascontiguousarray(a.T) if trans_a else a, np.ascontiguousarray(b.T) if trans_b else b
            how = {"trans_a": trans_a, "trans_b": trans_b, "bias": bias}
            product = a.astype("f8") @ b
            assert relative(linalg.gemm(left, right, **how), product + bias) < TOLERANCE[dtype]
            got = linalg.gemm(left, right, alpha=-2.0, beta=0.5, out=c.copy(), **how)
            assert relative(got, -2.0 * product + 0.5 * c + bias) < TOLERANCE[dtype]
            assert all(same_bits(linalg.gemm(left, right, n_threads=t, **how), linalg.gemm(left, right, **how))
                       for t in (1, 2, 3, 8))  # fmt: skip


@dtypes
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (1023, 2), (1024, 17), (1025, 64), (5000, 33)])
def test_column_sums(dtype, shape):
    a = np.random.default_rng(0).normal(1e3, 1.0, size=shape).astype(dtype)
    sums = linalg.column_sums(a)
    assert sums.dtype == dtype
    np.testing.assert_allclose(sums, a.astype("f8").sum(axis=0), rtol=1e-7 if dtype == "float32" else 1e-13)
    assert all(same_bits(sums, linalg.column_sums(a, n_threads=n)) for n in (1, 2, 3, 8))


def test_gemm_takes_fortran_order_as_it_is():
    rng = np.random.default_rng(0)
    a, b = np.asfortranarray(rng.normal(size=(40, 30))), np.asfortranarray(rng.normal(size=(30, 20)))
    np.testing.assert_allclose(linalg.gemm(a, b), a @ b, rtol=1e-12)


def test_gemm_beta_zero_ignores_what_out_held():
    out = np.full((3, 3), np.nan)
    linalg.gemm(np.eye(3), np.eye(3), out=out)
    assert same_bits(out, np.eye(3))
    linalg.gemm(np.ones((3, 0)), np.ones((0, 3)), out=out)
    assert same_bits(out, np.zeros((3, 3)))


@dtypes
@cases(ndim=2)
def test_syrk_equals_numpy_and_is_symmetric(dtype, shape, seed):
    a = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    for trans in (False, True):
        want = a.T.astype("f8") @ a if trans else a.astype("f8") @ a.T
        got = linalg.syrk(a, trans=trans)
        assert relative(got, want) < TOLERANCE[dtype]
        assert same_bits(got, np.ascontiguousarray(got.T))


def test_syrk_accumulates():
    a, out = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0], [2.0, 4.0]])
    want = 2 * a @ a.T + 3 * out
    np.testing.assert_allclose(linalg.syrk(a, alpha=2, beta=3, out=out), want, rtol=1e-15)


@dtypes
@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 127, 128, 129, 300, 1025])
def test_cholesky_and_inverse_equal_numpy(dtype, n):
    a = positive_definite(n, n)
    factor = a.astype(dtype)
    factor[np.triu_indices(n, 1)] = np.nan  # only the lower triangle may be read
    assert linalg.cholesky_(factor) is factor
    assert relative(np.tril(factor), np.linalg.cholesky(a)) < TOLERANCE[dtype]
    inverse = linalg.inverse_from_cholesky_(factor)
    assert inverse is factor
    assert relative(inverse, np.linalg.inv(a)) < TOLERANCE[dtype]
    assert same_bits(inverse, np.ascontiguousarray(inverse.T))


@given(n=st.integers(1, 400), rank=st.integers(0, 20), seed=st.integers(0, 1000))
def test_cholesky_refuses_what_is_not_positive_definite(n, rank, seed):
    low = np.random.default_rng(seed).normal(size=(n, min(rank, n - 1)))
    with pytest.raises(ValueError, match="a must be positive definite, got a leading minor of order"):
        linalg.cholesky_(low @ low.T - 1e-3 * np.eye(n))


def test_cholesky_refuses_nan():
    a = np.eye(300)
    a[200, 100] = np.nan
    with pytest.raises(ValueError, match="a must be"):
        linalg.cholesky_(a)


@dtypes
def test_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(1100, 700)).astype(dtype), rng.normal(size=(700, 900)).astype(dtype)
    spd = positive_definite(1100, 5).astype(dtype)

    def results(n_threads):
        product, square = linalg.gemm(a, b, n_threads=n_threads), linalg.syrk(a, n_threads=n_threads)
        factor = np.tril(linalg.cholesky_(spd.copy(), n_threads=n_threads))
        return product, square, factor, linalg.inverse_from_cholesky_(factor.copy(), n_threads=n_threads)

    one = results(1)
    for n_threads in (2, 3, 8):
        assert all(same_bits(x, y) for x, y in zip(one, results(n_threads), strict=True))


def test_progress_adds_up_to_one():
    shares = []
    factor = linalg.cholesky_(positive_definite(700, 1), progress=shares.append)
    assert len(shares) > 3
    assert sum(shares) == pytest.approx(1)
    shares.clear()
    linalg.inverse_from_cholesky_(factor, progress=shares.append)
    assert sum(shares) == pytest.approx(1)


def test_threads_of_blas_are_put_back():
    before = _blas.get_threads()
    if before is None:
        pytest.skip("SciPy's BLAS is not OpenBLAS")
    with _blas.single_threaded(), _blas.single_threaded():
        assert _blas.get_threads() == 1
        linalg.cholesky_(np.eye(3))
        assert _blas.get_threads() == 1
    assert _blas.get_threads() == before


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linalg.gemm(np.eye(2, dtype=int), np.eye(2)), TypeError, "a must be float32 or float64, got int64"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2, dtype="f4")), TypeError, "b must be float64 like a, got float32"),
        (lambda: linalg.gemm(np.eye(2), np.eye(3)), ValueError, "b must have 2 rows to match the columns of a, got 3"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), beta=1.0), ValueError, "out must be given when beta is not 0"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), out=np.eye(3)), ValueError, "out must be float64 of shape"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), alpha=np.nan), ValueError, "alpha must be finite"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), n_threads=0), ValueError, "n_threads must be >= 1, got 0"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), bias=np.ones(3)), ValueError, r"bias must have shape \(2,\), got"),
        (lambda: linalg.gemm(np.eye(2), np.eye(2), bias=np.ones(2, "f4")), TypeError, "bias must be float64"),
        (lambda: linalg.syrk(np.eye(3), trans=1), TypeError, "trans must be True or False, got 1"),
        (lambda: linalg.gemm(np.eye(3), np.eye(3), trans_b=1), TypeError, "trans_b must be True or False, got 1"),
        (lambda: linalg.syrk(np.ones(3)), ValueError, r"a must be 2-D, got shape \(3,\)"),
        (lambda: linalg.cholesky_(np.ones((2, 3))), ValueError, r"a must be square, got shape \(2, 3\)"),
        (lambda: linalg.cholesky_(np.eye(4)[::2, ::2]), ValueError, "a must be C-contiguous and writeable"),
        (lambda: linalg.cholesky_([[1.0]]), TypeError, "a must be a NumPy or CuPy array, got list"),
        (lambda: linalg.inverse_from_cholesky_(np.zeros((2, 2))), ValueError, "factor must have a positive diagonal"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_gemm_refuses_overlapping_out():
    a = np.eye(4)
    with pytest.raises(ValueError, match="out must not overlap a or b"):
        linalg.gemm(a, np.eye(4), out=a)
    with pytest.raises(ValueError, match="out must not overlap bias"):
        linalg.gemm(np.eye(4), np.eye(4), bias=a[2], out=a)
