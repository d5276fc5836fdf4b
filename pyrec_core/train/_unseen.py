"""Negative items that a user has not."""

import numpy as np
from numpy.typing import NDArray

from .._random import Source
from .._validation import Csr
from ..kernels.random import uniform_at


class Unseen:
    """Items drawn with replacement, all alike, from those that a user does not have.

    The items that a user has are not drawn and rejected: a uniform number is the rank of an item among those that are
    left, and one binary search over all rows tells which one that is. So what is drawn for an example depends neither
    on other examples nor on their order.

    Parameters
    ----------
    X : Csr (n_users, n_items)
        What each user has.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core._random import Source
    >>> from pyrec_core._validation import check_interactions
    >>> from pyrec_core.train import Unseen
    >>> unseen = Unseen(check_interactions("X", np.array([[1, 1, 0], [0, 1, 0]])))
    >>> unseen.counts
    array([1, 2])
    >>> unseen.draw(np.array([0, 0, 1, 1, 1, 1]), np.arange(6), Source(0))
    array([2, 2, 2, 0, 2, 0], dtype=int32)
    """

    def __init__(self, X: Csr) -> None:
        n_users, self._n_items = X.shape
        lengths = np.diff(X.indptr)
        self.counts: NDArray[np.int64] = self._n_items - lengths
        row = np.repeat(np.arange(n_users), lengths)
        place = np.arange(X.nnz) - X.indptr[row]
        # item j of a row has X.indices[j] - j others before it; made to rise over all rows
        self._others_before = row * self._n_items + (X.indices - place)
        self._begin = X.indptr[:-1]

    def draw(
        self, users: NDArray[np.int64], positions: NDArray[np.int64], source: Source, *, n_threads: int | None = None
    ) -> NDArray[np.int32]:
        """Return an item for each of ``users`` (n,), none of whom may have all items.

        ``positions`` (n,) name the numbers of the epoch's stream "negatives" that are used.
        """
        u = uniform_at(positions, seed=source.seed, purpose="negatives", epoch=source.epoch, n_threads=n_threads)
        rank = (u * self.counts[users]).astype(np.int64)  # u < 1, so below the count: it has far fewer than 53 bits
        before = np.searchsorted(self._others_before, users * self._n_items + rank, side="right") - self._begin[users]
        items: NDArray[np.int32] = (rank + before).astype(np.int32)
        return items
