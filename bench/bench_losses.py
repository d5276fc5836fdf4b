"""Losses, forward and backward, beside PyTorch (eager, compiled, its fused cross-entropy). All float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.kernels import losses

SIZES = {"tiny": (5, 12), "a": (512, 2560), "b": (2048, 4096)}  # rows, columns
HEADS = {"tiny": (6, 300, 8), "a": (512, 100_000, 100), "b": (64, 100_000, 100)}  # rows, items, width
# rows, items, columns, width
SAMPLED = {"tiny": (6, 300, 30, 8), "a": (240, 37_000, 2288, 100), "b": (32, 37_000, 2080, 100)}
REG, ELU = 1.0, 0.5

Result = tuple[float, np.ndarray]


def cases(options: Options) -> list[Case]:
    chosen = []
    sizes = ("a",) if options.quick else ("a", "b")
    for threads in options.threads:
        for size in sizes:
            for loss in OURS:
                case = Case("sampled_scores", {"loss": loss, "size": size, "compiled": False}, threads, TUNED_MALLOC)
                chosen.append(case)
                if (
                    loss != "cross-entropy" and not options.quick
                ):  # compiling takes seconds, and its fused call is eager
                    compiled = {"loss": loss, "size": size, "compiled": True}
                    chosen.append(Case("sampled_scores", compiled, threads, TUNED_MALLOC))
        if not options.quick:
            chosen.append(Case("default_malloc", {"loss": "bpr-max", "size": "b"}, threads))
            chosen.append(Case("head", {"size": "b"}, threads, TUNED_MALLOC))
            chosen.append(Case("head_default_malloc", {"size": "a"}, threads))
        chosen.append(Case("head", {"size": "a"}, threads, TUNED_MALLOC))
        chosen += [Case("sampled_head", {"size": size}, threads, TUNED_MALLOC) for size in "ab"]
    return chosen


OURS: dict[str, Callable[..., Result]] = {
    "cross-entropy": losses.softmax_cross_entropy,
    "bpr": losses.bpr,
    "top1": losses.top1,
    "top1-max": losses.top1_max,
    "bpr-max": lambda scores, **how: losses.bpr_max(scores, reg=REG, elu=ELU, **how),
    "bpr-max, linear": lambda scores, **how: losses.bpr_max(scores, reg=REG, **how),
}


def torch_losses() -> dict[str, Callable[[Any], Any]]:
    """The same losses, as they are written in PyTorch."""
    import torch
    from torch.nn import functional

    def own(scores: Any) -> Any:
        return torch.diagonal(scores)[:, None]

    def negatives(scores: Any) -> Any:
        return 1.0 - torch.eye(*scores.shape, device=scores.device)

    def bpr(scores: Any) -> Any:
        terms = -functional.logsigmoid(own(scores) - scores) * negatives(scores)
        return terms.sum() / (scores.shape[1] - 1) / scores.shape[0]

    def top1(scores: Any) -> Any:
        terms = (torch.sigmoid(scores - own(scores)) + torch.sigmoid(scores * scores)) * negatives(scores)
        return terms.sum() / (scores.shape[1] - 1) / scores.shape[0]

    def weights(scores: Any) -> Any:
        mask = negatives(scores)
        x = scores * mask
        e = torch.exp(x - x.max(dim=1, keepdim=True)[0]) * mask
        return e / e.sum(dim=1, keepdim=True)

    def top1_max(scores: Any) -> Any:
        terms = torch.sigmoid(scores - own(scores)) + torch.sigmoid(scores * scores)
        return (weights(scores) * terms).sum(dim=1).mean()

    def bpr_max(scores: Any) -> Any:
        s = weights(scores)
        likelihood = -torch.log((s * torch.sigmoid(own(scores) - scores)).sum(dim=1) + 1e-24)
        return (likelihood + REG * (s * scores * scores).sum(dim=1)).mean()

    return {
        "cross-entropy": lambda scores: functional.cross_entropy(
            scores, torch.arange(len(scores), device=scores.device)
        ),
        "bpr": bpr,
        "top1": top1,
        "top1-max": top1_max,
        "bpr-max": lambda scores: bpr_max(functional.elu(scores, ELU)),
        "bpr-max, linear": bpr_max,
    }


def torch_call(loss: str, scores: np.ndarray, threads: int, compiled: bool) -> Callable[[], Result]:
    import torch

    torch.set_num_threads(threads)
    f = torch_losses()[loss]
    if compiled:
        f = torch.compile(f, dynamic=False)
    x = torch.from_numpy(scores).clone().requires_grad_(True)

    def call() -> Result:
        x.grad = None
        value = f(x)
        value.backward()
        return value.item(), x.grad.numpy()

    call()  # compiles, or shows that it cannot
    return call


def same(ours: tuple, theirs: tuple) -> None:
    """Loss and gradients agree to what float32 leaves of them."""
    assert abs(ours[0] - theirs[0]) <= 1e-4 * abs(theirs[0])
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(mine, other, rtol=0, atol=2e-4 * scale)


def sampled_scores(session: Session, loss: str, size: str, compiled: bool) -> None:
    contest_of_scores(session, loss, size, compiled, "malloc tuned")


def default_malloc(session: Session, loss: str, size: str) -> None:
    """As PyTorch is without settings."""
    contest_of_scores(session, loss, size, False, "")


def contest_of_scores(session: Session, loss: str, size: str, compiled: bool, tag: str) -> None:
    n_rows, n_columns = SIZES[size]
    scores = np.random.default_rng(SEED).standard_normal((n_rows, n_columns), dtype=np.float32)
    f = OURS[loss]
    out = np.empty_like(scores)

    def ours() -> Result:
        return f(out, overwrite=True, n_threads=session.threads)

    name = f"torch {'compiled' if compiled else 'eager'}" + (", fused call" if loss == "cross-entropy" else "")
    entries = [
        Entry(f"kernels.losses.{loss}", lambda: f(scores, n_threads=session.threads)),
        Entry("the same, over the scores", ours, setup=lambda: np.copyto(out, scores)),
        peer(name, "torch", lambda: torch_call(loss, scores, session.threads, compiled), same),
    ]
    # each score read once, its gradient written once
    session.contest(f"loss {loss}", f"{n_rows} x {n_columns}", "float32", entries, gbyte=8e-9 * scores.size,
                    unit="scores/s", unit_count=scores.size, tag=tag,
                    record_ours=bool(tag) and not compiled)  # fmt: skip


def head(session: Session, size: str) -> None:
    contest_of_heads(session, size, "malloc tuned")


def head_default_malloc(session: Session, size: str) -> None:
    contest_of_heads(session, size, "")


def contest_of_heads(session: Session, size: str, tag: str) -> None:
    n_rows, n_items, d = HEADS[size]
    rng = np.random.default_rng(SEED)
    hidden = rng.standard_normal((n_rows, d), dtype=np.float32)
    weight = rng.standard_normal((n_items, d), dtype=np.float32) * np.float32(0.1)
    bias, target = np.zeros(n_items, np.float32), rng.integers(0, n_items, n_rows)

    def theirs() -> Callable[[], tuple]:
        import torch
        from torch.nn import functional

        torch.set_num_threads(session.threads)
        tensors = [torch.from_numpy(a).clone().requires_grad_(True) for a in (hidden, weight, bias)]
        t = torch.from_numpy(target)

        def call() -> tuple:
            for x in tensors:
                x.grad = None
            value = functional.cross_entropy(functional.linear(*tensors), t)
            value.backward()
            return value.item(), *(x.grad.numpy() for x in tensors)

        return call

    entries = [
        Entry("kernels.losses.full_softmax",
              lambda: losses.full_softmax(hidden, weight, bias, target, n_threads=session.threads)),
        peer("torch linear + cross_entropy", "torch", theirs, same),
    ]  # fmt: skip
    shape = f"{n_rows} rows, {n_items} items, d = {d}"
    session.contest("softmax over all items", shape, "float32", entries, gflop=6e-9 * n_rows * n_items * d,
                    tag=tag, record_ours=bool(tag))  # fmt: skip


def sampled_head(session: Session, size: str) -> None:
    """Rows gathered, scored, their loss and gradients: by PyTorch as leaves, or as the sparse ones of a table."""
    n_rows, n_items, n_columns, d = SAMPLED[size]
    rng = np.random.default_rng(SEED)
    hidden = rng.standard_normal((n_rows, d), dtype=np.float32)
    weight = rng.standard_normal((n_items, d), dtype=np.float32) * np.float32(0.1)
    bias, ids = np.zeros(n_items, np.float32), rng.integers(0, n_items, n_columns)

    def ours() -> tuple:
        loss, d_hidden, (_, d_rows), d_bias = losses.sampled_softmax(
            hidden, weight, bias, ids, n_rows, n_threads=session.threads
        )
        return loss, d_hidden, d_rows, d_bias

    def of_leaves() -> Callable[[], tuple]:
        import torch
        from torch.nn import functional

        torch.set_num_threads(session.threads)
        x = torch.from_numpy(hidden).clone().requires_grad_(True)
        table, offsets, index = torch.from_numpy(weight), torch.from_numpy(bias), torch.from_numpy(ids)
        own = torch.arange(n_rows)

        def call() -> tuple:
            x.grad = None
            rows, b = table[index].requires_grad_(True), offsets[index].requires_grad_(True)
            value = functional.cross_entropy(functional.linear(x, rows, b), own)
            value.backward()
            return value.item(), x.grad.numpy(), rows.grad.numpy(), b.grad.numpy()

        return call

    def of_table() -> Callable[[], tuple]:
        import torch
        from torch.nn import functional

        torch.set_num_threads(session.threads)
        x, table, offsets = (torch.from_numpy(a).clone().requires_grad_(True) for a in (hidden, weight, bias[:, None]))
        index, own = torch.from_numpy(ids), torch.arange(n_rows)

        def call() -> tuple:
            x.grad = table.grad = offsets.grad = None
            rows, b = (functional.embedding(index, t, sparse=True) for t in (table, offsets))
            value = functional.cross_entropy(functional.linear(x, rows, b[:, 0]), own)
            value.backward()
            # not coalesced: a gradient for each id, as ours are
            of_rows, of_bias = (t.grad._values().numpy() for t in (table, offsets))
            return value.item(), x.grad.numpy(), of_rows, of_bias[:, 0]

        return call

    entries = [
        Entry("kernels.losses.sampled_softmax", ours),
        peer("torch gather + linear + cross_entropy", "torch", of_leaves, same),
        peer("torch sparse embedding + linear + cross_entropy", "torch", of_table, same),
    ]
    shape = f"{n_rows} rows, {n_columns} of {n_items} items, d = {d}"
    session.contest("softmax over samples", shape, "float32", entries, gflop=6e-9 * n_rows * n_columns * d,
                    tag="malloc tuned")  # fmt: skip
