"""What is timed on a GPU of random numbers, top-k, Gram matrices and the weights of EASE. All float32."""

from collections.abc import Iterator
from typing import Any

import bench_ease
import numpy as np
from _data import SEED, interactions
from _gpu import Task, alike, same
from _gpu_layers import draw
from bench_topk import same_top_k

from pyrec_core._backend import device_of
from pyrec_core.kernels import random
from pyrec_core.kernels.gram import ease_weights, gram
from pyrec_core.kernels.sampling import AliasTable, alias_table, sample
from pyrec_core.kernels.topk import factor_top_k, top_k

DRAWS = {"tiny": 1000, "full": 2**26}
SAMPLED = {"tiny": (20, 1000), "full": (37_000, 2**20)}  # items, draws
SCORES = {"tiny": (20, 300, 10), "full": (8192, 20_000, 100)}  # rows, items, k
FACTORS = {"tiny": (30, 200, 8, 5), "full": (16_384, 50_000, 64, 20)}  # users, items, factors, k
MATRICES = {"tiny": "tiny", "full": "a", "large": "b"}  # sizes of bench_ease
STREAM = {"seed": SEED, "purpose": "negatives"}


def numbers(size: str) -> Iterator[Task]:
    """Uniform numbers, integers, and items by their weight; each number is written once."""
    n = DRAWS[size]
    like = np.zeros(1, np.float32)  # says on which device
    yield Task(
        "uniform numbers", f"{n}",
        lambda a: random.uniform(n, dtype=np.float32, device=device_of(a), **STREAM), (like,),
        lambda xp, a: xp.random.random(n, dtype=np.float32), lambda torch, a: torch.rand(n, device=a.device),
        gbyte=4e-9 * n, peers=alike,
    )  # fmt: skip
    yield Task(
        "integers", f"{n}", lambda a: random.integers(n, 1000, device=device_of(a), **STREAM), (like,),
        lambda xp, a: xp.random.randint(0, 1000, n), lambda torch, a: torch.randint(0, 1000, (n,), device=a.device),
        gbyte=8e-9 * n, peers=alike,
    )  # fmt: skip
    n_items, n = SAMPLED[size]
    weights = 1.0 / np.arange(1, n_items + 1)
    ends = np.cumsum(weights / weights.sum())
    yield Task(
        "items by weight", f"{n} of {n_items} items", lambda *a: sample(AliasTable(*a[:2]), n, **STREAM),
        (*alias_table(weights), ends, weights), lambda xp, *a: xp.searchsorted(a[2], xp.random.random(n)),
        lambda torch, *a: torch.multinomial(a[3], n, replacement=True), gbyte=4e-9 * n, peers=alike,
    )  # fmt: skip


def best(size: str) -> Iterator[Task]:
    """Top-k of scores, which are read once, and from factors, without a matrix of scores."""
    n, n_items, k = SCORES[size]
    (scores,) = draw((n, n_items))
    yield Task(
        "top-k of scores", f"{n} x {n_items}, k = {k}", lambda s: top_k(s, k), (scores,),
        lambda xp, s: sorted_best(xp, s, k), lambda torch, s: torch.topk(s, k)[::-1], gbyte=4e-9 * scores.size,
        check=same_top_k, peers=same_top_k,
    )  # fmt: skip
    n, n_items, d, k = FACTORS[size]
    users, items = (a * np.float32(0.1) for a in draw((n, d), (n_items, d)))
    yield Task(
        "top-k from factors", f"{n} users, {n_items} items, {d} factors, k = {k}",
        lambda u, v: factor_top_k(u, v, k), (users, items), lambda xp, u, v: sorted_best(xp, u @ v.T, k),
        lambda torch, u, v: torch.topk(u @ v.T, k)[::-1], gflop=2e-9 * n * n_items * d,
        check=same_top_k, peers=same_top_k,
    )  # fmt: skip


def sorted_best(xp: Any, scores: Any, k: int) -> Any:
    """Select by argpartition, then sort what was selected."""
    n_items = scores.shape[1]
    some = xp.argpartition(scores, n_items - k, axis=1)[:, n_items - k :]
    found = xp.take_along_axis(scores, some, axis=1)
    order = xp.argsort(-found, axis=1)
    return xp.take_along_axis(some, order, axis=1), xp.take_along_axis(found, order, axis=1)


def grams(size: str) -> Iterator[Task]:
    """Gram matrices of a sparse matrix on the host, whose way to the GPU counts; CuPy is given a dense one there."""
    which = MATRICES[size]
    X = interactions(*bench_ease.SIZES[which])
    like = np.zeros(1, np.float32) if size == "large" else X.toarray()
    yield Task(
        "gram", bench_ease.shape_of(which), lambda a: gram(X, device=device_of(a)), (like,),
        None if size == "large" else lambda xp, a: xp.matmul(a.T, a),
        None if size == "large" else lambda torch, a: a.T @ a,
        gflop=1e-9 * bench_ease.pairs(X), slow=size == "large",
    )  # fmt: skip


def inverses(size: str) -> Iterator[Task]:
    """EASE from its Gram matrix: n^3 for the inverse of a positive definite matrix."""
    G = gram(interactions(*bench_ease.SIZES[MATRICES[size]]))
    n, l2 = len(G), np.float32(bench_ease.L2)

    def by_cupy(xp: Any, G: Any) -> Any:
        return _weights(xp.linalg.inv(G + l2 * xp.eye(n, dtype=np.float32)), xp.arange(n))

    def by_torch(torch: Any, G: Any) -> Any:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(G + l2 * torch.eye(n, device=G.device)))
        return _weights(inverse, torch.arange(n, device=G.device))

    yield Task(
        "weights from Gram", f"n = {n}", lambda G: ease_weights(G, float(l2)), (G,), by_cupy, by_torch,
        gflop=1e-9 * float(n) ** 3, check=_as_weights, peers=_as_weights, slow=size == "large",
    )  # fmt: skip


def _weights(inverse: Any, each: Any) -> Any:
    weights = inverse / -inverse[each, each]
    weights[each, each] = 0
    return weights


def _as_weights(ours: np.ndarray, theirs: np.ndarray) -> None:
    same(ours, theirs, 1e-2)  # two libraries invert, each with the rounding that the condition of the matrix magnifies


FAMILIES = {"random": numbers, "topk": best, "gram": grams, "ease_weights": inverses}
