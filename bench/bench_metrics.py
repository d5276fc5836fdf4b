"""Ranking metrics, beside NumPy, Python sets, RecBole, irspack and torch."""

import math
from typing import Any

import numpy as np
import scipy.sparse as sp
from _data import SEED, interactions
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.kernels.ranking import ranks_in_factors
from pyrec_core.metrics import from_lists, from_scores

LIST_SIZES = {"tiny": (300, 400, 20), "full": (100_000, 20_000, 100)}  # users, items, length of the lists
SCORE_SIZES = {"tiny": (60, 500, 20), "full": (8192, 20_000, 100)}
TARGET_SIZES = {"tiny": (70, 300, 8), "full": (10_000, 37_500, 100)}  # events, items, width
RELEVANT = 10  # held-out items of a user, on average
FEW = 5000  # users that the slow contenders answer for
BLOCK = 2048  # users whose dense rows the peers hold at a time

Values = tuple[np.ndarray, np.ndarray]  # recall and NDCG of each user


def cases(options: Options) -> list[Case]:
    chosen = []
    for threads in options.threads:
        chosen.append(Case("lists", {"size": "full"}, threads))
        chosen.append(Case("scores", {"size": "full", "skilled": False}, threads))
        if not options.quick:
            chosen.append(Case("scores", {"size": "full", "skilled": True}, threads))
            chosen.append(Case("targets", {"size": "full"}, threads, TUNED_MALLOC))
    return chosen


class Lists:
    """Random lists with about three relevant items in each."""

    def __init__(self, size: str) -> None:
        self.n, self.n_items, self.k = LIST_SIZES[size]
        rng = np.random.default_rng(SEED)
        self.relevant = interactions(self.n, self.n_items, RELEVANT * self.n)
        self.lists = np.empty((self.n, self.k), np.int32)
        for row, at in zip(self.lists, self.relevant.indptr, strict=False):
            hits = np.unique(self.relevant.indices[at : at + 3])  # a user with fewer gets those of the next one too
            others = rng.choice(self.n_items, 2 * self.k, replace=False).astype(np.int32)
            others = others[~np.isin(others, hits)][: self.k - len(hits)]
            row[:] = rng.permutation(np.concatenate([hits, others]))

    def ours(self, threads: int) -> Values:
        found = from_lists(self.lists, self.relevant, ["recall", "ndcg"], self.k, n_threads=threads)
        return found[f"recall@{self.k}"], found[f"ndcg@{self.k}"]


def same_values(ours: Values, theirs: Values) -> None:
    """Same values of every user with something held out. A peer may answer for the first users only."""
    for own, other in zip(ours, theirs, strict=True):
        own = own[: len(other)]
        known = ~np.isnan(own)
        np.testing.assert_allclose(np.asarray(other)[known], own[known], rtol=1e-6, atol=1e-9)


def lists(session: Session, size: str) -> None:
    data = Lists(size)
    few = min(FEW, data.n)
    entries = [
        Entry("metrics.from_lists", lambda: data.ours(session.threads), units=data.n),
        Entry("NumPy searchsorted", lambda: by_searching(data), "numpy", same_values, units=data.n),
        Entry("Python sets, a user at a time", python_sets(data, few), "python", same_values, units=few),
        peer("RecBole Recall and NDCG, hits given", "recbole", lambda: recbole_call(data, data.n, False), same_values,
             units=data.n),
        peer("RecBole-style collect, Recall, NDCG", "recbole", lambda: recbole_call(data, few, True), same_values,
             units=few),
    ]  # fmt: skip
    shape = f"{data.n} users, top-{data.k}, {RELEVANT} relevant each"
    session.contest("recall and NDCG from lists", shape, "int32", entries, unit="users/s")


