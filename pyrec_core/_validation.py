"""Checks of arguments at the Python boundary, and the one sparse layout that the kernels read.

A wrong type or dtype is a ``TypeError``, anything else a ``ValueError``; the message is always
"<argument> <rule>, got <value>".
"""

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike, NDArray

MAX_ID = np.iinfo(np.int32).max
MAX_FLOAT32_INT = 2**24  # every integer up to here is exact in float32
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_DLPACK_CUDA = (2, 13)  # kDLCUDA and kDLCUDAManaged, types of devices
_T = TypeVar("_T")
_trusted: ContextVar[dict[Any, Any] | None] = ContextVar("trusted", default=None)


class Csr(NamedTuple):
    """Compressed sparse rows in canonical form: rows sorted, no duplicates, no zeros, all finite.

    Attributes
    ----------
    indptr : int64 (n + 1,)
    indices : int32 (nnz,)
    data : float32 or float64 (nnz,)
    shape : (n, m)
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[Any]
    shape: tuple[int, int]

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.indices)

    def rows(self, ids: NDArray[np.int64]) -> "Csr":
        """Return the rows ``ids`` (integers in range, repeats allowed), in that order."""
        start = self.indptr[ids]
        lengths = self.indptr[ids + 1] - start
        indptr = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        # entry t of output row r lies at start[r] + (t - indptr[r])
        take = np.repeat(start - indptr[:-1], lengths) + np.arange(indptr[-1])
        indices = self.indices[take].astype(np.int32, copy=False)
        return Csr(indptr, indices, self.data[take], (len(lengths), self.shape[1]))

    def to_scipy(self) -> Any:
        """Return a ``scipy.sparse.csr_array`` on the same ``indices`` and ``data``."""
        # SciPy wants both index arrays of one dtype: int64 offsets would make it copy the indices
        indptr = self.indptr.astype(np.int32) if self.nnz <= MAX_ID else self.indptr
        X = sp.csr_array((self.data, self.indices, indptr), shape=self.shape)
        X.has_canonical_format = True
        return X


def check_interactions(
    name: str,
    X: Any,
    *,
    n_items: int | None = None,
    n_users: int | None = None,
    allow_negative: bool = True,
    dtype: DTypeLike | None = None,
) -> Csr:
    """Return the users x items matrix ``X`` as canonical `Csr`; ``X`` itself is never changed.

    Parameters
    ----------
    name : str
        The argument's name, for messages.
    X : Csr, SciPy sparse matrix or array of any format, or 2-D array-like
        bool, integer, float16, float32 or float64. Duplicates are summed, explicit zeros dropped.
    n_items, n_users : int, optional
        Required number of columns and rows.
    allow_negative : bool
        Whether negative values are accepted.
    dtype : float32 or float64, optional
        Dtype of the result. Default: float64 for float64, and for integers beyond 2**24, which float32
        cannot hold; float32 for all else. Canonical float32 or float64 CSR with int32 indices is not copied.

    Raises
    ------
    TypeError
        ``X`` is of object, string, complex or another dtype that is not listed.
    ValueError
        Not two-dimensional, wrong number of rows or columns, NaN or infinity, negative values.
    """
    wanted = None if dtype is None else np.dtype(dtype)
    csr = X if isinstance(X, Csr) else _canonical(name, X, wanted)
    _check_size(name, csr.shape, n_users, n_items)
    if wanted is not None and wanted != csr.data.dtype:
        cast = csr._replace(data=_cast(csr.data, wanted))
        csr = _drop_zeros(cast)  # small float64 can become zero in float32
    low, high = (csr.data.min(), csr.data.max()) if csr.nnz else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max propagate NaN
        raise ValueError(f"{name} must hold finite values, got NaN or infinity (as {csr.data.dtype})")
    if low < 0 and not allow_negative:
        raise ValueError(f"{name} must be >= 0 everywhere, got {low}")
    return csr


def _check_size(name: str, shape: tuple[int, int], n_users: int | None, n_items: int | None) -> None:
    if n_items is not None and shape[1] != n_items:
        raise ValueError(f"{name} must have {n_items} columns (items), got shape {shape}")
    if n_users is not None and shape[0] != n_users:
        raise ValueError(f"{name} must have {n_users} rows (users), got shape {shape}")


def _canonical(name: str, X: Any, wanted: np.dtype[Any] | None) -> Csr:
    """Convert anything but `Csr`: dtype first (a sum of duplicates must not overflow), then the layout."""
    if not sp.issparse(X):
        X = as_array(name, X)
    given = X.dtype
    work = _work_dtype(name, given)
    if X.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D (users x items), got shape {X.shape}. "
            "Reshape your data with .reshape(1, -1) if it is one user"
        )
    if max(X.shape) > MAX_ID:
        raise ValueError(f"{name} must have at most {MAX_ID} rows and columns, got shape {X.shape}")
    if not sp.issparse(X):
        X = sp.coo_array(X.astype(work) if given == np.float16 else X)  # SciPy has no sparse float16
    X = X.astype(work, copy=False).tocsr()
    X = sp.csr_array((X.data, X.indices, X.indptr), shape=X.shape)  # flags of X may be stale: ours are not
    _check_structure(name, X)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    nnz = int(X.indptr[-1])
    data = X.data[:nnz]
    if given.kind in "iu" and wanted is None and _max_abs(data) <= MAX_FLOAT32_INT:
        data = data.astype(np.float32)
    indptr = np.ascontiguousarray(X.indptr, np.int64)
    indices = np.ascontiguousarray(X.indices[:nnz], np.int32)
    return _drop_zeros(Csr(indptr, indices, np.ascontiguousarray(data), (int(X.shape[0]), int(X.shape[1]))))


def _work_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind in "iu" or dtype == np.float64:
        return np.dtype(np.float64)
    if dtype.kind == "b" or dtype in (np.float16, np.float32):
        return np.dtype(np.float32)
    if dtype.kind == "c":
        raise TypeError(f"{name} must be real, got {dtype}. Complex data not supported")
    raise TypeError(f"{name} must be bool, integer, float16, float32 or float64, got {dtype}")


def _check_structure(name: str, X: Any) -> None:
    """Refuse a CSR whose arrays were damaged by hand: native code trusts them."""
    indptr, indices = X.indptr, X.indices
    if indptr[0] != 0 or indptr[-1] > len(indices) or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"{name} must have an indptr that rises from 0 to nnz, got a damaged sparse matrix")
    last = X.shape[1] - 1
    if len(indices) and (indices.min() < 0 or indices.max() > last):
        raise ValueError(f"{name} must have column indices in 0..{last}, got a damaged sparse matrix")


def _drop_zeros(X: Csr) -> Csr:
    keep = X.data != 0
    kept = np.count_nonzero(keep)
    if kept == X.nnz:
        return X
    before = np.zeros(X.nnz + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return Csr(before[X.indptr], X.indices[keep], X.data[keep], X.shape)


def _max_abs(data: NDArray[Any]) -> float:
    return float(max(abs(data.min()), abs(data.max()))) if len(data) else 0.0


def _cast(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # becomes infinity, which the caller refuses by name
        return data.astype(dtype)


def as_array(name: str, a: ArrayLike) -> NDArray[Any]:
    """Return ``np.asarray(a)``, refusing ragged lists, sparse matrices and arrays on a GPU with the argument's name."""
    if sp.issparse(a):
        raise TypeError(f"{name} must be a dense array, got a sparse {type(a).__name__}")
    if is_cuda(a):
        raise TypeError(f"{name} must be an array on the CPU, got {type(a).__module__}.{type(a).__name__} on a GPU")
    if hasattr(a, "__dlpack__") and not hasattr(a, "__array__"):
        return np.from_dlpack(a)  # type: ignore[arg-type]
    try:
        return np.asarray(a)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array, got {type(a).__name__}: {error}") from None


