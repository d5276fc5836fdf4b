"""The network of neural collaborative filtering: what a pair of a user and an item scores."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..._random import Source
from ...kernels.embedding import gather
from ...kernels.linalg import gemm
from ...layers import Chain, Dense, Layer, mlp, normal
from ...optim import Param

PAIRS_AT_ONCE = 2**14  # in the layers of the tower: what they give stays in the cache

Ids = NDArray[np.integer[Any]]


class PairNetwork(Layer):
    """The logit of pairs: users (B,) and items (B,) -> (B, 1).

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
    tower : Chain
        Of a chain for each layer.
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
        dtype = users.dtype
        self.tower = Chain(*(mlp(n, (m,), source, dropout=dropout, dtype=dtype) for n, m in pairwise(hidden)))
        self.head = Dense(self.n_multiplied + top, 1, source, dtype=dtype)

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
        layers = [weights[f"tower.{i}.0.w"] for i in range(len(weights)) if f"tower.{i}.0.w" in weights]
        hidden = [len(w) for w in layers] + [w.shape[1] for w in layers[-1:]]
        network = cls(weights["users"], weights["items"], hidden, Source(0))
        for name, p in network.named_params().items():
            p.value = weights[name]
        return network

    def forward(self, x: tuple[Ids, Ids], *, train: bool = False) -> tuple[Any, Any]:
        users, items = x
        p, q = gather(self.users.value, users), gather(self.items.value, items)
        (p_gmf, p_mlp), (q_gmf, q_mlp) = self._columns(p), self._columns(q)
        top, climb_down = self.tower.forward(np.concatenate([p_mlp, q_mlp], axis=1), train=train)
        y, to_parts = self.head.forward(np.concatenate([p_gmf * q_gmf, top], axis=1), train=train)

        def backprop(d_y: Any) -> None:
            d_product, d_top = self._columns(to_parts(d_y))
            d_p, d_q = np.split(climb_down(np.ascontiguousarray(d_top)), 2, axis=1)
            self.users.add_rows(users, np.concatenate([d_product * q_gmf, d_p], axis=1))
            self.items.add_rows(items, np.concatenate([d_product * p_gmf, d_q], axis=1))

        return y, backprop

    def factors(self, users: Ids) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return vectors of these users and of all items, whose products are the logits, where there is no tower."""
        p, q = gather(self.users.value, users) * self.head.w.value.T, self.items.value
        assert self.head.b is not None
        of_user = np.broadcast_to(self.head.b.value, (len(p), 1))
        return np.concatenate([p, of_user], axis=1), np.concatenate([q, np.ones_like(q[:, :1])], axis=1)

    def table(self, users: Ids, items: Ids) -> NDArray[Any]:
        """Return the logits of all pairs: users (n,) and items (m,) -> (n, m), where there is a tower.

        Its lowest layer gets the sum of what it makes of a user and of an item. These two are made once, and only what
        is above is done for each pair.
        """
        p, q = gather(self.users.value, users), gather(self.items.value, items)
        (p_gmf, p_mlp), (q_gmf, q_mlp) = self._columns(p), self._columns(q)
        of_product, of_top = np.split(self.head.w.value, [self.n_multiplied])
        (lowest, *above), *higher = (layer.layers for layer in self.tower.layers)  # type: ignore[attr-defined]
        rest = Chain(*above, *(part for layer in higher for part in layer))
        of_user, of_item = np.split(lowest.w.value, 2)
        from_users, from_items = gemm(p_mlp, of_user), gemm(q_mlp, of_item)
        from_users += lowest.b.value
        assert self.head.b is not None
        logits = gemm(p_gmf * of_product.T, q_gmf, trans_b=True)
        logits += self.head.b.value
        for rows, columns in _blocks(len(users), len(items)):
            foot = from_users[rows, None] + from_items[columns]
            logits[rows, columns] += gemm(rest(foot.reshape(-1, foot.shape[-1])), of_top).reshape(foot.shape[:2])
        return logits

    def _columns(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the columns that are multiplied, and those of the tower."""
        return rows[:, : self.n_multiplied], rows[:, self.n_multiplied :]


def _blocks(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    """Cut a table of n x m pairs into blocks of at most `PAIRS_AT_ONCE`."""
    width = max(1, min(m, PAIRS_AT_ONCE))
    height = PAIRS_AT_ONCE // width
    for row in range(0, n, height):
        for column in range(0, m, width):
            yield slice(row, row + height), slice(column, column + width)
