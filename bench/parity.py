"""Quality beside published and reference numbers: ``PYREC_DATA=folder python bench/parity.py`` updates parity.md.

The folder holds ml-100k (``u.data``, or an npz of its columns) and ml-1m as published with NCF (``ml-1m.train.rating``,
``ml-1m.test.rating``, ``ml-1m.test.negative``, or an npz). Data sets that are missing leave their table as it was.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from inspect import isfunction
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from pyrec_core import (
    EASE,
    SLIM,
    AssociationRules,
    Interactions,
    ItemToItem,
    MarginalizedDAE,
    Popularity,
    datasets,
    evaluate,
)
from pyrec_core import __version__ as version
from pyrec_core.metrics import mae, rmse
from pyrec_core.split import Split, leave_one_out

PAGE = Path(__file__).parent / "parity.md"
RENDLE = "Rendle et al., RecSys 2020, arXiv:2005.09683"
REFERENCE = "independent reference implementation"
SEARCHED = "none; parameters from a small search that held out h = 2 of the training data"
AS_IN_D = "none; parameters as in table D"


@dataclass(frozen=True)
class Row:
    """A model or predictor, what it should reach (None: no such number is published), and who says so."""

    model: Any
    expected: tuple[float, ...] | None
    source: str
    exclude_seen: bool = True

    @property
    def label(self) -> str:
        name = self.model.__doc__ if isfunction(self.model) else f"`{self.model}`"
        return name + ("" if self.exclude_seen else ", seen items kept")


@dataclass(frozen=True)
class Protocol:
    """A table: ``measure(folder, row)`` returns one value for each metric."""

    name: str
    metrics: tuple[str, ...]
    tolerance: float
    rows: tuple[Row, ...]
    measure: Callable[[Path, Row], tuple[float, ...]]


def splitmix64(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = x.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def binary(user: np.ndarray, item: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
    return sp.csr_array((np.ones(len(user), np.float32), (user, item)), shape=shape)


def read_ml100k(folder: Path) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """Return the ratings, and the raw user and item id (both from 1) of each."""
    data = datasets.load_movielens(folder / "ml-100k")
    return data, np.asarray(data.user_ids)[data.user].astype(np.int64), np.asarray(data.item_ids)[data.item]


def hash_ratings(folder: Path, row: Row) -> tuple[float, ...]:
    """Measure predicted ratings on ML-100K, split by a hash of the raw ids."""
    data, user, item = read_ml100k(folder)
    held_out = splitmix64(65536 * user + item) % np.uint64(10) == 0
    predicted = row.model(data, ~held_out)[held_out]
    return rmse(data.value[held_out], predicted), mae(data.value[held_out], predicted)


def global_mean(data: Interactions, known: np.ndarray) -> np.ndarray:
    """global mean"""
    return np.full(len(data), data.value[known].mean(dtype=np.float64))


def biases(data: Interactions, known: np.ndarray) -> np.ndarray:
    """global mean + item bias (damping 10) + user bias (damping 15)"""
    predicted = global_mean(data, known)
    for ids, n, damping in ((data.item, data.n_items, 10), (data.user, data.n_users, 15)):
        rest = np.bincount(ids[known], (data.value - predicted)[known], n)
        predicted += (rest / (damping + np.bincount(ids[known], minlength=n)))[ids]
    return predicted


def hash_split(folder: Path, row: Row) -> tuple[float, ...]:
    """Measure on ML-100K, split by a hash of the raw ids."""
    data, user, item = read_ml100k(folder)
    held_out = splitmix64(65536 * user + item) % np.uint64(10) < 2
    train, test = (binary(data.user[part], data.item[part], data.shape) for part in (~held_out, held_out))
    metrics = ("precision@10", "ndcg@10", "map@10", "recall@20", "ndcg@100", "recall@100")
    return measured(row, Split(train, test), metrics, ties="id")


def last_item(folder: Path, row: Row) -> tuple[float, ...]:
    """Measure on ML-100K with the last item of each user held out, among 99 others and among all."""
    data, _, _ = read_ml100k(folder)
    full = leave_one_out(data)
    touched = data.matrix().toarray() > 0
    negatives = np.array([hash_negatives(u, seen, data.n_items) for u, seen in enumerate(touched)], np.int32)
    metrics = ("hit_rate@10", "ndcg@10")
    return measured(row, replace(full, negatives=negatives), metrics) + measured(row, full, metrics)


def hash_negatives(user: int, seen: np.ndarray, n_items: int) -> np.ndarray:
    """Return the first 99 distinct unseen items of the user's hash sequence."""
    drawn = (splitmix64(1000003 * (user + 1) + np.arange(4000)) % np.uint64(n_items)).astype(np.int64)
    drawn = drawn[~seen[drawn]]
    _, first = np.unique(drawn, return_index=True)
    return drawn[np.sort(first)][:99]


def ncf(folder: Path, row: Row) -> tuple[float, ...]:
    """Measure on the leave-one-out split of ML-1M that NCF published."""
    return measured(row, datasets.load_ncf(folder / "ml-1m"), ("hit_rate@10", "ndcg@10"))


def measured(row: Row, split: Split, metrics: tuple[str, ...], ties: str = "conservative") -> tuple[float, ...]:
    model = row.model.fit(split.train)
    return tuple(evaluate(model, split, metrics, exclude_seen=row.exclude_seen, ties=ties).values())


