"""What is timed on a GPU of tables of embeddings: rows looked up, their gradients, steps of optimizers. All float32."""

from collections.abc import Iterator
from typing import Any

import bench_embedding
import bench_optim
import numpy as np
from _data import SEED
from _gpu import Call, Task
from _gpu_layers import draw

from pyrec_core.kernels import embedding
from pyrec_core.kernels.optim import coalesce, dense_step_, row_step_, state_names

TABLES = {"tiny": ("tiny",), "full": ("10", "64")}  # sizes of bench_embedding
ROWS = {"tiny": ("tiny",), "full": ("session", "fields 10", "fields 64")}  # of bench_optim
DENSE = {"tiny": 500, "full": 64_000_000}  # weights
RATE, EPS = np.float32(0.05), np.float32(1e-6)
HOW: dict[str, dict[str, Any]] = {
    "adagrad": {"rule": "adagrad", "learning_rate": float(RATE)},
    "adam": {"rule": "adam", "learning_rate": float(RATE), "eps": float(EPS)},
}


def tables(size: str) -> Iterator[Task]:
    """Rows of fields, the pairs of fields straight from the table, and bags; there, and back to a gradient in rows."""
    for which in TABLES[size]:
        B, m, n_rows, d = bench_embedding.SIZES[which]
        ids, d_sum = bench_embedding.draw(which)
        table, d_rows = draw((n_rows, d), (B, m, d))
        text = f"B{B} m{m} D{d}, {len(np.unique(ids))} distinct of {n_rows} rows"
        yield from _lookups(text, table, ids, d_rows, d_sum)


def _lookups(text: str, table: np.ndarray, ids: np.ndarray, d_rows: np.ndarray, d_sum: np.ndarray) -> Iterator[Task]:
    (B, m), d = ids.shape, table.shape[1]
    offsets = np.arange(B + 1) * m
    row, distinct = 4e-9 * d, len(np.unique(ids))  # GB of a row

    def gather_back_by_cupy(xp: Any, ids: Any, d_rows: Any) -> Any:
        return _summed(xp, ids.reshape(-1), d_rows.reshape(-1, d))

    def gather_back_by_torch(torch: Any, ids: Any, d_rows: Any) -> Any:
        return _coalesced(torch, ids.reshape(-1), d_rows.reshape(-1, d), len(table))

    def pairs(table: Any, ids: Any, d_out: Any) -> Any:
        out, totals = embedding.pooled_pairs_forward(table, ids)
        return out, *embedding.pooled_pairs_backward(d_out, totals, table, ids)

    def pairs_by_cupy(xp: Any, table: Any, ids: Any, d_out: Any) -> Any:
        e = table[ids]
        total = e.sum(1)
        d_e = d_out[:, None] * (total[:, None] - e)
        return (total * total - (e * e).sum(1)) / 2, *_summed(xp, ids.reshape(-1), d_e.reshape(-1, d))

    def pairs_by_torch(torch: Any, table: Any, ids: Any, d_out: Any) -> Any:
        e = table[ids]
        total = e.sum(1)
        d_e = d_out[:, None] * (total[:, None] - e)
        of_rows = _coalesced(torch, ids.reshape(-1), d_e.reshape(-1, d), len(table))
        return (total * total - (e * e).sum(1)) / 2, *of_rows

    def bags(table: Any, ids: Any, offsets: Any) -> Any:
        return embedding.bag_forward(table, ids.reshape(-1), offsets, mode="mean")

    def bags_by_torch(torch: Any, table: Any, ids: Any, offsets: Any) -> Any:
        return torch.nn.functional.embedding_bag(ids.reshape(-1), table, offsets[:-1], mode="mean")

    def bags_back(ids: Any, offsets: Any, d_out: Any) -> Any:
        return embedding.bag_backward(d_out, ids.reshape(-1), offsets, mode="mean")

    def bags_back_by_cupy(xp: Any, ids: Any, offsets: Any, d_out: Any) -> Any:
        return _summed(xp, ids.reshape(-1), xp.repeat(d_out / m, m, axis=0))

    def bags_back_by_torch(torch: Any, ids: Any, offsets: Any, d_out: Any) -> Any:
        return _coalesced(torch, ids.reshape(-1), (d_out / m).repeat_interleave(m, 0), len(table))

    yield Task(
        "gather", text, embedding.gather, (table, ids), lambda xp, table, ids: table[ids],
        lambda torch, table, ids: torch.nn.functional.embedding(ids, table), gbyte=row * (distinct + B * m),
    )  # fmt: skip
    yield Task(
        "gather, back", text, lambda ids, d: embedding.gather_backward(d, ids), (ids, d_rows),
        gather_back_by_cupy, gather_back_by_torch, gbyte=row * (distinct + B * m),
    )  # fmt: skip
    yield Task(
        "pooled pairs, there and back", text, pairs, (table, ids, d_sum), pairs_by_cupy, pairs_by_torch,
        gbyte=row * (3 * distinct + 2 * B),
    )  # fmt: skip
    yield Task(
        "bags", text, bags, (table, ids, offsets), lambda xp, table, ids, offsets: table[ids].mean(1), bags_by_torch,
        gbyte=row * (distinct + B),
    )  # fmt: skip
    yield Task(
        "bags, back", text, bags_back, (ids, offsets, d_sum), bags_back_by_cupy, bags_back_by_torch,
        gbyte=row * (distinct + B),
    )  # fmt: skip


