"""Timing. Every case runs in a fresh process whose thread counts are set before any library loads.

Inside a process the contenders of one contest take turns (A B C A B C ...), so that a ratio compares neighbours in
time; their results are checked against ours first. Each row carries what its reader needs to doubt it.
"""

import contextlib
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _results import Row

HERE = Path(__file__).parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "GLIBC_TUNABLES")  # would slow a peer down, or speed one up unseen
# glibc gives every block over 32 MB back to the system; these keep it, which torch needs to be at its best
TUNED_MALLOC = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=17179869184"
    ":glibc.malloc.top_pad=67108864"
}
SHORTEST = 0.1  # seconds: quicker calls are repeated until a timing lasts this long
# OpenBLAS's threads spin for 2^28 cycles after a call. Until then the scheduler crowds other threads together on the
# cores that are left: without this pause ours takes twice as long next to BLAS for short calls.
PAUSE = 0.15
BUSY = 0.1  # cores taken by others beyond which a contest is repeated, and its rows marked


@dataclass(frozen=True)
class Options:
    """What to run: ``quick`` fewer repetitions, ``large`` also what takes minutes, at each of ``threads``."""

    quick: bool = False
    large: bool = False
    threads: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Case:
    """One process: ``function(session, **arguments)`` of a bench module."""

    function: str
    arguments: dict[str, Any]
    threads: int
    env: dict[str, str] = field(default_factory=dict)
    limit_s: float = 300.0


@dataclass(frozen=True)
class Entry:
    """A contender: ``call()`` is timed after ``setup()``; it does ``units`` units of work with ``library``."""

    name: str
    call: Callable[[], Any] | None
    library: str = "pyrec_core"
    check: Callable[[Any, Any], None] | None = None  # (our result, this result); raises AssertionError
    setup: Callable[[], None] | None = None
    units: float = 1.0
    status: str = ""  # why there is no call
    extra: dict[str, Any] = field(default_factory=dict)  # what else its row says; a check may add to it

    @property
    def ours(self) -> bool:
        return self.library == "pyrec_core"


def peer(
    name: str,
    module: str,
    build: Callable[[], Callable[[], Any]],
    check: Callable[[Any, Any], None],
    *,
    library: str | None = None,
    setup: Callable[[], None] | None = None,
    units: float = 1.0,
) -> Entry:
    """Return the contender that ``build()`` makes, or one without a call if ``module`` is not there or fails."""
    library = library or module
    if importlib.util.find_spec(module) is None:
        return Entry(name, None, library, status="not installed")
    try:
        call = build()
    except Exception as error:  # a peer that does not work here is a row, not the end of the run
        return Entry(name, None, library, status=f"failed: {type(error).__name__}: {error}"[:200])
    return Entry(name, call, library, check, setup, units)


@dataclass
class Timing:
    """What is known of a contender: seconds per unit of each round, calls per round, peak memory."""

    seconds: list[float] = field(default_factory=list)
    calls: int = 1
    peak_mb: float | None = None


