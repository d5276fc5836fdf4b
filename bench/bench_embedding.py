"""Embeddings and what is made of them on the way, with the step of a sparse optimizer, beside PyTorch. All float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core._backend import use_threads
from pyrec_core.layers import (
    Bags,
    BiInteraction,
    Chain,
    EmbeddingBag,
    FieldEmbedding,
    FieldPairs,
    Fields,
    Layer,
    Source,
)
from pyrec_core.optim import Adagrad

# batch, fields, rows of the table, embedding size
SIZES = {
    "tiny": (6, 4, 40, 3),
    "10": (4096, 39, 1_000_000, 10),
    "64": (4096, 39, 1_000_000, 64),
}
LEARNING_RATE = 0.01
EPS = 1e-30  # inside the root; that of torch stands outside of it


def cases(options: Options) -> list[Case]:
    return [
        Case(function, {"size": size}, threads, env)
        for threads in options.threads
        for function, env in (("pairs", TUNED_MALLOC), ("pairs_default_malloc", {}), ("bags", TUNED_MALLOC))
        for size in ("10", "64")
    ]


def draw(size: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ids (B, m), each field with rows of its own, of which few are popular, and the gradient of an output."""
    B, m, n_rows, d = SIZES[size]
    per = n_rows // m
    rng = np.random.default_rng(SEED)
    ends = np.cumsum(1.0 / np.arange(1, per + 1))
    rank = np.minimum(np.searchsorted(ends, rng.random((B, m)) * ends[-1]), per - 1)
    rows = np.stack([rng.permutation(per) for _ in range(m)])
    ids = rows[np.arange(m), rank] + np.arange(m) * per
    return ids.astype(np.int32), rng.standard_normal((B, d), dtype=np.float32)


def steps(layer: Layer, x: Any, d_y: np.ndarray, threads: int) -> Callable[[], Any]:
    """Return a call that makes a step of Adagrad."""
    optimizer = Adagrad(learning_rate=LEARNING_RATE, eps=EPS)
    (table,) = layer.params()

    def call() -> np.ndarray:
        with use_threads(threads):
            _, backprop = layer.forward(x, train=True)
            backprop(d_y)
            optimizer.step([table])
        return table.value

    return call


def torch_steps(
    weights: np.ndarray, make: Callable[[Any, Any], Callable[[], Any]], d_y: np.ndarray, threads: int
) -> Callable[[], Any]:
    """Return a call that makes a step of its Adagrad on ``make(torch, table)()``, with a sparse gradient."""
    import torch

    torch.set_num_threads(threads)
    table = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = torch.optim.Adagrad([table], lr=LEARNING_RATE)
    forward, gradient = make(torch, table), torch.from_numpy(d_y)

    def call() -> np.ndarray:
        table.grad = None
        forward().backward(gradient)
        optimizer.step()
        return table.detach().numpy()

    return call


def contest(
    session: Session, case: str, size: str, layers: dict[str, Layer], x: Any, d_y: np.ndarray, make: Any
) -> None:
    B, m, n_rows, d = SIZES[size]
    first = next(iter(layers.values()))
    weights = first.params()[0].value.copy()
    ids = x[0]
    distinct = len(np.unique(ids))
    entries = [Entry(name, steps(layer, x, d_y, session.threads)) for name, layer in layers.items()]
    entries.append(
        peer("torch, sparse gradient", "torch", lambda: torch_steps(weights, make, d_y, session.threads), same)
    )
    shape = f"B{B} m{m} D{d}, {distinct} distinct of {n_rows} rows"
    work = 4e-9 * d * distinct * 5  # read a row to look it up; read and write it and its state to step
    session.contest(case, shape, "float32", entries, gbyte=work, unit="examples/s", unit_count=B)


def pairs(session: Session, size: str) -> None:
    """Bi-interaction pooling of the embeddings of fields."""
    _, _, n_rows, d = SIZES[size]
    ids, d_y = draw(size)

    def make(torch: Any, table: Any) -> Callable[[], Any]:
        index = torch.from_numpy(ids.astype(np.int64))

        def forward() -> Any:
            e = torch.nn.functional.embedding(index, table, sparse=True)
            total = e.sum(1)
            return 0.5 * (total * total - (e * e).sum(1))

        return forward

    layers: dict[str, Layer] = {
        "FieldPairs": FieldPairs(n_rows, d, Source(0)),
        "FieldEmbedding, BiInteraction": Chain(FieldEmbedding(n_rows, d, Source(0)), BiInteraction()),
    }
    contest(session, "bi-interaction, Adagrad", size, layers, Fields(ids, None), d_y, make)


def pairs_default_malloc(session: Session, size: str) -> None:
    """The same as glibc is without settings."""
    pairs(session, size)


def bags(session: Session, size: str) -> None:
    """The mean of the embeddings of the ids of an example."""
    B, m, n_rows, d = SIZES[size]
    ids, d_y = draw(size)
    offsets = np.arange(B + 1) * m

    def make(torch: Any, table: Any) -> Callable[[], Any]:
        flat, begins = torch.from_numpy(ids.reshape(-1).astype(np.int64)), torch.from_numpy(offsets[:-1])
        return lambda: torch.nn.functional.embedding_bag(flat, table, begins, mode="mean", sparse=True)

    layers: dict[str, Layer] = {"EmbeddingBag": EmbeddingBag(n_rows, d, Source(0))}
    contest(session, "bags, Adagrad", size, layers, Bags(ids.reshape(-1), offsets), d_y, make)


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """After one step from the same weights: where a gradient is next to nothing, its sign may differ."""
    far = np.abs(ours - theirs) > 1e-4
    assert far.mean() < 1e-4, f"{far.mean():.2%} of the weights differ"
