"""``python -m pyrec_core doctor``: what was found on this machine, and why anything is off."""

import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from . import _backend, _blas, _detect

# Kernels of OpenBLAS that use the widest vectors of an x86-64 level; others run at half speed or less there.
_FULL_SPEED = {4: {"SkylakeX", "Cooperlake", "SapphireRapids", "Zen5"}, 3: {"Haswell", "Zen", "Excavator"}}
_EXTRAS = {
    "tqdm": "progress bars (extra: progress)",
    "matplotlib": "the demo's picture (extra: plot)",
    "sklearn": "GridSearchCV, Pipeline, clone",
    "cupy": "arrays on NVIDIA GPUs",
}


def main() -> int:
    """Print the report; return 1 if anything needs attention, else 0."""
    problems = 0
    for what, found, problem in report():
        print(f"{what:<12} {found}")
        if problem:
            problems += 1
            print(f"{'':<12} ! {problem}")
    return 1 if problems else 0


def report() -> Iterator[tuple[str, str, str]]:
    """Yield (subject, what was found, problem or empty text)."""
    yield "pyrec_core", _version("pyrec_core") or "not installed (running from a source folder)", ""
    yield "Python", f"{platform.python_version()} ({sys.executable}), {platform.platform()}", ""
    yield "NumPy, SciPy", f"{_version('numpy')}, {_version('scipy')}", ""
    yield _simd()
    yield _threads()
    yield _linear_algebra()
    yield _cuda()
    for module, purpose in _EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        yield module, f"found: {purpose}" if there else f"not installed: {purpose}", ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _simd() -> tuple[str, str, str]:
    level = _detect.simd_level()
    try:
        name = _backend.cpu().__name__.rpartition(".")[2]
    except ImportError as error:
        return "SIMD", f"x86-64-v{level}" if level else platform.machine(), str(error)
    if not level:
        return "SIMD", f"{platform.machine()}, module {name}", ""
    low = name != f"_cpu_v{level}"
    problem = f"PYREC_SIMD={os.environ.get('PYREC_SIMD')} keeps it below what the CPU has" if low else ""
    return "SIMD", f"CPU supports x86-64-v{level}, module {name}", problem


def _threads() -> tuple[str, str, str]:
    cpus = os.cpu_count() or 1
    try:
        threads = _backend.default_threads()
    except ValueError as error:
        return "Threads", f"{cpus} CPUs", str(error)
    reason = ""
    if os.environ.get("PYREC_NUM_THREADS"):
        reason = " (PYREC_NUM_THREADS)"
    elif threads < cpus:
        reason = " (affinity or cgroup quota)"
    return "Threads", f"{threads} of {cpus} CPUs{reason}", ""


def _linear_algebra() -> tuple[str, str, str]:
    try:
        _blas.capsules()
        with _backend.linear_algebra():
            pass
    except (ImportError, ValueError) as error:
        return "BLAS", "not usable", str(error)
    kernel = _blas.kernel_name()
    if kernel is None:
        return "BLAS", "SciPy's, not OpenBLAS: limited to one thread through threadpoolctl", ""
    level = _detect.simd_level()
    problem = ""
    if kernel not in _FULL_SPEED.get(level, {kernel}):
        pinned = os.environ.get("OPENBLAS_CORETYPE")
        cause = f"OPENBLAS_CORETYPE={pinned} pins it; unset it" if pinned else "OpenBLAS chose it for this CPU"
        problem = f"these kernels are below what an x86-64-v{level} CPU can do: {cause}"
    return "BLAS", f"SciPy's OpenBLAS, {kernel} kernels", problem


def _cuda() -> tuple[str, str, str]:
    built = importlib.util.find_spec("pyrec_core._cuda") is not None
    problem = _backend.cuda_problem()
    if problem:
        return "CUDA", f"off: {problem}", problem if built and _has_gpu() else ""
    return "CUDA", f"module built, {_backend.cuda().device_count()} device(s)", ""


def _has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA: only then something is wrong where CUDA cannot be used."""
    return os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidia0")
