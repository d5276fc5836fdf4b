"""Layers made of layers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._validation import contiguous
from ._base import Backprop, Layer


class _Combined(Layer):
    """Base: layers, numbered by their order."""

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"layers must be layers, got {type(layer).__name__}")
        self.layers = layers

    def _parts(self) -> Iterator[tuple[str, Any]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))


class Chain(_Combined):
    """Layers one after the other; none: the input itself.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Chain, Dense, Source
    >>> source = Source(0)
    >>> net = Chain(Dense(3, 5, source), Dense(5, 2, source))
    >>> net(np.ones((4, 3), np.float32)).shape
    (4, 2)
    >>> list(net.named_params())
    ['0.w', '0.b', '1.w', '1.b']
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        steps = []
        for layer in self.layers:
            x, step = layer.forward(x, train=train)
            steps.append(step)

        def backprop(d_y: Any) -> Any:
            for step in reversed(steps):
                if d_y is None:  # what lies before made ids
                    break
                d_y = step(d_y)
            return d_y

        return x, backprop


class _Parallel(_Combined):
    """Base: all layers see the same input."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        if not layers:
            raise ValueError("layers must be at least one, got none")


class Add(_Parallel):
    """All layers on the same input; their outputs, of one shape, are summed."""

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        outputs, steps = zip(*(layer.forward(x, train=train) for layer in self.layers), strict=True)
        if len({y.shape for y in outputs}) > 1:
            raise ValueError(f"layers must have outputs of one shape, got {', '.join(str(y.shape) for y in outputs)}")
        return _sum(outputs), lambda d_y: _sum([step(d_y) for step in steps])


class Concat(_Parallel):
    """All layers on the same input; their outputs are joined on the last axis."""

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        outputs, steps = zip(*(layer.forward(x, train=train) for layer in self.layers), strict=True)
        if len({y.shape[:-1] for y in outputs}) > 1:
            shapes = ", ".join(str(y.shape) for y in outputs)
            raise ValueError(f"layers must have outputs that differ in the last axis only, got shapes {shapes}")
        ends = np.cumsum([y.shape[-1] for y in outputs])[:-1].tolist()

        def backprop(d_y: Any) -> Any:
            parts = [contiguous(part) for part in np.split(d_y, ends, axis=-1)]
            return _sum([step(part) for step, part in zip(steps, parts, strict=True)])

        return np.concatenate(outputs, axis=-1), backprop


def _sum(arrays: Any) -> Any:
    """Add arrays in their order; None, the gradient of ids, does not count."""
    total = None
    for array in arrays:
        if array is not None:
            total = array if total is None else total + array
    return total
