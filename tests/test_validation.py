import sys
from subprocess import run

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pyrec_core._errors import NotEnoughMemoryError, NotFittedError, not_fitted_error
from pyrec_core._validation import (
    Csr,
    check_bool,
    check_choice,
    check_float,
    check_float_array,
    check_ids,
    check_int,
    check_interactions,
    check_like,
)

DENSE = np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]], np.float32)
FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


def dense_of(csr):  # by the definition of CSR, without SciPy
    out = np.zeros(csr.shape)
    for row in range(csr.shape[0]):
        for at in range(csr.indptr[row], csr.indptr[row + 1]):
            out[row, csr.indices[at]] += csr.data[at]
    return out


def assert_canonical(csr):
    assert csr.indptr.dtype == np.int64
    assert csr.indices.dtype == np.int32
    assert csr.data.dtype in (np.float32, np.float64)
    assert len(csr.indptr) == csr.shape[0] + 1
    assert csr.indptr[0] == 0
    assert csr.indptr[-1] == csr.nnz == len(csr.data)
    assert (csr.data != 0).all()
    for start, end in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        assert (np.diff(csr.indices[start:end]) > 0).all()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f4", "f8"])
def test_check_interactions_reads_every_format(fmt, dtype):
    X = sp.coo_array(DENSE).astype(dtype).asformat(fmt)
    csr = check_interactions("X", X)
    assert_canonical(csr)
    np.testing.assert_array_equal(dense_of(csr), DENSE.astype(dtype))
    assert csr.data.dtype == (np.float64 if dtype == "f8" else np.float32)


@pytest.mark.parametrize("convert", [np.array, np.float16, np.int32, np.ndarray.tolist, sp.csr_matrix])
def test_check_interactions_reads_arrays_lists_and_matrices(convert):
    csr = check_interactions("X", convert(DENSE))
    assert_canonical(csr)
    np.testing.assert_array_equal(dense_of(csr), DENSE)


@given(npst.arrays(np.float64, npst.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
                   elements=st.sampled_from([0.0, 0.0, -1.5, 2.0])), st.data())  # fmt: skip
def test_check_interactions_sums_duplicates_and_drops_zeros(dense, data):
    row, col = np.nonzero(np.ones(dense.shape))  # explicit zeros included
    value = dense[row, col]
    order = np.array(data.draw(st.permutations(range(len(row)))), int)
    row, col, value = (np.concatenate([a[order], a]) for a in (row, col, value))
    csr = check_interactions("X", sp.coo_array((value, (row, col)), shape=dense.shape))
    assert_canonical(csr)
    np.testing.assert_array_equal(dense_of(csr), 2 * dense)


