"""Feature models beside reference numbers: ``PYREC_DATA=folder python bench/parity_features.py`` updates parity.md.

The folder holds frappe (as published with NFM) and ml-1m; data sets that are missing leave their table as it was.
Training takes minutes a row: name tables (``frappe ml-1m-auc``) to fill only these.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from parity import PAGE, filled

from pyrec_core import FM, NFM, DeepFM, Features, WideDeep, XDeepFM, datasets
from pyrec_core import __version__ as version
from pyrec_core.metrics import global_auc, log_loss, rmse
from pyrec_core.optim import Adagrad, Adam

SEEDS = (0, 1, 2)
ADAGRAD = Adagrad(learning_rate=0.05, eps=1e-8)
Parts = tuple[Features, Features, Features]


@dataclass(frozen=True)
class Row:
    """A model, the value that it should reach (NaN: none is known), and who says so."""

    model: Any
    expected: float = np.nan
    source: str = "none"


@dataclass(frozen=True)
class Table:
    """How examples are made, and what is measured; the first metric is what ``expected`` is about."""

    load: Callable[[Path], Parts]
    metrics: tuple[str, ...]
    larger_is_better: bool
    rows: tuple[Row, ...]


def frappe(folder: Path) -> Parts:
    """Return Frappe with targets -1 and 1, for the squared loss."""
    train, validation, test = datasets.load_frappe(folder / "frappe")
    return tuple(signed(part) for part in (train, validation, test))  # type: ignore[return-value]


def frappe_labels(folder: Path) -> Parts:
    train, validation, test = datasets.load_frappe(folder / "frappe")
    return train, validation, test  # type: ignore[return-value]


def signed(part: Features) -> Features:
    return Features(part.ids, part.values, 2 * part.target - 1, part.field_sizes, part.names, part.vocabularies)


def ml1m(folder: Path) -> Parts:
    """Return user and item of ML-1M, whether the rating is above 3; 80, 10 and 10 % at random."""
    data = datasets.load_movielens(folder / "ml-1m")
    order = np.random.default_rng(0).permutation(len(data))
    ends = len(data) * 8 // 10, len(data) * 9 // 10
    whole = Features(np.stack([data.user, data.item], axis=1), target=(data.value > 3).astype(np.float32))
    return tuple(whole.take(rows) for rows in np.split(order, ends))  # type: ignore[return-value]


def measured(table: Table, row: Row, parts: Parts) -> np.ndarray:
    """Return a row of metrics for each seed, at the epoch that is best on the validation examples."""
    train, validation, test = parts
    found = []
    for seed in SEEDS:
        model = row.model.set_params(random_state=seed, verbose=True).fit(train, validation_data=validation)
        found.append([METRICS[name](model, test) for name in table.metrics])
        print(f"seed {seed}: {np.round(found[-1], 4)}, {model.n_epochs_} epochs", flush=True)
    row.model.set_params(random_state=None, verbose=None)
    return np.array(found)


METRICS: dict[str, Callable[[Any, Features], float]] = {
    "RMSE": lambda model, test: rmse(test.target, model.predict(test), clip=(-1, 1)),
    "AUC": lambda model, test: global_auc(test.target, model.decision_function(test)),
    "logloss": lambda model, test: log_loss(test.target, model.predict_proba(test)[:, 1]),
}


def text_of(table: Table, found: list[np.ndarray]) -> str:
    """Return the table: ours as the mean over the seeds, then in brackets the number to reach."""
    lines = [
        "| model | " + " | ".join(table.metrics) + " | spread | number in brackets | seeds | measured |",
        "|---" * (len(table.metrics) + 5) + "|",
    ]
    when = f"{datetime.now(UTC):%Y-%m-%d}, pyrec_core {version}"
    for row, values in zip(table.rows, found, strict=True):
        mean = values.mean(axis=0)
        cells = [f"{value:.4f}" for value in mean]
        if not np.isnan(row.expected):
            cells[0] += f" ({row.expected:.4f})"
        spread = f"{values[:, 0].min():.4f}..{values[:, 0].max():.4f}"
        source = row.source + (", **OFF**" if off(table, row, values) else "")
        lines.append("| " + " | ".join([f"`{row.model}`", *cells, spread, source, "0, 1, 2", when]) + " |")
    return "\n".join(lines)


def off(table: Table, row: Row, values: np.ndarray) -> bool:
    mean = values[:, 0].mean()
    return bool(mean < row.expected if table.larger_is_better else mean > row.expected)


FRAPPE = {"embedding_dim": 128, "batch_size": 128, "n_epochs": 60, "early_stopping": 8}
LABELS: dict[str, Any] = {
    "embedding_dim": 128, "hidden": (128,), "dropout": 0.3, "batch_norm": True, "batch_size": 128, "optimizer": ADAGRAD,
    "n_epochs": 8, "early_stopping": 3,
}  # fmt: skip
ML1M: dict[str, Any] = {
    "embedding_dim": 64, "hidden": (128,), "dropout": 0.6, "batch_norm": True, "batch_size": 512, "l2": 3e-5,
    "optimizer": Adam(learning_rate=0.001, rows="dense"), "n_epochs": 60, "early_stopping": 4,
}  # fmt: skip
SQUARED: dict[str, Any] = {**FRAPPE, "loss": "squared", "optimizer": ADAGRAD}
NFM_PAPER = "at most .318; He & Chua, SIGIR 2017: .3127"
FM_PAPER = "at most .347; He & Chua, SIGIR 2017: .3437"
REFERENCE = "plain reference run: .8116"

TABLES = {
    "frappe": Table(
        frappe, ("RMSE",), False,
        (
            Row(FM(**SQUARED, dropout=0.3), 0.347, FM_PAPER),
            Row(NFM(**SQUARED, hidden=(128,), dropout=0.3, dropout_pooling=0.3, batch_norm=True), 0.318, NFM_PAPER),
        ),
    ),
    "frappe-auc": Table(
        frappe_labels, ("AUC", "logloss"), True,
        (
            Row(DeepFM(**LABELS), 0.983, "to be at least"),
            Row(XDeepFM(**LABELS, maps=(32,)), 0.983, "to be at least"),
        ),
    ),
    "ml-1m-auc": Table(
        ml1m, ("AUC", "logloss"), True,
        (
            Row(WideDeep(**ML1M), 0.807, REFERENCE),
            Row(DeepFM(**ML1M), 0.807, REFERENCE),
            Row(XDeepFM(**ML1M, maps=(16,)), 0.807, REFERENCE),
        ),
    ),
}  # fmt: skip


def main() -> int:
    """Fill the tables that are asked for and whose data are there; return the number of rows that are off."""
    folder = Path(os.environ.get("PYREC_DATA", "."))
    count = 0
    for name in sys.argv[1:] or TABLES:
        table = TABLES[name]
        try:
            parts = table.load(folder)
        except FileNotFoundError as error:
            print(f"{name}: no data ({error.filename})")
            continue
        found = [measured(table, row, parts) for row in table.rows]
        text = text_of(table, found)
        print(f"{name}\n{text}\n", flush=True)
        PAGE.write_text(filled(PAGE.read_text(), name, text))
        count += sum(off(table, row, values) for row, values in zip(table.rows, found, strict=True))
    print(f"{count} rows are off")
    return count


if __name__ == "__main__":
    sys.exit(main())
