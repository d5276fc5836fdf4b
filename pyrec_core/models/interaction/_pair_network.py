"""The network of neural collaborative filtering: what a pair of a user and an item scores."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..._backend import array_module, device_of, to_device
from ..._random import Source
from ..._validation import check_float
from ...kernels.activations import activation_forward, dropout
from ...kernels.embedding import gather
from ...kernels.linalg import gemm
from ...kernels.ncf import NCFParameters, ncf_backward, ncf_forward
from ...layers import Dense, Layer, normal
from ...optim import Param

# Pairs in the layers of the tower at a time: what they give stays in the cache; a device is to have enough to do.
PAIRS_AT_ONCE = {"cpu": 2**14, "cuda": 2**19}

Ids = NDArray[np.integer[Any]]


class PairNetwork(Layer):
    """The logit of pairs: users (B,) and items (B,) -> (B, 1). The ids are on the host, also where the network is not.

    The first columns of the two embeddings are multiplied (GMF). The others stand side by side at the foot of a tower
    of dense layers (MLP). One dense layer makes the logit of both results. Each part may be missing.

    Parameters
    ----------
    users, items : arrays (n_users, d) and (n_items, d)
        First values of the embeddings; changed in place.
    hidden : sequence of int
        Widths of the tower, its foot included: ``hidden[0] / 2`` columns of each embedding are for it. Empty: none.
    source : Source
        Of the random numbers.
    dropout : float in [0, 1)
        After each layer of the tower.

    Attributes
    ----------
    users, items : Param
    tower : list of Dense
    head : Dense
    n_multiplied : int
        Columns of an embedding that are multiplied.
    """

    def __init__(
        self, users: NDArray[Any], items: NDArray[Any], hidden: Sequence[int], source: Source, *, dropout: float = 0.0
    ) -> None:
        foot, top = (hidden[0], hidden[-1]) if hidden else (0, 0)
        self.n_multiplied = users.shape[1] - foot // 2
        self.users, self.items = Param(users), Param(items)
        self.tower = [Dense(n, m, source, init="he", dtype=users.dtype) for n, m in pairwise(hidden)]
        self.head = Dense(self.n_multiplied + top, 1, source, dtype=users.dtype)
        self._source, self._dropout = source, check_float("dropout", dropout, low=0.0)
        if self._dropout >= 1.0:
            raise ValueError(f"dropout must be < 1, got {self._dropout}")

    @classmethod
    def new(
        cls, shape: tuple[int, int], n_multiplied: int, hidden: Sequence[int], source: Source, *, dropout: float = 0.0,
        dtype: DTypeLike = np.float32,
    ) -> Self:  # fmt: skip
        """Make a network for a matrix of this shape, with embeddings of standard deviation 0.01."""
        d = n_multiplied + (hidden[0] // 2 if hidden else 0)
        users, items = (normal((n, d), source, std=0.01, dtype=dtype) for n in shape)
        return cls(users, items, hidden, source, dropout=dropout)

    @classmethod
    def of(cls, weights: dict[str, NDArray[Any]]) -> Self:
        """Make the network of these parameters, named as in `named_params`, for use outside of training."""
        layers = [weights[f"tower.{i}.w"] for i in range(len(weights)) if f"tower.{i}.w" in weights]
        hidden = [len(w) for w in layers] + [w.shape[1] for w in layers[-1:]]
        network = cls(weights["users"], weights["items"], hidden, Source(0))
        for name, p in network.named_params().items():
            p.value = weights[name]
        return network

    def forward(self, x: tuple[Ids, Ids], *, train: bool = False) -> tuple[Any, Callable[[Any], None]]:
        users, items = (to_device(ids, self.device) for ids in x)
        weights, biases = [layer.w.value for layer in self.tower], [_bias(layer).value for layer in self.tower]
        head, offset = self.head.w.value.reshape(-1), _bias(self.head).value
        params = NCFParameters(self.users.value, self.items.value, weights, biases, head, offset)
        masks = [self._mask((len(users), len(b)), b.dtype) for b in biases] if train and self._dropout else []
        logits, kept = ncf_forward(params, users, items, masks)

        def backprop(d_y: Any) -> None:
            found = ncf_backward(d_y.reshape(-1), kept, params, users, items, masks)
            self.users.add_rows(users, found.users)
            self.items.add_rows(items, found.items)
            for layer, d_w, d_b in zip(self.tower, found.weights, found.biases, strict=True):
                layer.w.add_grad(d_w)
                _bias(layer).add_grad(d_b)
            self.head.w.add_grad(found.head[:, None])
            _bias(self.head).add_grad(found.offset)

        return logits[:, None], backprop

    def _mask(self, shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
        address = self._source.take("dropout", shape[0] * shape[1])
        ones = array_module(self.users.value).ones(shape, dtype)
        mask: NDArray[Any] = dropout(ones, self._dropout, overwrite=True, **address)
        return mask

    @property
    def device(self) -> str:
        """Where the parameters are."""
        return device_of(self.users.value)

    def factors(self, users: Ids) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return vectors of these users and of all items, whose products are the logits, where there is no tower."""
        p, q = gather(self.users.value, to_device(users, self.device)) * self.head.w.value.T, self.items.value
        offset = np.broadcast_to(_bias(self.head).value, (len(p), 1))
        return np.concatenate([p, offset], axis=1), np.concatenate([q, np.ones_like(q[:, :1])], axis=1)

    def table(self, users: Ids, items: Ids) -> NDArray[Any]:
        """Return the logits of all pairs: users (n,) and items (m,) -> (n, m), where there is a tower.

        Its lowest layer gets the sum of what it makes of a user and of an item. These two are made once, and only what
        is above is done for each pair.
        """
        ids = to_device(users, self.device), to_device(items, self.device)
        p, q = gather(self.users.value, ids[0]), gather(self.items.value, ids[1])
        (p_gmf, p_mlp), (q_gmf, q_mlp) = self._columns(p), self._columns(q)
        of_product, of_top = np.split(self.head.w.value, [self.n_multiplied])
        lowest, *above = self.tower
        of_user, of_item = np.split(lowest.w.value, 2)
        from_users, from_items = gemm(p_mlp, of_user), gemm(q_mlp, of_item)
        from_users += _bias(lowest).value
        logits: NDArray[Any] = gemm(p_gmf * of_product.T, q_gmf, trans_b=True)
        logits += _bias(self.head).value
        for rows, columns in _blocks(len(users), len(items), PAIRS_AT_ONCE[self.device]):
            z = from_users[rows, None] + from_items[columns]
            shape = z.shape[:2]
            z = activation_forward(z.reshape(-1, z.shape[-1]), "relu", overwrite=True)
            for layer in above:
                z = activation_forward(layer(z), "relu", overwrite=True)
            logits[rows, columns] += gemm(z, of_top).reshape(shape)
        return logits

    def _columns(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the columns that are multiplied, and those of the tower."""
        return rows[:, : self.n_multiplied], rows[:, self.n_multiplied :]


def _bias(layer: Dense) -> Param:
    assert layer.b is not None
    return layer.b


def _blocks(n: int, m: int, pairs: int) -> Iterator[tuple[slice, slice]]:
    """Cut a table of n x m pairs into blocks of so many pairs, at most."""
    width = max(1, min(m, pairs))
    height = pairs // width
    for row in range(0, n, height):
        for column in range(0, m, width):
            yield slice(row, row + height), slice(column, column + width)
