"""What is timed on a GPU of losses, with their gradients, and of recurrent layers. All float32."""

from collections.abc import Iterator
from typing import Any

import bench_losses
import bench_recurrent
import numpy as np
from _data import SEED
from _gpu import Call, Task, same
from _gpu_layers import draw, there_and_back

from pyrec_core.kernels import losses, recurrent

SCORES = {"tiny": ("tiny",), "full": ("a", "b")}  # sizes of bench_losses
ELEMENTS = {"tiny": 300, "full": 16_000_000}
LANES = {"tiny": ("tiny",), "full": ("medium", "large")}  # of bench_recurrent
PACKED = {"tiny": "tiny", "full": "full"}


def of_scores(size: str) -> Iterator[Task]:
    """Losses of sampled scores: each score is read once, its gradient written once."""
    for which in SCORES[size]:
        shape = bench_losses.SIZES[which]
        (scores,) = draw(shape)
        for name, loss in bench_losses.OURS.items():

            def by_torch(torch: Any, scores: Any, name: str = name) -> Any:
                leaf = scores.detach().requires_grad_(True)
                value = bench_losses.torch_losses()[name](leaf)
                return value, *torch.autograd.grad(value, leaf)

            yield Task(
                f"loss {name}", f"{shape[0]} x {shape[1]}", loss, (scores,),
                _softmax_by_cupy if name == "cross-entropy" else None, by_torch, gbyte=8e-9 * scores.size, peers=close,
            )  # fmt: skip


def close(ours: Any, theirs: Any) -> None:
    same(ours, theirs, 2e-3)  # torch sums thousands of terms in float32


def _softmax_by_cupy(xp: Any, scores: Any) -> Any:
    n = len(scores)
    own = xp.arange(n)
    shifted = scores - scores.max(axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = (xp.log(total[:, 0]) - shifted[own, own]).mean()
    e /= total * n
    e[own, own] -= np.float32(1 / n)
    return loss, e


def heads(size: str) -> Iterator[Task]:
    """The output layer with its loss and all gradients: over all items, and over sampled ones."""
    for which in SCORES[size]:
        n, n_items, d = bench_losses.HEADS[which]
        hidden, weight = draw((n, d), (n_items, d))
        weight *= np.float32(0.1)
        bias, target = np.zeros(n_items, np.float32), np.random.default_rng(SEED).integers(0, n_items, n)
        yield Task(
            "softmax over all items", f"{n} rows, {n_items} items, d = {d}", losses.full_softmax,
            (hidden, weight, bias, target), None, _full_by_torch, gflop=6e-9 * n * n_items * d, peers=close,
        )  # fmt: skip
    for which in SCORES[size]:
        n, n_items, n_columns, d = bench_losses.SAMPLED[which]
        hidden, weight = draw((n, d), (n_items, d))
        weight *= np.float32(0.1)
        bias, ids = np.zeros(n_items, np.float32), np.random.default_rng(SEED).integers(0, n_items, n_columns)

        def sampled(hidden: Any, weight: Any, bias: Any, ids: Any) -> Any:
            loss, d_hidden, (_, d_rows), d_bias = losses.sampled_softmax(hidden, weight, bias, ids, len(hidden))
            return loss, d_hidden, d_rows, d_bias

        yield Task(
            "softmax over samples", f"{n} rows, {n_columns} of {n_items} items, d = {d}", sampled,
            (hidden, weight, bias, ids), None, _sampled_by_torch, gflop=6e-9 * n * n_columns * d, peers=close,
        )  # fmt: skip


def _full_by_torch(torch: Any, hidden: Any, weight: Any, bias: Any, target: Any) -> Any:
    leaves = [t.detach().requires_grad_(True) for t in (hidden, weight, bias)]
    value = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*leaves), target)
    return value, *torch.autograd.grad(value, leaves)


def _sampled_by_torch(torch: Any, hidden: Any, weight: Any, bias: Any, ids: Any) -> Any:
    return _full_by_torch(torch, hidden, weight[ids], bias[ids], torch.arange(len(hidden), device=hidden.device))


def elements(size: str) -> Iterator[Task]:
    """Losses of single predictions and of pairs: both inputs are read, their gradients written."""
    n = ELEMENTS[size]
    x, t = draw((n,), (n,))
    target = (t > 0).astype(np.float32)
    functions: dict[str, tuple[Call, Call, Call, np.ndarray]] = {
        "binary cross-entropy": (
            losses.binary_cross_entropy, _logistic_by_cupy, _of("binary_cross_entropy_with_logits"), target,
        ),
        "squared error": (losses.squared_error, _squares_by_cupy, _of("mse_loss"), target),
        "huber": (losses.huber, _huber_by_cupy, _of("huber_loss"), t),
    }  # fmt: skip
    for name, (ours, by_cupy, by_torch, other) in functions.items():
        yield Task(f"loss {name}", f"{n}", ours, (x, other), by_cupy, by_torch, gbyte=12e-9 * n, peers=close)
    yield Task("loss bpr of pairs", f"{n}", losses.bpr_pairs, (x, t), _bpr_by_cupy, _bpr_by_torch, gbyte=16e-9 * n,
               peers=close)  # fmt: skip