def by_searching(data: Lists) -> Values:
    """One key per user and item, and a binary search for every place of every list."""
    n, relevant = data.n, data.relevant
    lengths = np.diff(relevant.indptr)
    keys = np.repeat(np.arange(n, dtype=np.int64), lengths) * data.n_items + relevant.indices
    wanted = (np.arange(n, dtype=np.int64)[:, None] * data.n_items + data.lists).ravel()
    at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    hit = (keys[at] == wanted).reshape(n, data.k)
    discount = 1.0 / np.log2(np.arange(2, data.k + 2))
    ideal = np.concatenate([[1.0], np.cumsum(discount)])
    return hit.sum(axis=1) / np.maximum(lengths, 1), hit @ discount / ideal[np.minimum(lengths, data.k)]


def python_sets(data: Lists, n: int) -> Any:
    ranked = data.lists[:n].tolist()
    wanted = [row.tolist() for row in np.split(data.relevant.indices, data.relevant.indptr[1:-1])[:n]]

    def call() -> Values:
        recall, ndcg = np.zeros(n), np.zeros(n)
        for user, (items, held_out) in enumerate(zip(ranked, wanted, strict=True)):
            if held_out:
                among = set(held_out)
                hits = [place for place, item in enumerate(items) if item in among]
                recall[user] = len(hits) / len(held_out)
                ideal = sum(1 / math.log2(place + 2) for place in range(min(len(held_out), data.k)))
                ndcg[user] = sum(1 / math.log2(place + 2) for place in hits) / ideal
        return recall, ndcg

    return call


def recbole_call(data: Lists, n: int, collects: bool) -> Any:
    """RecBole's metric classes. Its collector looks the lists up in dense 0/1 rows of the relevant items."""
    import torch

    vars(np).setdefault("float", float)  # RecBole 1.2.1 uses the alias that NumPy 1.24 dropped: without it it fails
    from recbole.evaluator.metrics import NDCG, Recall

    torch.set_num_threads(1)
    lengths = np.diff(data.relevant.indptr)
    known = np.flatnonzero(lengths[:n] > 0)
    places = torch.from_numpy(data.lists[:n].astype(np.int64))

    def collect() -> Any:
        parts = []
        for start in range(0, n, BLOCK):
            stop = min(n, start + BLOCK)
            rows = data.relevant[start:stop]
            positive = torch.zeros((stop - start, data.n_items), dtype=torch.int)
            row = np.repeat(np.arange(stop - start), np.diff(rows.indptr))
            positive[torch.from_numpy(row), torch.from_numpy(rows.indices.astype(np.int64))] = 1
            parts.append(torch.cat((torch.gather(positive, 1, places[start:stop]), positive.sum(1, keepdim=True)), 1))
        return torch.cat(parts)[known].numpy()

    given = collect()
    recall, ndcg = (kind({"topk": [data.k], "metric_decimal_place": 6}) for kind in (Recall, NDCG))

    def call() -> Values:
        found = collect() if collects else given
        hits, n_relevant = found[:, :-1].astype(bool), found[:, -1]
        out = np.full((2, n), np.nan)
        out[0, known] = recall.metric_info(hits, n_relevant)[:, -1]
        out[1, known] = ndcg.metric_info(hits, n_relevant)[:, -1]
        return out[0], out[1]

    return call


def scores(session: Session, size: str, skilled: bool) -> None:
    """Recall and NDCG at k from scores of all items: random ones, or of a model that finds the relevant items."""
    n, n_items, k = SCORE_SIZES[size]
    rng = np.random.default_rng(SEED)
    given = rng.random((n, n_items), dtype=np.float32)
    relevant = interactions(n, n_items, RELEVANT * n)
    if skilled:  # half of the relevant items come among the first k
        row = np.repeat(np.arange(n), np.diff(relevant.indptr))
        given[row, relevant.indices] = 1 - rng.random(relevant.nnz, dtype=np.float32) * np.float32(2 * k / n_items)

    def ours() -> Values:
        found = from_scores(given, relevant, ["recall", "ndcg"], k, n_threads=session.threads)
        return found[f"recall@{k}"], found[f"ndcg@{k}"]

    entries = [
        Entry("metrics.from_scores", ours, units=n),
        peer("irspack EvaluatorCore", "irspack", lambda: irspack_call(given, relevant, k, session.threads), same_means,
             units=n),
        peer("torch.topk alone", "torch", lambda: torch_call(given, k, session.threads), lambda ours, theirs: None,
             units=n),
    ]  # fmt: skip
    shape = f"{n} x {n_items}, k = {k}, {'skilled' if skilled else 'random'} scores"
    work = 4e-9 * n_items
    session.contest("recall and NDCG from scores", shape, "float32", entries, gbyte=work, unit="users/s")


