"""The training loop of every model that learns by gradient steps."""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from .._backend import use_threads
from .._random import Source
from ..optim import Divided, Optimizer
from ._checkpoint import Snapshot
from ._memory import Part, Step, measuring
from ._training import Callback, Network, Training


def fit_loop(
    network: Network,
    batches: Callable[[int], Iterable[Any]],
    step: Step,
    optimizer: Optimizer | Divided,
    *,
    n_epochs: int,
    source: Source,
    callbacks: Sequence[Callback] = (),
    validate: Callable[[], float] | None = None,
    resume: Snapshot | None = None,
    n_examples: float = 0.0,
    about: dict[str, Any] | None = None,
    n_threads: int | None = None,
    batch_size: int = 1,
    part: Part | None = None,
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
    optimizer : Optimizer or Divided
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
    batch_size : int
        Examples of a batch, at most.
    part : callable, optional
        Given a batch and a number n, the first n examples of it: for the error where a batch does not fit on a GPU.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        The loss of a batch is NaN or infinite.
    NotEnoughMemoryError
        A batch does not fit on a GPU; the parameters are as before it. The error names the array, and a batch size
        that was seen to fit. What the optimizer keeps from its first step on is not part of that.
    """
    ordered = sorted(callbacks, key=lambda callback: callback.last)
    training = Training(
        network, n_epochs, n_examples, validates=validate is not None, about=about or {}, callbacks=ordered
    )
    if resume is not None:
        resume.restore(training)
    completed = False
    params = network.named_params().values()
    step = measuring(step, network, batch_size, part)
    with use_threads(n_threads):
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
            for p in params:
                p.clear()
            for callback in ordered:
                callback.end(training, completed)
    return training
