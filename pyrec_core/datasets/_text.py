"""Columns of a delimited text file: parsed by NumPy, and a walk through the lines only to explain a failure."""

import csv
import gzip
import math
import re
import warnings
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_UNIT = "\x1f"  # stands for a separator of several characters, which NumPy cannot split at
_GZIP = b"\x1f\x8b"  # how a compressed file begins
_LONGEST_LINE = 2**16
_INT64 = np.iinfo(np.int64)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?)?", re.ASCII)
_DATE_WIDTH = 32  # one at least more than the longest date


@dataclass(frozen=True)
class Layout:
    """How to read a file: separator, whether the first line is a header, and the position of each column.

    ``kinds`` says what a column holds:

    - ``"integer"``: integers of 64 bits, as ids.
    - ``"id"``: the same if all are integers, else strings; never empty.
    - ``"number"``: finite numbers, as float64.
    - ``"time"``: int64 if all are integers, else float64; where the first is a date of ISO 8601, all are, and become
      seconds since 1970.
    """

    sep: str
    header: bool
    places: dict[str, int]
    kinds: dict[str, str]


class DamagedFileError(ValueError):
    """The bytes are not what they should be, wherever the columns are."""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file, compressed or not, whatever its name says; reading damage is an error that names the file."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    try:
        with gzip.open(path) if compressed else path.open("rb") as content:
            yield content  # type: ignore[misc]  # a GzipFile is as good
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFileError(f"{path.name} must be a whole gzip file, got a damaged one: {error}") from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DamagedFileError(f"{path.name} must be UTF-8 text, got a byte {byte:#04x}") from None


def lines_of(path: Path) -> Generator[str]:
    """Yield the lines of a file of UTF-8 text."""
    with open_bytes(path) as content, TextIOWrapper(content, encoding="utf-8-sig") as text:
        yield from text


