"""Whole trainings on a GPU, beside the same on all cores of the CPU, and PyTorch on the GPU. All float32."""

from collections.abc import Callable
from typing import Any

import bench_ease
import bench_feature
import bench_gru4rec
import numpy as np
from _data import SEED, interactions
from _gpu import Task, contest, same
from _harness import Session

from pyrec_core import EASE, GRU4Rec
from pyrec_core._backend import device_of
from pyrec_core._random import Source
from pyrec_core.models.sequence._gru4rec_network import Network
from pyrec_core.models.sequence._gru4rec_training import Lanes

MODELS = {"tiny": "tiny", "full": "criteo"}  # sizes of bench_feature
TIMES = {"tiny": 1, "full": {"NFM": 10, "XDeepFM": 20}}  # the examples of bench_feature come so many times
SESSIONS = {"tiny": (400, 50, 16, 8), "full": (240_000, 37_000, 2048, 240)}  # events, items, samples, batch
EASES = {"tiny": "tiny", "full": "a", "large": "b"}  # sizes of bench_ease
LIKE = (np.zeros(1, np.float32),)  # says on which device

Train = Callable[[str], float]  # on a device -> the mean loss of the epoch
Torch = Callable[[Any], Callable[[], float]]  # on a device of PyTorch -> what makes the steps


def epoch(session: Session, model: str, size: str) -> None:
    """Time an epoch of training, from data on the host to what is learned there."""
    train, torchs, shape, gflop = EPOCHS[model](session, model, size)
    made: dict[str, Callable[[], float]] = {}

    def by_torch(torch: Any, a: Any) -> float:
        if not made:
            made["steps"] = torchs(a.device)
        return made["steps"]()

    contest(
        session,
        Task(
            f"{model}, an epoch", shape, lambda a: train(device_of(a)), LIKE, None, by_torch, gflop=gflop,
            check=_near, peers=_alike, slow=True, beside_cpu=True,
        ),
    )  # fmt: skip


def _near(ours: float, theirs: float) -> None:
    """The same training, but for rounding."""
    assert abs(ours - theirs) <= 1e-3 * abs(theirs), (ours, theirs)


def _alike(ours: float, theirs: float) -> None:
    """The first values of the parameters differ, not their scale; batches that are not full count in another way."""
    assert abs(ours - theirs) <= 0.25 * abs(ours), (ours, theirs)


def feature(session: Session, model: str, size: str) -> tuple[Train, Torch, str, float]:
    """NFM or XDeepFM on ids of fields."""
    which, times = MODELS[size], TIMES[size] if size == "tiny" else TIMES[size][model]
    ids, labels = (np.concatenate([part] * times) for part in bench_feature.examples(model, which))
    B, m, n_ids, d, hidden, _ = bench_feature.SIZES[which]

    def train(device: str) -> float:
        fresh = bench_feature.estimator(model, which, session.threads).set_params(device=device)
        return float(fresh.partial_fit(ids, labels).loss_curve_[-1])

    shape = f"{len(ids)} examples, B{B} m{m} V{n_ids} D{d} MLP {'-'.join(map(str, hidden))}"
    work = bench_feature.work(model, which) * len(ids) / B

    def torchs(device: Any) -> Callable[[], float]:
        return bench_feature.torch_steps(model, which, ids, labels, session, True, device)

    return train, torchs, shape, work


def sessions(session: Session, model: str, size: str) -> tuple[Train, Torch, str, float]:
    """GRU4Rec on session-parallel batches."""
    events, n_items, n_sample, batch = SESSIONS[size]
    data = bench_gru4rec.sessions(events, n_items)
    options: dict[str, Any] = {
        "hidden": (bench_gru4rec.UNITS,), "n_sample": n_sample, "batch_size": batch, "n_epochs": 1, "random_state": 0,
        "n_threads": session.threads, "verbose": False,
    }  # fmt: skip

    def train(device: str) -> float:
        return float(GRU4Rec(**options, device=device).fit(data).loss_curve_[-1])

    def torchs(device: Any) -> Callable[[], float]:
        source = Source(SEED)
        options_only = GRU4Rec(**options)
        training = Lanes(options_only, Network(options_only, n_items, source), data, source)
        source.begin(0)
        fixed = [(tuple(lanes), samples) for lanes, samples in training.batches(0)]
        return bench_gru4rec.torch_steps("cross-entropy", batch, n_items, fixed, session, device)

    units, pairs = bench_gru4rec.UNITS, len(data.items) - len(data.offsets) + 1
    work = 6e-9 * (6 * units * units + units * (batch + n_sample)) * pairs
    return train, torchs, f"{pairs} pairs of events, batch {batch} + {n_sample} samples, {n_items} items", work


EPOCHS = {"NFM": feature, "XDeepFM": feature, "GRU4Rec": sessions}


def ease(session: Session, size: str) -> None:
    """Time a whole fit of EASE, from a matrix on the host to weights there; n^3 for the inverse."""
    which = EASES[size]
    X = interactions(*bench_ease.SIZES[which])

    def fit(a: Any) -> np.ndarray:
        model = EASE(l2=bench_ease.L2, dtype="float32", device=device_of(a), n_threads=session.threads)
        weights: np.ndarray = model.fit(X).item_weights_
        return weights

    def close(ours: np.ndarray, theirs: np.ndarray) -> None:
        same(ours, theirs, 1e-2)  # two libraries invert, each with the rounding that the matrix magnifies

    work = 1e-9 * (bench_ease.pairs(X) + float(X.shape[1]) ** 3)
    task = Task("EASE, fit", bench_ease.shape_of(which), fit, LIKE, gflop=work, check=close, slow=True, beside_cpu=True)
    contest(session, task)
