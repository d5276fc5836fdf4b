"""The k best items of many users, beside implicit, irspack, torch, SciPy and NumPy. All float32."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from _data import SEED, interactions
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.kernels.gram import ease_weights, gram
from pyrec_core.kernels.topk import factor_top_k, sparse_top_k, top_k

FACTOR_SIZES = {"tiny": (200, 150, 2000), "full": (100_000, 50_000, 5_000_000)}  # users, items, seen
SPARSE_SIZES = {"tiny": (300, 120, 3000), "a": (6040, 3706, 1_000_000), "b": (140_000, 20_000, 10_000_000)}
USERS_OF_LARGE = 2000
DENSE_SIZES = {"tiny": (40, 300), "full": (8192, 20_000)}
FACTORS, K, DENSE_K = 64, 20, 100
BLOCK = 500  # users whose scores the peers hold at a time

TopK = tuple[np.ndarray, np.ndarray]


def cases(options: Options) -> list[Case]:
    chosen = []
    for threads in options.threads:
        # implicit runs its own threads and asks for a BLAS with one beneath them
        chosen.append(Case("factor_implicit", {"size": "full"}, threads, {"OPENBLAS_NUM_THREADS": "1"}))
        chosen.append(Case("factor_torch", {"size": "full"}, threads, TUNED_MALLOC))
        if not options.quick:
            chosen.append(Case("factor_default_malloc", {"size": "full"}, threads))
            chosen.append(Case("factor_everyone", {"size": "full"}, threads))
        chosen.append(Case("sparse", {"size": "a"}, threads))
        if not options.quick:
            chosen.append(Case("sparse", {"size": "b"}, threads))
        chosen.append(Case("dense", {"size": "full"}, threads))
    return chosen


class Factors:
    """Random factors, and who has seen what; ``n`` users of them."""

    def __init__(self, size: str, n: int | None = None) -> None:
        n_users, self.n_items, nnz = FACTOR_SIZES[size]
        rng = np.random.default_rng(SEED)
        self.n = min(n or n_users, n_users)
        self.users = rng.standard_normal((n_users, FACTORS), dtype=np.float32)[: self.n] * np.float32(0.1)
        self.items = rng.standard_normal((self.n_items, FACTORS), dtype=np.float32) * np.float32(0.1)
        self.seen = interactions(n_users, self.n_items, nnz)[: self.n]

    def ours(self, session: Session) -> Entry:
        call = lambda: factor_top_k(self.users, self.items, K, self.seen, n_threads=session.threads)  # noqa: E731
        return Entry("kernels.topk.factor_top_k", call, units=self.n)

    def contest(self, session: Session, entries: list[Entry], **how: Any) -> None:
        shape = f"{self.n_items} items, {FACTORS} factors, k = {K}, {self.n} users"
        work = 2e-9 * self.n_items * FACTORS
        session.contest("top-k from factors", shape, "float32", entries, gflop=work, unit="users/s", **how)


def same_top_k(ours: TopK, theirs: TopK) -> None:
    """Same scores to rounding, same items but for near ties. A peer may answer for the first users only."""
    (items, scores), (their_items, their_scores) = ours, theirs
    items, scores = items[: len(their_items)], scores[: len(their_items)]
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(their_scores, scores, **close)
    alone = ~np.isclose(scores[:, 1:], scores[:, :-1], **close)  # not tied with the place before
    settled = np.zeros(scores.shape, bool)
    settled[:, 0] = True
    settled[:, 1:] = alone
    settled[:, :-1] &= alone
    settled[:, -1] = False  # may tie with what was not selected
    np.testing.assert_array_equal(np.asarray(their_items)[settled], items[settled])


def best_of(scores: np.ndarray, k: int) -> TopK:
    """Select by argpartition, then sort what was selected."""
    n_items = scores.shape[1]
    some = np.argpartition(scores, n_items - k, axis=1)[:, n_items - k :]
    order = np.argsort(-np.take_along_axis(scores, some, 1), axis=1, kind="stable")
    items = np.take_along_axis(some, order, 1)
    return items, np.take_along_axis(scores, items, 1)


def stacked(parts: list[TopK]) -> TopK:
    return np.concatenate([items for items, _ in parts]), np.concatenate([scores for _, scores in parts])


def factor_implicit(session: Session, size: str) -> None:
    data = Factors(size, 20_000)
    name = "implicit recommend, one call"
    theirs = peer(name, "implicit", lambda: implicit_call(data, session.threads), same_top_k, units=data.n)
    data.contest(session, [data.ours(session), theirs])


def factor_torch(session: Session, size: str) -> None:
    data = Factors(size, 20_000)
    theirs = peer("torch matmul + mask + topk", "torch", lambda: torch_call(data, session.threads), same_top_k,
                  units=data.n)  # fmt: skip
    data.contest(session, [data.ours(session), theirs], record_ours=False, tag="malloc tuned")


def factor_default_malloc(session: Session, size: str) -> None:
    data = Factors(size, 20_000)
    few = 5000
    entries = [
        data.ours(session),
        peer("torch matmul + mask + topk", "torch", lambda: torch_call(data, session.threads), same_top_k,
             units=data.n),
        Entry("NumPy dot + mask + argpartition", lambda: numpy_factor_top_k(data, few), "numpy", same_top_k,
              units=min(few, data.n)),
    ]  # fmt: skip
    data.contest(session, entries, record_ours=False)


def factor_everyone(session: Session, size: str) -> None:
    """Ours alone, for all users in one call."""
    data = Factors(size)
    data.contest(session, [data.ours(session)])


def implicit_call(data: Factors, threads: int) -> Any:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=FACTORS, num_threads=threads, use_gpu=False)
    model.user_factors, model.item_factors = data.users, data.items
    ids, seen = np.arange(data.n), sp.csr_matrix(data.seen)
    return lambda: model.recommend(ids, seen, N=K, filter_already_liked_items=True)


def torch_call(data: Factors, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    users, items = torch.from_numpy(data.users), torch.from_numpy(data.items).T.contiguous()

    def call() -> TopK:
        parts = []
        with torch.no_grad():
            for start in range(0, data.n, BLOCK):
                scores = users[start : start + BLOCK] @ items
                row, item = places_of(data.seen[start : start + BLOCK])
                scores[torch.from_numpy(row), torch.from_numpy(item)] = -torch.inf
                best = torch.topk(scores, K, dim=1)
                parts.append((best.indices.numpy(), best.values.numpy()))
        return stacked(parts)

    return call


def numpy_factor_top_k(data: Factors, n: int) -> TopK:
    parts = []
    scores = np.empty((BLOCK, data.n_items), np.float32)
    for start in range(0, min(n, data.n), BLOCK):
        users = data.users[start : start + BLOCK]
        part = np.dot(users, data.items.T, out=scores[: len(users)])
        part[places_of(data.seen[start : start + BLOCK])] = -np.inf
        parts.append(best_of(part, K))
    return stacked(parts)


def places_of(X: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices.astype(np.int64)


def sparse(session: Session, size: str) -> None:
    """What ``EASE.recommend`` does: sparse rows times dense item-item weights, seen items left out."""
    X = interactions(*SPARSE_SIZES[size])
    n_items = X.shape[1]
    if size == "b":  # its weights would take a minute; the work is the same for any numbers
        X = X[:USERS_OF_LARGE]
        B = np.random.default_rng(SEED).standard_normal((n_items, n_items), dtype=np.float32)
        B *= np.float32(0.01)
    else:
        B = ease_weights(gram(X), 500.0, overwrite=True)
    n = X.shape[0]

    def scipy_top_k() -> TopK:
        parts = []
        for start in range(0, n, BLOCK):
            rows = X[start : start + BLOCK]
            scores = rows @ B
            scores[places_of(rows)] = -np.inf
            parts.append(best_of(scores, K))
        return stacked(parts)

    entries = [
        Entry("kernels.topk.sparse_top_k", lambda: sparse_top_k(X, B, K, X, n_threads=session.threads), units=n),
        Entry("scipy.sparse X @ B + mask + argpartition", scipy_top_k, "scipy", same_top_k, units=n),
    ]
    if not session.quick:
        name = "irspack get_score_remove_seen_block + its top-k"
        build = lambda: irspack_call(X, B, session.threads)  # noqa: E731
        entries.append(peer(name, "irspack", build, same_lists, units=n))
    shape = f"{n} users, {X.nnz / n:.0f} items each, {n_items} items, k = {K}"
    work = 2e-9 * X.nnz / n * n_items
    session.contest("top-k from sparse rows", shape, "float32", entries, gflop=work, unit="users/s")


def irspack_call(X: sp.csr_array, B: np.ndarray, threads: int) -> Any:
    from irspack import DenseSLIMRecommender
    from irspack.utils.id_mapping import retrieve_recommend_from_score

    model = DenseSLIMRecommender(sp.csr_matrix(X))
    model._W = B

    def call() -> list:
        found = []
        for start in range(0, X.shape[0], BLOCK):
            scores = model.get_score_remove_seen_block(start, min(start + BLOCK, X.shape[0]))
            found += retrieve_recommend_from_score(scores, [], K, threads)
        return found

    return call


def same_lists(ours: TopK, theirs: list) -> None:
    pairs = np.array(theirs)  # (n, k, 2): item, score
    same_top_k(ours, (pairs[..., 0].astype(np.int64), pairs[..., 1]))


def dense(session: Session, size: str) -> None:
    """Selection alone, from scores that exist."""
    n, n_items = DENSE_SIZES[size]
    scores = np.random.default_rng(SEED).standard_normal((n, n_items), dtype=np.float32)
    few = min(n, 1024)  # argpartition takes seconds for all
    entries = [
        Entry("kernels.topk.top_k", lambda: top_k(scores, DENSE_K, n_threads=session.threads), units=n),
        peer("torch.topk", "torch", lambda: torch_topk(scores, session.threads), same_top_k, units=n),
        Entry("numpy.argpartition + sort", lambda: best_of(scores[:few], DENSE_K), "numpy", same_top_k, units=few),
    ]
    shape = f"{n} x {n_items}, k = {DENSE_K}"
    work = 4e-9 * n_items
    session.contest("top-k from dense scores", shape, "float32", entries, gbyte=work, unit="users/s")


def torch_topk(scores: np.ndarray, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(scores)

    def call() -> TopK:
        best = torch.topk(tensor, DENSE_K, dim=1)
        return best.indices.numpy(), best.values.numpy()

    return call
