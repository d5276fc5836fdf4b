"""Run the benches and keep the results of this machine: ``python bench/run.py [--quick] [--large] [--only NAME]``."""

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_limits
from _harness import BUSY, Case, Load, Options, run_case
from _results import Row, load, machine, merge, results_path, save, usable_cpus

BENCHES = (
    "bench_linalg",
    "bench_ease",
    "bench_slim",
    "bench_topk",
    "bench_metrics",
    "bench_losses",
    "bench_activations",
    "bench_cin",
    "bench_embedding",
    "bench_interaction",
    "bench_feature",
    "bench_optim",
    "bench_gru4rec",
    "bench_ncf",
    "bench_recurrent",
    "bench_import",
)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the number of cases that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="all cores only, few repetitions: under two minutes")
    parser.add_argument("--large", action="store_true", help="also the sizes that take minutes each")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="benches whose name contains this")
    parser.add_argument("--threads", type=int, action="append", default=[], help="default: 1, and all cores")
    patience = "wait for a quiet machine, and repeat what others disturbed, for so long in all"
    parser.add_argument("--patience", type=float, default=0.0, metavar="SECONDS", help=patience)
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    asked = parser.parse_args(arguments)

    most = usable_cpus()
    threads = asked.threads or ([most] if asked.quick else [1, most])
    options = Options(asked.quick, asked.large, tuple(sorted(set(threads))))
    plan = [(bench, case) for bench in BENCHES for case in importlib.import_module(bench).cases(options)]
    plan = [item for item in plan if not asked.only or any(name in title(*item) for name in asked.only)]
    if asked.list:
        print("\n".join(title(*item) for item in plan))
        return 0
    if not plan:
        parser.error(f"--only must name a bench or case, got {asked.only}; see --list")

    started = time.perf_counter()
    path = results_path(machine())
    limits: dict[int, dict[str, float]] = {}
    patient_until = time.perf_counter() + asked.patience
    failed, disturbed = [], 0
    for bench, case in [("bench_limits", case) for case in bench_limits.cases(options)] + plan:
        known = limits.get(case.threads, {})
        how = {"quick": options.quick, "limits": known, "commit": commit()}
        wait_for_quiet(patient_until)
        rows, problem = run_case(bench, case, **how)
        while disturbance(rows) > BUSY and time.perf_counter() < patient_until:
            wait_for_quiet(patient_until)
            again, problem = run_case(bench, case, **how)
            rows = min(rows, again, key=disturbance)
        disturbed += disturbance(rows) > BUSY
        if bench == "bench_limits":
            limits[case.threads] = bench_limits.rates(rows)
        for row in rows:
            print(line(row), flush=True)
        if problem:
            failed.append(title(bench, case))
            print(f"FAILED {failed[-1]}: {problem}", flush=True)
        results = load(path)
        save(path, {"machine": machine(), "rows": merge(results["rows"], rows)})
    print(f"{path}\n{time.perf_counter() - started:.0f} s, {len(failed)} cases failed, {disturbed} disturbed by others")
    return len(failed)


def disturbance(rows: list[Row]) -> float:
    """Return the cores that other processes took at worst."""
    return max((row.get("others_cpu") or 0.0 for row in rows), default=0.0)


def wait_for_quiet(until: float) -> None:
    """Sleep until others leave the machine alone for two seconds, or the time is up."""
    while time.perf_counter() < until:
        load = Load()
        time.sleep(2.0)
        if (load.others() or 0.0) <= BUSY:
            return


def title(bench: str, case: Case) -> str:
    arguments = ", ".join(f"{value}" for value in case.arguments.values())
    return f"{bench}.{case.function}({arguments}), {case.threads} threads"


def line(row: Row) -> str:
    start = f"{row['case']:24.24s} {row['name']:48.48s} {row['shape']:32.32s} {row['dtype']:7s} t={row['threads']}"
    if "status" in row:
        return f"{start} {row['status']}"
    text = f"{start} {row['median_ms']:11.3f} ms [{row['min_ms']:.3f}..{row['max_ms']:.3f}] n={row['rounds']}"
    if "gflops" in row:
        text += f"  {row['gflops']:.1f} GFLOP/s"
    if "gbs" in row:
        text += f"  {row['gbs']:.1f} GB/s"
    if "share" in row:
        text += f" ({row['share']:.0%})"
    if "ratio_median" in row:
        text += f"  ours x{row['ratio_median']:.2f} (worst round x{row['ratio_min']:.2f})"
    if "objective" in row:
        text += f"  objective {row['objective']:.10g}"
    if row.get("others_cpu"):
        text += f"  others {row['others_cpu']} cores"
    return text


def commit() -> str:
    """Return the commit of the source tree, with a + if it was changed since; empty outside a repository."""
    try:
        return git("rev-parse", "--short", "HEAD") + (
            "+" if git("status", "--porcelain", "../src", "../pyrec_core") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return ""


def git(*arguments: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