def test_check_interactions_repairs_csr_without_touching_it():
    data, indices, indptr = np.array([1, 2, 4, 0], "f4"), np.array([2, 0, 2, 1]), np.array([0, 3, 4])
    X = sp.csr_array((data, indices, indptr), shape=(2, 3))
    copies = X.data.copy(), X.indices.copy(), X.indptr.copy()
    csr = check_interactions("X", X)
    assert_canonical(csr)
    np.testing.assert_array_equal(dense_of(csr), [[2, 0, 5], [0, 0, 0]])
    for now, before in zip((X.data, X.indices, X.indptr), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_check_interactions_does_not_believe_a_stale_flag():
    X = sp.csr_array((np.ones(2, "f4"), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    X.has_canonical_format = True
    assert_canonical(check_interactions("X", X))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_check_interactions_shares_canonical_csr(dtype):
    X = sp.csr_array(DENSE.astype(dtype))
    csr = check_interactions("X", X)
    assert np.shares_memory(csr.data, X.data)
    assert np.shares_memory(csr.indices, X.indices)
    again = check_interactions("X", csr)
    assert again is csr


def test_check_interactions_sums_small_integers_without_overflow():
    X = sp.coo_array((np.full(300, 100, np.int8), (np.zeros(300, int), np.zeros(300, int))), shape=(1, 1))
    assert check_interactions("X", X).data.tolist() == [30000.0]
    X = sp.coo_array((np.ones(3, bool), (np.zeros(3, int), np.zeros(3, int))), shape=(1, 1))
    assert check_interactions("X", X).data.tolist() == [3.0]


@pytest.mark.parametrize(("value", "dtype"), [(2**24, "f4"), (2**24 + 1, "f8"), (-(2**24) - 1, "f8")])
def test_check_interactions_keeps_large_integers_exact(value, dtype):
    csr = check_interactions("X", np.array([[value]]))
    assert csr.data.dtype == dtype
    assert int(csr.data[0]) == value


def test_check_interactions_dtype_is_forced():
    assert check_interactions("X", DENSE, dtype=np.float64).data.dtype == np.float64
    assert check_interactions("X", DENSE.astype("f8"), dtype="float32").data.dtype == np.float32
    tiny = check_interactions("X", [[1e-60, 1.0]], dtype="float32")
    assert_canonical(tiny)
    assert tiny.nnz == 1
    with pytest.raises(ValueError, match=r"X must hold finite values, got NaN or infinity \(as float32\)"):
        check_interactions("X", [[1e60]], dtype="float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [np.array, sp.csr_array, sp.coo_array])
def test_check_interactions_refuses_nan_and_infinity(bad, make):
    with pytest.raises(ValueError, match="X must hold finite values, got NaN or infinity"):
        check_interactions("X", make([[1.0, bad, 0.0]]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([["a"]]), "X must be bool, integer, float16, float32 or float64, got <U1"),
        (np.array([[None]]), "X must be bool, integer, float16, float32 or float64, got object"),
        (np.array([[1j]]), "X must be real, got complex128"),
        (np.array([[1]], "M8[s]"), "X must be bool, integer, float16, float32 or float64, got datetime64"),
        (np.array([[1]], np.longdouble), "X must be bool, integer, float16, float32 or float64, got "),
        (None, "got object"),
    ],
)
def test_check_interactions_refuses_dtypes(bad, message):
    with pytest.raises(TypeError, match=message):
        check_interactions("X", bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones(3), r"X must be 2-D \(users x items\), got shape \(3,\). Reshape your data"),
        (np.ones((1, 1, 1)), r"X must be 2-D .* got shape \(1, 1, 1\)"),
        (sp.coo_array(np.ones(3)), r"X must be 2-D .* got shape \(3,\)"),
        ([[1, 2], [3]], "X must be a rectangular array, got list"),
        (sp.coo_array((2**31, 2)), "X must have at most 2147483647 rows and columns"),
    ],
)
def test_check_interactions_refuses_shapes(bad, message):
    with pytest.raises(ValueError, match=message):
        check_interactions("X", bad)


def test_check_interactions_checks_sizes_and_signs():
    with pytest.raises(ValueError, match=r"X must have 4 columns \(items\), got shape \(3, 3\)"):
        check_interactions("X", DENSE, n_items=4)
    with pytest.raises(ValueError, match=r"X must have 2 rows \(users\), got shape \(3, 3\)"):
        check_interactions("X", DENSE, n_users=2)
    with pytest.raises(ValueError, match=r"X must be >= 0 everywhere, got -1.0"):
        check_interactions("X", [[-1.0]], allow_negative=False)
    assert check_interactions("X", [[-1.0]]).data.tolist() == [-1.0]


@pytest.mark.parametrize(("part", "value"), [("indices", 3), ("indices", -1), ("indptr", 9), ("indptr", -1)])
def test_check_interactions_refuses_damaged_matrices(part, value):
    X = sp.csr_array(DENSE)
    getattr(X, part)[1] = value
    with pytest.raises(ValueError, match="got a damaged sparse matrix"):
        check_interactions("X", X)


@given(st.lists(st.integers(0, 2), max_size=6))
def test_csr_rows_selects_rows(ids):
    csr = check_interactions("X", DENSE).rows(np.array(ids, np.int64))
    assert_canonical(csr)
    np.testing.assert_array_equal(dense_of(csr), DENSE[np.array(ids, int)])
    np.testing.assert_array_equal(csr.to_scipy().toarray(), DENSE[np.array(ids, int)])


def test_csr_to_scipy_shares_its_arrays():
    csr = check_interactions("X", DENSE)
    assert isinstance(csr, Csr)
    X = csr.to_scipy()
    assert X.indices.dtype == np.int32
    assert np.shares_memory(X.data, csr.data)
    assert np.shares_memory(X.indices, csr.indices)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_check_int_takes_integers(value):
    result = check_int("k", value, low=3, high=3)
    assert (result, type(result)) == (3, int)


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, [3], np.array([3])])
def test_check_int_refuses_other_types(value):
    with pytest.raises(TypeError, match="k must be an integer, got "):
        check_int("k", value)


def test_check_int_checks_the_range():
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        check_int("k", 0, low=1)
    with pytest.raises(ValueError, match="k must be <= 5, got 6"):
        check_int("k", 6, high=5)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2)])
def test_check_float_takes_numbers(value):
    result = check_float("l2", value, low=2)
    assert (result, type(result)) == (2.0, float)


@pytest.mark.parametrize("value", [True, "2", None, [2.0], 2j])
def test_check_float_refuses_other_types(value):
    with pytest.raises(TypeError, match="l2 must be a number, got "):
        check_float("l2", value)


