"""The checked parameters of a `FeatureEncoder`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._encoding import check_names, quoted
from ..._lists import POOLINGS
from ..._validation import MAX_ID, check_choice, check_int

SCALINGS = ("standard", "log")


class Plan(NamedTuple):
    """The parameters, those of a column by its name.

    Attributes
    ----------
    columns : dict of str to str or int
        The column of each name, in the order of the fields.
    categorical, numerical, multi : tuple of str
    scaling : dict of str to str or None
        Of each numerical column.
    bins : dict of str to int
        Of those that are put in bins.
    multi_pooling : dict of str to str
    crosses : tuple of tuples of str
    min_count, separator, cross_size
        As they were given.
    """

    columns: dict[str, str | int]
    categorical: tuple[str, ...]
    numerical: tuple[str, ...]
    multi: tuple[str, ...]
    min_count: int
    scaling: dict[str, str | None]
    bins: dict[str, int]
    multi_pooling: dict[str, str]
    separator: str
    crosses: tuple[tuple[str, ...], ...]
    cross_size: int

    @classmethod
    def of(cls, encoder: Any) -> "Plan":
        """Check the parameters of an encoder."""
        kinds = {kind: _columns(kind, getattr(encoder, kind)) for kind in ("categorical", "numerical", "multi")}
        columns = [column for chosen in kinds.values() for column in chosen]
        if not columns:
            raise ValueError("categorical, numerical and multi must name at least one column, got none")
        names = [str(column) for column in columns]
        check_names("categorical, numerical and multi", names)
        categorical, numerical, multi = (tuple(map(str, chosen)) for chosen in kinds.values())
        scaling = _by_column("scaling", encoder.scaling, numerical, "standard")
        bins = {name: n for name, n in _by_column("bins", encoder.bins, numerical, None).items() if n is not None}
        pooling = _by_column("multi_pooling", encoder.multi_pooling, multi, "mean")
        for value in scaling.values():
            if value is not None:
                check_choice("scaling", value, SCALINGS)
        for value in bins.values():
            check_int("bins", value, low=2, high=MAX_ID)
        for value in pooling.values():
            check_choice("multi_pooling", value, POOLINGS)
        if not isinstance(encoder.separator, str):
            raise TypeError(f"separator must be a string, got {encoder.separator!r}")
        if not encoder.separator:
            raise ValueError("separator must not be empty, got ''")
        size = check_int("cross_size", encoder.cross_size, low=2, high=MAX_ID)
        crosses = _crosses(encoder.crosses, (*categorical, *bins))
        if len(crosses) * size > MAX_ID:
            raise ValueError(f"cross_size must be <= {MAX_ID // len(crosses)} for {len(crosses)} crosses, got {size}")
        return cls(
            dict(zip(names, columns, strict=True)), categorical, numerical, multi,
            check_int("min_count", encoder.min_count, low=1), scaling, bins, pooling, encoder.separator, crosses, size,
        )  # fmt: skip


def _columns(argument: str, columns: Any) -> tuple[str | int, ...]:
    if isinstance(columns, (str, int)) and not isinstance(columns, bool):
        columns = (columns,)
    if not isinstance(columns, Iterable):
        raise TypeError(f"{argument} must be a column or a sequence of columns, got {columns!r}")
    chosen = tuple(int(column) if isinstance(column, np.integer) else column for column in columns)
    for column in chosen:
        if not isinstance(column, (str, int)) or isinstance(column, bool):
            raise TypeError(f"{argument} must hold names or numbers of columns, got {column!r}")
    return chosen


def _by_column(argument: str, value: Any, names: Sequence[str], default: Any) -> dict[str, Any]:
    """Return the value of each column, which a mapping has by column."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    given: dict[str, Any] = {str(column): each for column, each in value.items()}
    strangers = [name for name in given if name not in names]
    if strangers:
        raise ValueError(f"{argument} must be of the columns {quoted(names)}, got {quoted(strangers)}")
    return {**dict.fromkeys(names, default), **given}


def _crosses(crosses: Any, allowed: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if isinstance(crosses, str) or not isinstance(crosses, Sequence):
        raise TypeError(f"crosses must be a sequence of tuples of columns, got {crosses!r}")
    for chosen in crosses:
        if isinstance(chosen, str) or not isinstance(chosen, Sequence):
            raise TypeError(f"crosses must hold tuples of columns, got {chosen!r}")
        if len(set(chosen)) != len(chosen) or len(chosen) < 2:
            raise ValueError(f"crosses must be of two or more different columns, got {chosen!r}")
        strangers = [str(column) for column in chosen if str(column) not in allowed]
        if strangers:
            rule = f"crosses must be of categorical columns or such in bins ({quoted(allowed)})"
            raise ValueError(f"{rule}, got {quoted(strangers)}")
    return tuple(tuple(map(str, chosen)) for chosen in crosses)
