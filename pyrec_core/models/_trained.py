"""What all models share that learn in epochs of gradient steps: how to train, and how training ends."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .._backend import check_device, to_host
from .._errors import TrainingInterrupted
from .._random import Source, seed_of
from .._validation import check_float, check_int, trusted_inputs
from ..layers import Layer
from ..optim import Divided, Optimizer, from_plain, resolve, to_plain
from ..train import Callback, EarlyStopping, Progress, Snapshot, Training, fit_loop
from ._estimator import Estimator, parameters

_N = TypeVar("_N", bound=Layer)

# What may differ between a training and the one that resumes it; the seed is compared instead of random_state.
_FREE = {"n_epochs", "callbacks", "device", "n_threads", "random_state", "verbose"}


@dataclass(kw_only=True, eq=False, repr=False)
class Trained(Estimator):
    """Base of the models that are trained in epochs.

    Parameters
    ----------
    n_epochs : int >= 1
    batch_size : int >= 1
    optimizer : {"sgd", "adagrad", "rmsprop", "adadelta", "adam", "ftrl"} or Optimizer
    learning_rate : float or callable, optional
        None: the optimizer's own.
    early_stopping : bool or int
        Stop when the validation score has not risen for so many epochs (True: 3), and keep the best parameters.
    validation_fraction : float in (0, 1)
        What is held out for early stopping if there is no ``validation_data``.
    callbacks : sequence of `pyrec_core.train.Callback`
        Such as `pyrec_core.train.Checkpoint`. They are not saved with the model.
    device : {"cpu", "cuda"}
        Where the network is trained and used, with float32 results that agree to about 1e-5. What is learned comes back
        as NumPy arrays: `set_params` lets a model that was fitted on one device predict on the other.
    n_threads : int, optional
        Threads to use; None: all CPUs this process may use. Results do not depend on it.
    random_state : int, optional
        Seed of all that is random. None: another one in each ``fit``.
    verbose : bool, optional
        True: a line an epoch. None: a bar, in a terminal, after a second.

    Attributes
    ----------
    loss_curve_ : float64 (epochs,)
        Mean training loss of each epoch.
    validation_scores_ : float64 (epochs,)
        Empty without validation.
    n_epochs_ : int
        How many were completed; fewer than asked for after early stopping or Ctrl-C.
    """

    n_epochs: int = 10
    batch_size: int = 64
    optimizer: str | Optimizer = "adagrad"
    learning_rate: Any = None
    early_stopping: bool | int = False
    validation_fraction: float = 0.1
    callbacks: Any = ()
    device: str = "cpu"
    n_threads: int | None = None
    random_state: int | None = None
    verbose: bool | None = None

    loss_curve_: NDArray[np.float64] = field(init=False)
    validation_scores_: NDArray[np.float64] = field(init=False)
    n_epochs_: int = field(init=False)
    weights_: dict[str, NDArray[Any]] = field(init=False)

    _plain: ClassVar[tuple[str, ...]] = ("optimizer", "learning_rate")  # parameters that files hold as plain values

    def _beginning(self, resume: Any, *data: NDArray[Any]) -> tuple[Source, Snapshot | None, dict[str, Any]]:
        """Return the source of random numbers, the checkpoint to go on from, and what describes this training."""
        about: dict[str, Any] = {p.name: repr(getattr(self, p.name)) for p in parameters(self) if p.name not in _FREE}
        about["model"] = type(self).__name__
        about["data"] = ", ".join(f"{a.shape} {crc32(a.tobytes()):08x}" for a in data)
        free = ["seed"] if self.random_state is None else []
        if self.random_state is not None:
            about["seed"] = seed_of(self.random_state)
        snapshot = None if resume is None else Snapshot.load(resume, about, free)
        if self.random_state is None:
            about["seed"] = seed_of(None) if snapshot is None else snapshot.about["seed"]
        return Source(int(about["seed"])), snapshot, about

    def _train(
        self,
        network: Any,
        batches: Callable[[int], Iterable[Any]],
        step: Callable[[Any], tuple[float, float]],
        source: Source,
        snapshot: Snapshot | None,
        about: dict[str, Any],
        *,
        n_examples: float,
        validate: Callable[[], float] | None,
        part: Callable[[Any, int], Any] | None = None,
    ) -> dict[str, Any]:
        """Train ``network``, and return what is learned, by attribute name; for the arguments see `fit_loop`."""
        seen = _Watch()
        patience = 3 if self.early_stopping is True else int(self.early_stopping)
        own: list[Callback] = [seen, Progress(type(self).__name__, self.verbose)]
        own += [EarlyStopping(patience)] if patience else []
        try:
            fit_loop(
                network, batches, trusting(step), self._optimizer_of(network),
                n_epochs=check_int("n_epochs", self.n_epochs, low=1), source=source,
                callbacks=[*own, *self.callbacks], validate=validate, resume=snapshot,
                n_examples=n_examples, about=about, n_threads=self.n_threads, batch_size=self.batch_size, part=part,
            )  # fmt: skip
        except KeyboardInterrupt as stop:
            if seen.training is None:
                raise
            message = f"training was interrupted after {seen.training.epoch} whole epochs; the model is usable"
            raise TrainingInterrupted(message, _learned(network, seen.training)) from stop
        assert seen.training is not None
        return _learned(network, seen.training)

    def _network_by(self, make: Callable[[], _N]) -> _N:
        """Return the network of the fitted weights, which ``make()`` makes once, on the device; it is only read."""
        device, network = vars(self).get("_made", ("", None))
        if device != self.device:
            network = make()
            network.to(self.device)
            vars(self)["_made"] = self.device, network
        made: _N = network
        return made

    def _optimizer(self) -> Optimizer:
        return resolve(self.optimizer, self.learning_rate)

    def _optimizer_of(self, network: Any) -> Optimizer | Divided:
        """Return what makes the steps of a network."""
        return self._optimizer()

    def _check_trained(self) -> None:
        """Check the fields of this base."""
        check_device(self.device)
        check_int("n_epochs", self.n_epochs, low=1)
        check_int("batch_size", self.batch_size, low=1)
        if not isinstance(self.early_stopping, bool):
            check_int("early_stopping", self.early_stopping, low=0)
        if not 0.0 < check_float("validation_fraction", self.validation_fraction) < 1.0:
            raise ValueError(f"validation_fraction must be in (0, 1), got {self.validation_fraction}")
        if not isinstance(self.callbacks, (list, tuple)) or not all(isinstance(c, Callback) for c in self.callbacks):
            raise TypeError(f"callbacks must be a sequence of Callback, got {self.callbacks!r}")
        self._optimizer()

    def _saved_parameters(self) -> dict[str, Any]:
        params = super()._saved_parameters()
        plain = {name: to_plain(params[name]) for name in self._plain if name in params}
        return {**params, **plain, "callbacks": ()}

    @classmethod
    def _from_saved(cls, params: dict[str, Any]) -> Self:
        made = {name: from_plain(params[name]) for name in cls._plain if name in params}
        return cls(**{**params, **made})


def trusting(step: Callable[[Any], tuple[float, float]]) -> Callable[[Any], tuple[float, float]]:
    """Return the step on batches whose ids need no check: the data of ``fit`` have had theirs."""

    def trusting_step(batch: Any) -> tuple[float, float]:
        with trusted_inputs():
            return step(batch)

    return trusting_step


class _Watch(Callback):
    """Keeps the training, so that there is something to show for it after Ctrl-C."""

    training: Training | None = None

    def begin(self, training: Training) -> None:
        """Keep it."""
        self.training = training


def _learned(network: Any, training: Training) -> dict[str, Any]:
    return {
        "weights_": weights_of(network),
        "loss_curve_": np.array(training.losses, np.float64),
        "validation_scores_": np.array(training.scores, np.float64),
        "n_epochs_": training.epoch,
    }


def weights_of(network: Any) -> dict[str, NDArray[Any]]:
    """Return the parameters of a network by name, on the host."""
    return {name: to_host(p.value) for name, p in network.named_params().items()}


def with_l2(optimizer: Optimizer, l2: float) -> Optimizer:
    """Return the optimizer with this penalty; 0 leaves it as it is."""
    return replace(optimizer, l2=check_float("l2", l2, low=0.0)) if l2 else optimizer


def with_momentum(optimizer: Optimizer, momentum: float) -> Optimizer:
    """Return the optimizer with this momentum; 0 leaves it as it is."""
    check_float("momentum", momentum, low=0.0)
    if not momentum:
        return optimizer
    if "momentum" not in {f.name for f in fields(optimizer)}:
        raise ValueError(f"momentum must be 0 for {type(optimizer).__name__}, which has none, got {momentum}")
    changed: Optimizer = replace(optimizer, momentum=momentum)  # type: ignore[call-arg]
    return changed
