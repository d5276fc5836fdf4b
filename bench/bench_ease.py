"""EASE stage by stage and whole, beside SciPy, NumPy, irspack, RecBole and cornac."""

import inspect
from typing import Any

import numpy as np
import scipy.linalg
import scipy.linalg.blas
import scipy.sparse as sp
from _data import interactions
from _harness import Case, Entry, Options, Session, peer

from pyrec_core import EASE
from pyrec_core.kernels.gram import ease_weights, gram
from pyrec_core.kernels.linalg import cholesky_, inverse_from_cholesky_

SIZES = {"tiny": (300, 120, 3000), "a": (6040, 3706, 1_000_000), "b": (140_000, 20_000, 10_000_000)}
L2 = 500.0
BLOCK = 4096  # users made dense at a time for the BLAS product


def cases(options: Options) -> list[Case]:
    both = ("float32", "float64")
    chosen = [
        Case(function, {"size": "a", "dtype": dtype}, threads)
        for threads in options.threads
        for function in ("gram_matrix", "inverse", "whole_fit")
        for dtype in (both[:1] if options.quick else both)
    ]
    if options.large:
        most = max(options.threads)
        chosen += [Case(f, {"size": "b", "dtype": "float32"}, most, limit_s=900) for f in ("gram_matrix", "whole_fit")]
        chosen += [Case("inverse", {"size": "b", "dtype": dtype}, most, limit_s=1200) for dtype in both]
    return chosen


def shape_of(size: str) -> str:
    n_users, n_items, nnz = SIZES[size]
    return f"{n_users} x {n_items}, {nnz / 1e6:g}M nnz"


def effort(size: str) -> dict[str, Any]:
    """The large size takes minutes: once, and the first call counts."""
    return {"rounds": 1, "warm": False} if size == "b" else {}


def pairs(X: sp.csr_array) -> float:
    """Products that a Gram matrix sums up: (items of a user) squared, over the users."""
    return float((np.diff(X.indptr).astype(np.float64) ** 2).sum())


def assert_close(ours: np.ndarray, theirs: np.ndarray, *, atol: float, triangle: bool = False) -> None:
    """Compare a few rows at a time: there is no room for further matrices at 20,000 items."""
    assert ours.shape == theirs.shape
    for start in range(0, len(ours), 512):
        difference = np.abs(ours[start : start + 512] - theirs[start : start + 512])
        worst = (np.tril(difference, start) if triangle else difference).max()
        assert worst <= atol, f"results differ by {worst}, allowed {atol}"  # false for NaN too


def gram_matrix(session: Session, size: str, dtype: str) -> None:
    """Dense ``X.T @ X`` from sparse X."""
    X = interactions(*SIZES[size]).astype(dtype)
    n = X.shape[1]
    (syrk,) = scipy.linalg.get_blas_funcs(("syrk",), dtype=np.dtype(dtype))

    def dense_blocks() -> np.ndarray:
        G = np.zeros((n, n), dtype, order="F")
        for start in range(0, X.shape[0], BLOCK):
            rows = X[start : start + BLOCK].toarray()  # its transpose is Fortran-ordered: no copy
            syrk(1.0, rows.T, beta=1.0, c=G, overwrite_c=1, lower=1)
        return G

    def same(ours: np.ndarray, theirs: np.ndarray) -> None:
        assert_close(ours, theirs, atol=0.0, triangle=True)  # counts: exact

    entries = [
        Entry("kernels.gram.gram", lambda: gram(X, n_threads=session.threads)),
        Entry("scipy.sparse X.T @ X, to dense", lambda: (X.T @ X).toarray(), "scipy", same),
    ]
    if size != "b":  # 56 TFLOP there
        name = "dense blocks, BLAS syrk (one triangle)"
        entries.append(Entry(name, dense_blocks, "scipy", same))
    counted = pairs(X)
    session.contest(
        "gram", shape_of(size), dtype, entries, gflop=1e-9 * counted, unit="pairs/s", unit_count=counted, **effort(size)
    )


