"""Optimizer steps on the rows of an embedding that a batch touched, and on a dense parameter, beside torch. float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.optim import Adagrad, Adam, Optimizer, Param

# rows of the table, columns, row gradients in a batch
ROW_SIZES = {
    "tiny": (50, 4, 200),
    "session": (37_000, 100, 2_528),  # 240 inputs, 240 targets, 2,048 samples
    "fields 10": (1_000_000, 10, 159_744),  # 4,096 examples of 39 fields
    "fields 64": (1_000_000, 64, 159_744),
}
DENSE_SIZES = {"tiny": 1000, "full": 4_000_000}
OPTIMIZERS: dict[str, Optimizer] = {"adagrad": Adagrad(learning_rate=0.05, eps=1e-30), "adam": Adam()}


def cases(options: Options) -> list[Case]:
    return [
        case
        for threads in options.threads
        for rule in OPTIMIZERS
        for case in (
            *(
                Case("rows", {"size": size, "rule": rule}, threads, TUNED_MALLOC)
                for size in ROW_SIZES
                if size != "tiny"
            ),
            Case("dense", {"size": "full", "rule": rule}, threads, TUNED_MALLOC),
        )
    ]


def rows(session: Session, size: str, rule: str) -> None:
    """Sum the gradients of each row, then one step a row."""
    n_rows, d, n = ROW_SIZES[size]
    rng = np.random.default_rng(SEED)
    ids = np.minimum(rng.zipf(1.2, n) - 1, n_rows - 1).astype(np.int32)  # popular ids repeat
    ids = rng.permutation(n_rows).astype(np.int32)[ids]
    grad = rng.standard_normal((n, d), dtype=np.float32)
    optimizer, table = OPTIMIZERS[rule], Param(np.ones((n_rows, d), np.float32))

    def call() -> np.ndarray:
        table.add_rows(ids, grad)
        optimizer.step([table], n_threads=session.threads)
        return table.value

    shape = f"{n} rows of a table {n_rows} x {d}, {len(np.unique(ids))} distinct"
    state = 1 if rule == "adagrad" else 2
    distinct = len(np.unique(ids))
    work = 4e-9 * d * (n + 2 * (1 + state) * distinct)  # read the gradients; read and write weights and states
    entries = [
        Entry(f"optim.{type(optimizer).__name__}", call),
        peer("torch.optim, sparse gradient", "torch", lambda: torch_rows(rule, (n_rows, d), ids, grad, session), same),
    ]
    session.contest(f"{rule}, rows", shape, "float32", entries, gbyte=work, unit="rows/s", unit_count=n)


def torch_rows(
    rule: str, shape: tuple[int, int], ids: np.ndarray, grad: np.ndarray, session: Session
) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(session.threads)
    table = torch.nn.Parameter(torch.ones(shape))
    index, values = torch.from_numpy(ids.astype(np.int64))[None], torch.from_numpy(grad)
    if rule == "adagrad":
        optimizer: Any = torch.optim.Adagrad([table], lr=0.05)
    else:
        optimizer = torch.optim.SparseAdam([table])

    def call() -> np.ndarray:
        table.grad = torch.sparse_coo_tensor(index, values, shape)
        optimizer.step()
        return table.detach().numpy()

    return call


def dense(session: Session, size: str, rule: str) -> None:
    """One step on every weight."""
    n = DENSE_SIZES[size]
    grad = np.random.default_rng(SEED).standard_normal(n, dtype=np.float32)
    optimizer, weights = OPTIMIZERS[rule], Param(np.ones(n, np.float32))

    def call() -> np.ndarray:
        weights.add_grad(grad)
        optimizer.step([weights], n_threads=session.threads)
        return weights.value

    work = 4e-9 * n * (5 if rule == "adagrad" else 7)
    entries = [
        Entry(f"optim.{type(optimizer).__name__}", call),
        peer("torch.optim, fused where it can", "torch", lambda: torch_dense(rule, grad, session), same),
    ]
    session.contest(f"{rule}, dense", f"{n} weights", "float32", entries, gbyte=work, unit="weights/s", unit_count=n)


def torch_dense(rule: str, grad: np.ndarray, session: Session) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(session.threads)
    weights = torch.nn.Parameter(torch.ones(len(grad)))
    make = torch.optim.Adagrad if rule == "adagrad" else torch.optim.Adam
    optimizer: Any = make([weights], lr=0.05 if rule == "adagrad" else 0.001, fused=True)
    gradient = torch.from_numpy(grad)

    def call() -> np.ndarray:
        weights.grad = gradient
        optimizer.step()
        return weights.detach().numpy()

    return call


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
