"""Callbacks: early stopping, progress, checkpoints."""

import os
import sys
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import device_of, to_device
from .._progress import Progress as Bar
from .._progress import progress
from .._validation import check_bool, check_float, check_int
from ._checkpoint import Snapshot
from ._training import Callback, Training


class EarlyStopping(Callback):
    """Stop when the validation score has not risen for some epochs.

    Parameters
    ----------
    patience : int >= 1
        Epochs without a rise.
    min_delta : float >= 0
        By how much a score must rise above the best one to count.
    restore_best : bool
        Whether the parameters of the best epoch are put back at the end of training.
    """

    def __init__(self, patience: int = 3, *, min_delta: float = 0.0, restore_best: bool = True) -> None:
        self.patience = check_int("patience", patience, low=1)
        self.min_delta = check_float("min_delta", min_delta, low=0.0)
        self.restore_best = check_bool("restore_best", restore_best)
        self._best: dict[str, NDArray[Any]] = {}

    def begin(self, training: Training) -> None:
        """Refuse a training without scores; stop a resumed one that had stopped."""
        if not training.validates:
            raise ValueError("early stopping must have a validation score, got no validation data")
        self._stop_if_due(training)

    def epoch(self, training: Training) -> None:
        """Compare the score of the epoch with the best one."""
        if self._since_best(training.scores) == 0 and self.restore_best:
            self._best = {name: p.value.copy() for name, p in training.network.named_params().items()}
            self._best |= {f"state/{name}": a.copy() for name, a in training.network.state().items()}
        self._stop_if_due(training)

    def end(self, training: Training, completed: bool) -> None:
        """Put the best parameters back."""
        best, self._best = self._best, {}
        if not (completed and best):
            return
        for name, p in training.network.named_params().items():
            p.value[...] = to_device(best[name], device_of(p.value))
        prefix = "state/"
        state = {name[len(prefix) :]: a for name, a in best.items() if name.startswith(prefix)}
        training.network.load_state(state)

    def state(self) -> dict[str, Any]:
        """Return the best parameters so far."""
        return self._best

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the best parameters so far."""
        self._best = state

    def _stop_if_due(self, training: Training) -> None:
        training.stop = training.stop or self._since_best(training.scores) >= self.patience

    def _since_best(self, scores: list[float]) -> int:
        """Return how many epochs ago the score rose."""
        best, since = -np.inf, 0
        for score in scores:
            rose = score > best + self.min_delta
            best, since = (score, 0) if rose else (best, since + 1)
        return since


class Progress(Callback):
    """Show how far the training is, on standard error.

    Parameters
    ----------
    description : str
    verbose : bool, optional
        True: one line per epoch, with its loss and score. None: a bar, in a terminal, after a second. False: nothing.
    """

    def __init__(self, description: str = "fit", verbose: bool | None = None) -> None:
        self.description = description
        self.verbose = None if verbose is None else check_bool("verbose", verbose)
        self._bar: Bar | None = None
        self._since = 0.0
        self._owed = 0.0

    def begin(self, training: Training) -> None:
        """Open the bar."""
        self._since, self._owed = monotonic(), 0.0
        if self.verbose is None:
            rest = (training.n_epochs - training.epoch) * training.n_examples
            self._bar = progress(int(rest), self.description, None).__enter__()

    def batch(self, training: Training, weight: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._owed += weight
            whole = int(self._owed)
            self._owed -= whole
            self._bar.update(whole)

    def epoch(self, training: Training) -> None:
        """Print the line of the epoch."""
        now = monotonic()
        if self.verbose:
            score = f", validation score {training.scores[-1]:.4f}" if training.scores else ""
            line = f"epoch {training.epoch}/{training.n_epochs}: loss {training.losses[-1]:.4f}{score}"
            print(f"{self.description}: {line}, {now - self._since:.1f} s", file=sys.stderr, flush=True)
        self._since = now

    def end(self, training: Training, completed: bool) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


class Checkpoint(Callback):
    """Write the training to a file after every ``every`` epochs and after the last: ``fit(..., resume=path)`` goes on.

    Parameters
    ----------
    path : str or path-like
        The file, replaced as a whole each time.
    every : int >= 1

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core import GRU4Rec
    >>> from pyrec_core.train import Checkpoint
    >>> sessions = ([0, 1, 2, 0, 1, 2, 1], [0, 3, 5, 7])
    >>> path = os.path.join(tempfile.mkdtemp(), "training")
    >>> options = {"hidden": (4,), "n_sample": 2, "random_state": 0}
    >>> _ = GRU4Rec(**options, n_epochs=2, callbacks=(Checkpoint(path),)).fit(sessions)
    >>> resumed = GRU4Rec(**options, n_epochs=3).fit(sessions, resume=path)
    >>> bool((resumed.embeddings_ == GRU4Rec(**options, n_epochs=3).fit(sessions).embeddings_).all())
    True
    """

    last = True  # it keeps what the other callbacks think of the epoch

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        self.path = os.fspath(path)
        self.every = check_int("every", every, low=1)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, every={self.every})"

    def epoch(self, training: Training) -> None:
        """Write the file, if it is time."""
        done = training.epoch >= training.n_epochs or training.stop
        if done or training.epoch % self.every == 0:
            Snapshot.of(training).save(self.path)
