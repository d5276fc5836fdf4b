"""Columns of any kind of table, for what learns from them: data frames, 2-D arrays, and mappings of columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._columns import Distinct, as_external, distinct, distinct_objects, drop_empty
from ._encoding import field
from ._frames import Frame, column_names, is_frame
from ._lists import Column, split_cells
from ._validation import as_array


class Table:
    """Some columns of a table, each under its name.

    Parameters
    ----------
    X : table
        pandas, Polars, Arrow; a 2-D array, whose columns are numbered; or a mapping of columns.
    columns : sequence of str or int
        The columns that are read.

    Attributes
    ----------
    n_columns : int
        Of ``X``.

    Raises
    ------
    ImportError
        A data frame without narwhals.
    TypeError
        No table.
    ValueError
        Columns that ``X`` lacks, or of different lengths.
    """

    def __init__(self, X: Any, columns: Sequence[str | int]) -> None:
        self._frame: Frame | None = None
        self._column: dict[str, Any] = {}
        if is_frame(X):
            names = column_names(X)
            _refuse_strangers(columns, names)
            self._frame = Frame(X, {field(str(name)): name for name in columns})
        elif isinstance(X, Mapping):
            names = list(X)
            _refuse_strangers(columns, names)
            self._column = {field(str(name)): X[name] for name in columns}
        else:
            array = _rows(X)
            names = list(range(array.shape[1]))
            _refuse_strangers(columns, names)
            self._column = {field(str(name)): array[:, int(name)] for name in columns}
        self.n_columns = len(names)

    def categories(self, name: str) -> Distinct:
        """Return a column of integers, strings, booleans as 0 and 1, or whole floats; -1 where one is missing.

        None, NaN, and empty strings are missing.
        """
        argument = field(name)
        if self._frame is not None:
            return self._frame.categories(argument, allow_missing=True, allow_empty=True)
        array, missing = _read(argument, self._column[argument])
        given = _as_numbers(argument, array[~missing])
        if given.dtype.kind == "f" and not ((np.abs(given) < 2**53) & (given == np.floor(given))).all():
            raise TypeError(f"{argument} must hold integers or strings, got {given.dtype}: is it numeric?")
        if given.dtype.kind in "bf":
            given = given.astype(np.int64)
        known = distinct(given) if given.dtype.kind in "iu" else _hashed(argument, given)
        place = np.full(len(array), -1, np.int64)
        place[~missing] = known.place
        return drop_empty(Distinct(known.ids, place))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers or booleans; NaN where one is missing. Infinity is refused."""
        argument = field(name)
        if self._frame is not None:
            array = self._frame.numbers(argument, allow_missing=True).astype(np.float64)
        else:
            column, missing = _read(argument, self._column[argument])
            given = _as_numbers(argument, column[~missing])
            if len(given) and given.dtype.kind not in "biuf":
                raise TypeError(f"{argument} must be numbers, got {given.dtype}")
            array = np.full(len(column), np.nan)
            array[~missing] = given
        if np.isinf(array).any():
            at = int(np.flatnonzero(np.isinf(array))[0])
            raise ValueError(f"{argument} must be finite or missing, got {array[at]} in row {at}")
        return array

    def lists(self, name: str, separator: str) -> Column:
        """Return a column of lists, or of strings to be split at ``separator``; a missing one is empty."""
        argument = field(name)
        if self._frame is not None:
            return self._frame.lists(argument, separator)
        column = self._column[argument]
        cells = list(column) if isinstance(column, (list, tuple)) else as_array(argument, column).tolist()
        missing = np.fromiter(map(_is_missing, cells), bool, len(cells))
        return split_cells(argument, cells, missing, separator)


def _rows(X: Any) -> NDArray[Any]:
    if sp.issparse(X):
        raise TypeError(f"X must be a data frame, a 2-D array or a mapping of columns, got a sparse {type(X).__name__}")
    if isinstance(X, (list, tuple)):
        X = np.array(X, dtype=object)  # or NumPy would make strings of the numbers beside strings
    array = as_array("X", X)
    if array.ndim != 2:
        rule = "X must be a data frame, a 2-D array or a mapping of columns"
        raise (TypeError if array.ndim == 0 else ValueError)(f"{rule}, got {type(X).__name__} of shape {array.shape}")
    return array


def _refuse_strangers(columns: Sequence[str | int], names: Sequence[Any]) -> None:
    strangers = [name for name in columns if name not in names]
    if strangers:
        some = f"{', '.join(map(repr, names[:10]))}{' ...' if len(names) > 10 else ''}"
        raise ValueError(
            f"X must have all columns of the encoder, got none of {', '.join(map(repr, strangers))} but {some}"
        )


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, (float, np.floating)) and bool(cell != cell))


def _read(argument: str, column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column and where it is missing."""
    if isinstance(column, (list, tuple)):
        column = np.array([*column, None], dtype=object)[:-1]  # of one dimension, whatever the entries are
    array = as_array(argument, column)
    if array.ndim != 1:
        raise ValueError(f"{argument} must be 1-D, got shape {array.shape}")
    if array.dtype.kind == "T":
        array = array.astype(object)
    if array.dtype != object:
        return array, np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(array), bool)
    return array, np.fromiter(map(_is_missing, array.tolist()), bool, len(array))


def _as_numbers(argument: str, given: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all numbers as int64 or float64, and anything else as it is."""
    kinds = set(map(type, given.tolist())) if given.dtype == object else set()
    if not kinds or not all(issubclass(kind, (bool, int, float, np.number, np.bool_)) for kind in kinds):
        return given
    try:
        return given.astype(np.float64 if any(issubclass(kind, (float, np.floating)) for kind in kinds) else np.int64)
    except OverflowError:
        raise ValueError(f"{argument} must hold integers of 64 bits, got a larger one") from None


def _hashed(argument: str, given: NDArray[Any]) -> Distinct:
    if given.dtype.kind not in "UO":
        as_external(argument, given)  # refuses it
    return distinct_objects(argument, given.tolist())