def is_cuda(a: Any) -> bool:
    """Whether ``a`` is an array on a CUDA device (of CuPy, PyTorch, JAX, Numba, ...)."""
    if isinstance(a, np.ndarray):
        return False
    if hasattr(a, "__cuda_array_interface__"):
        return True
    return hasattr(a, "__dlpack_device__") and int(a.__dlpack_device__()[0]) in _DLPACK_CUDA


def _as_device_array(name: str, a: Any) -> Any:
    """Return `as_array`, or for an array on a CUDA device (of any library) the CuPy view of it."""
    if not is_cuda(a):
        return as_array(name, a)
    cupy = import_module("cupy")
    return cupy.asarray(a) if hasattr(a, "__cuda_array_interface__") else cupy.from_dlpack(a)


def check_int(name: str, value: Any, *, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` as int; bool, float and str are a ``TypeError``."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, np.ndarray) and value.ndim):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    _check_range(name, number, low, high, False)
    return number


def check_float(
    name: str, value: Any, *, low: float | None = None, high: float | None = None, low_open: bool = False
) -> float:
    """Return ``value`` as a finite float; bool and str are a ``TypeError``.

    ``low`` and ``high`` are allowed themselves, ``low`` not if ``low_open``.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    _check_range(name, number, low, high, low_open)
    return number


def _check_range(name: str, value: float, low: float | None, high: float | None, low_open: bool) -> None:
    if low is not None and (value <= low if low_open else value < low):
        raise ValueError(f"{name} must be {'>' if low_open else '>='} {low}, got {value}")
    if high is not None and value > high:
        raise ValueError(f"{name} must be <= {high}, got {value}")


def check_choice(name: str, value: _T, choices: Sequence[_T]) -> _T:
    """Return ``value``, which must be one of ``choices``."""
    types = {type(choice) for choice in choices}
    if type(value) in types and value in choices:
        return value
    error = ValueError if type(value) in types else TypeError
    raise error(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_bool(name: str, value: Any) -> bool:
    """Return ``value``, which must be True or False, as bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_integers(name: str, ids: ArrayLike) -> NDArray[Any]:
    """Return ``ids`` as an integer array of any shape; bool and float are a ``TypeError``."""
    array: NDArray[Any] = _as_device_array(name, ids)
    if array.size == 0 and isinstance(ids, (list, tuple)):
        array = array.astype(np.int64)  # NumPy makes an empty list float64
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    return array


@contextmanager
def trusted_inputs() -> Iterator[None]:
    """Take ids, offsets and targets that lie on a device as they are: to look at them, a call must wait for the device.

    For one step of a training or of a prediction, whose input was checked on the host, and which changes none of it.
    """
    token = _trusted.set({})
    try:
        yield
    finally:
        _trusted.reset(token)


def known_of_ids() -> dict[Any, Any] | None:
    """Return what is to be remembered of ids up to the end of `trusted_inputs`; None outside."""
    return _trusted.get()


def looked_at(a: Any) -> bool:
    """Whether what ``a`` holds is to be checked: it has elements, and is not on a device inside of `trusted_inputs`."""
    return a.size > 0 and (_trusted.get() is None or not is_cuda(a))


def check_id_range(name: str, ids: NDArray[Any], n: int, what: str) -> NDArray[np.int64]:
    """Return the integer array ``ids`` as int64 after checking that all are in 0..n-1 (any shape)."""
    _check_range_of_ids(name, ids, n, what)
    return ids.astype(np.int64, copy=False)


def _check_range_of_ids(name: str, ids: Any, n: int, what: str) -> None:
    if looked_at(ids) and (ids.min() < 0 or ids.max() >= n):
        bad = ids[(ids < 0) | (ids >= n)]
        first = ", ".join(map(str, bad[:3].tolist()))
        raise ValueError(f"{name} must hold {what} ids in 0..{n - 1}, got {bad.size} unknown: {first}")


def check_ids(name: str, ids: ArrayLike, n: int, what: str) -> NDArray[np.int64]:
    """Return 1-D ``ids`` as int64, all in 0..n-1; ``what`` ("user", "item") says what they number."""
    array = check_integers(name, ids)
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    return check_id_range(name, array, n, what)


def check_rows(name: str, ids: ArrayLike, n: int, what: str = "row", ndim: int | None = None) -> Any:
    """Return rows of a table as the kernels read them, where they lie: C-contiguous int32, all in 0..n-1."""
    array = check_integers(name, ids)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must be {ndim}-D, got shape {array.shape}")
    _check_range_of_ids(name, array, n, what)
    return contiguous(array, np.int32)


def check_distinct(name: str, ids: Any, distinct: bool) -> None:
    """Refuse 1-D ids that are said to be distinct, and do not ascend."""
    if distinct and looked_at(ids) and (ids[1:] <= ids[:-1]).any():
        raise ValueError(f"{name} must ascend without repeats where distinct=True, got {ids[:5].tolist()}...")


def check_float_array(name: str, a: Any, ndim: int | None) -> Any:
    """Return ``a`` as a C-contiguous float32 or float64 array of ``ndim`` dimensions (None: any), where it lies."""
    array = _as_device_array(name, a)
    if array.dtype not in _FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must be {ndim}-D, got shape {array.shape}")
    return contiguous(array)


def contiguous(array: Any, dtype: DTypeLike | None = None) -> Any:
    """Return ``array``, NumPy's or CuPy's, C-contiguous and of this dtype: itself if it is so already."""
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    return array if array.flags.c_contiguous else array.copy(order="C")


def check_float_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype``, float32 or float64, as a NumPy dtype."""
    checked = np.dtype(dtype)
    if checked not in _FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {checked}")
    return checked


def check_like(name: str, a: Any, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Return ``a`` as a C-contiguous array of exactly this shape and dtype, on the device it is on."""
    array = _as_device_array(name, a)
    if array.dtype != np.dtype(dtype):
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return contiguous(array)


def check_inplace(name: str, a: Any, ndim: int | None) -> Any:
    """Return ``a``, refusing what a kernel cannot write in place.

    That is all but a C-contiguous, writeable float32 or float64 array, of NumPy or on a CUDA device.
    """
    if is_cuda(a):
        a = _as_device_array(name, a)
    elif not isinstance(a, np.ndarray):
        raise TypeError(f"{name} must be a NumPy or CuPy array, got {type(a).__name__}")
    if a.dtype not in _FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {a.dtype}")
    if ndim is not None and a.ndim != ndim:
        raise ValueError(f"{name} must be {ndim}-D, got shape {a.shape}")
    flags = a.flags  # CuPy's arrays are aligned, and all can be written to
    writeable = getattr(flags, "writeable", True)
    if not (flags.c_contiguous and writeable and getattr(flags, "aligned", True)):
        raise ValueError(f"{name} must be C-contiguous and writeable, got flags C={flags.c_contiguous}, W={writeable}")
    return a
