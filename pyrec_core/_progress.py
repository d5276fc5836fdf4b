"""One progress line on standard error, for work that takes more than a moment."""

import sys
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from types import TracebackType
from typing import Any, Protocol

PATIENCE = 1.0  # seconds of silence before a bar that was not asked for
REFRESH = 0.5  # seconds between two refreshes of the plain line


class _Bar(Protocol):
    def update(self, n: int) -> object: ...
    def close(self) -> object: ...


class _PlainBar:
    """``description: 30/100 (30 %), 2 s``, rewritten in place."""

    def __init__(self, total: int, description: str, done: int, started: float) -> None:
        self.total, self.description, self.done, self.started = total, description, done, started
        self.printed = -REFRESH + started
        self.update(0)

    def update(self, n: int) -> None:
        self.done += n
        if monotonic() - self.printed >= REFRESH:
            self._print("")

    def close(self) -> None:
        self._print("\n")

    def _print(self, end: str) -> None:
        self.printed = monotonic()
        share = f" ({100 * self.done // self.total} %)" if self.total else ""
        seconds = self.printed - self.started
        line = f"\r{self.description}: {self.done}/{self.total}{share}, {seconds:.0f} s"
        print(line, end=end, file=sys.stderr, flush=True)


class Progress:
    """What `progress` returns: a context manager that counts steps."""

    def __init__(self, total: int, description: str, verbose: bool | None) -> None:
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._silent = verbose is False or (verbose is None and not terminal)
        self._total, self._description, self._patience = total, description, 0.0 if verbose else PATIENCE
        self._done = 0
        self._started = monotonic()
        self._bar: _Bar | None = None

    def __enter__(self) -> "Progress":
        self.update(0)
        return self

    def update(self, n: int) -> None:
        """Report ``n`` more steps as done."""
        self._done += n
        if self._silent:
            return
        if self._bar is not None:
            self._bar.update(n)
        elif monotonic() - self._started >= self._patience:
            self._bar = self._open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _open(self) -> _Bar:
        if find_spec("tqdm") is None:
            return _PlainBar(self._total, self._description, self._done, self._started)
        tqdm: Any = import_module("tqdm").tqdm
        bar: _Bar = tqdm(total=self._total, desc=self._description, initial=self._done, file=sys.stderr)
        return bar


def progress(total: int, description: str, verbose: bool | None) -> Progress:
    """Count ``total`` steps of work on standard error: ``with progress(...) as bar: bar.update(1)``.

    Parameters
    ----------
    total : int
        Number of steps.
    description : str
        What is being done.
    verbose : bool or None
        None: only where standard error is a terminal and the work has already taken a second. False: never.
        True: always. The bar is tqdm's where that is installed, else a plain line.

    Examples
    --------
    >>> from pyrec_core._progress import progress
    >>> with progress(2, "fit", verbose=False) as bar:
    ...     bar.update(1)
    ...     bar.update(1)
    """
    return Progress(total, description, verbose)
