"""Recurrent layers, forward and backward: one step of session-parallel batches, and packed sequences. float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _data import SEED
from _harness import Case, Entry, Options, Session, peer

from pyrec_core.kernels.recurrent import gru_backward, gru_forward, lstm_backward, lstm_forward

STEPS = {"tiny": (3, 4), "small": (32, 100), "medium": (240, 100), "large": (512, 256)}  # sequences, hidden units
PACKED = {"tiny": (3, 4, 5), "full": (256, 100, 50)}  # sequences, hidden units, longest
CELLS = ("gru before", "gru after", "lstm")
BLOCKS = {"gru before": 3, "gru after": 3, "lstm": 4}


def cases(options: Options) -> list[Case]:
    sizes = ("small", "medium") if options.quick else ("small", "medium", "large")
    return [
        case
        for threads in options.threads
        for cell in CELLS
        for case in (
            *(Case("step", {"size": size, "cell": cell}, threads) for size in sizes),
            Case("packed", {"size": "full", "cell": cell}, threads),
        )
    ]


def step(session: Session, size: str, cell: str) -> None:
    """One step, and its gradients with respect to the input's share and the weights."""
    n, d = STEPS[size]
    contest(session, f"{cell}, one step", f"{n} sequences, {d} units", cell, d, np.array([n]))


def packed(session: Session, size: str, cell: str) -> None:
    """Sequences of many lengths, back-propagation through all of them."""
    n, d, longest = PACKED[size]
    lengths = np.minimum(np.random.default_rng(SEED).geometric(3 / longest, n), longest)
    steps = np.array([(lengths > t).sum() for t in range(lengths.max())])
    shape = f"{n} sequences of 1 to {lengths.max()} steps, {steps.sum()} in all, {d} units"
    contest(session, f"{cell}, packed", shape, cell, d, steps)


def contest(session: Session, case: str, shape: str, cell: str, d: int, steps: np.ndarray) -> None:
    rng = np.random.default_rng(SEED)
    n, width = int(steps.sum()), BLOCKS[cell] * d
    x, d_h = rng.standard_normal((n, width), dtype=np.float32), rng.standard_normal((n, d), dtype=np.float32)
    u = rng.uniform(-0.1, 0.1, (d, width)).astype(np.float32)
    h0 = np.tanh(rng.standard_normal((steps[0], d), dtype=np.float32))
    how = {"steps": steps, "n_threads": session.threads}

    def call() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if cell == "lstm":
            h, c, saved = lstm_forward(x, h0, h0, u, **how)
            d_x, _, _, d_u = lstm_backward(d_h, None, h, c, saved, h0, h0, u, through_h0=False, **how)
        else:
            reset = cell.removeprefix("gru ")
            h, kept = gru_forward(x, h0, u, reset=reset, **how)
            d_x, _, d_u, _ = gru_backward(d_h, h, kept, h0, u, reset=reset, through_h0=False, **how)
        return h, d_x, d_u

    entries = [
        Entry(f"recurrent.{cell.split()[0]}", call),
        peer("torch, eager", "torch", lambda: torch_cell(cell, x, h0, u, d_h, steps, session), same),
    ]
    # forward, and the gradient of u; back into all states but h0, but for the reset gate that acts before the product
    lanes = len(h0)
    back = (n - lanes) * d * width + (lanes * d * d if cell == "gru before" else 0)
    work = 2e-9 * (2 * n * d * width + back)
    session.contest(case, shape, "float32", entries, gflop=work, unit="events/s", unit_count=n)


def torch_cell(
    cell: str, x: np.ndarray, h0: np.ndarray, u: np.ndarray, d_h: np.ndarray, steps: np.ndarray, session: Session
) -> Callable[[], Any]:
    """Return the equations in PyTorch, whose own cells make the product of the input too, and have one form of GRU."""
    import torch

    torch.set_num_threads(session.threads)
    share, weights = torch.from_numpy(x).requires_grad_(), torch.from_numpy(u).requires_grad_()
    start, d_states, rows = torch.from_numpy(h0), torch.from_numpy(d_h), steps.tolist()

    def call() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        share.grad = weights.grad = None
        p, q, states = start, start, []
        for a in share.split(rows):
            p, q = after(torch, cell, a, p[: len(a)], q[: len(a)], weights)
            states.append(p)
        h = torch.cat(states)
        h.backward(d_states)
        return h.detach().numpy(), share.grad.numpy(), weights.grad.numpy()

    return call


def after(torch: Any, cell: str, a: Any, p: Any, q: Any, u: Any) -> tuple[Any, Any]:
    """Return the state after a step (and the cell of an LSTM) from that before, in the equations of our kernels."""
    d = p.shape[1]
    if cell == "gru before":
        r, z = torch.sigmoid(a[:, d:] + p @ u[:, d:]).split(d, 1)
        c = torch.tanh(a[:, :d] + (r * p) @ u[:, :d])
        return (1 - z) * p + z * c, q
    s = p @ u
    if cell == "gru after":
        r, z = torch.sigmoid(a[:, : 2 * d] + s[:, : 2 * d]).split(d, 1)
        c = torch.tanh(a[:, 2 * d :] + r * s[:, 2 * d :])
        return z * p + (1 - z) * c, q
    i, f, g, o = (a + s).split(d, 1)
    c = torch.sigmoid(f) * q + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def same(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * float(np.abs(b).max()))
