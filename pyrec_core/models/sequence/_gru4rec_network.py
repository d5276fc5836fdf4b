"""The network of GRU4Rec: a table of items, recurrent layers, and the way back."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..._backend import Array
from ..._random import Source
from ...layers import GRU, Dropout, Layer, glorot_uniform
from ...optim import Param

States = list[Array]  # one of each layer


class Network(Layer):
    """From the items of a step to the state of the last layer, whose products with the rows of ``items`` are scores.

    Parameters
    ----------
    options : GRU4Rec
        Whose ``hidden, embedding, embedding_dim, reset, dropout_embed, dropout_hidden`` count.
    n_items : int
    source : Source
    dtype : float32 or float64
    weights : mapping of str to array, optional
        Values of the parameters, which are used as they are, instead of random ones.

    Attributes
    ----------
    items : Param (n_items, d)
        Output layer, and input where the embedding is constrained.
    bias : Param (n_items,)
    inputs : Param (n_items, e) or None
        Input of the first layer; without an embedding its share of the gates, (n_items, 3d).
    """

    def __init__(
        self,
        options: Any,
        n_items: int,
        source: Source,
        *,
        dtype: DTypeLike = np.float32,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        hidden = tuple(np.atleast_1d(options.hidden).tolist())
        mode, first, d = options.embedding, hidden[0], hidden[-1]
        e = d if mode == "constrained" else options.embedding_dim or first

        def table(name: str, width: int, blocks: int = 1) -> Param:
            if weights is not None:
                return Param(weights[name])
            parts = [glorot_uniform((n_items, width), source, dtype=dtype) for _ in range(blocks)]
            return Param(parts[0] if blocks == 1 else np.concatenate(parts, axis=1))

        self.items = table("items", d)
        self.bias = Param(np.zeros(n_items, dtype) if weights is None else weights["bias"])
        self.inputs = None
        if mode != "constrained":
            self.inputs = table("inputs", e) if mode == "separate" else table("inputs", first, blocks=3)
        widths = [None if mode == "none" else e, *hidden[:-1]]
        self.cells = [
            GRU(n_in, n_out, source, reset=options.reset, dtype=dtype)
            for n_in, n_out in zip(widths, hidden, strict=True)
        ]
        embed = 0.0 if mode == "none" else options.dropout_embed
        self.dropouts = [Dropout(rate, source) for rate in (embed, *[options.dropout_hidden] * len(hidden))]
        if weights is not None:
            for name, p in self.named_params().items():
                p.value = weights[name]

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network that has these weights, without dropout; they say how it was made."""
        n_layers = sum(name.endswith(".u") for name in weights)
        tied, with_w = "inputs" not in weights, "cells.0.w" in weights
        options = SimpleNamespace(
            hidden=tuple(len(weights[f"cells.{layer}.u"]) for layer in range(n_layers)),
            embedding="constrained" if tied else "separate" if with_w else "none",
            embedding_dim=None if tied else weights["inputs"].shape[1],
            reset="after" if "cells.0.bh" in weights else "before",
            dropout_embed=0.0,
            dropout_hidden=0.0,
        )
        return cls(options, len(weights["items"]), Source(0), weights=weights)

    def zero_states(self, n: int) -> States:
        """Return the states of ``n`` sessions that have not begun."""
        return [cell.zero_state(n) for cell in self.cells]

    def step(self, x: Array, states: States, *, train: bool = False) -> tuple[States, Callable[[Any], None]]:
        """Return the states after one more item of each session, and the way back; the states before are constants."""
        rows, back = self._look_up(x, train)
        ways, after = [back], []
        for cell, state, dropout in zip(self.cells, states, self.dropouts[1:], strict=True):
            moved, through_cell = cell.step(rows, state)
            rows, through_dropout = dropout.forward(moved, train=train)
            ways += [through_cell, through_dropout]
            after.append(rows)
        return after, _back_along(ways)

    def forward(
        self, x: Array, *, train: bool = False, steps: NDArray[np.int64] | None = None
    ) -> tuple[Array, Callable[[Any], None]]:
        """Return the last layer's states for packed sequences of items (see `pyrec_core.train.pack`), and the way back.

        The way back goes to the first item of each sequence. Dropout is between the layers and after the last.
        """
        rows, back = self._look_up(x, train)
        ways = [back]
        for cell, dropout in zip(self.cells, self.dropouts[1:], strict=True):
            moved, through_cell = cell.forward(rows, steps=steps, train=train)
            rows, through_dropout = dropout.forward(moved, train=train)
            ways += [through_cell, through_dropout]
        return rows, _back_along(ways)

    def _look_up(self, x: Array, train: bool) -> tuple[Array, Callable[[Any], None]]:
        table = self.items if self.inputs is None else self.inputs
        rows, through_dropout = self.dropouts[0].forward(np.take(table.value, x, axis=0), train=train)
        return rows, lambda d_rows: table.add_rows(x, through_dropout(d_rows))


def _back_along(ways: list[Callable[[Any], Any]]) -> Callable[[Any], None]:
    def backprop(d_rows: Any) -> None:
        for way in reversed(ways):
            d_rows = way(d_rows)

    return backprop
