"""Rows of a text whose fields are mostly words, in small files: read by Python, with the line of each."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

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


def read_rows(path: Path, sep: str, n_fields: int, *, header: bool = False, more: bool = False) -> Rows:
    """Return the rows of a file, all with ``n_fields`` fields, or ``more``; blank lines are skipped."""
    text = read_text(path)
    if sep == ",":
        reader = csv.reader(io.StringIO(text, newline=""))
        try:
            numbered = [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise ValueError(f"{path.name}, line {reader.line_num}: must be CSV, got: {error}") from None
    else:
        lines = enumerate(text.replace("\r\n", "\n").split("\n"), start=1)
        numbered = [(at, line.split(sep)) for at, line in lines if line.strip()]
    found = [(line, row) for line, row in numbered if row][header:]
    if not found:
        raise ValueError(f"{path.name} must hold rows, got an empty file")
    for line, row in found:
        if len(row) < n_fields or (len(row) > n_fields and not more):
            least = "at least " if more else ""
            raise ValueError(f"{path.name}, line {line}: must have {least}{n_fields} fields, got {len(row)}")
    return Rows(path.name, [line for line, _ in found], [row for _, row in found])