def read_text(path: Path) -> str:
    """Return the whole text of a file: UTF-8, or where it is not valid, Latin-1."""
    with open_bytes(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def first_lines(path: Path, n: int) -> list[str]:
    """Return the first ``n`` lines that are not blank, without their ends."""
    found: list[str] = []
    with closing(lines_of(path)) as lines:
        for line in lines:
            if line.strip():
                found.append(line.rstrip("\r\n"))
            if len(found) == n:
                break
    return found


def split_line(line: str, sep: str) -> list[str]:
    """Return the fields of one line."""
    if _quoted(sep):
        return next(csv.reader([line], delimiter=sep), [])
    return line.rstrip("\r\n").split(sep)


def is_number(field: str) -> bool:
    """Whether the field is a finite number."""
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def is_id(field: str) -> bool:
    """Whether the field is an integer of 64 bits."""
    try:
        return field.isascii() and "_" not in field and _INT64.min <= int(field) <= _INT64.max
    except ValueError:
        return False


def is_date(field: str) -> bool:
    """Whether the field is a date, maybe with a time, as in ISO 8601; without a time zone, or in UTC."""
    try:
        return _DATE.fullmatch(field) is not None and np.datetime64(field.removesuffix("Z")) is not None
    except ValueError:
        return False


def read_columns(path: Path, layout: Layout) -> dict[str, NDArray[Any]]:
    """Return the columns that the layout names; the error names the line."""
    start = first_lines(path, 1 + layout.header)
    if len(start) <= layout.header:
        raise ValueError(f"{path.name} must hold interactions, got an empty file")
    n_fields, first = len(split_line(start[0], layout.sep)), split_line(start[-1], layout.sep)
    fields = {name: first[at].strip() if at < len(first) else "" for name, at in layout.places.items()}
    dates = {name for name, field in fields.items() if layout.kinds[name] == "time" and is_date(field)}
    fastest = {name: _dtype(layout.kinds[name], is_id(field), name in dates) for name, field in fields.items()}
    general = {name: _dtype(layout.kinds[name], False, name in dates) for name in fields}
    for dtypes in (fastest, general):
        found = _parse(path, layout, dtypes, n_fields)
        if found is not None and all(map(_is_complete, found.values())):
            _check_end(path, layout.sep, n_fields)
            return {name: found[name] for name in layout.places}
    raise ValueError(_explain(path, layout, n_fields, dates))


def _dtype(kind: str, is_integer: bool, is_date: bool) -> str:
    if is_date:
        return f"S{_DATE_WIDTH}"
    if kind == "integer" or (is_integer and kind != "number"):
        return "i8"
    return "U" if kind == "id" else "f8"


def _parse(path: Path, layout: Layout, dtypes: dict[str, str], n_fields: int) -> dict[str, NDArray[Any]] | None:
    """Return the columns, or None where a line does not hold what ``dtypes`` say."""
    strings = [name for name in layout.places if dtypes[name] == "U"]
    others = [name for name in layout.places if dtypes[name] != "U"]
    found: dict[str, NDArray[Any]] = {}
    try:
        if others:
            dtype = np.dtype([(name, dtypes[name]) for name in others])
            # all columns: NumPy then also refuses lines with more of them
            places = [layout.places[name] for name in others]
            table = _loadtxt(path, layout, None if places == list(range(n_fields)) else places, dtype)
            for name in others:
                column = np.ascontiguousarray(table[name])
                found[name] = _seconds(column) if column.dtype.kind == "S" else column
        if strings:
            table = _loadtxt(path, layout, [layout.places[name] for name in strings], np.dtype("U"))
            found |= {name: _as_integers(np.strings.strip(table[:, at])) for at, name in enumerate(strings)}
    except DamagedFileError:
        raise
    except (ValueError, DeprecationWarning):
        return None
    return found


def _loadtxt(path: Path, layout: Layout, usecols: list[int] | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    lines = lines_of(path)
    with closing(lines), warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # older NumPy: "3.5" as an integer is 3, with a warning
        sep = layout.sep if len(layout.sep) == 1 else _UNIT
        return np.loadtxt(
            lines if sep == layout.sep else (line.replace(layout.sep, sep) for line in lines),
            dtype,
            delimiter=sep,
            skiprows=int(layout.header),
            usecols=usecols,
            comments=None,
            quotechar='"' if _quoted(sep) else None,
            ndmin=2 if dtype.kind == "U" else 1,
        )


def _quoted(sep: str) -> bool:
    return sep in (",", ";")


def _as_integers(column: NDArray[Any]) -> NDArray[Any]:
    """Return strings as integers if all are some: plain digits, for Python also reads "1_0" as 10."""
    try:
        return column.astype(np.int64) if (column.view(np.uint32) <= ord("9")).all() else column
    except (ValueError, OverflowError):
        return column


def _seconds(dates: NDArray[np.bytes_]) -> NDArray[Any]:
    """Return dates as seconds since 1970: int64 if all are whole, else float64; ValueError if one is no date."""
    dates = np.strings.strip(dates)
    letters = dates.view(np.uint8).reshape(len(dates), -1)
    day = (letters[:, [4, 7]] == ord("-")).all() and (letters[:, [0, 1, 2, 3, 5, 6, 8, 9]] - ord("0") <= 9).all()
    if not day or (np.strings.str_len(dates) == _DATE_WIDTH).any():  # that long it may have been cut off
        raise ValueError("no dates")
    at_end = np.strings.endswith(dates, b"Z")
    letters[at_end, np.strings.str_len(dates)[at_end] - 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a time zone, which NumPy would convert
        try:
            moments = dates.astype("datetime64[us]").astype(np.int64)
        except UserWarning:
            raise ValueError("no dates in UTC") from None
    return moments // 1_000_000 if (moments % 1_000_000 == 0).all() else moments / 1e6


def _is_complete(column: NDArray[Any]) -> bool:
    return not (column == "").any() if column.dtype.kind == "U" else bool(np.isfinite(column).all())


def _check_end(path: Path, sep: str, n_fields: int) -> None:
    """Refuse a file that ends inside a line, even if what is missing is not read: an id before it may be cut off."""
    with path.open("rb") as file:
        if file.read(2) == _GZIP:  # knows its length itself
            return
        file.seek(max(0, path.stat().st_size - _LONGEST_LINE))
        end = file.read().rpartition(b"\n")[2].decode("utf-8", "replace")
    n_found = len(split_line(end, sep))
    if end.strip() and n_found < n_fields:
        line = sum(1 for _ in lines_of(path))
        raise ValueError(f"{path.name}, line {line}: must have {n_fields} fields, got {n_found} at the end of the file")


def _explain(path: Path, layout: Layout, n_fields: int, dates: set[str]) -> str:
    """Return what is wrong with the first line that is wrong."""
    places = sorted(layout.places.values())
    whole = places == list(range(n_fields))
    needed = n_fields if whole else places[-1] + 1
    header = layout.header
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        if header:
            header = False
            continue
        where, fields = f"{path.name}, line {number}:", split_line(line, layout.sep)
        if len(fields) < needed or (whole and len(fields) > needed):
            return f"{where} must have {'' if whole else 'at least '}{needed} fields, got {len(fields)}"
        for name, at in layout.places.items():
            field = fields[at].strip()
            kind = "date" if name in dates else layout.kinds[name]
            is_right, rule = _RULES[kind]
            if not is_right(field):
                return f"{where} {name} must {rule}, got {(line.rstrip() if kind == 'id' else field)!r}"
    return f"{path.name} must be text with fields separated by {layout.sep!r}, got what NumPy cannot parse"


_RULES: dict[str, tuple[Callable[[str], bool], str]] = {
    "integer": (is_id, "be an integer"),
    "id": (bool, "not be empty"),
    "number": (is_number, "be a finite number"),
    "time": (is_number, "be a finite number"),
    "date": (is_date, "be a date such as 2014-04-07T10:51:09.277Z"),
}
