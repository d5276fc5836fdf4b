"""Every kernel on a GPU, beside CuPy and PyTorch: ``python bench/bench_cuda.py [--quick] [--large] [--only NAME]``.

The results of a GPU are kept in a file of its own, with its name; ``bench/tables.py`` writes them into bench/README.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import _gpu_answers
import _gpu_layers
import _gpu_losses
import _gpu_matrices
import _gpu_tables
import numpy as np
from _data import SEED
from _gpu import Task, contest, machine
from _gpu_models import EPOCHS, ease, epoch
from _harness import Case, Options, Session, run_case
from _results import Row, load, merge, results_path, save, usable_cpus
from run import commit, line, title

from pyrec_core._backend import cuda_problem

__all__ = ["ease", "epoch", "kernels", "limits"]  # what cases call

FAMILIES = {
    **_gpu_layers.FAMILIES,
    **_gpu_tables.FAMILIES,
    **_gpu_losses.FAMILIES,
    **_gpu_matrices.FAMILIES,
    **_gpu_answers.FAMILIES,
}
LARGE = ("gram", "ease_weights")  # families that have a size of minutes on the CPU, which checks them
SIDE, COPIED = 8192, 2**28  # rows of a square matrix; float32 numbers


def cases(options: Options) -> list[Case]:
    """Return a case for each family, and for each model; all cores check on the CPU."""
    threads = max(options.threads)
    chosen = [Case("kernels", {"family": family, "size": "full"}, threads, limit_s=600.0) for family in FAMILIES]
    if options.large:
        chosen += [Case("kernels", {"family": f, "size": "large"}, threads, limit_s=1800.0) for f in LARGE]
    models = [Case("epoch", {"model": name, "size": "full"}, threads, limit_s=900.0) for name in EPOCHS]
    sizes = ("full", "large") if options.large else ("full",)
    return [*chosen, *models, *(Case("ease", {"size": size}, threads, limit_s=1800.0) for size in sizes)]


def limit_cases(options: Options) -> list[Case]:
    """Return what shares refer to; CuPy multiplies in TF32 only where the environment says so."""
    threads = max(options.threads)
    return [Case("limits", {"tf32": tf32}, threads, {"CUPY_TF32": str(int(tf32))}) for tf32 in (False, True)]


def limits(session: Session, tf32: bool, side: int = SIDE, copied: int = COPIED) -> None:
    """Time copying on the GPU, and a product of square matrices."""
    a, b = np.random.default_rng(SEED).standard_normal((2, side, side), dtype=np.float32)
    product = f"matmul{', TF32' if tf32 else ''}"

    def multiply(x: Any, y: Any) -> Any:
        return x @ y

    def near(ours: np.ndarray, theirs: np.ndarray) -> None:  # TF32 keeps 10 bits of each factor
        assert np.abs(ours - theirs).max() <= (0.02 if tf32 else 1e-4) * side**0.5

    contest(session, Task(product, f"{side}^3", multiply, (a, b), gflop=2e-9 * side**3, check=near))
    if not tf32:
        source, target = np.ones((2, copied), np.float32)

        def copy(x: Any, y: Any) -> Any:
            y[:] = x
            return y[:9]

        contest(session, Task("copy", f"{source.nbytes // 2**20} MB", copy, (source, target), gbyte=8e-9 * copied))


def kernels(session: Session, family: str, size: str) -> None:
    """Time all kernels of a family; what one of them fails at is said after the others."""
    problems = []
    for task in FAMILIES[family](size):
        try:
            contest(session, task)
        except Exception as error:
            error.add_note(f"{task.case}, {task.shape}")
            problems.append(error)
    if problems:
        raise ExceptionGroup(f"{len(problems)} kernels of {family}", problems)


def rates(rows: list[Row]) -> dict[str, float]:
    """Return the limits by the name that a share looks up: the best of each, as a limit is."""
    found = {}
    for row in rows:
        best = row["median_ms"] / row["min_ms"]
        if row["case"] == "copy":
            found["copy"] = row["gbs"] * best
        elif row["case"] == "matmul":
            found["float32"] = row["gflops"] * best
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the number of cases that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--large", action="store_true", help="also 20,000 items, which the CPU checks for minutes")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="cases whose name contains this")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    asked = parser.parse_args(arguments)
    options = Options(asked.quick, asked.large, (usable_cpus(),))
    plan = [
        case for case in cases(options) if not asked.only or any(n in title("bench_cuda", case) for n in asked.only)
    ]
    if asked.list:
        print("\n".join(title("bench_cuda", case) for case in plan))
        return 0
    if not plan:
        parser.error(f"--only must name a case, got {asked.only}; see --list")
    if problem := cuda_problem():
        print(f"Nothing was timed on a GPU: {problem}")
        return 0

    started, path, failed, known = time.perf_counter(), results_path(machine()), [], {}
    for case in limit_cases(options) + plan:
        rows, problem = run_case("bench_cuda", case, quick=options.quick, limits=known, commit=commit())
        if case.function == "limits":
            known |= rates(rows)
        for row in rows:
            print(line(row), flush=True)
        if problem:
            failed.append(title("bench_cuda", case))
            print(f"FAILED {failed[-1]}: {problem}", flush=True)
        save(path, {"machine": machine(), "rows": merge(load(path)["rows"], rows)})
    print(f"{path}\n{time.perf_counter() - started:.0f} s, {len(failed)} cases failed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
