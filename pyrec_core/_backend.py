"""The only importer of the native modules: which one serves given arrays, and with how many threads."""

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import _blas, _detect
from ._device_memory import naming
from ._validation import check_choice, check_int
from ._validation import is_cuda as is_cuda

Array = Any  # numpy.ndarray or cupy.ndarray: the arrays decide the device
DEVICES = ("cpu", "cuda")
_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@cache
def cpu_module_name() -> str:
    """Name of the CPU module that is used: the highest SIMD level, or the one that ``PYREC_SIMD`` asks for."""
    level = _detect.simd_level()
    wanted = os.environ.get("PYREC_SIMD", "")
    if level == 0:
        if wanted:
            raise ImportError(f"PYREC_SIMD must be unset on a processor that is not x86-64, got {wanted!r}")
        return "_cpu"
    if level == 1:
        raise ImportError("pyrec_core needs a processor of x86-64-v2 (SSE4.2) or later")
    if not wanted:
        return f"_cpu_v{level}"
    if wanted not in ("v2", "v3", "v4"):
        raise ImportError(f"PYREC_SIMD must be v2, v3 or v4, got {wanted!r}")
    if int(wanted[1]) > level:
        raise ImportError(f"PYREC_SIMD must be at most v{level} on this processor, got {wanted!r}")
    return f"_cpu_{wanted}"


@cache
def cpu() -> ModuleType:
    """Return the CPU module."""
    return importlib.import_module(f".{cpu_module_name()}", __package__)


@cache
def cuda() -> ModuleType:
    """Return the CUDA module; ImportError where it was not built."""
    return importlib.import_module("._cuda", __package__)


def cuda_problem() -> str:
    """Say in a sentence why arrays on a GPU cannot be used here; empty if they can."""
    try:
        native = cuda()
    except ImportError as error:
        if importlib.util.find_spec(f"{__package__}._cuda") is not None:
            return f"the CUDA module does not load: {error}"
        return (
            "pyrec_core was built without CUDA (it is built where nvcc is found, or PYREC_CUDA=ON says what is missing)"
        )
    status: str = native.cuda_status()
    if status:
        return status
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed (pip install pyrec_core[cuda13], or [cuda12])"
    return ""


def check_device(device: str) -> str:
    """Return ``device``, "cpu" or "cuda"; ImportError where it is "cuda" and that cannot be used."""
    if check_choice("device", device, DEVICES) == "cuda" and (problem := cuda_problem()):
        raise ImportError(f"device='cuda' cannot be used: {problem}")
    return device


def to_device(array: Array, device: str, what: str = "an array") -> Array:
    """Return ``array`` on ``device``; itself if it lies there. An error says ``what`` does not fit there."""
    if is_cuda(array):
        return array if device == "cuda" else array.get()
    if device == "cpu":
        return array
    with naming(what, array.shape, array.dtype):
        return importlib.import_module("cupy").asarray(array)


def zeros_beside(array: Array, shape: tuple[int, ...], dtype: DTypeLike, what: str) -> Array:
    """Return zeros on the device where ``array`` lies. An error says ``what`` does not fit there."""
    if not is_cuda(array):
        return np.zeros(shape, dtype)
    with naming(what, shape, dtype):
        return importlib.import_module("cupy").zeros(shape, dtype)


def to_host(array: Array) -> Any:
    """Return ``array`` as a NumPy array."""
    return to_device(array, "cpu")


def device_of(array: Array) -> str:
    """Return "cpu" or "cuda", where ``array`` lies."""
    return "cuda" if is_cuda(array) else "cpu"


def backend_of(*arrays: Array, n_threads: int | None = None) -> tuple[Any, Any, int]:
    """Return ``(xp, native, exec)`` for arrays that all lie on one device; None stands for an array that is not there.

    ``xp`` is NumPy or CuPy; ``native`` holds the kernels for it; ``exec`` is what each kernel takes first: the number
    of threads on the CPU, the current stream on a GPU.
    """
    on_gpu = [is_cuda(a) for a in arrays if a is not None]
    if not any(on_gpu):
        return backend_on("cpu", n_threads=n_threads)
    if not all(on_gpu):
        raise TypeError("arrays must all be NumPy arrays or all CuPy arrays, got both")
    return backend_on("cuda")


def backend_on(device: str, *, n_threads: int | None = None) -> tuple[Any, Any, int]:
    """Return what `backend_of` does for arrays on ``device``, "cpu" or "cuda"."""
    if check_choice("device", device, DEVICES) == "cpu":
        return np, cpu(), check_threads(n_threads)
    cupy = importlib.import_module("cupy")
    return cupy, cuda(), cupy.cuda.get_current_stream().ptr


def array_module(a: Array) -> Any:
    """Return NumPy or CuPy, whichever ``a`` is an array of."""
    return importlib.import_module("cupy") if is_cuda(a) else np


def check_threads(n_threads: int | None) -> int:
    """Return the number of threads to use: ``n_threads``, that of `use_threads`, or all CPUs of this process."""
    if n_threads is None:
        return _threads.get() or default_threads()
    return check_int("n_threads", n_threads, low=1, high=1024)


@contextmanager
def use_threads(n_threads: int | None) -> Iterator[None]:
    """Let kernels that are called with ``n_threads=None`` inside use ``n_threads``: layers do not pass it on."""
    token = _threads.set(check_threads(n_threads))
    try:
        yield
    finally:
        _threads.reset(token)


@cache
def default_threads() -> int:
    """``PYREC_NUM_THREADS``, or the CPUs that affinity and cgroup leave to this process."""
    wanted = os.environ.get("PYREC_NUM_THREADS")
    if wanted:
        if not wanted.isdigit() or not 1 <= int(wanted) <= 1024:
            raise ValueError(f"PYREC_NUM_THREADS must be an integer in 1..1024, got {wanted!r}")
        return int(wanted)
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _cgroup_cpus() or affinity, 1024))


def _cgroup_cpus() -> int | None:
    """CPUs that the quota of this control group (version 2 or 1) pays for, rounded up; None where there is none."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()
    except (OSError, ValueError):
        try:
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as f, open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as g:
                quota, period = f.read(), g.read()
        except OSError:
            return None
    if quota == "max" or int(quota) <= 0:
        return None
    return max(1, -(-int(quota) // int(period)))


@contextmanager
def linear_algebra() -> Iterator[None]:
    """Make BLAS available to the native kernels and hold it to one thread: our own threads call it, each on a tile.

    Entered once per fit or block of calls; entering again inside costs next to nothing.
    """
    _give_blas(cpu())
    with _blas.single_threaded():
        yield


@cache
def _give_blas(native: Any) -> None:
    native.set_blas(*_blas.capsules())
