"""What feature models do with a network: run it on many examples, and score it; and what belongs to that."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._backend import array_module, to_device, to_host, use_threads
from ..._device_memory import in_blocks
from ..._features import Features
from ..._random import Source
from ..._validation import trusted_inputs
from ...kernels.losses import binary_cross_entropy, squared_error
from ...kernels.random import integers
from ...layers import Fields, Layer
from ...metrics import global_auc, rmse
from ._inputs import Layout

_ROWS_AT_ONCE = 8192

Step = Callable[[Any], tuple[float, float]]


class only_for:
    """A method that only models with one loss have: for the others it does not exist, as scikit-learn wants it."""

    def __init__(self, loss: str) -> None:
        self.loss = loss

    def __call__(self, method: Any) -> Any:
        self.method = method
        self.__doc__ = method.__doc__
        return self

    def __get__(self, model: Any, owner: Any) -> Any:
        if model is None:
            return self.method
        if model.loss != self.loss:
            raise AttributeError(f"{self.method.__name__} needs loss={self.loss!r}, got {model.loss!r}")
        return self.method.__get__(model, owner)


class Scorer:
    """Scores a network in training on held-out examples: larger is better."""

    def __init__(self, network: Layer, fields: Fields, target: NDArray[np.float32], loss: str, device: str) -> None:
        self.fields = moved(fields, device, "the validation data")
        self.network, self.target, self.loss, self.device = network, target, loss, device

    def __call__(self) -> float:
        outputs = run(self.network, self.fields, None, self.device)
        return global_auc(self.target, outputs) if self.loss == "logistic" else -rmse(self.target, outputs)


def step_of(network: Layer, fields: Fields, target: NDArray[np.float32], loss: str) -> Step:
    """Return what goes forward and back over the examples that rows say."""
    of_outputs = binary_cross_entropy if loss == "logistic" else squared_error

    def step(rows: Any) -> tuple[float, float]:
        outputs, backprop = network.forward(fields.take(rows), train=True)
        value, d_outputs = of_outputs(outputs, target[rows, None].astype(outputs.dtype), divisor=len(rows))
        backprop(d_outputs)
        return value, len(rows)

    return step


def run(network: Layer, fields: Fields, n_threads: int | None, device: str) -> NDArray[np.float64]:
    """Return what a network on ``device`` makes of examples, some at a time."""
    outputs = np.empty(fields.n_examples)

    def some(first: int, last: int) -> None:
        rows = fields.take(array_module(fields.ids).arange(first, last))
        with trusted_inputs():
            outputs[first:last] = to_host(network(moved(rows, device, "examples"))[:, 0])

    with use_threads(n_threads):
        in_blocks(some, len(outputs), _ROWS_AT_ONCE, device)
    return outputs


def moved(fields: Fields, device: str, what: str) -> Fields:
    """Return examples on ``device``; ``what`` is how an error calls them if they do not fit there."""
    arrays = fields._asdict().items()
    on = (None if a is None else to_device(a, device, f"{name} of {what}") for name, a in arrays)
    return Fields(*on)  # type: ignore[arg-type]


def on_device(fields: Fields, target: NDArray[np.float32], device: str) -> tuple[Fields, NDArray[np.float32]]:
    """Return the training data on ``device``."""
    what = "the training data"
    return moved(fields, device, what), to_device(target, device, f"target of {what}")


def rows_in(fields: Fields, layout: Layout) -> NDArray[np.bool_]:
    seen = np.zeros(layout.n_rows, bool)
    seen[fields.ids.reshape(-1)] = True
    return seen


def with_target(X: Any, y: ArrayLike | None) -> tuple[Any, ArrayLike | None]:
    return X, X.target if y is None and isinstance(X, Features) else y


def held_out_rows(n: int, share: float, source: Source) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which examples are kept, and which are held out."""
    order = np.argsort(integers(n, 2**63 - 1, **source.take("split", n)), kind="stable")
    n_out = max(1, int(n * share))
    return np.sort(order[n_out:]), np.sort(order[:n_out])
