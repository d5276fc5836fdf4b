"""What this machine can do, measured in the same run as everything else: BLAS at its best, and copying memory."""

import numpy as np
import scipy.linalg
from _harness import Case, Entry, Options, Session

SIDE = 4096


def cases(options: Options) -> list[Case]:
    return [Case("limits", {"side": SIDE}, threads) for threads in options.threads]


def limits(session: Session, side: int) -> None:
    """Emit the rates that the shares of the other rows refer to."""
    rng = np.random.default_rng(0)
    rounds = 2 if session.quick else 5
    for dtype in ("float32",) if session.quick else ("float32", "float64"):
        a, b = (np.asfortranarray(rng.standard_normal((side, side)), dtype) for _ in range(2))
        c = np.zeros((side, side), dtype, order="F")
        (gemm,) = scipy.linalg.get_blas_funcs(("gemm",), (a, b))

        def product(gemm=gemm, a=a, b=b, c=c):
            return gemm(1.0, a, b, c=c, overwrite_c=1)

        entry = Entry(f"{gemm.typecode}gemm, SciPy's {blas_name()}", product, "scipy")
        session.contest("limits", f"{side}^3", dtype, [entry], gflop=2e-9 * side**3, rounds=rounds)
    source = np.ones(4 * side * side, np.float32)
    target = np.zeros_like(source)
    entry = Entry("numpy.copyto, read + write, one thread", lambda: np.copyto(target, source), "numpy")
    shape = f"{source.nbytes // 2**20} MB"
    session.contest("limits", shape, "float32", [entry], gbyte=2e-9 * source.nbytes, rounds=2 * rounds)


def blas_name() -> str:
    """Return name, version and kernels of the BLAS that SciPy uses."""
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    own = [info for info in found if "scipy.libs" in info["filepath"]] or found  # NumPy carries a copy too
    if not own:
        return "BLAS"
    return " ".join(str(own[0].get(key) or "") for key in ("internal_api", "version", "architecture")).strip()


def rates(rows: list[dict]) -> dict[str, float]:
    """Return the limits by the name that a share looks up: the best of each, as a limit is."""
    found = {}
    for row in rows:
        best = row["median_ms"] / row["min_ms"]
        if "gflops" in row:
            found[row["dtype"]] = row["gflops"] * best
        if "gbs" in row:
            found["copy"] = row["gbs"] * best
    return found
