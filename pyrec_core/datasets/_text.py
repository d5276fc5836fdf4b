"""Columns of a delimited text file: parsed by NumPy, and a walk through the lines only to explain a failure."""

import csv
import gzip
import math
import warnings
import zlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

_UNIT = "\x1f"  # stands for a separator of several characters, which NumPy cannot split at
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True)
class Layout:
    """How to read a file: separator, whether the first line is a header, and the position of each column."""

    sep: str
    header: bool
    user: int
    item: int
    value: int | None = None
    time: int | None = None


def open_text(path: Path) -> TextIO:
    """Open a text file, compressed or not, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline=None)
    return path.open(encoding="utf-8-sig")


class DamagedFileError(ValueError):
    """The bytes are not what they should be, wherever the columns are."""


def lines_of(path: Path) -> Generator[str]:
    """Yield the lines of a file."""
    try:
        with open_text(path) as file:
            yield from file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFileError(f"{path.name} must be a whole gzip file, got a damaged one: {error}") from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DamagedFileError(f"{path.name} must be UTF-8 text, got a byte {byte:#04x}") from None


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


def read_columns(path: Path, layout: Layout, *, integer_ids: bool) -> dict[str, NDArray[Any] | None]:
    """Return the columns user, item, value and time; None for those that the file does not have.

    A column of ids is int64 if all of it are integers, else strings (an error if ``integer_ids``). Values are
    float64, times int64 if all of them are integers, else float64.
    """
    start = first_lines(path, 1 + layout.header)
    if len(start) <= layout.header:
        raise ValueError(f"{path.name} must hold interactions, got an empty file")
    n_fields, first = len(split_line(start[0], layout.sep)), split_line(start[-1], layout.sep)
    places = {name: getattr(layout, name) for name in ("user", "item", "value", "time")}
    columns = {name: at for name, at in places.items() if at is not None}

    def looks_integer(name: str) -> bool:
        return columns[name] < len(first) and is_id(first[columns[name]])

    fastest = {name: "f8" if name == "value" or not looks_integer(name) else "i8" for name in columns}
    general = dict.fromkeys(columns, "f8")
    for name in ("user", "item"):
        fastest[name] = "i8" if integer_ids or looks_integer(name) else "U"
        general[name] = "i8" if integer_ids else "U"
    for kinds in (fastest, general):
        found = _parse(path, layout, columns, kinds, n_fields)
        if found is not None and _is_complete(found):
            return {name: found.get(name) for name in places}
    raise ValueError(_explain(path, layout, columns, n_fields, integer_ids))


def _parse(
    path: Path, layout: Layout, columns: dict[str, int], kinds: dict[str, str], n_fields: int
) -> dict[str, NDArray[Any]] | None:
    """Return the columns, or None where a line does not hold what ``kinds`` says."""
    numbers = [name for name in columns if kinds[name] != "U"]
    strings = [name for name in columns if kinds[name] == "U"]
    found: dict[str, NDArray[Any]] = {}
    try:
        if numbers:
            dtype = np.dtype([(name, kinds[name]) for name in numbers])
            # all columns: NumPy then also refuses lines with more of them
            whole = [columns[name] for name in numbers] == list(range(n_fields))
            table = _loadtxt(path, layout, None if whole else [columns[name] for name in numbers], dtype)
            found |= {name: np.ascontiguousarray(table[name]) for name in numbers}
        if strings:
            table = _loadtxt(path, layout, [columns[name] for name in strings], np.dtype("U"))
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


def _is_complete(found: dict[str, NDArray[Any]]) -> bool:
    return not any(
        (column == "").any() if column.dtype.kind == "U" else not np.isfinite(column).all() for column in found.values()
    )


def _explain(path: Path, layout: Layout, columns: dict[str, int], n_fields: int, integer_ids: bool) -> str:
    """Return what is wrong with the first line that is wrong."""
    whole = sorted(columns.values()) == list(range(n_fields))
    needed = n_fields if whole else max(columns.values()) + 1
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
        for name, at in columns.items():
            field = fields[at].strip()
            if name in ("value", "time") and not is_number(field):
                return f"{where} {name} must be a finite number, got {field!r}"
            if name in ("user", "item") and integer_ids and not is_id(field):
                return f"{where} {name} must be an integer, got {field!r}"
            if not field:
                return f"{where} {name} must not be empty, got {line.rstrip()!r}"
    return f"{path.name} must be text with fields separated by {layout.sep!r}, got what NumPy cannot parse"
