"""What other systems lack or have in another way: /proc, affinity, control groups, OpenBLAS, x86-64 levels, fork."""

import builtins
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from pyrec_core import _backend, _blas, _detect, doctor
from pyrec_core.kernels.gram import ease_weights

FLAGS = {
    2: {"pni", "ssse3", "cx16", "sse4_1", "sse4_2", "popcnt", "lahf_lm"},
    3: {"fma", "movbe", "avx", "f16c", "bmi1", "avx2", "bmi2", "abm"},
    4: {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"},
}


@pytest.fixture
def fresh(monkeypatch):
    """Forget what was found on this machine, before and after."""

    def forget():
        for remembered in (_backend.default_threads, _backend.cpu_module_name, _backend.cpu):
            remembered.cache_clear()

    monkeypatch.delenv("PYREC_NUM_THREADS", raising=False)
    monkeypatch.delenv("PYREC_SIMD", raising=False)
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture
def no_openblas(monkeypatch):
    """SciPy with another BLAS, or on Windows, where its symbols are not found."""
    monkeypatch.setattr(_blas, "openblas", lambda: None)


def test_the_level_is_what_the_system_says():
    """Linux names each instruction set, and hides what it does not save when it switches threads."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        pytest.skip("reads /proc/cpuinfo of an x86-64 processor")
    lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")]
    flags = set(lines[0].partition(":")[2].split())
    level = 1
    while level < 4 and FLAGS[level + 1] <= flags:
        level += 1
    assert _detect.simd_level() == level


@pytest.mark.usefixtures("fresh")
def test_processors_without_levels_have_one_module(monkeypatch):
    monkeypatch.setattr(_detect, "simd_level", lambda: 0)
    assert _backend.cpu_module_name() == "_cpu"
    _backend.cpu_module_name.cache_clear()
    monkeypatch.setenv("PYREC_SIMD", "v3")
    with pytest.raises(ImportError, match="PYREC_SIMD must be unset on a processor that is not x86-64, got 'v3'"):
        _backend.cpu_module_name()


@pytest.mark.usefixtures("fresh")
def test_processors_that_are_too_old_are_named(monkeypatch):
    monkeypatch.setattr(_detect, "simd_level", lambda: 1)
    with pytest.raises(ImportError, match="needs a processor of x86-64-v2"):
        _backend.cpu_module_name()


@pytest.mark.usefixtures("fresh")
def test_threads_without_affinity_and_control_groups(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(_backend, "_cgroup_cpus", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert _backend.default_threads() == 6
    _backend.default_threads.cache_clear()
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # as its documentation allows
    assert _backend.default_threads() == 1


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ({"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_quota_of_the_control_group(monkeypatch, tmp_path, files, cpus):
    for name, content in files.items():
        (tmp_path / name).write_text(f"{content}\n")
    real = builtins.open

    def opened(path, *args, **kwargs):
        return real(tmp_path / Path(path).name if str(path).startswith("/sys/fs/cgroup") else path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", opened)
    assert _backend._cgroup_cpus() == cpus


@pytest.mark.usefixtures("no_openblas")
def test_another_blas_is_held_by_threadpoolctl():
    _blas.capsules()  # loads SciPy's BLAS

    def threads():
        return [blas["num_threads"] for blas in threadpoolctl.threadpool_info() if blas["user_api"] == "blas"]

    assert _blas.get_threads() is None
    assert _blas.kernel_name() is None
    before = threads()
    with _blas.single_threaded():
        assert set(threads()) <= {1}
        with _blas.single_threaded():
            pass
        assert set(threads()) <= {1}
    assert threads() == before


@pytest.mark.usefixtures("no_openblas")
def test_linear_algebra_with_another_blas():
    G = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(ease_weights(G, 1.0), [[0, 1 / 3], [0.25, 0]])
    assert "not OpenBLAS" in {what: found for what, found, _ in doctor.report()}["BLAS"]


def test_systems_without_fork():
    code = "import os\nif hasattr(os, 'register_at_fork'): del os.register_at_fork\nimport pyrec_core._blas"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
