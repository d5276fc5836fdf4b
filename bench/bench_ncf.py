"""NeuMF: training steps of 4096 examples, beside the same in plain PyTorch. float32, 32 factors, tower 64-64-32-16."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core._backend import use_threads
from pyrec_core.kernels.losses import binary_cross_entropy
from pyrec_core.layers import Source
from pyrec_core.models.interaction._pair_network import PairNetwork
from pyrec_core.optim import Adam

USERS, ITEMS, FACTORS, BATCH, STEPS = 140_000, 20_000, 32, 4096, 10
TOWER = (64, 64, 32, 16)  # the first is that of both embeddings side by side
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def cases(options: Options) -> list[Case]:
    return [Case("train", {}, threads, TUNED_MALLOC) for threads in options.threads]


def batches(users: int, items: int, size: int, steps: int) -> list[Batch]:
    """Return users, items and targets of each step: any pairs, one in five of them positive."""
    rng = np.random.default_rng(SEED)
    return [
        (rng.integers(0, users, size), rng.integers(0, items, size), (rng.random((size, 1)) < 0.2).astype(np.float32))
        for _ in range(steps)
    ]


def train(session: Session, users: int = USERS, items: int = ITEMS, size: int = BATCH, steps: int = STEPS) -> None:
    """Some steps: forward, backward, and Adam on the rows that a batch touched (torch: or on all)."""
    given = batches(users, items, size, steps)
    network, optimizer = PairNetwork.new((users, items), FACTORS, TOWER, Source(SEED)), Adam()
    params = network.params()

    def ours() -> float:
        total = 0.0
        with use_threads(session.threads):
            for user, item, target in given:
                outputs, backprop = network.forward((user, item), train=True)
                loss, d_outputs = binary_cross_entropy(outputs, target, divisor=size)
                backprop(d_outputs)
                optimizer.step(params)
                total += loss
        return total / steps

    work = 6e-9 * size * steps * (sum(n * m for n, m in pairwise(TOWER)) + FACTORS + TOWER[-1])
    entries = [Entry("NeuMF", ours)]
    for name, sparse in (("torch, SparseAdam", True), ("torch, fused Adam on whole tables", False)):
        build = torch_steps(given, users, items, sparse, session)
        entries.append(peer(name, "torch", build, close))
    shape = f"batch {size}, {users} x {items}, {FACTORS} factors, {steps} steps"
    session.contest("training", shape, "float32", entries, gflop=work, unit="examples/s", unit_count=size * steps)


def close(ours: float, theirs: float) -> None:
    """Compare the mean losses of the first steps: the first values of the parameters differ, their scale does not."""
    assert abs(ours - theirs) < 0.1 * abs(ours), (ours, theirs)


def torch_steps(
    given: list[Batch], users: int, items: int, sparse: bool, session: Session
) -> Callable[[], Callable[[], float]]:
    def build() -> Callable[[], float]:
        import torch
        from torch.nn import Embedding, Linear, ReLU, Sequential
        from torch.nn.functional import binary_cross_entropy_with_logits

        torch.set_num_threads(session.threads)
        torch.manual_seed(SEED)
        tables = [Embedding(n, d, sparse=sparse) for d in (FACTORS, TOWER[0] // 2) for n in (users, items)]
        for table in tables:
            torch.nn.init.normal_(table.weight, std=0.01)
        tower = Sequential(*(layer for n, m in pairwise(TOWER) for layer in (Linear(n, m), ReLU())))
        head = Linear(FACTORS + TOWER[-1], 1)
        rows, rest = [t.weight for t in tables], [*tower.parameters(), *head.parameters()]
        if sparse:
            optimizers: list[Any] = [torch.optim.SparseAdam(rows, 1e-3), torch.optim.Adam(rest, 1e-3)]
        else:
            optimizers = [torch.optim.Adam(rows + rest, 1e-3, fused=True)]
        made = [tuple(map(torch.from_numpy, batch)) for batch in given]

        def call() -> float:
            total = 0.0
            for user, item, target in made:
                p_gmf, q_gmf, p_mlp, q_mlp = (
                    t(ids) for t, ids in zip(tables, (user, item, user, item), strict=True)
                )  # fmt: skip
                top = tower(torch.cat([p_mlp, q_mlp], 1))
                loss = binary_cross_entropy_with_logits(head(torch.cat([p_gmf * q_gmf, top], 1)), target)
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
                total += loss.item()
            return total / len(made)

        return call

    return build
