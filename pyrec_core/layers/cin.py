"""Compressed interaction network: Lian et al., KDD 2018, arXiv:1803.05170."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._random import Source
from .._validation import check_bool, check_choice, check_float_array, check_int, check_like
from ..kernels.cin import ACTIVATIONS, cin_backward, cin_forward, cin_pool_backward, cin_pool_forward
from ..optim import Param
from ._base import Backprop, Layer
from ._init import glorot_uniform


class CIN(Layer):
    """Layers of weighted products of the maps before with the fields: (B, n_fields, d) -> (B, n_out).

    The output is the sums over d of the maps of all layers, side by side.

    Parameters
    ----------
    n_fields : int >= 1
    maps : sequence of int >= 1
        Maps of each layer, at least one layer.
    source : Source
        Of the random numbers.
    activation : {"identity", "relu"}
        Of the maps.
    split_half : bool
        Whether the first half of the maps of each layer goes to the output and only the second to the next layer.
        All maps of the last layer go to the output.
    dtype : float32 or float64

    Attributes
    ----------
    n_out : int
        Width of the output.
    w : list of Param (maps, maps before, n_fields)
        Starts uniform in ``+-sqrt(6 / (maps before * n_fields + maps))``.
    b : list of Param (maps,)
        Starts at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import CIN, Source
    >>> cin = CIN(3, (8, 4), Source(0), split_half=True)
    >>> cin(np.ones((2, 3, 5), np.float32)).shape, cin.n_out
    ((2, 8), 8)
    >>> [p.value.shape for p in cin.w]
    [(8, 3, 3), (4, 4, 3)]
    """

    def __init__(
        self,
        n_fields: int,
        maps: Sequence[int],
        source: Source,
        *,
        activation: str = "identity",
        split_half: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.activation = check_choice("activation", activation, ACTIVATIONS)
        sizes = [check_int(f"maps[{i}]", size, low=1) for i, size in enumerate(maps)]
        if not sizes:
            raise ValueError("maps must name at least one layer, got none")
        parts = 2 if check_bool("split_half", split_half) else 1
        odd = [size for size in sizes[:-1] if size % parts]
        if odd:
            raise ValueError(f"maps must be even in all layers but the last to be split in halves, got {odd[0]}")
        self._n_hidden = [*(size // parts for size in sizes[:-1]), 0]  # maps that go to the next layer
        self._n_pooled = [*(size // parts for size in sizes[:-1]), sizes[-1]]  # maps that go to the output
        self.n_out = sum(self._n_pooled)
        inputs = [check_int("n_fields", n_fields, low=1), *self._n_hidden]
        self.w = [
            Param(glorot_uniform((size, n, n_fields), source, dtype=dtype, fan=(n * n_fields, size)))
            for size, n in zip(sizes, inputs[:-1], strict=True)
        ]
        self.b = [Param(np.zeros(size, dtype)) for size in sizes]

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=3)
        x = check_like("x", x, (len(x), self.w[0].value.shape[2], x.shape[2]), self.w[0].value.dtype)
        inputs, maps, outputs = [x], [], []
        for w, b, n_pooled, n_hidden in zip(self.w, self.b, self._n_pooled, self._n_hidden, strict=True):
            maps.append(cin_forward(x, inputs[-1], w.value, b.value))
            pooled, hidden = cin_pool_forward(maps[-1], n_pooled, n_hidden, activation=self.activation)
            outputs.append(pooled)
            inputs.append(hidden)
        y = np.concatenate(outputs, axis=1)

        def backprop(d_y: Any) -> Any:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            d_pooled = np.split(d_y, np.cumsum(self._n_pooled)[:-1].tolist(), axis=1)
            d_x, d_hidden = np.zeros_like(x), np.zeros_like(inputs[-1])
            for k in reversed(range(len(maps))):
                d_maps = cin_pool_backward(d_pooled[k], d_hidden, maps[k], activation=self.activation)
                d_fields, d_hidden, d_w, d_b = cin_backward(d_maps, x, inputs[k], self.w[k].value)
                self.w[k].add_grad(d_w)
                self.b[k].add_grad(d_b)
                d_x += d_fields
            d_x += d_hidden  # the fields are also the maps that the first layer begins with
            return d_x

        return y, backprop
