"""Neural models on the split that NCF published: ``PYREC_DATA=folder python bench/parity_ncf.py`` updates parity.md.

The folder holds ml-1m as in ``parity.py``. One item of each user, drawn at random from the training data, is held out
to find the best epoch; the test items have no part in that. NeuMF begins as the fusion of the two models above it. A
seed takes some ten minutes.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from parity import PAGE, filled
from sklearn.base import clone

from pyrec_core import EASE, GMF, NCFMLP, NeuMF, Popularity, datasets, evaluate
from pyrec_core import __version__ as version
from pyrec_core.optim import Adam
from pyrec_core.split import Split

SEEDS = (0, 1, 2)
METRICS = ("hit_rate@10", "ndcg@10")
NAME = "NCF-neural"
HOW: dict[str, Any] = {
    "batch_size": 2048, "n_epochs": 30, "early_stopping": 2, "l2": 1e-6, "n_negatives": 8,
}  # fmt: skip
ADAM = Adam(rows="dense")
GMF_PART = GMF(embedding_dim=64, optimizer=ADAM, **HOW)
MLP_PART = NCFMLP(hidden=(64, 32, 16), optimizer=ADAM, **HOW)
FUSED = NeuMF(embedding_dim=64, hidden=(64, 32, 16), alpha=0.7, **HOW)
WANTED = {"NeuMF": (0.70, 0.425)}
SOURCES = {"NeuMF": "at least; He et al., WWW 2017, 16 factors, pre-trained: .707, .426"}


def hold_one_out(X: sp.csr_array, seed: int) -> tuple[sp.csr_array, sp.csr_array]:
    """Return the matrix without an item of each user, and these items."""
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    order = np.lexsort((np.random.default_rng(seed).random(X.nnz), row))
    out = np.zeros(X.nnz, bool)
    out[order[X.indptr[1:] - 1]] = True  # every user has items
    kept, held_out = (
        sp.csr_array((X.data[part], (row[part], X.indices[part])), shape=X.shape) for part in (~out, out)
    )  # fmt: skip
    return kept, held_out


def trained(split: Split, seed: int) -> dict[str, np.ndarray]:
    """Return the metrics of the three models by their names."""
    kept, held_out = hold_one_out(split.train, seed)
    found, parts = {}, []
    for model in (GMF_PART, MLP_PART, FUSED):
        model = clone(model).set_params(random_state=seed, verbose=True)
        if isinstance(model, NeuMF):
            model.set_params(pretrained=tuple(parts))
        parts.append(model.fit(kept, validation_data=held_out))
        name = type(model).__name__
        found[name] = np.array(list(evaluate(model, split, METRICS).values()))
        print(f"{name}, seed {seed}: {np.round(found[name], 4)}, {model.n_epochs_} epochs", flush=True)
    return found


def row(model: Any, values: np.ndarray) -> str:
    """Return a line of the table for the metrics of each seed: their mean, and in brackets what is wanted."""
    name, mean = type(model).__name__, values.mean(axis=0)
    wanted = WANTED.get(name, (None, None))
    cells = [f"{v:.4f}" + ("" if w is None else f" ({w:.3f})") for v, w in zip(mean, wanted, strict=True)]
    spread = f"{values[:, 0].min():.4f}..{values[:, 0].max():.4f}" if len(values) > 1 else ""
    seeds = ", ".join(map(str, SEEDS)) if len(values) > 1 else "none: deterministic"
    source = SOURCES.get(name, "none") + (", **OFF**" if off(name, values) else "")
    when = f"{datetime.now(UTC):%Y-%m-%d}, pyrec_core {version}"
    return "| " + " | ".join([f"`{model}`", *cells, spread, source, seeds, when]) + " |"


def off(name: str, values: np.ndarray) -> bool:
    return name in WANTED and bool((values.mean(axis=0) < WANTED[name]).any())


def main() -> int:
    """Fill the table; return the number of rows that are off."""
    try:
        split = datasets.load_ncf(Path(os.environ.get("PYREC_DATA", ".")) / "ml-1m")
    except FileNotFoundError as error:
        print(f"no data ({error.filename})")
        return 0
    runs = [trained(split, seed) for seed in SEEDS]
    lines = [
        "| model | sampled HR@10 | sampled NDCG@10 | spread of HR@10 | number in brackets | seeds | measured |",
        "|---" * 7 + "|",
    ]
    for model in (Popularity(), EASE(l2=1200)):
        lines.append(row(model, np.array([list(evaluate(model.fit(split.train), split, METRICS).values())])))
    count = 0
    for model in (GMF_PART, MLP_PART, FUSED):
        name = type(model).__name__
        values = np.array([run[name] for run in runs])
        lines.append(row(model, values))
        count += off(name, values)
    print("\n".join(lines), flush=True)
    PAGE.write_text(filled(PAGE.read_text(), NAME, "\n".join(lines)))
    print(f"{count} rows are off")
    return count


if __name__ == "__main__":
    sys.exit(main())
