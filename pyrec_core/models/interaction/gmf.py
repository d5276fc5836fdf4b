"""Generalised matrix factorization: He et al., WWW 2017, arXiv:1708.05031, section 3.2."""

from dataclasses import dataclass

from ..._random import Source
from ..._validation import check_int
from ._neural import NeuralModel
from ._pair_network import PairNetwork


@dataclass(kw_only=True, eq=False, repr=False)
class GMF(NeuralModel):
    """Matrix factorization with a weight for each factor, trained to tell what a user has from what he has not.

    The score of user u and item i is the logit ``h . (p_u * q_i) + b``; its sigmoid is the output of the paper. With
    all weights h equal to 1 and b to 0 this is matrix factorization.

    Parameters
    ----------
    embedding_dim : int >= 1
        Factors.
    n_negatives, loss, l2, n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction,
    callbacks, device, n_threads, random_state, verbose
        As in all neural models of this door: see `NeuralModel`, also for the attributes.

    Notes
    -----
    It knows the users of the training data only: `recommend` refuses rows of new users, and `score` takes more
    interactions of the same users. `similar_items` ranks by the cosine of the embeddings of items.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import GMF
    >>> X = np.kron(np.eye(2), np.ones((10, 5)))  # two groups of users, who like other items
    >>> X[0, 0] = 0
    >>> model = GMF(embedding_dim=4, n_epochs=30, learning_rate=0.05, random_state=0).fit(X)
    >>> model.recommend(0, k=1)[0]
    array([0], dtype=int32)
    """

    embedding_dim: int = 8

    def _build(self, shape: tuple[int, int], source: Source) -> PairNetwork:
        return PairNetwork.new(shape, check_int("embedding_dim", self.embedding_dim, low=1), (), source)