def irspack_call(given: np.ndarray, relevant: sp.csr_array, k: int, threads: int) -> Any:
    from irspack.evaluation._core_evaluator import EvaluatorCore

    core = EvaluatorCore(sp.csr_matrix(relevant.astype(np.float64)), [])
    return lambda: core.get_metrics_f32(given, k, 0, threads, False).as_dict()


def same_means(ours: Values, theirs: dict[str, float]) -> None:
    for values, name in zip(ours, ("recall", "ndcg"), strict=True):
        np.testing.assert_allclose(theirs[name], np.nanmean(values), rtol=1e-6)


def torch_call(given: np.ndarray, k: int, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(given)
    return lambda: torch.topk(tensor, k, dim=1)


def targets(session: Session, size: str) -> None:
    """The conservative rank of one target per row of a product, as a session model is evaluated."""
    n, n_items, d = TARGET_SIZES[size]
    rng = np.random.default_rng(SEED)
    hidden = rng.standard_normal((n, d), dtype=np.float32)
    items = rng.standard_normal((n_items, d), dtype=np.float32)
    target = rng.integers(0, n_items, n)
    relevant = sp.csr_array((np.ones(n, np.float32), target.astype(np.int32), np.arange(n + 1)), shape=(n, n_items))

    def ours() -> np.ndarray:
        return ranks_in_factors(hidden, items, relevant, ties="conservative", n_threads=session.threads)

    by_torch = lambda: torch_ranks(hidden, items, target, session.threads)  # noqa: E731
    entries = [
        Entry("kernels.ranking.ranks_in_factors", ours, units=n),
        peer("torch matmul, (scores >= target).sum", "torch", by_torch, same_ranks, units=n),
        Entry("NumPy dot, (scores >= target).sum", lambda: numpy_ranks(hidden, items, target), "numpy", same_ranks,
              units=n),
    ]  # fmt: skip
    shape = f"{n} rows, {n_items} items, width {d}"
    session.contest("rank of a target", shape, "float32", entries, gflop=2e-9 * n_items * d, unit="rows/s")


def torch_ranks(hidden: np.ndarray, items: np.ndarray, target: np.ndarray, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    left, right, wanted = torch.from_numpy(hidden), torch.from_numpy(items).T.contiguous(), torch.from_numpy(target)

    def call() -> np.ndarray:
        parts = []
        with torch.no_grad():
            for start in range(0, len(left), BLOCK):
                given = left[start : start + BLOCK] @ right
                own = given.gather(1, wanted[start : start + BLOCK, None])
                parts.append((given >= own).sum(1))
        return torch.cat(parts).numpy()

    return call


def numpy_ranks(hidden: np.ndarray, items: np.ndarray, target: np.ndarray) -> np.ndarray:
    parts = []
    for start in range(0, len(hidden), BLOCK):
        given = np.dot(hidden[start : start + BLOCK], items.T)
        own = np.take_along_axis(given, target[start : start + BLOCK, None], axis=1)
        parts.append(np.count_nonzero(given >= own, axis=1))
    return np.concatenate(parts)


def same_ranks(ours: np.ndarray, theirs: np.ndarray) -> None:
    """The same but for near ties, which other roundings put in another order."""
    assert (np.abs(ours - theirs) <= 3).all()