class Session:
    """What a case is given: how to time, and where rows go."""

    def __init__(
        self,
        bench: str,
        threads: int,
        emit: Callable[[Row], None],
        *,
        quick: bool = False,
        limits: dict[str, float] | None = None,
        commit: str = "",
    ) -> None:
        self.bench, self.threads, self.quick = bench, threads, quick
        self.emit, self.limits, self.commit = emit, limits or {}, commit

    def contest(
        self,
        case: str,
        shape: str,
        dtype: str,
        entries: Sequence[Entry],
        *,
        gflop: float | None = None,
        gbyte: float | None = None,
        unit: str | None = None,
        unit_count: float = 1.0,
        rounds: int | None = None,
        warm: bool = True,
        record_ours: bool = True,
        tag: str = "",
    ) -> None:
        """Check and time the entries in turns and emit a row for each; the first is ours, others relate to it.

        ``gflop``, ``gbyte`` and ``unit_count`` are the work of one unit, the same for all: what the task asks for,
        not what a contender happens to do. Without ``warm`` the first call counts.
        """
        playing = {entry.name: Timing() for entry in entries if entry.call}
        active = [entry for entry in entries if entry.call]
        ours = None
        gc.collect()
        for entry in active:
            timing = playing[entry.name]
            result, seconds, timing.peak_mb = _first_call(entry)
            timing.calls = max(1, min(1000, math.ceil(SHORTEST / max(seconds, 1e-7))))
            if not warm:
                timing.seconds.append(seconds / entry.units)
            if entry is entries[0]:
                ours = result
            elif entry.check:
                entry.check(ours, result)
            del result
        del ours
        rounds = rounds or (3 if self.quick else 7)
        others = self._play(active, playing, rounds - (not warm))
        for entry in entries:
            if entry.ours and not record_ours:
                continue
            row = self.row(case, shape, dtype, entry, tag) | entry.extra
            if entry.call is None:
                row["status"] = entry.status
            else:
                timing = playing[entry.name]
                row |= times_of(timing, entry.units) | {"peak_mb": timing.peak_mb, "others_cpu": others}
                row |= self._rates(dtype, statistics.median(timing.seconds), gflop, gbyte, unit, unit_count)
                if not entry.ours and entry is not entries[0]:
                    ratio = ratio_of(timing.seconds, playing[entries[0].name].seconds)
                    row |= ratio | {"ratio_to": entries[0].name}
            self.emit(row)

    def record(self, case: str, name: str, shape: str, library: str, seconds: list[float], **extra: Any) -> None:
        """Emit a row that was timed elsewhere."""
        row = self.row(case, shape, "", Entry(name, None, library), "")
        self.emit(row | times_of(Timing(seconds), 1.0) | extra)

    def _play(self, active: list[Entry], playing: dict[str, Timing], rounds: int) -> float | None:
        """Time ``rounds`` rounds, or as many as a few seconds allow; again if others disturbed, keeping the better."""
        if rounds < 1:
            return None
        budget = 4.0 if self.quick else 15.0
        best: tuple[float, dict[str, list[float]]] | None = None
        for _ in range(1 if self.quick else 2):
            seconds: dict[str, list[float]] = {entry.name: [] for entry in active}
            start, load = time.perf_counter(), Load()
            for done in range(rounds):
                if done >= (2 if self.quick else 3) and time.perf_counter() - start > budget:
                    break
                for entry in active:
                    if self.threads > 1:
                        time.sleep(PAUSE)
                    seconds[entry.name].append(_time(entry, playing[entry.name].calls))
            others = load.others()
            if best is None or (others or 0.0) < best[0]:
                best = others or 0.0, seconds
            if best[0] <= BUSY:
                break
        assert best is not None
        for name, timed in best[1].items():
            playing[name].seconds += timed
        return best[0]

    def row(self, case: str, shape: str, dtype: str, entry: Entry, tag: str) -> Row:
        name = entry.name + (f" [{tag}]" if tag else "")
        libraries = dict.fromkeys(("numpy", "scipy", "pyrec_core", entry.library))
        return {
            "bench": self.bench,
            "case": case,
            "name": name,
            "ours": entry.ours,
            "shape": shape,
            "dtype": dtype,
            "threads": self.threads,
            "quick": self.quick,
            "library": entry.library,
            "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
            "commit": self.commit,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        }

    def _rates(
        self, dtype: str, median: float, gflop: float | None, gbyte: float | None, unit: str | None, count: float
    ) -> Row:
        row: Row = {}
        if unit is not None:
            row |= {"rate": count / median, "unit": unit}
        for work, name, limit in ((gflop, "gflops", dtype), (gbyte, "gbs", "copy")):
            if work is None:
                continue
            row[name] = work / median
            if limit in self.limits:
                row |= {"limit": self.limits[limit], "share": work / median / self.limits[limit]}
        return row


def version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def times_of(timing: Timing, units: float) -> Row:
    ms = [1e3 * units * s for s in timing.seconds]
    return {
        "min_ms": min(ms),
        "median_ms": statistics.median(ms),
        "max_ms": max(ms),
        "rounds": len(ms),
        "calls_per_round": timing.calls,
    }


