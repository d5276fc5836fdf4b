"""What is timed on a GPU of the kernels of layers: elements, rows, pairs of fields, and the CIN. All float32."""

from collections.abc import Callable, Iterator
from typing import Any

import bench_activations
import bench_interaction
import numpy as np
from _data import SEED
from _gpu import Call, Task, alike

from pyrec_core.kernels import activations as act
from pyrec_core.kernels import cin as compressed
from pyrec_core.kernels import interaction as pairs
from pyrec_core.kernels import norm
from pyrec_core.kernels.linalg import column_sums

ROWS = {"tiny": (70, 33), "full": (16_384, 1024)}  # of elementwise functions and norms
CIN = {"tiny": (6, 4, 3, 2, 5), "full": (4096, 39, 10, 100, 200)}  # batch, fields, embedding size, maps: before, of it
FIELDS = {"tiny": ("tiny",), "full": ("39", "10")}  # sizes of bench_interaction
RATE = 0.5


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def there_and_back(forward: Call, n_inputs: int) -> Call:
    """Return a function of PyTorch that gives what ``forward`` of the first tensors does, and its gradients.

    The last tensor is the gradient of the output.
    """

    def call(torch: Any, *tensors: Any) -> Any:
        leaves = [t.detach().requires_grad_(True) for t in tensors[:n_inputs]]
        out = forward(torch, *leaves)
        return (out, *torch.autograd.grad(out, leaves, tensors[-1]))

    return call


def elements(size: str) -> Iterator[Task]:
    """Activations, softmax and its kin, dropout: x, y; d_y, y, d_x are read and written."""
    shape = ROWS[size]
    x, d_y = draw(shape, shape)
    text, work = f"{shape[0]} x {shape[1]}", 4e-9 * x.size
    for name in bench_activations.NAMES:
        if name == "dropout":
            continue

        def ours(x: Any, d_y: Any, name: str = name) -> Any:
            if name in act.ACTIVATIONS:
                y = act.activation_forward(x, name)
                return y, act.activation_backward(d_y, y, name)
            y = getattr(act, f"{name}_forward")(x)
            return y, getattr(act, f"{name}_backward")(d_y, y)

        def by_torch(torch: Any, x: Any, name: str = name) -> Any:
            f = getattr(torch.nn.functional, name)
            return f(x, dim=1) if "softmax" in name else f(x)

        torchs = there_and_back(by_torch, 1)
        yield Task(f"{name}, there and back", text, ours, (x, d_y), CUPY[name], torchs, gbyte=5 * work)
    yield Task(
        "dropout", text, lambda x: act.dropout(x, RATE, seed=SEED), (np.ones(shape, np.float32),),
        lambda xp, x: x * (xp.random.random(x.shape, dtype=np.float32) >= RATE) * np.float32(1 / (1 - RATE)),
        lambda torch, x: torch.nn.functional.dropout(x, RATE), gbyte=2 * work, peers=alike,
    )  # fmt: skip


def _softmax(xp: Any, x: Any, d_y: Any) -> Any:
    e = xp.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y * (d_y - (y * d_y).sum(axis=1, keepdims=True))


def _log_softmax(xp: Any, x: Any, d_y: Any) -> Any:
    shifted = x - x.max(axis=1, keepdims=True)
    y = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    return y, d_y - xp.exp(y) * d_y.sum(axis=1, keepdims=True)


def _by_output(y_of: Call, slope_of: Call) -> Call:
    """Return what makes the output and the gradient, of an elementwise function and of its slope by its output."""

    def both(xp: Any, x: Any, d_y: Any) -> Any:
        y = y_of(xp, x)
        return y, d_y * slope_of(xp, y)

    return both


SELU, SELU_ALPHA = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
CUPY: dict[str, Callable[..., Any]] = {
    "relu": _by_output(lambda xp, x: xp.maximum(x, 0), lambda xp, y: y > 0),
    "elu": _by_output(lambda xp, x: xp.where(x > 0, x, xp.expm1(x)), lambda xp, y: xp.where(y > 0, 1, y + 1)),
    "selu": _by_output(
        lambda xp, x: SELU * xp.where(x > 0, x, SELU_ALPHA * xp.expm1(x)),
        lambda xp, y: xp.where(y > 0, SELU, y + SELU * SELU_ALPHA),
    ),
    "sigmoid": _by_output(lambda xp, x: 1 / (1 + xp.exp(-x)), lambda xp, y: y * (1 - y)),
    "tanh": _by_output(lambda xp, x: xp.tanh(x), lambda xp, y: 1 - y * y),
    "softplus": _by_output(lambda xp, x: xp.logaddexp(x, 0), lambda xp, y: -xp.expm1(-y)),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
}


