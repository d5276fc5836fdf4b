"""The network of neural collaborative filtering: what a pair of a user and an item scores."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._random import Source
from ...kernels.embedding import gather
from ...kernels.linalg import gemm
from ...layers import Chain, Dense, Layer, mlp
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
    head : Dense
    """

    def __init__(
        self, users: NDArray[Any], items: NDArray[Any], hidden: Sequence[int], source: Source, *, dropout: float = 0.0
    ) -> None:
        foot, *widths = hidden or (0,)
        self.n_multiplied = users.shape[1] - foot // 2
        self.users, self.items = Param(users), Param(items)
        self.tower = mlp(foot, widths, source, dropout=dropout, dtype=users.dtype)
        top = widths[-1] if widths else 0
        self.head = Dense(self.n_multiplied + top, 1, source, dtype=users.dtype)

    def forward(self, x: tuple[Ids, Ids], *, train: bool = False) -> tuple[Any, Any]:
        users, items = x
        p, q = gather(self.users.value, users), gather(self.items.value, items)
        (p_gmf, p_mlp), (q_gmf, q_mlp) = self._columns(p), self._columns(q)
        top, climb_down = self.tower.forward(np.concatenate([p_mlp, q_mlp], axis=1), train=train)
        y, to_parts = self.head.forward(np.concatenate([p_gmf * q_gmf, top], axis=1), train=train)

        def backprop(d_y: Any) -> None:
            d_product, d_top = self._columns(to_parts(d_y))
            d_foot = climb_down(np.ascontiguousarray(d_top))
            d_p, d_q = np.split(d_foot, 2, axis=1)
            self.users.add_rows(users, np.concatenate([d_product * q_gmf, d_p], axis=1))
            self.items.add_rows(items, np.concatenate([d_product * p_gmf, d_q], axis=1))

        return y, backprop

    def table(self, users: Ids, items: Ids) -> NDArray[Any]:
        """Return the logits of all pairs: users (n,) and items (m,) -> (n, m).

        The lowest layer of the tower is the sum of what it makes of a user and of an item, so these two are made once;
        pairs begin above it.
        """
        p, q = gather(self.users.value, users), gather(self.items.value, items)
        (p_gmf, p_mlp), (q_gmf, q_mlp) = self._columns(p), self._columns(q)
        of_product, of_top = np.split(self.head.w.value, [self.n_multiplied])
        logits = gemm(p_gmf * of_product.T, q_gmf, trans_b=True)
        logits += self.head.b.value
        if len(of_top):
            lowest, above = self.tower.layers[0], Chain(*self.tower.layers[1:])
            of_user, of_item = np.split(lowest.w.value, 2)
            from_users = gemm(p_mlp, of_user)
            from_users += lowest.b.value
            from_items = gemm(q_mlp, of_item)
            for rows, columns in _blocks(len(users), len(items)):
                foot = from_users[rows, None] + from_items[columns]
                top = above(foot.reshape(-1, foot.shape[-1]))
                logits[rows, columns] += gemm(top, of_top).reshape(foot.shape[:2])
        return logits

    def _columns(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the columns that are multiplied, and those of the tower."""
        return rows[:, : self.n_multiplied], rows[:, self.n_multiplied :]


def _blocks(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    """Cut a table of n x m pairs into blocks of `PAIRS_AT_ONCE`, where a row has not more."""
    width = min(m, PAIRS_AT_ONCE)
    height = max(1, PAIRS_AT_ONCE // max(width, 1))
    for row in range(0, n, height):
        for column in range(0, m, max(width, 1)):
            yield slice(row, row + height), slice(column, column + width)
