"""Pairs of fields, there and back, beside PyTorch as its users write them. All float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.kernels.interaction import (
    attention_pooling_backward,
    attention_pooling_forward,
    bi_interaction_backward,
    bi_interaction_forward,
    fm_backward,
    fm_forward,
    inner_products_backward,
    inner_products_forward,
)

# batch, fields, embedding size, units of the network that gives weights
SIZES = {
    "tiny": (5, 4, 3, 2),
    "39": (4096, 39, 10, 16),
    "10": (4096, 10, 64, 64),
}

Result = tuple[np.ndarray, ...]  # the output and the gradients of all inputs
Forward = Callable[[Any, list[Any]], Any]  # torch, inputs -> output


def cases(options: Options) -> list[Case]:
    functions = ("sums", "factorization", "inner", "attention")
    chosen = []
    for threads in options.threads:
        chosen += [Case(f, {"size": size}, threads, TUNED_MALLOC) for f in functions for size in ("39", "10")]
        if not options.quick:
            chosen += [Case(f"{f}_default_malloc", {"size": "39"}, threads) for f in ("inner", "attention")]
    return chosen


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def by_torch(forward: Forward, inputs: list[np.ndarray], d_out: np.ndarray, threads: int) -> Callable[[], Result]:
    import torch

    torch.set_num_threads(threads)
    leaves = [torch.from_numpy(a).clone().requires_grad_(True) for a in inputs]
    gradient = torch.from_numpy(d_out)

    def call() -> Result:
        for leaf in leaves:
            leaf.grad = None
        out = forward(torch, leaves)
        out.backward(gradient)
        return out.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)

    call()
    return call


def contest(
    session: Session,
    case: str,
    size: str,
    ours: Callable[[], Result],
    peers: dict[str, Forward],
    inputs: list[np.ndarray],
    d_out: np.ndarray,
    tag: str = "malloc tuned",
    **work: float,
) -> None:
    B, m, D, A = SIZES[size]
    entries = [Entry("kernels.interaction", ours)]
    for name, forward in peers.items():

        def build(forward: Forward = forward) -> Callable[[], Result]:
            return by_torch(forward, inputs, d_out, session.threads)

        entries.append(peer(name, "torch", build, same))
    shape = f"B = {B}, m = {m}, D = {D}" + (f", A = {A}" if "gflop" in work else "")
    session.contest(
        case, shape, "float32", entries, unit="examples/s", unit_count=B, tag=tag, record_ours=bool(tag), **work
    )


def same(mine: Result, theirs: Result) -> None:
    """As a whole: a hidden unit at the kink of ReLU may fall on either side of it."""
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b)


def sums(session: Session, size: str) -> None:
    """Bi-interaction pooling. The work: embeddings are read twice, and their gradient is written."""
    B, m, D, _ = SIZES[size]
    x, d_out = draw((B, m, D), (B, D))

    def ours() -> Result:
        out = bi_interaction_forward(x, n_threads=session.threads)
        return out, bi_interaction_backward(d_out, x, n_threads=session.threads)

    def squares(torch: Any, leaves: list[Any]) -> Any:
        (e,) = leaves
        return 0.5 * (e.sum(1) ** 2 - (e**2).sum(1))

    contest(session, "bi-interaction", size, ours, {"torch": squares}, [x], d_out, gbyte=12e-9 * x.size)


def factorization(session: Session, size: str) -> None:
    """The pairs of a factorization machine."""
    B, m, D, _ = SIZES[size]
    x, d_out = draw((B, m, D), (B,))

    def ours() -> Result:
        return fm_forward(x, n_threads=session.threads), fm_backward(d_out, x, n_threads=session.threads)

    def squares(torch: Any, leaves: list[Any]) -> Any:
        (e,) = leaves
        return 0.5 * (e.sum(1) ** 2 - (e**2).sum(1)).sum(1)

    contest(session, "factorization machine", size, ours, {"torch": squares}, [x], d_out, gbyte=12e-9 * x.size)


def inner(session: Session, size: str, tag: str = "malloc tuned") -> None:
    """Inner products of all pairs: besides the embeddings, the products are written and their gradients are read."""
    B, m, D, _ = SIZES[size]
    first, second = np.triu_indices(m, 1)
    x, d_out = draw((B, m, D), (B, len(first)))

    def ours() -> Result:
        out = inner_products_forward(x, n_threads=session.threads)
        return out, inner_products_backward(d_out, x, n_threads=session.threads)

    def gathered(torch: Any, leaves: list[Any]) -> Any:
        (e,) = leaves
        return (e[:, torch.from_numpy(first)] * e[:, torch.from_numpy(second)]).sum(2)

    def batched(torch: Any, leaves: list[Any]) -> Any:
        (e,) = leaves
        return torch.bmm(e, e.transpose(1, 2))[:, torch.from_numpy(first), torch.from_numpy(second)]

    peers = {"torch, fields of the pairs gathered": gathered, "torch bmm": batched}
    work = 4e-9 * (3 * x.size + 2 * d_out.size)
    contest(session, "inner products", size, ours, peers, [x], d_out, tag, gbyte=work)


def inner_default_malloc(session: Session, size: str) -> None:
    """As PyTorch is without settings."""
    inner(session, size, "")


def attention(session: Session, size: str, tag: str = "malloc tuned") -> None:
    """Pairs pooled with attention. The work are the network's products with all pairs, one there and two back."""
    B, m, D, A = SIZES[size]
    first, second = np.triu_indices(m, 1)
    x, w, b, h, d_out = draw((B, m, D), (A, D), (A,), (A,), (B, D))
    w, h = w / np.float32(D**0.5), h / np.float32(A**0.5)

    def ours() -> Result:
        pooled, log_sum = attention_pooling_forward(x, w, b, h, n_threads=session.threads)
        return pooled, *attention_pooling_backward(d_out, pooled, log_sum, x, w, b, h, n_threads=session.threads)

    def pairs(torch: Any, leaves: list[Any]) -> Any:
        e, *weights = leaves
        products = e[:, torch.from_numpy(first)] * e[:, torch.from_numpy(second)]
        scores = torch.relu(torch.nn.functional.linear(products, *weights[:2])) @ weights[2]
        return (torch.softmax(scores, 1)[:, :, None] * products).sum(1)

    work = 6e-9 * B * len(first) * D * A
    contest(session, "attention", size, ours, {"torch": pairs}, [x, w, b, h], d_out, tag, gflop=work)


def attention_default_malloc(session: Session, size: str) -> None:
    """As PyTorch is without settings."""
    attention(session, size, "")