def _of(name: str) -> Call:
    def call(torch: Any, x: Any, t: Any) -> Any:
        leaf = x.detach().requires_grad_(True)
        value = getattr(torch.nn.functional, name)(leaf, t)
        return value, *torch.autograd.grad(value, leaf)

    return call


def _logistic_by_cupy(xp: Any, x: Any, t: Any) -> Any:
    return (xp.logaddexp(x, 0) - t * x).mean(), (1 / (1 + xp.exp(-x)) - t) / len(x)


def _squares_by_cupy(xp: Any, x: Any, t: Any) -> Any:
    difference = x - t
    return (difference * difference).mean(), 2 * difference / len(x)


def _huber_by_cupy(xp: Any, x: Any, t: Any) -> Any:
    slope = xp.clip(x - t, -1, 1)
    return (slope * (x - t - slope / 2)).mean(), slope / len(x)


def _bpr_by_cupy(xp: Any, x: Any, t: Any) -> Any:
    slope = -1 / (1 + xp.exp(x - t)) / len(x)
    return xp.logaddexp(t - x, 0).mean(), slope, -slope


def _bpr_by_torch(torch: Any, x: Any, t: Any) -> Any:
    leaves = [a.detach().requires_grad_(True) for a in (x, t)]
    value = -torch.nn.functional.logsigmoid(leaves[0] - leaves[1]).mean()
    return value, *torch.autograd.grad(value, leaves)


def cells(size: str) -> Iterator[Task]:
    """GRU and LSTM: one step of session-parallel batches, and packed sequences of many lengths."""
    shapes = {f"{n} sequences, {d} units": (d, np.array([n])) for n, d in map(bench_recurrent.STEPS.get, LANES[size])}
    n, d, longest = bench_recurrent.PACKED[PACKED[size]]
    lengths = np.minimum(np.random.default_rng(SEED).geometric(3 / longest, n), longest)
    steps = np.array([(lengths > t).sum() for t in range(lengths.max())])
    shapes |= {f"{n} sequences of 1 to {lengths.max()} steps, {steps.sum()} in all, {d} units": (d, steps)}
    for text, (d, steps) in shapes.items():
        for cell in bench_recurrent.CELLS:
            yield _cell(cell, text, d, steps)


def _cell(cell: str, text: str, d: int, steps: np.ndarray) -> Task:
    n, width = int(steps.sum()), bench_recurrent.BLOCKS[cell] * d
    x, d_h, u, h0 = draw((n, width), (n, d), (d, width), (int(steps[0]), d))
    u, h0, how = u / np.float32(20), np.tanh(h0), {"steps": steps}
    reset = cell.removeprefix("gru ")

    def ours(x: Any, u: Any, h0: Any, d_h: Any) -> Any:
        if cell == "lstm":
            h, c, saved = recurrent.lstm_forward(x, h0, h0, u, **how)
            d_x, _, _, d_u = recurrent.lstm_backward(d_h, None, h, c, saved, h0, h0, u, through_h0=False, **how)
        else:
            h, saved = recurrent.gru_forward(x, h0, u, reset=reset, **how)
            d_x, _, d_u, _ = recurrent.gru_backward(d_h, h, saved, h0, u, reset=reset, through_h0=False, **how)
        return h, d_x, d_u

    def by_torch(torch: Any, x: Any, u: Any, h0: Any, d_h: Any) -> Any:
        def forward(torch: Any, x: Any, u: Any) -> Any:
            p, q, states = h0, h0, []
            for a in x.split(steps.tolist()):
                p, q = bench_recurrent.after(torch, cell, a, p[: len(a)], q[: len(a)], u)
                states.append(p)
            return torch.cat(states)

        return there_and_back(forward, 2)(torch, x, u, d_h)

    # forward, and the gradient of u; back into all states but h0, but for the reset gate that acts before the product
    lanes = len(h0)
    back = (n - lanes) * d * width + (lanes * d * d if cell == "gru before" else 0)
    work = 2e-9 * (2 * n * d * width + back)
    return Task(f"{cell}, there and back", text, ours, (x, u, h0, d_h), None, by_torch, gflop=work, peers=close)


FAMILIES = {"losses of scores": of_scores, "losses of heads": heads, "losses of elements": elements, "recurrent": cells}