def _summed(xp: Any, ids: Any, rows: Any) -> Any:
    """Return the distinct ids, and the sum of the rows of each."""
    from cupyx import scatter_add

    unique, which = xp.unique(ids, return_inverse=True)
    sums = xp.zeros((len(unique), rows.shape[1]), np.float32)
    scatter_add(sums, which, rows)
    return unique, sums


def _coalesced(torch: Any, ids: Any, rows: Any, n_rows: int) -> Any:
    """The same of PyTorch, as its sparse gradients are."""
    whole = torch.sparse_coo_tensor(ids[None].long(), rows, (n_rows, rows.shape[1])).coalesce()
    return whole.indices()[0].int(), whole.values()


def steps(size: str) -> Iterator[Task]:
    """Adagrad and Adam, on rows and on all weights: gradients are read, weights and states read and written."""
    for rule in HOW:
        for which in ROWS[size]:
            yield from _row_steps(rule, *bench_optim.ROW_SIZES[which])
        yield _dense_step(rule, DENSE[size])


def _row_steps(rule: str, n_rows: int, d: int, n: int) -> Iterator[Task]:
    rng = np.random.default_rng(SEED)
    ids = rng.permutation(n_rows).astype(np.int32)[np.minimum(rng.zipf(1.2, n) - 1, n_rows - 1)]
    (grad,) = draw((n, d))
    distinct, n_states = len(np.unique(ids)), len(state_names(rule))
    text = f"{n} rows of a table {n_rows} x {d}, {distinct} distinct"
    arrays = np.ones((n_rows, d), np.float32), ids, grad, *(np.zeros((n_rows, d), np.float32) for _ in range(n_states))
    row = 4e-9 * d

    def ours(w: Any, ids: Any, grad: Any, *states: Any) -> Any:
        row_step_(w, dict(zip(state_names(rule), states, strict=True)), ids, grad, **HOW[rule])
        return w

    def by_cupy(xp: Any, w: Any, ids: Any, grad: Any, *states: Any) -> Any:
        at, g = _summed(xp, ids, grad)
        parts = tuple(s[at] for s in states)
        w[at] -= _step(rule, xp, g, *parts)
        for s, part in zip(states, parts, strict=True):
            s[at] = part
        return w

    work = row * (n + 2 * (1 + n_states) * distinct)
    yield Task(f"{rule}, rows", text, ours, arrays, by_cupy, _torch_step(rule, rows=True), gbyte=work)
    if rule == "adagrad":
        yield Task(
            "sums of rows", text, coalesce, (ids, grad), _summed,
            lambda torch, ids, grad: _coalesced(torch, ids, grad, n_rows), gbyte=row * (n + distinct),
        )  # fmt: skip


def _dense_step(rule: str, n: int) -> Task:
    (grad,) = draw((n,))
    n_states = len(state_names(rule))
    arrays = np.ones(n, np.float32), grad, *(np.zeros(n, np.float32) for _ in range(n_states))

    def ours(w: Any, grad: Any, *states: Any) -> Any:
        dense_step_(w, dict(zip(state_names(rule), states, strict=True)), grad, **HOW[rule])
        return w

    def by_cupy(xp: Any, w: Any, grad: Any, *states: Any) -> Any:
        w -= _step(rule, xp, grad, *states)
        return w

    work = 4e-9 * n * (1 + 2 * (1 + n_states))
    return Task(f"{rule}, dense", f"{n} weights", ours, arrays, by_cupy, _torch_step(rule, rows=False), gbyte=work)


def _step(rule: str, xp: Any, g: Any, *states: Any) -> Any:
    """Return the first step against a gradient, and change the states."""
    if rule == "adagrad":
        (s,) = states
        s += g * g
        return RATE * g / xp.sqrt(s + EPS)
    m, v = states
    m *= np.float32(0.9)
    m += np.float32(0.1) * g
    v *= np.float32(0.999)
    v += np.float32(0.001) * g * g
    return RATE * (m / np.float32(1 - 0.9)) / (xp.sqrt(v / np.float32(1 - 0.999)) + EPS)


def _torch_step(rule: str, *, rows: bool) -> Call:
    """Return the step of an optimizer of PyTorch, which is made in the first call; its states are its own."""
    made: dict[str, Any] = {}

    def call(torch: Any, w: Any, *others: Any) -> Any:
        if not made:
            made["w"] = torch.nn.Parameter(w)
            if rule == "adagrad":
                made["by"] = torch.optim.Adagrad([made["w"]], lr=float(RATE), eps=float(EPS))
            elif rows:
                made["by"] = torch.optim.SparseAdam([made["w"]], lr=float(RATE), eps=float(EPS))
            else:
                made["by"] = torch.optim.Adam([made["w"]], lr=float(RATE), eps=float(EPS), fused=True)
        parameter, ids, grad = made["w"], others[0], others[1 if rows else 0]
        parameter.grad = torch.sparse_coo_tensor(ids[None].long(), grad, parameter.shape) if rows else grad
        made["by"].step()
        return parameter

    return call


FAMILIES = {"embedding": tables, "optim": steps}
