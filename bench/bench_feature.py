"""Feature models: an epoch of training, beside the same in plain PyTorch. All float32.

Ours is a whole call of ``partial_fit``: ids to rows, shuffling, and for each batch forward, backward and Adagrad. The
peers are given tensors in batches, and only make the steps.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from _data import SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core import NFM, DeepFM, XDeepFM

# batch, fields, ids of each field, embedding size, hidden units, maps of the CIN
SIZES: dict[str, tuple[int, int, int, int, tuple[int, ...], tuple[int, ...]]] = {
    "tiny": (64, 4, 20, 3, (8, 8), (6, 4)),
    "criteo": (4096, 39, 10_000, 10, (400, 400), (128, 128)),
}
STEPS = {"DeepFM": 5, "NFM": 5, "XDeepFM": 1}  # of an epoch
LEARNING_RATE = 0.01
L2 = 1e-5  # on all tables, as DeepCTR has it


def cases(options: Options) -> list[Case]:
    return [
        Case(function, {"model": model, "size": "criteo"}, threads, env)
        for threads in options.threads
        for model in STEPS
        for function, env in (("train", TUNED_MALLOC), ("train_default_malloc", {}))
    ]


def examples(model: str, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ids (n, m), of which a few in each field are popular, and labels."""
    B, m, n_ids, *_ = SIZES[size]
    rng = np.random.default_rng(SEED)
    ends = np.cumsum(1.0 / np.arange(1, n_ids + 1))
    shape = B * STEPS[model], m
    ids = np.minimum(np.searchsorted(ends, rng.random(shape) * ends[-1]), n_ids - 1)
    return ids, (rng.random(len(ids)) < 0.25).astype(np.int64)


def estimator(model: str, size: str, threads: int) -> Any:
    B, m, n_ids, d, hidden, maps = SIZES[size]
    options: dict[str, Any] = {
        "embedding_dim": d, "hidden": hidden, "batch_size": B, "optimizer": "adagrad", "learning_rate": LEARNING_RATE,
        "field_sizes": [n_ids] * m, "n_threads": threads, "random_state": 0, "verbose": False,
    }  # fmt: skip
    if model == "XDeepFM":
        return XDeepFM(maps=maps, cin_activation="relu", split_half=True, **options)
    return {"DeepFM": DeepFM, "NFM": NFM}[model](**options)


