"""Compressed interaction network, forward and backward, beside PyTorch and NumPy. All float32. Half of the maps of
a layer go to the output, the others to the next layer; ReLU; maps are summed over the embedding."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core.kernels.cin import cin_backward, cin_forward, cin_pool_backward, cin_pool_forward

# batch, fields, embedding size, maps of each layer
SIZES = {
    "tiny": (5, 4, 3, (6, 4)),
    "a": (512, 39, 10, (200, 200, 200)),
    "b": (4096, 39, 10, (200, 200, 200)),
    "c": (4096, 10, 16, (128, 128)),
    "d": (4096, 2, 16, (16, 16)),
}
PRODUCTS = {"tiny": (5, 4, 3, 2, 6), "a": (512, 39, 10, 100, 200)}  # batch, fields, embedding size, maps: before, of it
COLUMNS = 512  # of the outer product that NumPy makes at a time: fits the cache

Result = tuple[np.ndarray, ...]  # sums of the maps, gradient of the embeddings, gradients of the weights


def cases(options: Options) -> list[Case]:
    chosen = []
    for threads in options.threads:
        sizes = ("a",) if options.quick else ("a", "b", "c", "d")
        chosen += [Case("network", {"size": size}, threads, TUNED_MALLOC) for size in sizes]
        if not options.quick:
            chosen.append(Case("network_default_malloc", {"size": "a"}, threads))
        if options.large:
            chosen.append(Case("network_default_malloc", {"size": "b"}, threads))
        chosen.append(Case("products", {"size": "a"}, threads))
    return chosen


class Network(NamedTuple):
    """Embeddings (B, m, D), the gradient of each output of an example (B,), weights and biases of each layer."""

    x: np.ndarray
    d_out: np.ndarray
    weights: list[np.ndarray]
    biases: list[np.ndarray]


def make(size: str) -> tuple[Network, float]:
    """Return a network and the GFLOP of a step: three products a layer."""
    B, m, D, layers = SIZES[size]
    rng = np.random.default_rng(SEED)
    maps = [m, *(n // 2 for n in layers)]
    shapes = [(O, H, m) for O, H in zip(layers, maps, strict=False)]
    weights = [rng.standard_normal(s, dtype=np.float32) / np.float32((s[1] * m) ** 0.5) for s in shapes]
    biases = [np.full(O, 0.01, np.float32) for O in layers]
    x = rng.standard_normal((B, m, D), dtype=np.float32)
    return Network(x, rng.standard_normal(B, dtype=np.float32), weights, biases), sum(
        6e-9 * w.size * B * D for w in weights
    )


def ours(net: Network, threads: int) -> Result:
    x, kept, outputs, last = net.x, [], [], len(net.weights) - 1
    maps, how = x, {"activation": "relu", "n_threads": threads}
    for layer, (w, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        a = cin_forward(x, maps, w, bias, n_threads=threads)
        kept.append((maps, a))
        n_hidden = len(w) // 2 if layer < last else 0
        pooled, maps = cin_pool_forward(a, len(w) - n_hidden, n_hidden, **how)
        outputs.append(pooled)
    d_x, d_maps, d_weights = np.zeros_like(x), maps, []  # none of the last layer goes on
    for w, (maps, a), pooled in zip(*(reversed(them) for them in (net.weights, kept, outputs)), strict=True):
        d_pooled = np.repeat(net.d_out[:, None], pooled.shape[1], axis=1)
        d = cin_pool_backward(d_pooled, d_maps, a, **how)
        d_x0, d_maps, d_w, _ = cin_backward(d, x, maps, w, n_threads=threads)
        d_x += d_x0
        d_weights.append(d_w)
    return np.concatenate(outputs, axis=1), d_x + d_maps, *reversed(d_weights)


def by_torch(net: Network, threads: int, form: str) -> Callable[[], Result]:
    """``convolution``: as DeepCTR-Torch has it, on (B, H m, D). ``product``: one matrix product on (H m, B D)."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    x, *weights = (torch.from_numpy(a).clone().requires_grad_(True) for a in (net.x, *net.weights))
    biases = [torch.from_numpy(b).clone().requires_grad_(True) for b in net.biases]
    d_out = torch.from_numpy(net.d_out)[:, None]
    B, m, D = net.x.shape

    def convolution(w: Any, bias: Any, fields: Any, maps: Any) -> Any:
        z = torch.einsum("bhd,bmd->bhmd", maps, fields).reshape(B, -1, D)
        return functional.conv1d(z, w.reshape(len(w), -1, 1), bias)

    def product(w: Any, bias: Any, fields: Any, maps: Any) -> Any:
        z = (maps[:, None] * fields[None]).reshape(-1, B * D)
        return torch.addmm(bias[:, None], w.reshape(len(w), -1), z)

    def call() -> Result:
        for leaf in (x, *weights, *biases):
            leaf.grad = None
        fields = x if form == "convolution" else x.permute(1, 0, 2).reshape(m, B * D)
        layer_of, axis = (convolution, 1) if form == "convolution" else (product, 0)
        maps, pooled = fields, []
        for layer, (w, bias) in enumerate(zip(weights, biases, strict=True)):
            out = torch.relu(layer_of(w, bias, fields, maps))
            goes_on = len(w) // 2 if layer < len(weights) - 1 else 0
            direct, maps = torch.split(out, [len(w) - goes_on, goes_on], dim=axis)
            pooled.append(direct.sum(2) if axis else direct.reshape(-1, B, D).sum(2).T)
        sums = torch.cat(pooled, 1)
        (sums * d_out).sum().backward()
        return sums.detach().numpy(), x.grad.numpy(), *(w.grad.numpy() for w in weights)

    call()
    return call


