"""SciPy's BLAS and LAPACK: their function pointers, and one thread for as long as we use them.

OpenBLAS's own threads would change the bits of a result with their number, could not be interrupted, and hang in a
process forked while they run. So the native kernels cut the work and call BLAS with one thread on each piece. The
number of threads of a BLAS is one setting for the whole process; it is put back when the last user is done.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_holders = 0
_restore: Callable[[], None] | None = None


@cache
def capsules() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return SciPy's tables of BLAS and LAPACK functions, name to capsule."""
    # imported here: scipy.linalg takes long to load, and only dense linear algebra needs it
    from scipy.linalg import cython_blas, cython_lapack

    return cython_blas.__pyx_capi__, cython_lapack.__pyx_capi__


@cache
def openblas() -> tuple[ctypes.CDLL, str] | None:
    """Return SciPy's OpenBLAS and the prefix of its names, or None if SciPy uses another BLAS."""
    from scipy.linalg import cython_blas

    # Looking a symbol up on SciPy's own module searches its dependencies: by construction not NumPy's copy.
    library = ctypes.CDLL(cython_blas.__file__)
    for prefix in ("scipy_openblas_", "openblas_"):
        if hasattr(library, f"{prefix}set_num_threads"):
            return library, prefix
    return None


def kernel_name() -> str | None:
    """Name of the kernels that OpenBLAS chose for this processor (such as SkylakeX), None for another BLAS."""
    found = openblas()
    if found is None:
        return None
    library, prefix = found
    get = getattr(library, f"{prefix}get_corename")
    get.restype = ctypes.c_char_p
    return str(get().decode())


def get_threads() -> int | None:
    """Return the number of threads that OpenBLAS would use now, None for another BLAS."""
    found = openblas()
    return None if found is None else int(getattr(found[0], f"{found[1]}get_num_threads")())


@cache
def _controller() -> Any:
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


def _limit() -> Callable[[], None]:
    """Set BLAS to one thread; return the function that puts back what was there."""
    found = openblas()
    if found is None:
        return _controller().limit(limits=1, user_api="blas").restore_original_limits  # type: ignore[no-any-return]
    library, prefix = found
    before = getattr(library, f"{prefix}get_num_threads")()
    set_threads = getattr(library, f"{prefix}set_num_threads")
    set_threads(1)
    return lambda: set_threads(before)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS to one thread; nested and concurrent holders are counted, the last one out restores."""
    global _holders, _restore
    with _lock:
        if _holders == 0:
            _restore = _limit()
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0 and _restore is not None:
                _restore()
                _restore = None


def _reset_in_child() -> None:
    """Start anew in a forked process: the lock may have been held, and the holders' threads are gone."""
    global _lock, _holders, _restore
    _lock, _holders, _restore = threading.Lock(), 0, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