def inverse(session: Session, size: str, dtype: str) -> None:
    """The part that costs n^3: the inverse of the regularised Gram matrix, and from it the weights."""
    # one copy each for ours and theirs beside it: all there is room for at 20,000 items
    regularised = gram(interactions(*SIZES[size]), dtype=dtype)
    n = len(regularised)
    regularised[np.diag_indices(n)] += L2
    work = np.empty_like(regularised)
    theirs = np.empty_like(regularised, order="F")
    potrf, potri = scipy.linalg.get_lapack_funcs(("potrf", "potri"), (theirs,))

    def fresh_ours() -> None:
        np.copyto(work, regularised)

    def fresh_gram() -> None:
        fresh_ours()
        work[np.diag_indices(n)] -= L2  # exact: counts

    def fresh_theirs() -> None:
        np.copyto(theirs, regularised)

    def ours() -> np.ndarray:
        cholesky_(work, n_threads=session.threads)
        return inverse_from_cholesky_(work, n_threads=session.threads)

    def lapack() -> np.ndarray:
        factor, failed = potrf(theirs, lower=1, clean=0, overwrite_a=1)
        P, failed_too = potri(factor, lower=1, overwrite_c=1)
        assert failed == failed_too == 0
        return P

    def lapack_weights() -> np.ndarray:
        P = lapack()
        B = np.tril(P)
        B += np.tril(P, -1).T
        B /= -np.diag(B)
        np.fill_diagonal(B, 0)
        return B

    def same(ours: np.ndarray, P: np.ndarray) -> None:
        assert_close(ours, P, atol=4e-7 if dtype == "float32" else 1e-12)  # of at most 1 / L2

    def same_triangle(ours: np.ndarray, P: np.ndarray) -> None:
        assert_close(ours, P, atol=4e-7 if dtype == "float32" else 1e-12, triangle=True)

    def same_weights(ours: np.ndarray, B: np.ndarray) -> None:
        assert_close(ours, B, atol=2e-4 if dtype == "float32" else 1e-9)

    # SciPy 1.17 takes the structure as a hint: its best setting
    hint = {"assume_a": "pos"} if "assume_a" in inspect.signature(scipy.linalg.inv).parameters else {}
    potri_name = "LAPACK potrf + potri (one triangle)"
    shape, gflop = f"n = {n}", 1e-9 * n**3
    entries = [Entry("cholesky_ + inverse_from_cholesky_", ours, setup=fresh_ours)]
    if size == "b" and dtype == "float64":
        crash = "not run: OpenBLAS 0.3.30 crashes in a threaded potrf of this size and dtype (OpenBLAS issue 2562)"
        entries.append(Entry(potri_name, None, "scipy", status=crash))
        session.contest("inverse", shape, dtype, entries, gflop=gflop, **effort(size))
        residual = regularised @ work[:, :8] - np.eye(n, 8)
        assert np.abs(residual).max() < 1e-9, "not the inverse"
        return
    entries += [
        Entry(potri_name, lapack, "scipy", same_triangle, fresh_theirs),
        Entry(
            f"scipy.linalg.inv({', '.join(f'{k}={v!r}' for k, v in hint.items())})",
            lambda: scipy.linalg.inv(theirs, overwrite_a=True, check_finite=False, **hint),
            "scipy", same, fresh_theirs,
        ),
    ]  # fmt: skip
    if size != "b" and not session.quick:  # 21 TFLOP there, and always in float64
        entries.append(Entry("numpy.linalg.inv", lambda: np.linalg.inv(regularised), "numpy", same))
    session.contest("inverse", shape, dtype, entries, gflop=gflop, **effort(size))

    def weights() -> np.ndarray:
        return ease_weights(work, L2, overwrite=True, n_threads=session.threads)

    entries = [
        Entry("kernels.gram.ease_weights", weights, setup=fresh_gram),
        Entry("potrf + potri, then NumPy", lapack_weights, "scipy", same_weights, fresh_theirs),
    ]
    session.contest("weights from Gram", shape, dtype, entries, gflop=gflop, **effort(size))


def whole_fit(session: Session, size: str, dtype: str) -> None:
    """From the sparse matrix to the item-item weights."""
    X = interactions(*SIZES[size])
    plain = sp.csr_matrix(X)  # what the peers expect

    def fit(dtype: str) -> np.ndarray:
        return EASE(l2=L2, dtype=dtype, n_threads=session.threads).fit(X).item_weights_

    def same(ours: np.ndarray, theirs: np.ndarray) -> None:
        assert_close(ours, np.asarray(theirs), atol=2e-4)

    entries = [Entry(f'EASE(dtype="{dtype}").fit', lambda: fit(dtype))]
    if dtype == "float32":
        entries.append(Entry('EASE(dtype="auto").fit', lambda: fit("auto")))
        entries.append(peer("irspack DenseSLIMRecommender", "irspack", lambda: irspack_fit(plain), same))
    if size != "b" and not session.quick:
        entries.append(peer("RecBole EASE (float64 inside)", "recbole", lambda: recbole_fit(plain), same))
        order: dict[str, Any] = {}

        def same_in_order(ours: np.ndarray, B: np.ndarray) -> None:
            ids = order["ids"]
            assert_close(ours[np.ix_(ids, ids)], B, atol=2e-4)

        build = lambda: cornac_fit(plain, order)  # noqa: E731
        entries.append(peer("cornac EASE (float64 inside)", "cornac", build, same_in_order))
    gflop = 1e-9 * (pairs(X) + X.shape[1] ** 3)
    session.contest("whole fit", shape_of(size), dtype, entries, gflop=gflop, **effort(size))


def irspack_fit(X: sp.csr_matrix) -> Any:
    from irspack import DenseSLIMRecommender

    return lambda: DenseSLIMRecommender(X, reg=L2).learn().W


def recbole_fit(X: sp.csr_matrix) -> Any:
    import torch
    from recbole.model.general_recommender.ease import EASE as Model

    class Dataset:
        """What the model asks of its data set."""

        def inter_matrix(self, form: str = "csr", value_field: None = None) -> sp.csr_matrix:
            return X

        def num(self, name: str) -> int:
            return X.shape[0 if name == "user_id" else 1]

    class Config(dict):
        device = torch.device("cpu")

    config = Config(USER_ID_FIELD="user_id", ITEM_ID_FIELD="item_id", NEG_PREFIX="neg_", reg_weight=L2, device="cpu")
    return lambda: Model(config, Dataset()).item_similarity


def cornac_fit(X: sp.csr_matrix, order: dict[str, Any]) -> Any:
    import cornac

    X = X.tocoo()
    data = cornac.data.Dataset.build(list(zip(X.row.tolist(), X.col.tolist(), X.data.tolist(), strict=True)))
    order["ids"] = np.fromiter(data.iid_map.keys(), np.int64)  # it numbers the items by first appearance
    return lambda: cornac.models.EASE(lamb=L2, posB=False, verbose=False).fit(data).B