def by_numpy(net: Network) -> Callable[[], Result]:
    """The outer product of some columns at a time, in cache; the products are BLAS's."""
    B, m, D = net.x.shape
    per_block = max(1, COLUMNS // D)  # examples
    flat = [w.reshape(len(w), -1) for w in net.weights]
    ends = np.cumsum([0, *(len(w) - len(w) // 2 for w in net.weights[:-1]), len(net.weights[-1])])

    def block(x: np.ndarray, g: np.ndarray, d_flat: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Sums and the gradient of the embeddings, both with a column for each element; d_flat is added to."""
        maps, kept, pooled = x, [], []
        for layer, (w, bias) in enumerate(zip(flat, net.biases, strict=True)):
            z = (maps[:, None] * x[None]).reshape(-1, x.shape[1])
            out = np.maximum(w @ z + bias[:, None], 0)
            kept.append((maps, out))
            direct = len(w) - len(w) // 2 if layer < len(flat) - 1 else len(w)
            maps = out[direct:]
            pooled.append(out[:direct])
        d_x, d_maps = np.zeros_like(x), maps
        for layer in reversed(range(len(flat))):
            maps, out = kept[layer]
            direct = len(out) - len(d_maps)
            d = np.concatenate([(out[:direct] > 0) * g, (out[direct:] > 0) * d_maps])
            z = (maps[:, None] * x[None]).reshape(-1, x.shape[1])
            d_flat[layer] += d @ z.T
            t = (flat[layer].T @ d).reshape(len(maps), m, -1)
            d_maps = np.einsum("hmn,mn->hn", t, x)
            d_x += np.einsum("hmn,hn->mn", t, maps)
        return np.concatenate(pooled), d_x + d_maps

    def call() -> Result:
        sums, d_x = np.empty((B, ends[-1]), np.float32), np.empty_like(net.x)
        d_flat = [np.zeros_like(w) for w in flat]
        for first in range(0, B, per_block):
            part = slice(first, first + per_block)
            x = net.x[part].transpose(1, 0, 2).reshape(m, -1)
            pooled, d_columns = block(x, np.repeat(net.d_out[part], D), d_flat)
            d_x[part] = d_columns.reshape(m, -1, D).transpose(1, 0, 2)
            for begin, end in pairwise(ends):
                sums[part, begin:end] = pooled[begin:end].reshape(end - begin, -1, D).sum(axis=2).T
        return sums, d_x, *(d.reshape(w.shape) for d, w in zip(d_flat, net.weights, strict=True))

    return call


def same(mine: Result, theirs: Result) -> None:
    """Outputs and gradients agree to what float32 leaves of them. As a whole: a map at the kink of ReLU may fall on
    either side of it, and one in a million does, which is 1e-3 of the norm of a gradient."""
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 5e-3 * np.linalg.norm(b)


def network(session: Session, size: str) -> None:
    contest_of_networks(session, size, "malloc tuned")


def network_default_malloc(session: Session, size: str) -> None:
    """As PyTorch is without settings."""
    contest_of_networks(session, size, "")


def contest_of_networks(session: Session, size: str, tag: str) -> None:
    net, gflop = make(size)
    B, m, D, layers = SIZES[size]
    entries = [
        Entry("kernels.cin", lambda: ours(net, session.threads)),
        peer("torch outer product + conv1d", "torch", lambda: by_torch(net, session.threads, "convolution"), same),
        peer("torch outer product + addmm", "torch", lambda: by_torch(net, session.threads, "product"), same),
        Entry(f"NumPy and BLAS, {COLUMNS} columns at a time", by_numpy(net), "numpy", same),
    ]
    shape = f"B = {B}, m = {m}, D = {D}, layers {'-'.join(map(str, layers))}"
    session.contest("network", shape, "float32", entries, gflop=gflop, unit="examples/s", unit_count=B,
                    tag=tag, record_ours=bool(tag))  # fmt: skip


def products(session: Session, size: str) -> None:
    """A layer beside its three products by BLAS alone, on outer products that are ready in memory."""
    B, m, D, H, O = PRODUCTS[size]
    rng = np.random.default_rng(SEED)
    x0, xk, w, d = (rng.standard_normal(s, dtype=np.float32) for s in ((B, m, D), (B, H, D), (O, H, m), (B, O, D)))
    z = np.einsum("bhd,bid->bdhi", xk, x0).reshape(B * D, H * m).T  # Fortran order, as all that BLAS gets
    d_columns, flat = d.transpose(0, 2, 1).reshape(B * D, O).T, np.asfortranarray(w.reshape(O, H * m))
    (gemm,) = scipy.linalg.get_blas_funcs(("gemm",), (z,))

    def layer() -> Result:
        out = cin_forward(x0, xk, w, n_threads=session.threads)
        return out, cin_backward(d, x0, xk, w, n_threads=session.threads)[2]

    def blas() -> Result:
        gemm(1.0, flat, d_columns, trans_a=True)
        d_w = gemm(1.0, d_columns, z, trans_b=True)
        return gemm(1.0, flat, z).T.reshape(B, D, O).transpose(0, 2, 1), d_w.reshape(O, H, m)

    entries = [
        Entry("kernels.cin, forward and backward", layer),
        Entry("BLAS, the three products only", blas, "scipy", same),
    ]
    shape = f"B = {B}, m = {m}, D = {D}, H = {H}, O = {O}"
    session.contest("layer", shape, "float32", entries, gflop=6e-9 * w.size * B * D)
