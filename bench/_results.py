"""The file of results of this machine: what it is, and one row for each thing measured."""

import json
import os
import platform
import re
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"
KEY = ("bench", "case", "name", "shape", "dtype", "threads")


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this machine."""
    cpu = _cpu_info()
    model = cpu.get("model name", platform.processor() or platform.machine())
    if "cpu family" in cpu:  # virtual machines hide the name, not the family
        model += f" (family {cpu['cpu family']}, model {cpu['model']})"
    flags = cpu.get("flags", "").split()
    simd = next((name for name in ("avx512f", "avx2", "sse4_2") if name in flags), "")
    cache = cpu.get("cache size", "")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "cpu": model,
        "cores": usable_cpus(),
        "simd": simd,
        "cache": cache,
        "memory_gb": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".strip(", "),
    }


def results_path(about: dict[str, Any]) -> Path:
    name = about["gpu"] if "gpu" in about else f"{about['cpu']}-{about['cores']}cores"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return FOLDER / f"{slug}.json"


def load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"machine": machine(), "rows": []}
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def save(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    partial.replace(path)


def merge(rows: list[Row], new: list[Row]) -> list[Row]:
    """Return ``rows`` with each of ``new`` in the place of the row that has its key.

    A row without a time (peer not installed, failed) never replaces a measured one, a quick one never a full one.
    """
    kept = {_key(row): row for row in rows}
    for row in new:
        old = kept.get(_key(row))
        if old is None or _weight(row) >= _weight(old):
            kept[_key(row)] = row
    return sorted(kept.values(), key=lambda row: [str(part).rjust(12) for part in _key(row)])


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[part] for part in KEY)


def _weight(row: Row) -> int:
    if "median_ms" not in row:
        return 0
    return 1 if row["quick"] else 2


def _cpu_info() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().split("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
