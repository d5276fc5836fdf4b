"""GRU4Rec: training steps and evaluation over all items, beside the same in plain PyTorch. float32, 100 units."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from _data import HEAD, SEED
from _harness import TUNED_MALLOC, Case, Entry, Options, Session, peer

from pyrec_core import GRU4Rec
from pyrec_core._backend import use_threads
from pyrec_core._random import Source
from pyrec_core._sessions import Sessions
from pyrec_core.models.sequence._gru4rec_network import Network
from pyrec_core.models.sequence._gru4rec_training import Lanes

ITEMS, UNITS, SAMPLES = 37_000, 100, 2048
STEPS = {32: 200, 240: 60}  # of a timing
TEST_EVENTS = 20_000
LOSSES: dict[str, dict[str, Any]] = {"cross-entropy": {}, "bpr-max": {"bpreg": 1.0, "elu": 0.5}}


def cases(options: Options) -> list[Case]:
    return [
        case
        for threads in options.threads
        for case in (
            *(Case("train", {"loss": loss, "batch": b}, threads, TUNED_MALLOC) for loss in LOSSES for b in STEPS),
            Case("rank", {"events": TEST_EVENTS}, threads, TUNED_MALLOC),
        )
    ]


def sessions(events: int, items: int = ITEMS, seed: int = SEED) -> Sessions:
    """Return sessions of 2 to 42 events, 4.5 on average, whose items have a popularity as real ones have."""
    rng = np.random.default_rng(seed)
    lengths = 2 + np.minimum(rng.geometric(0.28, events) - 1, 40)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    offsets = offsets[: np.searchsorted(offsets, events) + 1]
    of_item = np.cumsum(1.0 / (np.arange(items) + HEAD))
    drawn = np.searchsorted(of_item, rng.random(offsets[-1]) * of_item[-1], side="right")
    return Sessions(rng.permutation(items)[np.minimum(drawn, items - 1)].astype(np.int32), offsets, n_items=items)


def train(session: Session, loss: str, batch: int, items: int = ITEMS, steps: int = 0) -> None:
    """Some steps from the start of an epoch: batches, negatives, forward, backward, and Adagrad."""
    steps = steps or STEPS[batch]
    data = sessions(8 * batch * steps, items)
    model = GRU4Rec(hidden=(UNITS,), loss=loss, n_sample=SAMPLES, batch_size=batch, **LOSSES[loss])
    source = Source(SEED)
    network = Network(model, items, source)
    training, optimizer = Lanes(model, network, data, source), model._optimizer()
    params = network.params()

    def ours() -> float:
        with use_threads(session.threads):
            source.begin(0)
            total = 0.0
            for step in islice(training.batches(0), steps):
                total += training.step(step)[0]
                optimizer.step(params)
        return total / steps

    width = batch + SAMPLES
    # products of the scores, of the gates (input and state), and two backward for each
    work = 6e-9 * (6 * UNITS * UNITS + UNITS * width) * batch * steps
    source.begin(0)
    fixed = list(islice(training.batches(0), steps))
    entries = [
        Entry("GRU4Rec", ours),
        peer("torch, eager", "torch", lambda: torch_steps(loss, batch, items, fixed, session), close),
    ]
    shape = f"batch {batch} + {SAMPLES} samples, {items} items, {steps} steps"
    session.contest(f"{loss}, training", shape, "float32", entries, gflop=work, unit="events/s",
                    unit_count=batch * steps)  # fmt: skip


def close(ours: float, theirs: float) -> None:
    """Compare the mean losses of the first steps: the first values of the parameters differ, their scale does not."""
    assert abs(ours - theirs) < 0.05 * abs(ours), (ours, theirs)


def torch_steps(
    loss: str, batch: int, items: int, fixed: list[Any], session: Session, device: Any = "cpu"
) -> Callable[[], float]:
    import torch
    from torch.nn.functional import cross_entropy, elu, embedding, softmax

    torch.set_num_threads(session.threads)
    torch.manual_seed(SEED)
    table = torch.nn.Parameter(torch.empty(items, UNITS, device=device).uniform_(-1, 1) * (6 / (items + UNITS)) ** 0.5)
    bias = torch.nn.Parameter(torch.zeros(items, 1, device=device))
    cell = torch.nn.GRUCell(UNITS, UNITS, device=device)
    for p in cell.parameters():
        torch.nn.init.uniform_(p, -((3 / UNITS) ** 0.5), (3 / UNITS) ** 0.5) if p.ndim == 2 else torch.nn.init.zeros_(p)
    optimizer = torch.optim.Adagrad([table, bias, *cell.parameters()], lr=0.05)
    batches = [
        (
            *(torch.from_numpy(a.astype(np.int64)).to(device) for a in (x, y, s)),
            torch.from_numpy(~reset)[:, None].float().to(device),
        )
        for (x, y, reset, _), s in fixed
    ]

    def bpr_max(scores: Any) -> Any:
        scores = elu(scores, alpha=LOSSES[loss]["elu"])
        positive = scores.diagonal()[:, None]
        others = ~torch.eye(*scores.shape, dtype=torch.bool, device=device)
        weights = softmax(scores.masked_fill(~others, -1e9), dim=1)
        gain = (weights * torch.sigmoid(positive - scores)).sum(1) + 1e-24
        return (-torch.log(gain) + LOSSES[loss]["bpreg"] * (weights * scores**2).sum(1)).sum() / batch

    def call() -> float:
        state, total = torch.zeros(batch, UNITS, device=device), 0.0
        for inputs, targets, samples, alive in batches:
            ids = torch.cat([targets, samples])
            state = cell(embedding(inputs, table, sparse=True), state.detach()[: len(inputs)] * alive)
            scores = state @ embedding(ids, table, sparse=True).T + embedding(ids, bias, sparse=True).T
            if loss == "bpr-max":
                value = bpr_max(scores)
            else:
                value = cross_entropy(scores, torch.arange(len(targets), device=device), reduction="sum") / batch
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item()
        return total / len(batches)

    return call


def rank(session: Session, events: int, items: int = ITEMS) -> None:
    """The rank of the next item among all, at each position of test sessions; torch is given the hidden states."""
    test = sessions(events, items, SEED + 1)
    model = GRU4Rec(hidden=(UNITS,), n_sample=16, batch_size=240, n_epochs=1, random_state=0)
    model.fit(sessions(8 * items, items)).set_params(n_threads=session.threads)
    follows = np.ones(len(test.items), bool)
    follows[test.offsets[:-1]] = False
    to = np.flatnonzero(follows)
    states = model._states(test.items, test.offsets)[to - 1]
    entries = [
        Entry("GRU4Rec.next_ranks", lambda: model.next_ranks(test)),
        peer("torch, eager, without the network", "torch", lambda: torch_ranks(model, states, test.items[to], session),
             same_ranks),
    ]  # fmt: skip
    work = 2e-9 * UNITS * items * len(to)
    session.contest("ranks", f"{len(to)} positions, {items} items", "float32", entries, gflop=work, unit="events/s",
                    unit_count=len(to))  # fmt: skip


def same_ranks(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Scores that differ in the last bit change a rank now and then."""
    assert np.mean(ours == theirs) > 0.98


def torch_ranks(model: GRU4Rec, states: np.ndarray, targets: np.ndarray, session: Session) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(session.threads)
    table, bias = torch.from_numpy(model.embeddings_), torch.from_numpy(model.weights_["bias"])
    hidden, target = torch.from_numpy(states), torch.from_numpy(targets.astype(np.int64))

    def call() -> np.ndarray:
        parts = []
        with torch.no_grad():
            for first in range(0, len(hidden), 512):
                rows = slice(first, first + 512)
                scores = torch.addmm(bias, hidden[rows], table.T)
                own = scores.gather(1, target[rows, None])
                parts.append((scores >= own).sum(1))
        return torch.cat(parts).numpy().astype(np.float64)

    return call