def work(model: str, size: str) -> float:
    """Return the GFLOP of a step: three products of each dense layer and of each layer of the CIN."""
    B, m, _, d, hidden, maps = SIZES[size]
    widths = [d if model == "NFM" else m * d, *hidden, 1]
    products = sum(a * b for a, b in pairwise(widths))
    if model == "XDeepFM":
        inputs = [m, *(n // 2 for n in maps)]
        products += sum(d * m * h * o for h, o in zip(inputs, maps, strict=False))
    return 6e-9 * B * products


def train(session: Session, model: str, size: str) -> None:
    contest(session, model, size, "malloc tuned")


def train_default_malloc(session: Session, model: str, size: str) -> None:
    """As glibc is without settings."""
    contest(session, model, size, "")


def contest(session: Session, model: str, size: str, tag: str) -> None:
    B, m, n_ids, d, hidden, maps = SIZES[size]
    ids, labels = examples(model, size)
    fitted = estimator(model, size, session.threads)
    entries = [
        Entry(model, lambda: fitted.partial_fit(ids, labels).loss_curve_[-1]),
        peer("torch, sparse gradients", "torch", lambda: torch_steps(model, size, ids, labels, session, True), close),
        peer("torch, as DeepCTR-Torch", "torch", lambda: torch_steps(model, size, ids, labels, session, False), close),
    ]
    shape = f"B{B} m{m} V{n_ids} D{d} MLP {'-'.join(map(str, hidden))}"
    if model == "XDeepFM":
        shape += f" CIN {'-'.join(map(str, maps))}"
    session.contest("training", shape, "float32", entries, gflop=work(model, size) * STEPS[model], unit="examples/s",
                    unit_count=len(ids), tag=tag)  # fmt: skip


def close(ours: float, theirs: float) -> None:
    """Compare the mean losses of an epoch: the first values of the parameters differ, their scale does not."""
    assert abs(ours - theirs) < 0.05 * abs(ours), (ours, theirs)


def torch_steps(
    model: str, size: str, ids: np.ndarray, labels: np.ndarray, session: Session, sparse: bool, device: Any = "cpu"
) -> Callable[[], float]:
    """Return a call that makes an epoch of steps.

    ``sparse``: one table, one lookup, sparse gradients. Else as a step of DeepCTR-Torch: a table and a lookup for each
    field, dense gradients, and a penalty on all tables.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(session.threads)
    torch.manual_seed(SEED)
    B, m, n_ids, d, hidden, maps = SIZES[size]
    n_tables, n_rows = (1, m * n_ids) if sparse else (m, n_ids)
    tables, weights = (
        nn.ModuleList(nn.Embedding(n_rows, width, sparse=sparse) for _ in range(n_tables)) for width in (d, 1)
    )
    for table in (*tables, *weights):
        nn.init.normal_(table.weight, std=0.01 if table.embedding_dim == d else 0.0)
    layers: list[nn.Module] = []
    width = d if model == "NFM" else m * d
    for n_out in hidden:
        layers += [nn.Linear(width, n_out), nn.ReLU()]
        width = n_out
    mlp = nn.Sequential(*layers, nn.Linear(width, 1))
    inputs = [m, *(n // 2 for n in maps)]
    convolutions = nn.ModuleList(nn.Conv1d(h * m, o, 1) for h, o in zip(inputs, maps, strict=False))
    pooled = nn.Linear(sum(n // 2 for n in maps[:-1]) + maps[-1], 1)
    modules = [tables, weights, mlp, *([convolutions, pooled] if model == "XDeepFM" else [])]
    for part in (part for module in modules for part in module.modules() if getattr(part, "bias", None) is not None):
        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        nn.init.zeros_(part.bias)
    for module in modules:
        module.to(device)
    optimizer = torch.optim.Adagrad([p for module in modules for p in module.parameters()], lr=LEARNING_RATE)

    rows = ids + np.arange(m) * n_ids if sparse else ids
    x = torch.from_numpy(np.ascontiguousarray(rows)).to(device).split(B)
    y = torch.from_numpy(labels.astype(np.float32)).to(device).split(B)

    def look_up(which: Any, batch: Any) -> Any:
        if sparse:
            return which[0](batch)
        return torch.cat([table(batch[:, f : f + 1]) for f, table in enumerate(which)], 1)

    def compressed(e: Any) -> Any:
        maps_before, outputs = e, []
        for layer, convolution in enumerate(convolutions):
            z = torch.einsum("bhd,bmd->bhmd", maps_before, e).reshape(len(e), -1, d)
            out = torch.relu(convolution(z))
            direct, maps_before = out, None
            if layer < len(convolutions) - 1:
                direct, maps_before = torch.split(out, out.shape[1] // 2, dim=1)
            outputs.append(direct.sum(2))
        return pooled(torch.cat(outputs, 1))

    def logits(batch: Any) -> Any:
        e = look_up(tables, batch)
        out = look_up(weights, batch).sum((1, 2))
        if model == "XDeepFM":
            return out + mlp(e.flatten(1)).squeeze(1) + compressed(e).squeeze(1)
        total = e.sum(1)
        pairs = 0.5 * (total * total - (e * e).sum(1))
        if model == "NFM":
            return out + mlp(pairs).squeeze(1)
        return out + pairs.sum(1) + mlp(e.flatten(1)).squeeze(1)

    def call() -> float:
        total = 0.0
        for batch, target in zip(x, y, strict=True):
            loss = functional.binary_cross_entropy_with_logits(logits(batch), target)
            penalty = 0.0 if sparse else sum(L2 * (t.weight * t.weight).sum() for t in (*tables, *weights))
            optimizer.zero_grad()
            (loss + penalty).backward()
            optimizer.step()
            total += loss.item() * len(target)
        return total / len(ids)

    return call
