"""Timing on a GPU: repeated calls between two CUDA events, contenders in turns.

Our result there is checked against our function on the CPU, and those of the peers against ours, before anything is
timed. A time is that of calls one after the other, as Python makes them: a kernel that is quicker than its launch shows
the time of the launch.
"""

import importlib
import math
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Entry, Session, Timing, peer, ratio_of, times_of

SHORTEST = 0.05  # seconds: quicker calls are repeated until a timing lasts this long
WARM = 3  # calls before the first timing

Call = Callable[..., Any]
Check = Callable[[Any, Any], None]  # (ours, the other's); raises AssertionError


def same(ours: Any, theirs: Any, tolerance: float = 1e-4) -> None:
    """As a whole: where float32 rounds near a kink, an element may fall on either side of it."""
    if isinstance(ours, tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, tolerance)
        return
    a, b = np.asarray(ours), np.asarray(theirs)
    assert a.shape == b.shape, (a.shape, b.shape)
    if a.dtype.kind in "iub":
        assert (a == b).all()
    else:
        far = np.linalg.norm((a - b).ravel().astype(np.float64))
        assert far <= tolerance * max(np.linalg.norm(b.ravel().astype(np.float64)), 1e-30), f"results differ by {far}"


def alike(ours: Any, theirs: Any) -> None:
    """For random numbers, which each draws its own way: as many of the same kind, with the same mean."""
    a, b = np.asarray(ours), np.asarray(theirs)
    assert a.shape == b.shape
    assert abs(a.mean() - b.mean()) <= 10 * a.std() / max(1, a.size) ** 0.5


@dataclass(frozen=True)
class Task:
    """What is timed.

    ``ours`` takes the arrays, NumPy's or CuPy's, ``cupy`` that module and the arrays, ``torch`` likewise; each may
    change its copies of them in place. ``gbyte`` is what has to be read and written, ``gflop`` what has to be computed.
    ``check`` compares ours with ours on the CPU, ``peers`` compares ours with a peer's.
    """

    case: str
    shape: str
    ours: Call
    arrays: tuple[Any, ...]
    cupy: Call | None = None
    torch: Call | None = None
    gbyte: float | None = None
    gflop: float | None = None
    check: Check = same
    peers: Check = same
    slow: bool = False  # seconds a call: not many of them
    beside_cpu: bool = False  # whether ours on the CPU is timed too


def contest(session: Session, task: Task) -> None:
    """Check and time what a task names, in turns, and emit a row for each; ours is the first."""
    cupy = importlib.import_module("cupy")
    ours = Entry("pyrec_core", _bound(task.ours, on_device(task.arrays)))
    entries = [ours]
    if task.cupy is not None:
        entries.append(peer("CuPy", "cupy", lambda: _bound(task.cupy, (cupy, *on_device(task.arrays))), task.peers))
    if task.torch is not None:
        entries.append(peer("torch", "torch", lambda: _by_torch(task), task.peers))
    if task.beside_cpu:
        entries.append(Entry("pyrec_core on the CPU", _bound(task.ours, task.arrays), check=task.check))
    want = task.ours(*(a.copy() for a in task.arrays))
    first = on_host(ours.call())
    task.check(first, want)
    del want
    entries = [ours, *(_checked(entry, first) for entry in entries[1:])]
    del first
    timings = {}
    for entry in entries:
        if entry.call:
            quick = seconds(entry.call, 1 if task.slow else WARM)
            calls = max(1, min(1000, math.ceil(SHORTEST / max(quick, 1e-7))))
            timings[entry.name] = Timing(calls=calls)
    for _ in range(3 if session.quick or task.slow else 7):
        for entry in entries:
            if entry.call:
                timings[entry.name].seconds.append(seconds(entry.call, timings[entry.name].calls))
    for entry in entries:
        row = session.row(task.case, task.shape, "float32", entry, "") | {"threads": 0}
        row["versions"]["cupy"] = cupy.__version__
        if entry.call is None:
            row["status"] = entry.status
        else:
            timing = timings[entry.name]
            row |= times_of(timing, 1.0) | _rates(session, task, statistics.median(timing.seconds))
            if entry is not ours:
                row |= ratio_of(timing.seconds, timings[ours.name].seconds) | {"ratio_to": ours.name}
        session.emit(row)


def _checked(entry: Entry, ours: Any) -> Entry:
    """Return a contender whose result is ours; a peer that does not work here is a row, not the end of the run."""
    if entry.call is None:
        return entry
    try:
        result = on_host(entry.call())
    except Exception as error:
        return replace(entry, call=None, status=f"failed: {type(error).__name__}: {error}"[:200])
    entry.check(ours, result)
    return entry


def seconds(call: Call, times: int) -> float:
    """Return the seconds of a call, over some between two events of the current stream."""
    cuda = importlib.import_module("cupy").cuda
    start, stop = cuda.Event(), cuda.Event()
    start.record()
    for _ in range(times):
        call()
    stop.record()
    stop.synchronize()
    return 1e-3 * float(cuda.get_elapsed_time(start, stop)) / times


def on_device(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return copies on the GPU."""
    return tuple(importlib.import_module("cupy").asarray(a) for a in arrays)


def on_host(result: Any) -> Any:
    """Return a result of any library with NumPy arrays."""
    if isinstance(result, (tuple, list)):
        return tuple(map(on_host, result))
    if hasattr(result, "detach"):
        return result.detach().cpu().numpy()
    return result.get() if hasattr(result, "get") else result


def tensor(array: Any) -> Any:
    """Return a tensor of PyTorch on the memory of an array on the GPU."""
    return importlib.import_module("torch").from_dlpack(array)


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this GPU."""
    runtime = importlib.import_module("cupy").cuda.runtime
    about = runtime.getDeviceProperties(runtime.getDevice())
    path = Path("/proc/driver/nvidia/version")
    driver = re.search(r"\d+\.\d+(\.\d+)?", path.read_text()) if path.exists() else None
    return {
        "gpu": about["name"].decode(),
        "memory_gb": round(about["totalGlobalMem"] / 2**30, 1),
        "multiprocessors": about["multiProcessorCount"],
        "compute": f"{about['major']}.{about['minor']}",
        "driver": driver[0] if driver else "unknown",
        "cuda": f"{_version(runtime.runtimeGetVersion())}, of the driver {_version(runtime.driverGetVersion())}",
    }


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _bound(function: Call, arguments: tuple[Any, ...]) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _by_torch(task: Task) -> Callable[[], Any]:
    torch = importlib.import_module("torch")
    torch.backends.cudnn.allow_tf32 = False  # convolutions would, unlike products, keep 10 bits of each factor
    return _bound(task.torch, (torch, *(tensor(a) for a in on_device(task.arrays))))


def _rates(session: Session, task: Task, median: float) -> dict[str, float]:
    """Return GB/s and GFLOP/s, each also as a share of what a copy or a product of matrices reaches."""
    rates = {}
    for work, name, limit in ((task.gbyte, "gbs", "copy"), (task.gflop, "gflops", "float32")):
        if work is not None:
            rates[name] = work / median
            if limit in session.limits:
                rates[f"{name}_share"] = work / median / session.limits[limit]
    return rates
