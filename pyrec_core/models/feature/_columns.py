"""What an encoder learns of columns, and what it makes of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._columns import Distinct
from ..._crosses import cross
from ..._encoding import field
from ..._features import Features
from ..._lists import Column, Lists
from ..._tables import Table
from ..._vocabulary import Vocabulary
from ._plan import Plan

Columns = dict[str, Distinct | NDArray[np.float64] | Column]


def read_columns(plan: Plan, X: Any) -> tuple[Columns, int]:
    """Return the columns of a table by name, and how many it has in all."""
    table = Table(X, list(plan.columns.values()))
    read: Columns = {name: table.categories(name) for name in plan.categorical}
    read |= {name: table.numbers(name) for name in plan.numerical}
    read |= {name: table.lists(name, plan.separator) for name in plan.multi}
    lengths = {_length(column) for column in read.values()}
    if len(lengths) > 1:
        raise ValueError(f"X must have columns of one length, got {', '.join(map(str, sorted(lengths)))}")
    if lengths == {0}:
        raise ValueError("X must have rows, got 0 sample(s) while a minimum of 1 is required.")
    return read, table.n_columns


def encode_columns(plan: Plan, read: Columns, learned: Mapping[str, Any]) -> tuple[Features, list[NDArray[np.uint64]]]:
    """Return the features, and the 64 bits of each cross of each row."""
    single = (*plan.categorical, *plan.numerical)
    ids = np.zeros((_length(next(iter(read.values()))), len(single)), np.int32)
    values: Any = np.ones(ids.shape)
    sizes: Any = []
    lists = []
    for at, (name, column) in enumerate(read.items()):
        if isinstance(column, Column):
            categories = learned["categories_"][name]
            lists.append(_lists_of(name, column, categories, plan.multi_pooling[name]))
            sizes.append(len(categories))
        elif isinstance(column, Distinct):
            categories = learned["categories_"][name]
            ids[:, at] = _ids_of(name, column, categories)
            sizes.append(len(categories))
        elif name in plan.bins:
            edges = learned["edges_"][name]
            ids[:, at] = _bins_of(column, edges)
            sizes.append(len(edges) + 1)
        else:
            missing = np.isnan(column)
            ids[missing, at] = -1
            values[:, at] = np.where(missing, 1.0, _scaled(column, plan.scaling[name], learned["scales_"][name]))
            sizes.append(1)
    place = {name: at for at, name in enumerate(single)}
    crossed = [cross([ids[:, place[name]] for name in names], plan.cross_size) for names in plan.crosses]
    features = Features(
        ids, values if len(plan.bins) < len(plan.numerical) else None, None, sizes, tuple(read),
        tuple(learned["categories_"].get(name) for name in read), tuple(lists),
        np.stack([rows for rows, _ in crossed], axis=1) if crossed else None, plan.cross_size if crossed else 0,
    )  # fmt: skip
    return features, [bits for _, bits in crossed]


def learn_categories(column: Distinct, min_count: int) -> NDArray[Any]:
    """Return the sorted categories that occur so often."""
    count = np.bincount(column.place[column.place >= 0], minlength=len(column.ids))
    return column.ids[count >= min_count]


def _ids_of(name: str, column: Distinct, categories: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each entry among the categories, -1 where it is not among them, or missing."""
    known = Vocabulary.of("category", categories).find(field(name), column.ids)
    return np.append(known, -1)[column.place]


def learn_scale(numbers: NDArray[np.float64], scaling: str | None) -> NDArray[np.float64]:
    """Return the mean and the standard deviation that scale numbers; (0, 1) leave them as they are."""
    given = _transformed(numbers[~np.isnan(numbers)], scaling)
    if scaling is None or not len(given):
        return np.array([0.0, 1.0])
    constant = given.min() == given.max()  # whose deviation may be other than 0 by rounding
    return np.array([given.mean(), 1.0 if constant else given.std()])


def _scaled(numbers: NDArray[np.float64], scaling: str | None, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers in units of their standard deviation."""
    mean, deviation = scale
    numbers = (_transformed(numbers, scaling) - mean) / deviation
    return numbers


def learn_edges(numbers: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    """Return what separates the bins, of about as many numbers each; equal ones count once, so there may be fewer."""
    given = numbers[~np.isnan(numbers)]
    if not len(given):
        return np.empty(0)
    edges: NDArray[np.float64] = np.unique(np.quantile(given, np.arange(1, n_bins) / n_bins))
    edges = edges[edges > given.min()]  # or the first bin would be empty
    return edges


def _bins_of(numbers: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each number, -1 where it is missing; a number that is an edge is in the bin above it."""
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))


def _transformed(numbers: NDArray[np.float64], scaling: str | None) -> NDArray[np.float64]:
    if scaling == "log":
        numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
    return numbers


def _lists_of(name: str, column: Column, categories: NDArray[Any], pooling: str) -> Lists:
    return Lists(_ids_of(name, column.entries, categories).astype(np.int32), column.offsets, None, pooling)


def _length(column: Distinct | NDArray[np.float64] | Column) -> int:
    if isinstance(column, Column):
        return len(column.offsets) - 1
    return len(column.place if isinstance(column, Distinct) else column)
