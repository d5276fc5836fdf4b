"""SLIM at equal objective beside irspack, and the neighbours of item-to-item models beside irspack and implicit."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from _data import interactions
from _harness import Case, Entry, Options, Session, peer

from pyrec_core import SLIM, ItemToItem
from pyrec_core.kernels.gram import gram

SIZES = {"tiny": (300, 120, 3000), "a": (6040, 3706, 1_000_000), "b": (30_000, 8000, 3_000_000)}
ALPHA = 0.05  # irspack's default: l1 + l2 = n_users * ALPHA
L1_RATIOS = (0.01, 0.1)  # irspack's default, and one that gives weights as sparse as are used in practice
NEIGHBOURS = 50


def cases(options: Options) -> list[Case]:
    chosen = []
    for threads in options.threads:
        ratios = L1_RATIOS[1:] if options.quick else L1_RATIOS
        chosen += [Case("fit", {"size": "a", "l1_ratio": ratio}, threads, limit_s=900) for ratio in ratios]
        chosen.append(Case("neighbours", {"size": "a"}, threads))
        if options.large:
            chosen.append(Case("fit", {"size": "b", "l1_ratio": L1_RATIOS[1]}, threads, limit_s=3600))
            chosen.append(Case("neighbours", {"size": "b"}, threads, limit_s=900))
    return chosen


def shape_of(size: str) -> str:
    n_users, n_items, nnz = SIZES[size]
    return f"{n_users} x {n_items}, {nnz / 1e6:g}M nnz"


def objective(G: np.ndarray, W: Any, l1: float, l2: float) -> float:
    """``1/2 |X - X W|^2 + l2/2 |W|^2 + l1 |W|_1`` in float64, a few columns at a time."""
    total, W = float(np.trace(G, dtype=np.float64)) / 2, sp.csc_array(W, dtype=np.float64)
    for first in range(0, W.shape[1], 256):
        part = W[:, first : first + 256].T.tocsr()
        dense, linear = part.toarray(), G[first : first + 256].astype(np.float64)
        total += float(np.sum(dense * ((part @ G) / 2 - linear)))
    return total + l2 / 2 * float(np.sum(W.data**2)) + l1 * float(np.abs(W.data).sum())


def fit(session: Session, size: str, l1_ratio: float) -> None:
    """From the sparse matrix to the weights. What takes longer may not end at a better objective."""
    X = interactions(*SIZES[size])
    plain, G = sp.csr_matrix(X), gram(X)
    strength = X.shape[0] * ALPHA
    l1, l2 = strength * l1_ratio, strength * (1 - l1_ratio)
    ours, theirs = Entry("SLIM.fit", lambda: SLIM(l1=l1, l2=l2, n_threads=session.threads).fit(X).item_weights_), None

    def no_worse(mine: Any, other: Any) -> None:
        ours.extra["objective"], theirs.extra["objective"] = (objective(G, W, l1, l2) for W in (mine, other))
        assert ours.extra["objective"] <= theirs.extra["objective"], (ours.extra, theirs.extra)

    def irspack() -> Any:
        from irspack import SLIMRecommender

        options = {"alpha": ALPHA, "l1_ratio": l1_ratio, "n_threads": session.threads}
        return lambda: SLIMRecommender(plain, **options).learn()._W

    theirs = peer("irspack SLIMRecommender", "irspack", irspack, no_worse)
    rounds = 1 if size == "b" or session.quick else 3
    session.contest(
        "SLIM fit", f"{shape_of(size)}, l1={l1:.4g}, l2={l2:.4g}", "float32", [ours, theirs],
        unit="columns/s", unit_count=X.shape[1], rounds=rounds, warm=False,
    )  # fmt: skip


def neighbours(session: Session, size: str) -> None:
    """The 50 items of largest cosine with each item; the peers count the item itself as one."""
    X = interactions(*SIZES[size])
    plain = sp.csr_matrix(X)

    def same(ours: Any, theirs: Any) -> None:
        """Compare the sums: ties at the last place are broken differently."""
        ours, theirs = (np.asarray(W.sum(axis=0)).ravel() for W in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)

    def irspack() -> Any:
        from irspack import CosineKNNRecommender

        options = {"top_k": NEIGHBOURS + 1, "shrinkage": 0.0, "normalize": True, "n_threads": session.threads}
        return lambda: CosineKNNRecommender(plain, **options).learn().W.T

    def implicit() -> Any:
        from implicit.nearest_neighbours import CosineRecommender

        def call() -> Any:
            model = CosineRecommender(K=NEIGHBOURS + 1, num_threads=session.threads)
            model.fit(plain, show_progress=False)
            W = sp.csr_array(model.similarity)
            W.setdiag(0)
            return W.T

        return call

    model = ItemToItem(n_neighbors=NEIGHBOURS, n_threads=session.threads)
    entries = [
        Entry("ItemToItem.fit", lambda: model.fit(X).item_weights_),
        peer("irspack CosineKNNRecommender", "irspack", irspack, same),
        peer("implicit CosineRecommender", "implicit", implicit, same),
    ]
    session.contest("neighbours", shape_of(size), "float32", entries, unit="items/s", unit_count=X.shape[1])
