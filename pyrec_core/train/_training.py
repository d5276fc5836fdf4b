"""What callbacks, checkpoints and the loop know of a training."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from ..optim import Param


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