def ratio_of(theirs: list[float], ours: list[float]) -> Row:
    """How many times faster ours is: the median over the rounds, and the round that is worst for ours."""
    ratios = [t / o for t, o in zip(theirs, ours, strict=True)]
    return {"ratio_median": statistics.median(ratios), "ratio_min": min(ratios)}


def _first_call(entry: Entry) -> tuple[Any, float, float | None]:
    """Return the result of a call, its seconds, and by how many MB the peak of the resident memory rose."""
    assert entry.call is not None
    if entry.setup:
        entry.setup()
    gc.collect()
    before = _reset_peak_mb()
    start = time.perf_counter()
    result = entry.call()
    seconds = time.perf_counter() - start
    peak = _status_mb("VmHWM")
    return result, seconds, None if before is None or peak is None else round(max(0.0, peak - before), 1)


def _time(entry: Entry, calls: int) -> float:
    """Return the seconds per unit of work, over ``calls`` calls."""
    assert entry.call is not None
    total = 0.0
    for _ in range(calls):
        if entry.setup:
            entry.setup()
        start = time.perf_counter()
        result = entry.call()
        total += time.perf_counter() - start
        del result
    return total / calls / entry.units


def _status_mb(key: str) -> float | None:
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024.0
    return None


def _reset_peak_mb() -> float | None:
    """Start a new peak of the resident memory; return what is resident now, None where that cannot be told."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        return None
    return _status_mb("VmRSS")


class Load:
    """Cores that other processes (and the host of a virtual machine) took since it was made."""

    def __init__(self) -> None:
        self._start, self._machine, self._own = time.perf_counter(), _machine_cpu_s(), _own_cpu_s()

    def others(self) -> float | None:
        machine = _machine_cpu_s()
        if machine is None or self._machine is None:
            return None
        foreign = (machine - self._machine) - (_own_cpu_s() - self._own)
        return round(max(0.0, foreign) / max(time.perf_counter() - self._start, 0.02), 2)


def _own_cpu_s() -> float:
    return sum(os.times()[:4])


def _machine_cpu_s() -> float | None:
    try:
        with open("/proc/stat") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / float(os.sysconf("SC_CLK_TCK"))


def environment(threads: int, extra: dict[str, str]) -> dict[str, str]:
    """Return the environment of a child: thread counts set, nothing pinned that the peers would choose better."""
    env = {name: value for name, value in os.environ.items() if name not in PINS}
    return env | dict.fromkeys(THREAD_VARIABLES, str(threads)) | extra


def run_case(module: str, case: Case, *, quick: bool, limits: dict[str, float], commit: str) -> tuple[list[Row], str]:
    """Run ``case`` in a fresh process; return its rows and what went wrong, if anything."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.jsonl"
        out.touch()
        spec = {"module": module, "out": str(out), "quick": quick, "limits": limits, "commit": commit} | asdict(case)
        command = [sys.executable, "-X", "faulthandler", "-W", "ignore", str(HERE / "_harness.py"), json.dumps(spec)]
        problem = ""
        try:
            done = subprocess.run(
                command, env=environment(case.threads, case.env), timeout=case.limit_s, cwd=folder, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            if done.returncode:
                problem = f"exit {done.returncode}\n{done.stdout[-2000:]}"
        except subprocess.TimeoutExpired:
            problem = f"stopped after {case.limit_s:.0f} s"
        return [json.loads(line) for line in out.read_text().splitlines()], problem


def child(spec: dict[str, Any]) -> None:
    """Run one case in this process, appending rows to a file."""
    sys.path.insert(0, str(HERE))
    with open(spec["out"], "a") as f:

        def emit(row: Row) -> None:
            f.write(json.dumps(row) + "\n")
            f.flush()

        session = Session(
            spec["module"].removeprefix("bench_"), spec["threads"], emit,
            quick=spec["quick"], limits=spec["limits"], commit=spec["commit"],
        )  # fmt: skip
        getattr(importlib.import_module(spec["module"]), spec["function"])(session, **spec["arguments"])


if __name__ == "__main__":
    import _harness  # under the name that the bench modules import: one copy of its classes

    _harness.child(json.loads(sys.argv[1]))
