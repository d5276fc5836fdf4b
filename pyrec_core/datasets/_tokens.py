"""Numbers of a text whose lines have any number of them: found and parsed by NumPy, block by block."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._text import is_number, open_bytes

_BLOCK = 2**20  # bytes read at one time
_MAX_DIGITS = 18  # fit into int64 whatever they are
_MAX_WIDTH = 40  # of a float
_ZERO, _MINUS, _NEWLINE = map(ord, "0-\n")


class Tokens(NamedTuple):
    """What stands between the separators in a block of whole lines: token t is ``data[start[t]:end[t]]``.

    Attributes
    ----------
    file : str
        Its name, for messages.
    data : uint8
        The block, with a separator at its end.
    start, end, line : int64 (n,)
        Where each token lies, and in which line of the file, from 1.
    """

    file: str
    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]

    def take(self, which: Any) -> "Tokens":
        """Return some of the tokens."""
        return self._replace(start=self.start[which], end=self.end[which], line=self.line[which])

    def after(self) -> NDArray[np.uint8]:
        """Return the separator that follows each token."""
        return self.data[self.end]

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return the tokens as integers; the error names the line."""
        negative = self.data[self.start] == _MINUS
        start = self.start + negative
        width = self.end - start
        wrong = (width < 1) | (width > _MAX_DIGITS)
        value = np.zeros(len(start), np.int64)
        for at in range(min(int(width.max(initial=0)), _MAX_DIGITS)):
            inside = at < width
            digit = self.data[np.minimum(start + at, len(self.data) - 1)] - _ZERO  # wraps to > 9 below "0"
            wrong |= inside & (digit > 9)
            value = np.where(inside, value * 10 + digit, value)
        if wrong.any():
            self.fail(int(np.argmax(wrong)), f"{name} must be an integer")
        return np.where(negative, -value, value)

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return the tokens as finite numbers; the error names the line."""
        width = int((self.end - self.start).max(initial=1))
        if width == 1:
            digits = self.data[self.start] - _ZERO
            if (digits <= 9).all():
                return digits.astype(np.float32)
        if width > _MAX_WIDTH:
            self.fail(int(np.argmax(self.end - self.start)), f"{name} must be a finite number")
        place = self.start[:, None] + np.arange(width)
        letters = self.data[np.minimum(place, len(self.data) - 1)]
        letters[place >= self.end[:, None]] = 0
        try:
            number = letters.view(f"S{width}")[:, 0].astype(np.float64)
        except ValueError:
            number = np.array([_float(self.text(token)) for token in range(len(self.start))])
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            value: NDArray[np.float32] = number.astype(np.float32)
        wrong = ~np.isfinite(value)
        if wrong.any():
            self.fail(int(np.argmax(wrong)), f"{name} must be a finite number")
        return value

    def text(self, token: int) -> str:
        """Return a token as it stands."""
        return bytes(self.data[self.start[token] : self.end[token]]).decode("utf-8", "replace")

    def fail(self, token: int, rule: str) -> NoReturn:
        """Raise the error that a token breaks a rule."""
        raise ValueError(f"{self.file}, line {self.line[token]}: {rule}, got {self.text(token)[:80]!r}")


def tokens_of(path: Path, separators: bytes, *, keep_empty: bool = False) -> Iterator[Tokens]:
    """Yield the tokens between the separators, a newline among them, in blocks of whole lines.

    Comments, from ``#`` to the end of the line, are left out, as are line ends of Windows and a byte order mark.
    ``keep_empty`` keeps the tokens without a character, between two separators.
    """
    is_separator = np.zeros(256, bool)
    is_separator[list(separators)] = True
    n_lines = 0
    for block in _blocks(path):
        data = np.frombuffer(block, np.uint8)
        end = np.flatnonzero(is_separator[data])
        start = np.append(0, end[:-1] + 1)
        ends_line = data[end] == _NEWLINE
        line = n_lines + 1 + np.cumsum(ends_line) - ends_line
        n_lines += int(np.count_nonzero(ends_line))
        tokens = Tokens(path.name, data, start, end, line)
        yield tokens if keep_empty else tokens.take(end > start)


def _blocks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as file:
        block = file.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
        while block:
            block += file.readline()
            block = block.replace(b"\r\n", b"\n")
            if b"#" in block:
                block = re.sub(rb"#[^\n]*", b"", block)
            yield block if block.endswith(b"\n") else block + b"\n"
            block = file.read(_BLOCK)


def _float(text: str) -> float:
    return float(text) if is_number(text) else np.nan
