"""Columns of categories and numbers, made into the ids and values of `Features`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._columns import Distinct, check_vocabulary, first_three
from ._validation import as_array, check_choice
from ._vocabulary import Vocabulary

REACTIONS = ("error", "ignore")


class Layout(NamedTuple):
    """What the columns are to become.

    Attributes
    ----------
    names : tuple of str
        The fields, in order.
    numeric : set of str
        Those that hold numbers.
    known : dict of str to Vocabulary
        Of the categorical fields whose vocabulary is given. The others get that of their column.
    unknown : {"error", "ignore"}
        What becomes of a category that a given vocabulary lacks.
    """

    names: tuple[str, ...]
    numeric: frozenset[str]
    known: dict[str, Vocabulary]
    unknown: str


def make_layout(
    fields: Sequence[str], numeric: Sequence[str], vocabularies: Mapping[str, ArrayLike], unknown: str
) -> Layout:
    """Return the layout of these columns, the categorical ones first."""
    names = (*fields, *numeric)
    if not names:
        raise ValueError("fields and numeric must name at least one column, got none")
    check_names("fields and numeric", names)
    strangers = [name for name in vocabularies if name not in fields]
    if strangers:
        raise ValueError(f"vocabularies must be of {quoted(fields)}, the fields, got {quoted(strangers)}")
    known = {name: as_vocabulary(name, ids) for name, ids in vocabularies.items()}
    return Layout(names, frozenset(numeric), known, check_choice("unknown", unknown, REACTIONS))


def encode(
    layout: Layout, columns: Mapping[str, Distinct | NDArray[Any]]
) -> tuple[NDArray[np.int32], NDArray[np.float32] | None, tuple[NDArray[Any] | None, ...]]:
    """Return ids, values (None if no field is numeric) and vocabularies; numbers that are NaN are missing."""
    first = columns[layout.names[0]]
    n = len(first.place if isinstance(first, Distinct) else first)
    ids = np.zeros((n, len(layout.names)), np.int32)
    values = np.ones(ids.shape, np.float32)
    vocabularies: list[NDArray[Any] | None] = []
    for at, name in enumerate(layout.names):
        column = columns[name]
        if isinstance(column, Distinct):
            known = layout.known.get(name)
            code = np.arange(len(column.ids)) if known is None else _codes(known, name, column, layout.unknown)
            ids[:, at] = np.append(code, -1)[column.place]
            vocabularies.append(column.ids if known is None else known.ids)
        else:
            missing = np.isnan(column)
            ids[missing, at] = -1
            values[:, at] = check_numbers(field(name), np.where(missing, 0, column), (n,))
            vocabularies.append(None)
    return ids, values if layout.numeric else None, tuple(vocabularies)


def _codes(known: Vocabulary, name: str, column: Distinct, unknown: str) -> NDArray[np.int64]:
    code = known.find(field(name), column.ids)
    lost = code < 0
    if unknown == "error" and lost.any():
        n_rows = np.count_nonzero(np.append(lost, False)[column.place])
        raise ValueError(
            f'{field(name)} must hold known categories (unknown="ignore" makes the others -1), '
            f"got {lost.sum()} unknown in {n_rows} rows: {first_three(column.ids[lost])}"
        )
    return code


def as_vocabulary(name: str, ids: ArrayLike) -> Vocabulary:
    """Return the vocabulary of a field."""
    return Vocabulary.of("category", check_vocabulary(f"the vocabulary of {field(name)}", ids))


def field(name: str) -> str:
    """Return how messages call a field."""
    return f"field {name!r}"


def quoted(names: Iterable[str]) -> str:
    """Return names as they are to stand in a message."""
    return ", ".join(map(repr, names)) or "none"


def as_names(argument: str, names: Sequence[str] | str) -> tuple[str, ...]:
    """Return one name, or several, as a tuple."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Sequence):
        raise TypeError(f"{argument} must be a name or a sequence of names, got {type(names).__name__}")
    return tuple(names)


def check_names(argument: str, names: Sequence[str]) -> None:
    """Refuse names that are no strings, or occur twice."""
    for at, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{argument} must hold names of fields, got {name!r}")
        if name in names[:at]:
            raise ValueError(f"{argument} must hold each name once, got {name!r} again")


def check_numbers(name: str, numbers: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return finite numbers of this shape as float32."""
    array = as_array(name, numbers)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite (as float32), got {array[at]} at position {at}")
    return array