def norms(size: str) -> Iterator[Task]:
    """Norms over the batch and over rows, and sums of columns."""
    shape = ROWS[size]
    x, d_y, (gamma,), (beta,) = draw(shape, shape, (1, shape[1]), (1, shape[1]))
    text, work = f"{shape[0]} x {shape[1]}", 4e-9 * x.size

    def batch(x: Any, gamma: Any, beta: Any, d_y: Any) -> Any:
        mean, var = norm.column_moments(x)
        y = norm.batch_norm_forward(x, mean, var, gamma, beta)
        return y, *norm.batch_norm_backward(d_y, x, mean, var, gamma)

    def layer(x: Any, gamma: Any, beta: Any, d_y: Any) -> Any:
        return norm.layer_norm_forward(x, gamma, beta), *norm.layer_norm_backward(d_y, x, gamma)

    def by_cupy(axis: int) -> Call:
        def both(xp: Any, x: Any, gamma: Any, beta: Any, d_y: Any) -> Any:
            centred = x - x.mean(axis=axis, keepdims=True)
            scale = 1 / xp.sqrt((centred * centred).mean(axis=axis, keepdims=True) + np.float32(1e-5))
            z, d_z = centred * scale, d_y * gamma
            shared = d_z.mean(axis=axis, keepdims=True) + z * (d_z * z).mean(axis=axis, keepdims=True)
            return z * gamma + beta, (d_z - shared) * scale, (d_y * z).sum(axis=0), d_y.sum(axis=0)

        return both

    def batch_by_torch(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True)

    def layer_by_torch(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta)

    arrays = x, gamma, beta, d_y
    # x twice there (moments first) or once, y; d_y and x twice back (sums first) or once, d_x
    yield Task(
        "batch norm, there and back", text, batch, arrays, by_cupy(0), there_and_back(batch_by_torch, 3),
        gbyte=8 * work,
    )  # fmt: skip
    yield Task(
        "layer norm, there and back", text, layer, arrays, by_cupy(1), there_and_back(layer_by_torch, 3),
        gbyte=5 * work,
    )  # fmt: skip
    yield Task(
        "column sums", text, column_sums, (x,), lambda xp, x: x.sum(axis=0), lambda torch, x: x.sum(0), gbyte=work
    )


def interaction(size: str) -> Iterator[Task]:
    """Pairs of fields: summed, as inner products, with attention; there and back."""
    for which in FIELDS[size]:
        yield from _interaction(*bench_interaction.SIZES[which])


