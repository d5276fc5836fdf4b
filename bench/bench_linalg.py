"""Dense linear algebra beside SciPy's BLAS and LAPACK with threads of their own; ours keeps its bits on any number."""

import numpy as np
import scipy.linalg
from _harness import Case, Entry, Options, Session

from pyrec_core.kernels import linalg

SIDES = (512, 1024, 2048, 4096)
LARGE = 8192


def cases(options: Options) -> list[Case]:
    quick, dtypes = options.quick, ("float32", "float64")
    sizes = [(side, dtype) for side in (SIDES[1:3] if quick else SIDES) for dtype in dtypes[: 1 if quick else 2]]
    chosen = [
        Case(function, {"side": side, "dtype": dtype}, threads)
        for threads in options.threads
        for function in ("products", "solvers")
        for side, dtype in sizes
    ]
    if options.large:
        arguments = {"side": LARGE, "dtype": "float32"}
        chosen += [Case(function, arguments, max(options.threads), limit_s=600) for function in ("products", "solvers")]
    return chosen


def products(session: Session, side: int, dtype: str) -> None:
    """``a @ b`` and ``a @ a.T``."""
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, (side, side)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)
    # the peer's best settings: Fortran order, nothing copied, results written in place
    fa, fb = np.asfortranarray(a), np.asfortranarray(b)
    c, d = np.zeros_like(fa), np.zeros_like(fa)
    gemm, syrk = scipy.linalg.get_blas_funcs(("gemm", "syrk"), (fa,))
    eps = float(np.finfo(dtype).eps)
    tolerance = {"rtol": 8 * eps, "atol": side * eps}  # relative too: the diagonal of a @ a.T sums positive terms only

    def same(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_allclose(theirs, ours, **tolerance)

    def same_triangle(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_allclose(np.tril(theirs), np.tril(ours), **tolerance)

    entries = [
        Entry("kernels.linalg.gemm", lambda: linalg.gemm(a, b, out=out, n_threads=session.threads)),
        Entry("BLAS gemm", lambda: gemm(1.0, fa, fb, c=c, overwrite_c=1), "scipy", same),
    ]
    session.contest("gemm", f"n = {side}", dtype, entries, gflop=2e-9 * side**3)
    entries = [
        Entry("kernels.linalg.syrk", lambda: linalg.syrk(a, out=out, n_threads=session.threads)),
        Entry(
            "BLAS syrk (one triangle)",
            lambda: syrk(1.0, fa, c=d, lower=1, overwrite_c=1), "scipy", same_triangle,
        ),
    ]  # fmt: skip
    session.contest("syrk", f"n = {side}", dtype, entries, gflop=1e-9 * side**3)


def solvers(session: Session, side: int, dtype: str) -> None:
    """Cholesky factor, and inverse, of a positive definite matrix in place."""
    a = linalg.syrk(np.random.default_rng(0).uniform(-1, 1, (side, side)).astype(dtype))
    a[np.diag_indices(side)] += side
    ours, theirs = np.empty_like(a), np.empty_like(a, order="F")
    potrf, potri = scipy.linalg.get_lapack_funcs(("potrf", "potri"), (theirs,))

    def same_triangle(ours: np.ndarray, theirs: np.ndarray) -> None:
        error = np.abs(np.tril(theirs) - np.tril(ours)).max() / np.diag(ours).max()
        assert error < 100 * np.finfo(dtype).eps, f"off by {error} of the largest diagonal element"

    def factor() -> np.ndarray:
        return linalg.cholesky_(ours, n_threads=session.threads)

    def invert() -> np.ndarray:
        return linalg.inverse_from_cholesky_(factor(), n_threads=session.threads)

    def lapack_factor() -> np.ndarray:
        L, failed = potrf(theirs, lower=1, clean=0, overwrite_a=1)
        assert failed == 0
        return L

    def lapack_invert() -> np.ndarray:
        P, failed = potri(lapack_factor(), lower=1, overwrite_c=1)
        assert failed == 0
        return P

    def fresh_ours() -> None:
        np.copyto(ours, a)

    def fresh_theirs() -> None:
        np.copyto(theirs, a)

    for case, flop, name, call, peer_name, peer_call in (
        ("cholesky", side**3 / 3, "cholesky_", factor, "LAPACK potrf", lapack_factor),
        ("inverse", side**3, "cholesky_ + inverse_from_cholesky_", invert,
         "LAPACK potrf + potri (one triangle)", lapack_invert),
    ):  # fmt: skip
        entries = [
            Entry(f"kernels.linalg.{name}", call, setup=fresh_ours),
            Entry(peer_name, peer_call, "scipy", same_triangle, fresh_theirs),
        ]
        session.contest(case, f"n = {side}", dtype, entries, gflop=1e-9 * flop)
