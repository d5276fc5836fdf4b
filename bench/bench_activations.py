"""Activations, softmax and dropout, there and back, and a stack of dense layers, beside torch. float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core import _backend
from pyrec_core._random import Source
from pyrec_core.kernels import activations
from pyrec_core.layers import Chain, Dense, mlp

SIZES = {"tiny": (5, 12), "full": (4096, 1024)}  # rows, columns
STACKS = {"tiny": (6, 5, (4, 3)), "full": (4096, 624, (256, 128))}  # rows, inputs (39 fields of 16), hidden layers
RATE = 0.5
NAMES = ("relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softmax", "log_softmax", "dropout")


def cases(options: Options) -> list[Case]:
    names = ("elu", "softmax", "dropout") if options.quick else NAMES
    return [
        case
        for threads in options.threads
        for case in (
            *(Case("there_and_back", {"name": name, "size": "full"}, threads, TUNED_MALLOC) for name in names),
            Case("stack", {"size": "full"}, threads, TUNED_MALLOC),
        )
    ]


def there_and_back(session: Session, name: str, size: str) -> None:
    """The output, and the gradient of the input."""
    shape = SIZES[size]
    x, d_y = np.random.default_rng(SEED).standard_normal((2, *shape), dtype=np.float32)
    entries = [
        Entry(f"activations.{name}", lambda: ours(name, x, d_y, session.threads)),
        peer("torch", "torch", lambda: torchs(name, x, d_y, session), same_dropout if name == "dropout" else same),
    ]
    work = 4e-9 * x.size * (4 if name == "dropout" else 5)  # x, y; d_y, y, d_x
    session.contest(f"{name}, there and back", f"{shape[0]} x {shape[1]}", "float32", entries, gbyte=work,
                    unit="values/s", unit_count=x.size)  # fmt: skip


def ours(name: str, x: np.ndarray, d_y: np.ndarray, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
    if name == "dropout":
        y = activations.dropout(x, RATE, seed=SEED, n_threads=n_threads)
        return y, activations.dropout(d_y, RATE, seed=SEED, n_threads=n_threads)
    if name in activations.ACTIVATIONS:
        y = activations.activation_forward(x, name, n_threads=n_threads)
        return y, activations.activation_backward(d_y, y, name, n_threads=n_threads)
    y = getattr(activations, f"{name}_forward")(x, n_threads=n_threads)
    return y, getattr(activations, f"{name}_backward")(d_y, y, n_threads=n_threads)


def torchs(name: str, x: np.ndarray, d_y: np.ndarray, session: Session) -> Callable[[], Any]:
    import torch
    from torch.nn import functional

    torch.set_num_threads(session.threads)
    a, g = torch.from_numpy(x).requires_grad_(), torch.from_numpy(d_y)
    calls: dict[str, Callable[[Any], Any]] = {
        "softmax": lambda v: torch.softmax(v, -1),
        "log_softmax": lambda v: torch.log_softmax(v, -1),
        "dropout": lambda v: functional.dropout(v, RATE),
    }
    f = calls.get(name) or getattr(torch, name, None) or getattr(functional, name)

    def call() -> tuple[np.ndarray, np.ndarray]:
        y = f(a)
        (d_x,) = torch.autograd.grad(y, a, g)
        return y.detach().numpy(), d_x.numpy()

    return call


def stack(session: Session, size: str) -> None:
    """Dense layers with ReLU and one output: the loss's way back to all weights and the input."""
    rows, n_in, hidden = STACKS[size]
    x, d_y = np.random.default_rng(SEED).standard_normal((2, rows, n_in), dtype=np.float32)
    d_y = np.ascontiguousarray(d_y[:, :1])
    source = Source(SEED)
    net = Chain(mlp(n_in, hidden, source), Dense(hidden[-1], 1, source))

    def call() -> tuple[np.ndarray, ...]:
        for param in net.params():
            param.clear()
        with _backend.use_threads(session.threads):
            y, backprop = net.forward(x, train=True)
            return y, backprop(d_y), *(p.grad for p in net.params() if p.grad is not None)

    weights = [p.value for p in net.params()]
    gflop = 6e-9 * rows * sum(w.size for w in weights if w.ndim == 2)
    entries = [
        Entry("layers.mlp", call),
        peer("torch.nn.functional", "torch", lambda: torch_stack(weights, x, d_y, session), same),
    ]
    shape = f"{rows} rows, {' - '.join(map(str, (n_in, *hidden, 1)))}"
    session.contest("dense layers, there and back", shape, "float32", entries, gflop=gflop, unit="rows/s",
                    unit_count=rows)  # fmt: skip


def torch_stack(weights: list[np.ndarray], x: np.ndarray, d_y: np.ndarray, session: Session) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(session.threads)
    params = [torch.from_numpy(w.copy()).requires_grad_() for w in weights]
    a, g = torch.from_numpy(x).requires_grad_(), torch.from_numpy(d_y)

    def call() -> tuple[np.ndarray, ...]:
        h: Any = a
        for w, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            h = torch.relu(torch.addmm(b, h, w))
        y = torch.addmm(params[-1], h, params[-2])
        return y.detach().numpy(), *(d.numpy() for d in torch.autograd.grad(y, [a, *params], g))

    return call


def same(mine: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> None:
    """As whole arrays: a sum that is 0 but for rounding may lie on either side of ReLU's edge."""
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b)


def same_dropout(mine: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> None:
    """Not the same elements, but about as many."""
    for a, b in zip(mine, theirs, strict=True):
        assert abs(np.mean(a == 0) - np.mean(b == 0)) < 4 / np.sqrt(a.size)
