"""Columns of pandas, Polars and Arrow tables as NumPy arrays: the only module that knows data frames.

narwhals reads them; it is imported when the first table comes, and no table library ever is.
"""

from collections.abc import Hashable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import Distinct, as_external, distinct, drop_empty, is_dense
from ._lists import Column, split_cells


class Frame:
    """Some columns of a table, each under the name of the argument that chose it.

    Parameters
    ----------
    df : table
        pandas, Polars or Arrow. Of a lazy one the chosen columns are collected.
    columns : mapping of str to column name or None
        The column of each argument, None where it is not given.

    Raises
    ------
    ImportError
        narwhals is missing.
    TypeError
        ``df`` is no table.
    ValueError
        A column that the table lacks.
    """

    def __init__(self, df: Any, columns: Mapping[str, Hashable | None]) -> None:
        self._nw = _narwhals()
        try:
            frame = self._nw.from_native(df)
        except TypeError:
            raise TypeError(f"df must be a pandas, Polars or Arrow table, got {type(df).__name__}") from None
        names = frame.collect_schema().names()
        self._column = {argument: column for argument, column in columns.items() if column is not None}
        for argument, column in self._column.items():
            if not isinstance(column, Hashable):
                raise TypeError(f"{argument} must be the name of a column, got {type(column).__name__}")
            if column not in names:
                raise ValueError(f"{argument} must be one of the columns {_some(names)}, got {column!r}")
        frame = frame.select(self._nw.col(column) for column in dict.fromkeys(self._column.values()))
        self._frame = frame.collect() if isinstance(frame, self._nw.LazyFrame) else frame

    def ids(self, argument: str) -> tuple[NDArray[Any] | None, NDArray[np.int64]]:
        """Return the sorted distinct ids (None if they are 0..n-1), integers or strings, and each row's place there."""
        series, _ = self._read(argument)
        if series.dtype == self._nw.Boolean:
            raise TypeError(f"{argument} must hold integers or strings, got {series.dtype}")
        found, place = self._number(argument, series)
        _refuse_empty(argument, found, place)
        return (None if is_dense(found) else found), place

    def categories(self, argument: str, *, allow_missing: bool, allow_empty: bool = False) -> Distinct:
        """Return a column of categories, taken apart; empty strings are refused, or missing.

        Booleans count as 0 and 1, and so do whole floats as integers: what pandas makes of integers when one of them
        is missing.
        """
        series, missing = self._read(argument, allow_missing)
        if series.dtype == self._nw.Boolean or series.dtype.is_float():
            array = series.cast(self._nw.Float64).to_numpy()[~missing]
            if not ((np.abs(array) < 2**53) & (array == np.floor(array))).all():
                raise TypeError(f"{argument} must hold integers or strings, got {series.dtype}: is it numeric?")
            found, known = distinct(array.astype(np.int64))
        else:
            found, known = self._number(argument, series.drop_nulls())
        place = np.full(len(missing), -1, np.int64)
        place[~missing] = known
        if allow_empty:
            return drop_empty(Distinct(found, place))
        _refuse_empty(argument, found, place)
        return Distinct(found, place)

    def lists(self, argument: str, separator: str) -> Column:
        """Return a column of lists, or of strings to be split; a missing one is empty."""
        series, missing = self._read(argument, True)
        return split_cells(argument, series.to_list(), missing, separator)

    def numbers(self, argument: str, *, allow_missing: bool = False, rule: str = "numbers") -> NDArray[Any]:
        """Return a column of numbers; a missing one, or NaN, is refused or becomes NaN."""
        series, missing = self._read(argument, allow_missing)
        if not (series.dtype.is_numeric() or series.dtype == self._nw.Boolean):
            raise TypeError(f"{argument} must be {rule}, got {series.dtype} in column {self._column[argument]!r}")
        if series.dtype.is_decimal() or missing.any():
            series = series.cast(self._nw.Float64)
        array: NDArray[Any] = series.to_numpy()
        return array

    def time(self, argument: str) -> NDArray[Any]:
        """Return a column of numbers, or of dates or datetimes as datetime64 in UTC."""
        series = self._frame.get_column(self._column[argument])
        if series.dtype not in (self._nw.Date, self._nw.Datetime):
            return self.numbers(argument, rule="numbers, dates or datetimes")
        series, _ = self._read(argument)
        unit = getattr(series.dtype, "time_unit", "us")  # a date has none
        unit = "ms" if unit == "s" else unit
        return np.asarray(series.dt.timestamp(unit).to_numpy()).view(f"datetime64[{unit}]")

    def _read(self, argument: str, allow_missing: bool = False) -> tuple[Any, NDArray[np.bool_]]:
        """Return a column and where it is missing."""
        column = self._column[argument]
        series = self._frame.get_column(column)
        if series.implementation.is_pyarrow() and series.dtype == self._nw.String:
            series = series.cast(self._nw.String)  # Arrow can neither filter nor join its string views
        floats = series.dtype.is_float()  # of which pandas cannot tell NaN from a missing one: nor do we
        missing = np.isnan(series.to_numpy()) if floats else series.is_null().to_numpy()
        if missing.any() and not allow_missing:
            rows = ", ".join(map(str, np.flatnonzero(missing)[:3]))
            raise ValueError(
                f"{argument} must not be missing, got {missing.sum()} missing in column {column!r} (first rows: {rows})"
            )
        return series, missing

    def _number(self, argument: str, series: Any) -> Distinct:
        if len(series) == 0:
            return Distinct(np.empty(0, str), np.empty(0, np.int64))
        if series.dtype.is_integer():
            return distinct(series.to_numpy())
        if series.dtype.is_numeric() or series.dtype.is_temporal():
            raise TypeError(f"{argument} must hold integers or strings, got {series.dtype}")
        # the table's own library hashes the entries, where NumPy would sort all of them as strings
        if series.implementation.is_pandas_like():
            place, unique = series.to_native().factorize()
        else:
            place, unique = _match(series)
        found, rank = distinct(as_external(argument, np.asarray(unique)))
        return Distinct(found, rank[place])


def is_frame(X: Any) -> bool:
    """Whether it looks like a table: what pandas, Polars and Arrow have alike."""
    return hasattr(type(X), "columns")


def column_names(df: Any) -> list[Any]:
    """Return the names of the columns of a table."""
    names: list[Any] = _narwhals().from_native(df).collect_schema().names()
    return names


def _match(series: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the place of each entry among the distinct ones, and those."""
    unique = series.unique()
    rows = series.alias("id").to_frame().with_row_index("row")
    places = unique.alias("id").to_frame().with_row_index("place")
    joined = rows.join(places, on="id", how="left")  # in any order
    place = np.empty(len(series), np.int64)
    place[joined.get_column("row").to_numpy()] = joined.get_column("place").to_numpy()
    return place, unique.to_numpy()


def _refuse_empty(argument: str, found: NDArray[Any], place: NDArray[np.int64]) -> None:
    if found.dtype.kind == "U" and (found[:1] == "").any():  # the empty string sorts first
        row = int(np.flatnonzero(place == 0)[0])
        raise ValueError(f"{argument} must not hold empty strings, got one in row {row}")


def _narwhals() -> Any:
    try:
        return import_module("narwhals.stable.v2")
    except ImportError as error:
        raise ImportError(
            "data frames need narwhals, which is missing: pip install 'pyrec_core[frames]' adds it"
        ) from error


def _some(names: list[Any]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
