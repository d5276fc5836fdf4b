import sys
from types import SimpleNamespace

import pytest

from pyrec_core import _memory
from pyrec_core._errors import NotEnoughMemoryError
from pyrec_core._memory import available_memory, device_memory, require_memory

GIB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Write files under an empty /proc and /sys/fs/cgroup: ``machine("proc/meminfo", text)``."""
    monkeypatch.setattr(_memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(_memory, "_CGROUP", tmp_path / "cgroup")

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    return write


def version_2(machine, group, limit, used, cached=0):
    folder = f"cgroup{group.rstrip('/')}"
    machine(f"{folder}/memory.max", limit)
    machine(f"{folder}/memory.current", used)
    machine(f"{folder}/memory.stat", f"anon 5\ninactive_file {cached}\nactive_file 1\nslab 7")


def test_unknown_where_nothing_tells(machine):
    assert available_memory() is None
    require_memory(2**80, "work", "")


def test_meminfo_counts_kibibytes(machine):
    machine("proc/meminfo", "MemTotal: 900 kB\nMemFree: 1 kB\nMemAvailable:   700 kB\nBuffers: 3 kB")
    assert available_memory() == 700 * 1024


def test_the_smaller_of_machine_and_group_counts(machine):
    machine("proc/meminfo", "MemAvailable: 4096 kB")
    machine("proc/self/cgroup", "0::/a/b")
    version_2(machine, "/a/b", 1000, 300, 50)
    assert available_memory() == 1000 - 300 + 50 + 1
    version_2(machine, "/a/b", 2**40, 300)
    assert available_memory() == 4096 * 1024


def test_groups_above_limit_too(machine):
    machine("proc/self/cgroup", "0::/a/b")
    version_2(machine, "/a/b", "max", 10)
    assert available_memory() is None
    version_2(machine, "/a", 500, 100)
    assert available_memory() == 401
    version_2(machine, "/", 300, 100)
    assert available_memory() == 201


def test_a_full_group_has_no_room(machine):
    machine("proc/self/cgroup", "0::/")
    version_2(machine, "/", 500, 600)
    assert available_memory() == 0


def test_version_1_groups(machine):
    machine("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outside/path\n0::/")
    machine("cgroup/memory/memory.limit_in_bytes", 5000)
    machine("cgroup/memory/memory.usage_in_bytes", 2000)
    machine("cgroup/memory/memory.stat", "inactive_file 9\ntotal_inactive_file 300\ntotal_active_file 40")
    assert available_memory() == 3340  # the path is that outside of the container: its root is what is mounted


def test_require_memory_says_what_is_needed_and_what_there_is(monkeypatch):
    monkeypatch.setattr(_memory, "available_memory", lambda: 2 * GIB)
    require_memory(2 * GIB, "work", "Do less.")
    with pytest.raises(NotEnoughMemoryError) as caught:
        require_memory(3 * GIB, "work", "Do less.")
    assert str(caught.value) == (
        "work needs 3221225472 bytes (3.0 GiB), but 2147483648 bytes (2.0 GiB) are available. Do less."
    )


def test_this_machine_has_some_memory():
    assert available_memory() is None or available_memory() > 0


def gpu(free, unused, used=0, limit=0):
    """In the place of CuPy: what it says about the memory of a device, and of its pool there."""
    pool = SimpleNamespace(free_bytes=lambda: unused, used_bytes=lambda: used, get_limit=lambda: limit)
    runtime = SimpleNamespace(memGetInfo=lambda: (free, 80 * GIB))
    return SimpleNamespace(get_default_memory_pool=lambda: pool, cuda=SimpleNamespace(runtime=runtime))


def test_what_cupy_keeps_unused_is_room_on_a_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", gpu(3 * GIB, GIB, 20 * GIB))
    assert device_memory() == 4 * GIB
    monkeypatch.setitem(sys.modules, "cupy", gpu(3 * GIB, GIB, 20 * GIB, 21 * GIB))
    assert device_memory() == GIB
    monkeypatch.setitem(sys.modules, "cupy", gpu(3 * GIB, GIB, 20 * GIB, 10 * GIB))
    assert device_memory() == 0


def test_require_memory_of_a_device(monkeypatch):
    monkeypatch.setattr(_memory, "available_memory", lambda: 0)
    monkeypatch.setitem(sys.modules, "cupy", gpu(2 * GIB, 0))
    require_memory(2 * GIB, "work", "Do less.", device="cuda")
    with pytest.raises(
        NotEnoughMemoryError, match=r"but 2147483648 bytes \(2\.0 GiB\) are available on the GPU\. Do less"
    ):
        require_memory(3 * GIB, "work", "Do less.", device="cuda")
