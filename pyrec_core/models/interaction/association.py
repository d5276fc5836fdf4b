"""Association rules between pairs of items: Agrawal, Imielinski & Swami, SIGMOD 1993; Dunning 1993."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import Csr, check_choice, check_float
from ._cooccurrence import neighbours
from ._linear import LinearItemModel


@dataclass(kw_only=True, eq=False, repr=False)
class AssociationRules(LinearItemModel):
    """Who has item i also has item j: an item scores the sum of the rules from the user's items to it.

    Rules are made of the users who have items, whatever the values. With ``n_ij`` users who have both items, ``n_i``
    who have item i, and ``N`` users in all:

    Parameters
    ----------
    measure : {"confidence", "lift", "llr", "count"}
        Worth of the rule from i to j. "confidence": ``n_ij / n_i``, the share of j among the users of i.
        "lift": ``n_ij N / (n_i n_j)``, how many times that share is the share among all. "llr": the log-likelihood
        ratio G^2 (Dunning) of the table ::

                          with j         without j
            with i        n_ij           n_i - n_ij
            without i     n_j - n_ij     N - n_i - n_j + n_ij

        0 where the items occur together no more often than independent ones. "count": ``n_ij``.
    min_count : float
        Rules with a smaller ``n_ij`` are left out. "lift" rates what happened once among rare items
        highest: ask for some.
    n_neighbors : int, optional
        Keep the so many best rules from each item. None: all.
    dtype : {"float32", "float64"}
        Of the weights.
    n_threads, random_state, verbose
        See `InteractionModel`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array (n_items, n_items)
        Row i holds the rules from item i.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    n_users_, n_items_, n_features_in_ : int

    Notes
    -----
    Memory is that of the rules; no n_items x n_items matrix is made. `similar_items` gives the rules from an item.
    With ``sample_weight`` every user counts that often.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import AssociationRules
    >>> model = AssociationRules(measure="confidence").fit(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]))
    >>> model.similar_items(0, k=2)
    (array([1, 2], dtype=int32), array([0.6666667 , 0.33333334], dtype=float32))
    """

    measure: str = "confidence"
    min_count: float = 1.0
    n_neighbors: int | None = 50
    dtype: str = "float32"

    def _fit(self, X: Csr, sample_weight: NDArray[np.float64] | None) -> dict[str, Any]:
        measure = check_choice("measure", self.measure, ("confidence", "lift", "llr", "count"))
        min_count = check_float("min_count", self.min_count, low=0)
        return {"item_weights_": neighbours(self, X, measure, sample_weight, min_count)}
