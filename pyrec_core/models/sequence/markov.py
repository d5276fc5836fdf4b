"""First-order Markov chain: the baseline that every session model has to beat."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..._sessions import Sessions
from ..._validation import check_float
from ._base import SequenceModel
from ._inputs import with_predecessor


@dataclass(kw_only=True, eq=False, repr=False)
class MarkovChain(SequenceModel):
    """Score an item by how often it came right after the last one: ``(n_ij + prior p_j) / (n_i + prior)``.

    ``n_ij`` counts the transitions from i to j, ``n_i`` those from i to anything, and ``p_j`` is the share of j among
    all events: what followed seldom or never is ranked by popularity.

    Parameters
    ----------
    prior : float >= 0
        Weight of the popularity, in transitions.
    n_threads, random_state, verbose
        As in all models; nothing is random here.

    Attributes
    ----------
    transitions_ : scipy.sparse.csr_array, float64 (n_items, n_items)
        ``n_ij``.
    item_counts_ : int64 (n_items,)
        Events of each item.
    n_items_, n_features_in_ : int
    item_ids_ : array or None
        The ids that came with the training data.

    Examples
    --------
    >>> from pyrec_core import MarkovChain
    >>> chain = MarkovChain().fit(([0, 1, 2, 0, 1, 0, 2], [0, 3, 5, 7]))
    >>> chain.recommend_next([[2, 0]], k=2)[0]
    array([[1, 2]], dtype=int32)
    """

    prior: float = 0.1
    transitions_: Any = field(init=False)

    def _fit(self, data: Sessions, validation: Any, state: dict[str, Any], **options: Any) -> dict[str, Any]:
        check_float("prior", self.prior, low=0.0)
        to = with_predecessor(data.offsets)
        pairs = data.items[to - 1], data.items[to]
        counts = sp.csr_array((np.ones(len(to)), pairs), shape=(data.n_items, data.n_items))
        counts.sum_duplicates()
        return {"transitions_": counts}

    def _states(self, items: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[Any]:
        return items

    def _scores(self, states: NDArray[Any]) -> NDArray[Any]:
        prior = check_float("prior", self.prior, low=0.0)
        rows = self.transitions_[states]
        popularity = self.item_counts_ / max(1, self.item_counts_.sum())
        left = np.asarray(rows.sum(axis=1)) + prior
        scores = np.outer(prior / np.where(left > 0, left, 1.0), popularity)
        row = np.repeat(np.arange(len(states)), np.diff(rows.indptr))
        scores[row, rows.indices] += rows.data / left[row]
        return scores
