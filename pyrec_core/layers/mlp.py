"""The usual stack of dense layers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .._random import Source
from .activation import Activation
from .combine import Chain
from .dense import Dense
from .dropout import Dropout

_INITS = {"relu": "he", "leaky": "he", "elu": "he", "selu": "lecun"}


def mlp(
    n_in: int,
    hidden: Sequence[int],
    source: Source,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Chain:
    """Return hidden layers one after the other: for each width a `Dense`, the activation, and dropout if there is any.

    Parameters
    ----------
    n_in : int
        Width of the input.
    hidden : sequence of int
        Widths of the layers; the last is that of the output.
    source : Source
        Of the random numbers.
    activation : str
        See `Activation`. The weights start as He normal for the family of "relu", LeCun normal for "selu", Glorot
        uniform for others.
    dropout : float in [0, 1)
    dtype : float32 or float64

    Examples
    --------
    >>> from pyrec_core.layers import Source, mlp
    >>> net = mlp(10, (32, 16), Source(0), dropout=0.5)
    >>> [p.value.shape for p in net.params()]
    [(10, 32), (32,), (32, 16), (16,)]
    """
    chain: list[Dense | Activation | Dropout] = []
    for width in hidden:
        chain.append(Dense(n_in, width, source, init=_INITS.get(activation, "glorot"), dtype=dtype))
        chain.append(Activation(activation))
        if dropout:
            chain.append(Dropout(dropout, source))
        n_in = width
    return Chain(*chain)
