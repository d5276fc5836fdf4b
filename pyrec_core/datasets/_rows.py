"""Rows of a text whose fields are mostly words, in small files: read by Python, with the line of each."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._text import is_id, read_text


@dataclass(frozen=True)
class Rows:
    """The fields of each row, and the line on which it ends."""

    file: str
    lines: list[int]
    fields: list[list[str]]

    def strings(self, place: int) -> NDArray[np.str_]:
        """Return a column as it stands."""
        return np.array([row[place] for row in self.fields], np.str_)

    def integers(self, name: str, place: int) -> NDArray[np.int64]:
        """Return a column of integers."""
        column = [row[place].strip() for row in self.fields]
        for line, entry in zip(self.lines, column, strict=True):
            if not is_id(entry):
                raise ValueError(f"{self.file}, line {line}: {name} must be an integer, got {entry!r}")
        return np.array(list(map(int, column)), np.int64)

    def lists(self, place: int, sep: str) -> list[list[str]]:
        """Return a column of lists."""
        return [[value for value in row[place].split(sep) if value] for row in self.fields]


def first_line(path: Path) -> str:
    """Return the first line that is not blank, in the encoding of `read_rows`."""
    return next((line.strip() for line in read_text(path).split("\n") if line.strip()), "")


def read_rows(path: Path, sep: str, n_fields: int, *, header: bool = False) -> Rows:
    """Return the rows of a file; all have ``n_fields`` fields, and blank lines are skipped."""
    text = read_text(path)
    rows: Any
    if sep == ",":
        reader = csv.reader(io.StringIO(text, newline=""))
        rows = ((reader.line_num, row) for row in reader)
    else:
        rows = enumerate((line.rstrip("\r").split(sep) if line.strip() else [] for line in text.split("\n")), start=1)
    found = [(line, row) for line, row in rows if row][header:]
    if not found:
        raise ValueError(f"{path.name} must hold rows, got an empty file")
    for line, row in found:
        if len(row) != n_fields:
            raise ValueError(f"{path.name}, line {line}: must have {n_fields} fields, got {len(row)}")
    lines, fields = map(list, zip(*found, strict=True))
    return Rows(path.name, lines, fields)