def test_check_float_checks_the_range():
    with pytest.raises(ValueError, match=r"l2 must be >= 0, got -1\.0"):
        check_float("l2", -1.0, low=0)
    with pytest.raises(ValueError, match=r"l2 must be > 0, got 0\.0"):
        check_float("l2", 0, low=0, low_open=True)
    with pytest.raises(ValueError, match=r"l2 must be <= 1, got 2\.0"):
        check_float("l2", 2.0, high=1)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="l2 must be finite, got "):
            check_float("l2", bad)


def test_check_choice():
    assert check_choice("dtype", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="dtype must be one of 'a', 'b', got 'c'"):
        check_choice("dtype", "c", ("a", "b"))
    with pytest.raises(TypeError, match="dtype must be one of 'a', 'b', got 1"):
        check_choice("dtype", 1, ("a", "b"))
    with pytest.raises(TypeError, match="n must be one of 0, 1, got True"):
        check_choice("n", True, (0, 1))


def test_check_bool():
    assert check_bool("flag", np.True_) is True
    with pytest.raises(TypeError, match="flag must be True or False, got 1"):
        check_bool("flag", 1)


@pytest.mark.parametrize("ids", [[0, 4], np.array([0, 4], np.uint8), (), np.zeros(0, int), range(5)])
def test_check_ids_takes_integers(ids):
    result = check_ids("users", ids, 5, "user")
    assert result.dtype == np.int64
    assert result.tolist() == list(ids)


def test_check_ids_names_the_first_three():
    with pytest.raises(ValueError, match=r"users must hold user ids in 0\.\.4, got 4 unknown: -1, 5, 7$"):
        check_ids("users", [0, -1, 5, 7, 9], 5, "user")
    with pytest.raises(ValueError, match="got 1 unknown: 18446744073709551615"):
        check_ids("users", np.array([2**64 - 1], np.uint64), 5, "user")


@pytest.mark.parametrize("ids", [[True], [0.0], ["a"], np.zeros(0), [None]])
def test_check_ids_refuses_dtypes(ids):
    with pytest.raises(TypeError, match="users must be integers, got "):
        check_ids("users", ids, 5, "user")


def test_check_ids_refuses_shapes():
    for ids, shape in ((3, r"\(\)"), ([[1]], r"\(1, 1\)")):
        with pytest.raises(ValueError, match=f"users must be 1-D, got shape {shape}"):
            check_ids("users", ids, 5, "user")


def test_check_float_array():
    given = np.ones((2, 3), np.float32)
    assert check_float_array("emb", given, 2) is given
    assert check_float_array("emb", given.T, 2).flags.c_contiguous
    for dtype in ("int64", "bool", "float16", "complex128"):
        with pytest.raises(TypeError, match=f"emb must be float32 or float64, got {dtype}"):
            check_float_array("emb", given.astype(dtype), 2)
    with pytest.raises(ValueError, match=r"emb must be 3-D, got shape \(2, 3\)"):
        check_float_array("emb", given, 3)
    with pytest.raises(TypeError, match="emb must be a dense array, got a sparse csr_array"):
        check_float_array("emb", sp.csr_array(given), 2)


def test_check_like():
    given = np.ones((2, 3), np.float32)
    assert check_like("d_out", given, (2, 3), np.float32) is given
    with pytest.raises(TypeError, match="d_out must be float64, got float32"):
        check_like("d_out", given, (2, 3), "float64")
    with pytest.raises(ValueError, match=r"d_out must have shape \(3, 2\), got \(2, 3\)"):
        check_like("d_out", given, (3, 2), "float32")


def test_errors_have_both_kinds_of_bases():
    assert issubclass(NotFittedError, ValueError)
    assert issubclass(NotFittedError, AttributeError)
    assert issubclass(NotEnoughMemoryError, MemoryError)
    assert issubclass(NotEnoughMemoryError, ValueError)


def test_not_fitted_error_is_scikit_learns_own_once_that_is_loaded():
    pytest.importorskip("sklearn")
    from sklearn.exceptions import NotFittedError as Theirs

    assert isinstance(not_fitted_error("m"), Theirs)
    assert isinstance(not_fitted_error("m"), NotFittedError)


def test_import_is_light():
    code = (
        "import sys, pyrec_core; loaded = {m.partition('.')[0] for m in sys.modules}; "
        "assert not loaded & {'numpy', 'scipy', 'sklearn', 'tqdm', 'matplotlib'}, loaded; "
        "assert set(pyrec_core.__all__) <= set(dir(pyrec_core)); "
        "from pyrec_core import EASE, load; assert 'sklearn' not in sys.modules"
    )
    result = run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