def _interaction(B: int, m: int, D: int, A: int) -> Iterator[Task]:
    text = f"B = {B}, m = {m}, D = {D}"
    i, j = np.triu_indices(m, 1)
    x, d_pooled, d_one, d_products = draw((B, m, D), (B, D), (B,), (B, len(i)))
    w, b, h = (a / np.float32(a.shape[-1] ** 0.5) for a in draw((A, D), (A,), (A,)))

    def squares(x: Any) -> Any:
        total = x.sum(1)
        return (total * total - (x * x).sum(1)) / 2

    def sums_by_cupy(xp: Any, x: Any, d_out: Any) -> Any:
        return squares(x), d_out[:, None] * (x.sum(1)[:, None] - x)

    def machine_by_cupy(xp: Any, x: Any, d_out: Any) -> Any:
        return squares(x).sum(1), d_out[:, None, None] * (x.sum(1)[:, None] - x)

    def inner_by_cupy(xp: Any, x: Any, i: Any, j: Any, d_out: Any) -> Any:
        d_table = xp.zeros((B, m, m), np.float32)
        d_table[:, i, j] = d_out
        d_table[:, j, i] = d_out
        return xp.matmul(x, x.swapaxes(1, 2))[:, i, j], xp.matmul(d_table, x)

    def inner_by_torch(torch: Any, x: Any, i: Any, j: Any, d_out: Any) -> Any:
        return there_and_back(lambda torch, x: torch.bmm(x, x.transpose(1, 2))[:, i, j], 1)(torch, x, d_out)

    def attention(x: Any, w: Any, b: Any, h: Any, i: Any, j: Any, d_out: Any) -> Any:
        pooled, log_sum = pairs.attention_pooling_forward(x, w, b, h)
        return pooled, *pairs.attention_pooling_backward(d_out, pooled, log_sum, x, w, b, h)

    def attention_by_torch(torch: Any, x: Any, w: Any, b: Any, h: Any, i: Any, j: Any, d_out: Any) -> Any:
        def forward(torch: Any, x: Any, w: Any, b: Any, h: Any) -> Any:
            products = x[:, i] * x[:, j]
            scores = torch.relu(torch.nn.functional.linear(products, w, b)) @ h
            return (torch.softmax(scores, 1)[:, :, None] * products).sum(1)

        return there_and_back(forward, 4)(torch, x, w, b, h, d_out)

    both = 12e-9 * x.size  # embeddings are read twice, their gradient is written
    yield Task(
        "bi-interaction, there and back", text,
        lambda x, d: (pairs.bi_interaction_forward(x), pairs.bi_interaction_backward(d, x)), (x, d_pooled),
        sums_by_cupy, there_and_back(lambda torch, x: squares(x), 1), gbyte=both,
    )  # fmt: skip
    yield Task(
        "factorization machine, there and back", text,
        lambda x, d: (pairs.fm_forward(x), pairs.fm_backward(d, x)), (x, d_one),
        machine_by_cupy, there_and_back(lambda torch, x: squares(x).sum(1), 1), gbyte=both,
    )  # fmt: skip
    yield Task(
        "inner products, there and back", text,
        lambda x, i, j, d: (pairs.inner_products_forward(x), pairs.inner_products_backward(d, x)),
        (x, i, j, d_products), inner_by_cupy, inner_by_torch, gbyte=both + 8e-9 * d_products.size,
    )  # fmt: skip
    yield Task(
        "attention, there and back", f"{text}, A = {A}", attention, (x, w, b, h, i, j, d_pooled), None,
        attention_by_torch, gflop=6e-9 * B * len(i) * D * A,
    )  # fmt: skip


def cin(size: str) -> Iterator[Task]:
    """A layer of the compressed interaction network, there and back: one product, and two."""
    B, m, D, H, O = CIN[size]
    x0, xk, w, d_out = draw((B, m, D), (B, H, D), (O, H, m), (B, O, D))
    w = w / np.float32((H * m) ** 0.5)
    text = f"B = {B}, m = {m}, D = {D}, H = {H}, O = {O}"
    work = 2e-9 * w.size * B * D

    def outer(xk: Any, x0: Any) -> Any:
        return (xk[:, :, None] * x0[:, None]).reshape(len(x0), -1, D)

    def back(x0: Any, xk: Any, w: Any, d_out: Any) -> Any:
        return compressed.cin_backward(d_out, x0, xk, w)[:3]

    def forward_by_cupy(xp: Any, x0: Any, xk: Any, w: Any) -> Any:
        return xp.matmul(w.reshape(O, H * m), outer(xk, x0))

    def back_by_cupy(xp: Any, x0: Any, xk: Any, w: Any, d_out: Any) -> Any:
        flat = w.reshape(O, H * m)
        d_z = xp.matmul(flat.T, d_out).reshape(-1, H, m, D)
        d_w = xp.matmul(d_out.transpose(1, 0, 2).reshape(O, -1), outer(xk, x0).transpose(1, 0, 2).reshape(H * m, -1).T)
        return (d_z * xk[:, :, None]).sum(1), (d_z * x0[:, None]).sum(2), d_w.reshape(O, H, m)

    def forward_by_torch(torch: Any, x0: Any, xk: Any, w: Any) -> Any:
        return torch.nn.functional.conv1d(outer(xk, x0), w.reshape(O, H * m, 1))

    def back_by_torch(torch: Any, *tensors: Any) -> Any:
        return there_and_back(forward_by_torch, 3)(torch, *tensors)[1:]

    yield Task(
        "CIN layer, forward", text, compressed.cin_forward, (x0, xk, w), forward_by_cupy, forward_by_torch, gflop=work
    )
    yield Task(
        "CIN layer, backward", text, back, (x0, xk, w, d_out), back_by_cupy, back_by_torch, gflop=2 * work
    )  # torch's time has its forward in it


FAMILIES = {"activations": elements, "norm": norms, "interaction": interaction, "cin": cin}