PROTOCOLS = (
    Protocol(
        "R",
        ("RMSE", "MAE"),
        5e-4,
        (Row(global_mean, (1.1173, 0.9381), REFERENCE), Row(biases, (0.9353, 0.7436), REFERENCE)),
        hash_ratings,
    ),
    Protocol(
        "D",
        ("P@10", "NDCG@10", "MAP@10", "R@20", "NDCG@100", "R@100"),
        5e-4,
        (
            Row(Popularity(), (0.1858, 0.2133, 0.1121, 0.1739, 0.2925, 0.4281), REFERENCE),
            Row(EASE(l2=50), (0.3321, 0.3956, 0.2557, 0.3419, 0.4837, 0.6532), REFERENCE),
            Row(EASE(l2=200), (0.3660, 0.4355, 0.2959, 0.3593, 0.5221, 0.7030), REFERENCE),
            Row(EASE(l2=500), (0.3722, 0.4424, 0.3051, 0.3601, 0.5266, 0.7128), REFERENCE),
            Row(EASE(l2=1000), (0.3636, 0.4349, 0.2986, 0.3528, 0.5188, 0.7046), REFERENCE),
            Row(EASE(l2=200, positive=True), (0.3471, 0.4182, 0.2767, 0.3497, 0.5028, 0.6796), REFERENCE),
            Row(ItemToItem(n_neighbors=None), (0.3036, 0.3644, 0.2337, 0.2935, 0.4274, 0.5767), REFERENCE),
            Row(ItemToItem(n_neighbors=50), (0.3280, 0.3873, 0.2547, 0.3215, 0.4821, 0.6831), REFERENCE),
            Row(AssociationRules(measure="llr"), None, "none"),
            Row(SLIM(l1=1, l2=200), None, SEARCHED),
            Row(MarginalizedDAE(dropout=0.5, l2=100), None, SEARCHED),
            Row(EASE(l2=200), (0.0515, 0.0671, 0.0293, 0.1436, 0.2264, 0.4753), REFERENCE, exclude_seen=False),
        ),
        hash_split,
    ),
    Protocol(
        "L",
        ("sampled HR@10", "sampled NDCG@10", "HR@10", "NDCG@10"),
        5e-4,
        (
            Row(Popularity(), (0.3150, 0.1693, 0.0498, 0.0250), REFERENCE),
            Row(ItemToItem(n_neighbors=None), (0.4019, 0.2194, 0.0594, 0.0281), REFERENCE),
            Row(SLIM(l1=1, l2=200), None, AS_IN_D),
            Row(MarginalizedDAE(dropout=0.5, l2=100), None, AS_IN_D),
            Row(EASE(l2=200), (0.5928, 0.3294, 0.0880, 0.0407), REFERENCE),
            Row(EASE(l2=500), (0.5917, 0.3247, 0.0859, 0.0406), REFERENCE),
        ),
        last_item,
    ),
    Protocol(
        "NCF",
        ("sampled HR@10", "sampled NDCG@10"),
        1e-3,
        (
            Row(Popularity(), (0.4535, 0.2543), RENDLE),
            Row(EASE(l2=500), None, f"none for EASE; SLIM 0.7162, 0.4468 ({RENDLE})"),
            Row(EASE(l2=1000), None, f"none for EASE; SLIM 0.7162, 0.4468 ({RENDLE})"),
            Row(EASE(l2=1200), (0.7207, 0.4503), f"{REFERENCE}; TOIS 2021 reports 0.7192, 0.4494"),
            Row(SLIM(l1=1, l2=200), None, f"SLIM 0.7162, 0.4468 with other parameters ({RENDLE})"),
            Row(MarginalizedDAE(dropout=0.5, l2=100), None, "none"),
        ),
        ncf,
    ),
)


def main() -> int:
    """Fill the tables whose data are there; return the number of values that are off."""
    folder = os.environ.get("PYREC_DATA")
    if not folder:
        raise SystemExit("PYREC_DATA must name a folder with ml-100k and ml-1m, got nothing")
    page, off = PAGE.read_text(), 0
    for protocol in PROTOCOLS:
        try:
            found = [protocol.measure(Path(folder), row) for row in protocol.rows]
        except FileNotFoundError as error:
            print(f"{protocol.name}: no data ({error.filename})")
            continue
        off += sum(deviates(protocol, row, values) for row, values in zip(protocol.rows, found, strict=True))
        text = table(protocol, found)
        print(f"{protocol.name}\n{text}\n")
        page = filled(page, protocol.name, text)
    PAGE.write_text(page)
    print(f"{off} rows are off by more than their tolerance")
    return off


def deviates(protocol: Protocol, row: Row, values: tuple[float, ...]) -> bool:
    return row.expected is not None and not np.allclose(values, row.expected, rtol=0, atol=protocol.tolerance)


def table(protocol: Protocol, found: list[tuple[float, ...]]) -> str:
    """Return the table: in each cell ours, then in brackets the number to reach."""
    lines = [
        "| model | " + " | ".join(protocol.metrics) + " | number in brackets | seeds | measured |",
        "|---" * (len(protocol.metrics) + 4) + "|",
    ]
    when = f"{datetime.now(UTC):%Y-%m-%d}, pyrec_core {version}"
    for row, values in zip(protocol.rows, found, strict=True):
        expected = row.expected or (None,) * len(values)
        cells = [f"{v:.4f}" + ("" if e is None else f" ({e:.4f})") for v, e in zip(values, expected, strict=True)]
        source = row.source + (", **OFF**" if deviates(protocol, row, values) else "")
        lines.append("| " + " | ".join([row.label, *cells, source, "none: deterministic", when]) + " |")
    return "\n".join(lines)


def filled(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{PAGE.name} must have one line {begin} and one line {end}")
    head, rest = page.split(begin)
    return f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    sys.exit(main())
