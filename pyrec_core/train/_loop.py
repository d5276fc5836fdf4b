"""The training loop of every model that learns by gradient steps."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._backend import linear_algebra, use_threads
from .._random import Source
from ..optim import Optimizer, Param
from ._checkpoint import Snapshot

Step = Callable[[Any], tuple[float, float]]


class Network(Protocol):
    """What the loop needs of a network, such as any `pyrec_core.layers.Layer`."""

    def named_params(self) -> dict[str, Param]: ...
    def state(self) -> dict[str, NDArray[Any]]: ...
    def load_state(self, state: dict[str, NDArray[Any]]) -> None: ...


@dataclass(eq=False)
class Training:
    """A training under way: what callbacks see and may change.

    Attributes
    ----------
    network : Network
        Its parameters, changed in place.
    n_epochs : int
        How many there will be.
    n_examples : float
        Expected weight of an epoch's batches, for progress; 0 where unknown.
    epoch : int
        How many are complete.
    losses, scores : list of float
        Mean training loss, and validation score where there is one, of each of them.
    validates : bool
        Whether each epoch is scored.
    stop : bool
        Set it, and no further epoch begins.
    about : dict
        What a checkpoint must agree on with the training that resumes it.
    callbacks : list of Callback
    """

    network: Network
    n_epochs: int
    n_examples: float = 0.0
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    validates: bool = False
    stop: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    callbacks: "list[Callback]" = field(default_factory=list)


class Callback:
    """Base of what looks on while a model learns; every method does nothing.

    ``begin`` is called after a resumed training has been put back, ``end`` in any case, also after an error or Ctrl-C.
    ``state`` is what a checkpoint keeps of a callback. Those with ``last`` true are called after the others.
    """

    last = False

    def begin(self, training: Training) -> None:
        """Look at a training before its first epoch."""

    def batch(self, training: Training, weight: float) -> None:
        """Look at it after a batch of this weight (number of examples)."""

    def epoch(self, training: Training) -> None:
        """Look at it after an epoch."""

    def end(self, training: Training, completed: bool) -> None:
        """Look at it after all; ``completed`` is false where an error or Ctrl-C ended it."""

    def state(self) -> dict[str, Any]:
        """Return what must be known to go on from here: arrays by name."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""


def fit_loop(
    network: Network,
    batches: Callable[[int], Iterable[Any]],
    step: Step,
    optimizer: Optimizer,
    *,
    n_epochs: int,
    source: Source,
    callbacks: Sequence[Callback] = (),
    validate: Callable[[], float] | None = None,
    resume: Snapshot | None = None,
    n_examples: float = 0.0,
    about: dict[str, Any] | None = None,
    n_threads: int | None = None,
) -> Training:
    """Train a network: for each batch one forward and backward pass and one step of the optimizer.

    Parameters
    ----------
    network : Network
        Changed in place. After an error or Ctrl-C it is as the last step left it.
    batches : callable
        Given the number of the epoch, from 0, the batches of it.
    step : callable
        Given a batch, leaves gradients in the parameters, and returns the loss and the weight with which it enters
        the mean loss of the epoch (as a rule the number of examples).
    optimizer : Optimizer
    n_epochs : int
    source : Source
        Of all random numbers; put to the start of each epoch.
    callbacks : sequence of Callback
    validate : callable, optional
        Returns a score, larger is better, after each epoch.
    resume : Snapshot, optional
        From where to go on: the bits are then those of a training that was never interrupted.
    n_examples : float
        Expected weight of an epoch, for progress.
    about : dict, optional
        See `Training`.
    n_threads : int, optional

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        The loss of a batch is NaN or infinite.
    """
    ordered = sorted(callbacks, key=lambda callback: callback.last)
    training = Training(
        network, n_epochs, n_examples, validates=validate is not None, about=about or {}, callbacks=ordered
    )
    if resume is not None:
        resume.restore(training)
    completed = False
    params = network.named_params().values()
    with use_threads(n_threads), linear_algebra():
        try:
            for callback in ordered:
                callback.begin(training)
            while training.epoch < n_epochs and not training.stop:
                source.begin(training.epoch)
                total = weights = 0.0
                for batch in batches(training.epoch):
                    loss, weight = step(batch)
                    if not isfinite(loss):
                        raise ValueError(
                            f"loss must stay finite, got {loss} in epoch {training.epoch + 1}: "
                            "a lower learning_rate, or clip_norm of the optimizer, may help"
                        )
                    optimizer.step(params)
                    total += loss * weight
                    weights += weight
                    for callback in ordered:
                        callback.batch(training, weight)
                training.losses.append(total / weights if weights else np.nan)
                training.epoch += 1
                if validate is not None:
                    training.scores.append(validate())
                for callback in ordered:
                    callback.epoch(training)
            completed = True
        finally:
            for callback in ordered:
                callback.end(training, completed)
    return training
