"""Neural models on the split that NCF published: ``PYREC_DATA=folder python bench/parity_ncf.py`` prints a table.

The folder holds ml-1m as in ``parity.py``. One item of each user, drawn at random from the training data, is held out
to find the best epoch; the test items have no part in that. A model takes many minutes a seed: name models, such as
``NeuMF EASE``, to run only these.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from pyrec_core import EASE, GMF, NCFMLP, NeuMF, Popularity, datasets, evaluate
from pyrec_core import __version__ as version
from pyrec_core.split import Split

SEEDS = (0, 1, 2)
METRICS = ("hit_rate@10", "ndcg@10")
HOW: dict[str, Any] = {"batch_size": 1024, "n_epochs": 40, "early_stopping": 3}
MODELS = {
    "Popularity": (Popularity(), "none"),
    "EASE": (EASE(l2=500), "none"),
    "GMF": (GMF(embedding_dim=16, **HOW), "none"),
    "NCFMLP": (NCFMLP(hidden=(64, 32, 16), **HOW), "none"),
    "NeuMF": (
        NeuMF(embedding_dim=16, hidden=(64, 32, 16), **HOW),
        ".70 and .425 wanted; He et al., WWW 2017, 16 factors: .696 and .420, pre-trained .707 and .426",
    ),
}


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


def measured(model: Any, split: Split) -> np.ndarray:
    """Return a row of metrics for each seed; once where there is nothing random."""
    if not hasattr(model, "early_stopping"):
        return np.array([list(evaluate(model.fit(split.train), split, METRICS).values())])
    found = []
    for seed in SEEDS:
        kept, held_out = hold_one_out(split.train, seed)
        model.set_params(random_state=seed, verbose=True).fit(kept, validation_data=held_out)
        found.append(list(evaluate(model, split, METRICS).values()))
        print(f"seed {seed}: {np.round(found[-1], 4)}, {model.n_epochs_} epochs", flush=True)
    model.set_params(random_state=None, verbose=None)
    return np.array(found)


def main() -> int:
    """Print a row for each model that is asked for."""
    split = datasets.load_ncf(Path(os.environ.get("PYREC_DATA", ".")) / "ml-1m")
    when = f"{datetime.now(UTC):%Y-%m-%d}, pyrec_core {version}"
    print("| model | HR@10 | NDCG@10 | spread of HR@10 | published | seeds | measured |\n|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or MODELS:
        model, published = MODELS[name]
        values = measured(model, split)
        mean, spread = values.mean(axis=0), f"{values[:, 0].min():.4f}..{values[:, 0].max():.4f}"
        seeds = "none: deterministic" if len(values) == 1 else ", ".join(map(str, SEEDS))
        cells = [f"`{model}`", *(f"{value:.4f}" for value in mean), spread, published, seeds, when]
        print("| " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
