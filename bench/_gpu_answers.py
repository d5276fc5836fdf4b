"""What is timed on a GPU of neural collaborative filtering, plans of sessions, ranks and sparse rows. All float32."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import bench_ncf
import numpy as np
import scipy.sparse as sp
from _data import SEED, interactions
from _gpu import Task
from _gpu_layers import draw, there_and_back
from _gpu_matrices import sorted_best
from bench_topk import same_top_k

from pyrec_core._backend import device_of
from pyrec_core.kernels.ncf import NCFParameters, ncf_backward, ncf_forward
from pyrec_core.kernels.ranking import ranks_in_scores
from pyrec_core.kernels.sessions import new_state, plan
from pyrec_core.kernels.topk import sparse_pair_scores, sparse_top_k

PAIRS = {"tiny": (20, 30, 70), "full": (bench_ncf.USERS, bench_ncf.ITEMS, 16_384)}  # users, items, pairs
LANES = {"tiny": (100, 8, 5), "full": (1_000_000, 512, 256)}  # sessions, lanes, steps
SCORES = {"tiny": (20, 300), "full": (8192, 20_000)}  # rows, items
WEIGHTS = {"tiny": (300, 120, 3000, 10), "full": (6040, 3706, 1_000_000, 100)}  # users, items, entries, k


def filtering(size: str) -> Iterator[Task]:
    """The network of NeuMF, forward and back: products of its tower, there and twice back."""
    n_users, n_items, n = PAIRS[size]
    factors, tower = bench_ncf.FACTORS, bench_ncf.TOWER
    d, layers = factors + tower[0] // 2, list(pairwise(tower))
    *tables, head, d_logits = draw((n_users, d), (n_items, d), (factors + tower[-1],), (n,))
    rng = np.random.default_rng(SEED)
    ids = [rng.integers(0, len(table), n, dtype=np.int32) for table in tables]
    weights = [rng.normal(0, (2 / a) ** 0.5, (a, b)).astype(np.float32) for a, b in layers]
    biases = [np.zeros(b, np.float32) for _, b in layers]
    offset = np.zeros(1, np.float32)

    def ours(users: Any, items: Any, user: Any, item: Any, head: Any, offset: Any, d_logits: Any, *layers: Any) -> Any:
        params = NCFParameters(users, items, layers[: len(weights)], layers[len(weights) :], head, offset)
        logits, kept = ncf_forward(params, user, item)
        found = ncf_backward(d_logits, kept, params, user, item)
        return (logits, found.users, found.items, found.head, *found.weights, *found.biases)

    def by_torch(torch: Any, users: Any, items: Any, user: Any, item: Any, head: Any, offset: Any, *rest: Any) -> Any:
        d_logits, layers = rest[0], rest[1:]

        def forward(torch: Any, p: Any, q: Any, head: Any, *layers: Any) -> Any:
            z = torch.cat([p[:, factors:], q[:, factors:]], 1)
            for w, b in zip(layers[: len(weights)], layers[len(weights) :], strict=True):
                z = torch.relu(z @ w + b)
            return torch.cat([p[:, :factors] * q[:, :factors], z], 1) @ head + offset

        inputs = (users[user.long()], items[item.long()], head, *layers)
        return there_and_back(forward, len(inputs))(torch, *inputs, d_logits)

    yield Task(
        "ncf, there and back", f"{n} pairs, {factors} factors, tower {'-'.join(map(str, tower))}", ours,
        (*tables, *ids, head, offset, d_logits, *weights, *biases), None, by_torch,
        gflop=6e-9 * n * sum(a * b for a, b in layers),
    )  # fmt: skip


def plans(size: str) -> Iterator[Task]:
    """The first steps of an epoch of session-parallel batches: a place and two marks of each lane are written."""
    n, lanes, steps = LANES[size]
    lengths = np.random.default_rng(SEED).geometric(0.2, n) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    yield Task(
        "plan of sessions", f"{steps} steps of {lanes} lanes",
        lambda offsets, order: plan(new_state(lanes, device=device_of(order)), offsets, order, steps)[1:],
        (offsets, np.arange(n)), gbyte=10e-9 * lanes * steps,
    )  # fmt: skip


def ranks(size: str) -> Iterator[Task]:
    """Where the item stands that each row is about, equal scores ahead of it: each score is read once."""
    n, n_items = SCORES[size]
    (scores,) = draw((n, n_items))
    items = np.random.default_rng(SEED).integers(0, n_items, n)
    relevant = sp.csr_array((np.ones(n, np.float32), items, np.arange(n + 1)), shape=(n, n_items))

    def count(xp: Any, scores: Any, items: Any) -> Any:
        own = scores[xp.arange(n, device=items.device) if hasattr(items, "cpu") else xp.arange(n), items]
        return (scores >= own[:, None]).sum(1) * 1.0

    yield Task(
        "ranks in scores", f"{n} x {n_items}", lambda s, _: ranks_in_scores(s, relevant), (scores, items), count,
        count, gbyte=4e-9 * scores.size, peers=_equal,
    )  # fmt: skip


def answers(size: str) -> Iterator[Task]:
    """Rows of users times weights of items, both ways: what a user has is read with its rows of the weights."""
    n_users, n_items, nnz, k = WEIGHTS[size]
    X = interactions(n_users, n_items, nnz)
    (weights,) = draw((n_items, n_items))
    dense = X.toarray()  # for the peers, who have no top-k of a sparse product
    rng = np.random.default_rng(SEED)
    rows, items = rng.integers(0, n_users, 16 * n_users), rng.integers(0, n_items, 16 * n_users)
    shape = f"{n_users} x {n_items}, {nnz} entries"
    yield Task(
        "top-k of sparse rows", f"{shape}, k = {k}", lambda w, _: sparse_top_k(X, w, k), (weights, dense),
        lambda xp, w, x: sorted_best(xp, x @ w, k), lambda torch, w, x: torch.topk(x @ w, k)[::-1],
        gflop=2e-9 * nnz * n_items, check=same_top_k, peers=same_top_k,
    )  # fmt: skip
    met = int(np.diff(X.indptr)[rows].sum())
    yield Task(
        "scores of pairs", f"{shape}, {len(rows)} pairs", lambda w: sparse_pair_scores(X, w, rows, items), (weights,),
        gflop=2e-9 * met,
    )  # fmt: skip


def _equal(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_array_equal(ours, theirs)


FAMILIES = {"ncf": filtering, "sessions": plans, "ranking": ranks, "sparse rows": answers}
