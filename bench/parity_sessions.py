"""Session models beside reference numbers: ``PYREC_DATA=folder python bench/parity_sessions.py`` updates parity.md.

The folder holds diginetica and tmall as `pyrec_core.datasets.load_session_split` reads them; data sets that are missing
leave their table as it was. Training takes minutes a row: name tables (``diginetica-xe tmall ...``) to fill only these.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from parity import PAGE, filled

from pyrec_core import GRU4Rec, ItemToItem, MarkovChain, Sessions, datasets
from pyrec_core import __version__ as version
from pyrec_core.kernels.ranking import ranks_in_sparse

METRICS = ("R@1", "R@5", "R@10", "R@20", "MRR@5", "MRR@10", "MRR@20")
TOLERANCE, LOSS_TOLERANCE = 0.006, 0.03
OFFICIAL = "official code, one seed, same files and protocol"
SR_GNN = "Wu et al., AAAI 2019 (SR-GNN)"
GCE_GNN = "Wang et al., SIGIR 2020 (GCE-GNN)"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """A model, what it should reach in each metric (NaN: nothing is known), and who says so."""

    model: Any
    expected: tuple[float, ...] = (np.nan,) * len(METRICS)
    source: str = "none"
    losses: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass
class Found:
    """What was measured: one row of metrics a seed, and the mean losses of the epochs."""

    metrics: np.ndarray
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))


def at_20(recall: float, mrr: float) -> tuple[float, ...]:
    return (np.nan, np.nan, np.nan, recall, np.nan, np.nan, mrr)


def from_ranks(ranks: np.ndarray) -> np.ndarray:
    """Return the metrics over all positions with a next item."""
    recalls = [np.mean(ranks <= k) for k in (1, 5, 10, 20)]
    return np.array(recalls + [np.where(ranks <= k, 1 / ranks, 0).mean() for k in (5, 10, 20)])


def of_last_item(model: ItemToItem, train: Sessions, test: Sessions) -> np.ndarray:
    """Return ranks of the next item by its similarity to the last one."""
    model.fit(train.matrix())
    first = np.zeros(len(test.items), bool)
    first[test.offsets[:-1]] = True
    to = np.flatnonzero(~first)
    last, target = (
        sp.csr_array((np.ones(len(to), np.float32), test.items[at], np.arange(len(to) + 1)), (len(to), test.n_items))
        for at in (to - 1, to)
    )
    return ranks_in_sparse(last, model.item_weights_, target, ties="conservative")


def measured(row: Row, train: Sessions, test: Sessions) -> Found:
    if isinstance(row.model, ItemToItem):
        return Found(from_ranks(of_last_item(row.model, train, test))[None])
    if not row.seeds:
        return Found(from_ranks(row.model.fit(train).next_ranks(test))[None])
    metrics, losses = [], []
    for seed in row.seeds:
        model = row.model.set_params(random_state=seed, verbose=True).fit(train)
        metrics.append(from_ranks(model.next_ranks(test)))
        losses.append(model.loss_curve_)
        print(f"seed {seed}: {metrics[-1].round(4)} losses {losses[-1].round(4)}", flush=True)
    row.model.set_params(random_state=None, verbose=None)
    return Found(np.array(metrics), np.mean(losses, axis=0))


def off(row: Row, found: Found) -> list[str]:
    """Return what is worse than expected, or not the expected training."""
    wrong = []
    for name, expected, values in zip(METRICS, row.expected, found.metrics.T, strict=True):
        if row.seeds and abs(values.mean() - expected) > TOLERANCE:
            wrong.append(name)
    if row.losses and not np.allclose(found.losses, row.losses, rtol=LOSS_TOLERANCE, atol=0):
        wrong.append("loss")
    return wrong


def table(rows: list[Row], found: list[Found]) -> str:
    """Return the table: ours as the mean over the seeds, then in brackets the number to reach."""
    lines = [
        "| model | " + " | ".join(METRICS) + " | spread of R@20, MRR@20 | number in brackets | seeds | measured |",
        "|---" * (len(METRICS) + 5) + "|",
    ]
    notes = []
    when = f"{datetime.now(UTC):%Y-%m-%d}, pyrec_core {version}"
    for row, values in zip(rows, found, strict=True):
        cells = [
            f"{mean:.4f}" + ("" if np.isnan(expected) else f" ({expected:.4f})")
            for mean, expected in zip(values.metrics.mean(axis=0), row.expected, strict=True)
        ]
        spread = "-"
        if row.seeds:
            lows, highs = values.metrics.min(axis=0), values.metrics.max(axis=0)
            spread = ", ".join(f"{lows[i]:.4f}..{highs[i]:.4f}" for i in (3, 6))
        wrong = off(row, values)
        source = row.source + (f", **OFF** in {', '.join(wrong)}" if wrong else "")
        seeds = ", ".join(map(str, row.seeds)) or "none: deterministic"
        lines.append("| " + " | ".join([f"`{row.model}`", *cells, spread, source, seeds, when]) + " |")
        if row.losses:
            pairs = zip(values.losses, row.losses, strict=True)
            losses = " ".join(f"{ours:.4g} ({theirs:.4g})" for ours, theirs in pairs)
            notes.append(f"\nTraining loss per epoch (mean over the seeds) of the GRU4Rec above: {losses}")
    return "\n".join([*lines, *notes])


def files(name: str) -> Callable[[Path], tuple[Sessions, Sessions]]:
    return lambda folder: datasets.load_session_split(folder / name)


def markov(folder: Path) -> tuple[Sessions, Sessions]:
    data = datasets.make_markov_sessions()
    return data.train, data.test


XE = {
    "hidden": (128,), "batch_size": 128, "dropout_embed": 0.3, "learning_rate": 0.08, "logq": 1.0,
}  # fmt: skip
BPR_MAX = {
    "hidden": (256,), "loss": "bpr-max", "batch_size": 128, "dropout_embed": 0.5, "dropout_hidden": 0.3,
    "momentum": 0.15, "sample_alpha": 0.3, "bpreg": 0.9, "elu": 1.0, "n_epochs": 8,
}  # fmt: skip
SMALL = {"hidden": (100,), "batch_size": 50, "n_sample": 0, "learning_rate": 0.1, "n_epochs": 10}

TABLES: dict[str, tuple[Callable[[Path], tuple[Sessions, Sessions]], list[Row]]] = {
    "diginetica-baselines": (
        files("diginetica"),
        [Row(MarkovChain()), Row(ItemToItem(n_neighbors=None), at_20(0.3575, 0.1157), f"Item-KNN in {SR_GNN}")],
    ),
    "diginetica-xe": (
        files("diginetica"),
        [
            Row(
                GRU4Rec(**XE, n_epochs=6), (0.0909, 0.2740, 0.3919, 0.5249, 0.1544, 0.1700, 0.1792), OFFICIAL,
                (5.643, 4.086, 3.746, 3.566, 3.446, 3.354), SEEDS,
            )
        ],
    ),
    "diginetica-bpr-max": (
        files("diginetica"),
        [
            Row(
                GRU4Rec(**BPR_MAX), (0.0874, 0.2781, 0.3988, 0.5359, 0.1535, 0.1695, 0.1790), OFFICIAL,
                (0.4259, 0.3347, 0.3120, 0.3011, 0.2942, 0.2895, 0.2860, 0.2833), SEEDS,
            )
        ],
    ),
    "tmall": (
        files("tmall"),
        [
            Row(MarkovChain()),
            Row(ItemToItem(n_neighbors=None), at_20(0.0915, 0.0331), f"Item-KNN in {GCE_GNN}"),
            Row(
                GRU4Rec(**XE, n_epochs=8), (0.0832, 0.1616, 0.1992, 0.2365, 0.1123, 0.1173, 0.1199), OFFICIAL,
                (6.565, 4.319, 3.554, 3.185, 2.941, 2.763, 2.626, 2.519), SEEDS,
            ),
        ],
    ),
    "markov": (markov, [Row(MarkovChain()), Row(GRU4Rec(**SMALL), seeds=SEEDS)]),
}  # fmt: skip


def main() -> int:
    """Fill the tables that are asked for and whose data are there; return the number of rows that are off."""
    folder = Path(os.environ.get("PYREC_DATA", "."))
    count = 0
    for name in sys.argv[1:] or TABLES:
        load, rows = TABLES[name]
        try:
            train, test = load(folder)
        except FileNotFoundError as error:
            print(f"{name}: no data ({error.filename})")
            continue
        found = [measured(row, train, test) for row in rows]
        text = table(rows, found)
        print(f"{name}\n{text}\n", flush=True)
        PAGE.write_text(filled(PAGE.read_text(), name, text))
        count += sum(bool(off(row, values)) for row, values in zip(rows, found, strict=True))
    print(f"{count} rows are off by more than their tolerance")
    return count


if __name__ == "__main__":
    sys.exit(main())
