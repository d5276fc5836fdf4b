"""How much memory a large array may take, asked before it is allocated."""

from importlib import import_module
from pathlib import Path

from ._errors import NotEnoughMemoryError

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the bytes that can be allocated without swapping, or None where that is not known.

    The smaller of ``MemAvailable`` of ``/proc/meminfo`` and of what the memory limits of the process's
    control groups (version 1 or 2) leave; page cache counts as free.
    """
    rooms = [room for room in (_machine_room(), _cgroup_room()) if room is not None]
    return min(rooms, default=None)


def device_memory() -> int:
    """Return the bytes that can be allocated on the current CUDA device: what is free, and what CuPy keeps unused."""
    cupy = import_module("cupy")
    pool = cupy.get_default_memory_pool()
    room = int(cupy.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes())
    limit = int(pool.get_limit())  # 0: there is none
    return min(room, max(0, limit - int(pool.used_bytes()))) if limit else room


def require_memory(needed: int, what: str, advice: str, *, device: str = "cpu") -> None:
    """Raise `NotEnoughMemoryError` if ``needed`` bytes, for ``what``, are more than what is available."""
    available, where = (device_memory(), " on the GPU") if device == "cuda" else (available_memory(), "")
    if available is not None and needed > available:
        raise NotEnoughMemoryError(
            f"{what} needs {in_words(needed)}, but {in_words(available)} are available{where}. {advice}"
        )


def in_words(n: int) -> str:
    """Return "n bytes (GiB)"."""
    return f"{n} bytes ({n / 2**30:.1f} GiB)"


def _machine_room() -> int | None:
    for line in _read(_PROC / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_room() -> int | None:
    rooms = []
    for line in _read(_PROC / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            rooms += _rooms(_CGROUP, path, "memory.max", "memory.current", ("inactive_file", "active_file"))
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            rooms += _rooms(_CGROUP / "memory", path, *files, ("total_inactive_file", "total_active_file"))
    return min(rooms, default=None)


def _rooms(root: Path, path: str, limit_file: str, usage_file: str, cache: tuple[str, str]) -> list[int]:
    """Room left by the limit of the group and of each group above it. Unlimited groups give nothing."""
    group = root / path.lstrip("/")
    rooms = []
    for folder in [group, *group.parents]:
        limit, usage = _read(folder / limit_file).strip(), _read(folder / usage_file).strip()
        if limit.isdigit() and usage.isdigit():
            pairs = (line.split() for line in _read(folder / "memory.stat").splitlines())
            stat = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
            rooms.append(max(0, int(limit) - int(usage) + sum(stat.get(name, 0) for name in cache)))
        if folder == root:
            break
    return rooms


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
