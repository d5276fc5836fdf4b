"""The multi-layer perceptron of neural collaborative filtering: He et al., WWW 2017, arXiv:1708.05031, section 3.3."""

from dataclasses import dataclass

from ..._random import Source
from ._neural import NeuralModel, check_tower
from ._pair_network import PairNetwork


@dataclass(kw_only=True, eq=False, repr=False)
class NCFMLP(NeuralModel):
    """A network on the embeddings of a user and an item, trained to tell what a user has from what he has not.

    The two embeddings side by side pass a tower of dense layers with ReLU. A last layer makes the score of its top: a
    logit, whose sigmoid is the output of the paper.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the tower from its foot, two or more: the first is that of both embeddings together, and even.
    dropout : float in [0, 1)
        Share of each layer that is dropped in training.
    n_negatives, loss, l2, n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction,
    callbacks, device, n_threads, random_state, verbose
        As in all neural models of this door: see `NeuralModel`, also for the attributes.

    Notes
    -----
    It knows the users of the training data only: `recommend` refuses rows of new users, and `score` takes more
    interactions of the same users. `similar_items` ranks by the cosine of the embeddings of items. `recommend` passes
    each user with each item through the tower.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import NCFMLP
    >>> X = np.kron(np.eye(2), np.ones((10, 5)))  # two groups of users, who like other items
    >>> X[0, 0] = 0
    >>> model = NCFMLP(hidden=(8, 8), n_epochs=30, learning_rate=0.05, random_state=0).fit(X)
    >>> model.recommend(0, k=1)[0]
    array([0], dtype=int32)
    """

    hidden: tuple[int, ...] = (64, 32, 16, 8)
    dropout: float = 0.0

    def _build(self, shape: tuple[int, int], source: Source) -> PairNetwork:
        return PairNetwork.new(shape, 0, check_tower(self.hidden), source, dropout=self.dropout)
