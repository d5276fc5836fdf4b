"""Neural matrix factorization: He et al., WWW 2017, arXiv:1708.05031, section 3.4."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..._random import Source
from ..._validation import check_float, check_int
from ...optim import Optimizer, resolve
from .._trained import with_l2
from ._neural import NeuralModel, check_tower
from ._pair_network import PairNetwork

Weights = dict[str, NDArray[Any]]


@dataclass(kw_only=True, eq=False, repr=False)
class NeuMF(NeuralModel):
    """`GMF` and `NCFMLP` side by side, with separate embeddings: a last layer makes the score of both.

    The score is the logit ``h . [p_u * q_i, z]``, z the top of the tower; its sigmoid is the output of the paper.

    Parameters
    ----------
    embedding_dim : int >= 1
        Factors of the GMF part.
    hidden : tuple of int
        Widths of the tower from its foot, two or more: the first is that of its two embeddings together, and even.
    dropout : float in [0, 1)
        Share of each layer of the tower that is dropped in training.
    pretrained : tuple (GMF, NCFMLP), optional
        Fitted on the same data, with the same ``embedding_dim`` and ``hidden``: training begins with their parameters.
        Not saved with the model.
    alpha : float in [0, 1]
        Weight of the logit of the pretrained GMF; that of the other model is ``1 - alpha``.
    optimizer : {"sgd", "adagrad", "rmsprop", "adadelta", "adam", "ftrl"} or Optimizer, optional
        None: Adam, and plain SGD if there are pretrained models, since what Adam kept of their training is lost.
    n_negatives, loss, l2, n_epochs, batch_size, learning_rate, early_stopping, validation_fraction, callbacks,
    device, n_threads, random_state, verbose
        As in all neural models of this door: see `NeuralModel`, also for the attributes.

    Notes
    -----
    It knows the users of the training data only: `recommend` refuses rows of new users, and `score` takes more
    interactions of the same users. `similar_items` ranks by the cosine of the embeddings of items, both parts joined.
    `recommend` passes each user with each item through the tower.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import GMF, NCFMLP, NeuMF
    >>> X = np.kron(np.eye(2), np.ones((10, 5)))  # two groups of users, who like other items
    >>> X[0, 0] = 0
    >>> how = {"n_epochs": 30, "learning_rate": 0.05, "random_state": 0}
    >>> gmf, mlp = GMF(embedding_dim=4, **how).fit(X), NCFMLP(hidden=(8, 8), **how).fit(X)
    >>> model = NeuMF(embedding_dim=4, hidden=(8, 8), pretrained=(gmf, mlp), n_epochs=1, random_state=0).fit(X)
    >>> model.recommend(0, k=1)[0]
    array([0], dtype=int32)
    """

    embedding_dim: int = 8
    hidden: tuple[int, ...] = (64, 32, 16, 8)
    dropout: float = 0.0
    pretrained: Any = None
    alpha: float = 0.5
    optimizer: str | Optimizer | None = None

    def _build(self, shape: tuple[int, int], source: Source) -> PairNetwork:
        d, hidden = check_int("embedding_dim", self.embedding_dim, low=1), check_tower(self.hidden)
        alpha = check_float("alpha", self.alpha, low=0.0, high=1.0)
        network = PairNetwork.new(shape, d, hidden, source, dropout=self.dropout)
        if self.pretrained is not None:
            _fuse(network, *self._weights_of_parts(), alpha)
        return network

    def _weights_of_parts(self) -> tuple[Weights, Weights]:
        """Return the parameters of the pretrained models."""
        rule = "pretrained must be a fitted GMF and a fitted NCFMLP"
        if not isinstance(self.pretrained, tuple) or len(self.pretrained) != 2:
            raise TypeError(f"{rule}, got {self.pretrained!r}")
        for model, kind in zip(self.pretrained, ("GMF", "NCFMLP"), strict=True):
            if not isinstance(model, NeuralModel) or type(model).__name__ != kind:
                raise TypeError(f"{rule}, got {self.pretrained!r}")
            model.check_fitted()
        gmf, mlp = self.pretrained
        return gmf.weights_, mlp.weights_

    def _optimizer(self) -> Optimizer:
        default = "adam" if self.pretrained is None else "sgd"
        chosen = resolve(default if self.optimizer is None else self.optimizer, self.learning_rate)
        return with_l2(chosen, self.l2)

    def _saved_parameters(self) -> dict[str, Any]:
        return {**super()._saved_parameters(), "pretrained": None}

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy with the same parameters; the pretrained models stay fitted."""
        others = {name: value for name, value in self.get_params().items() if name != "pretrained"}
        return type(self)(**deepcopy(others), pretrained=self.pretrained)


def _fuse(network: PairNetwork, gmf: Weights, mlp: Weights, alpha: float) -> None:
    """Put the parameters of both models into a network, whose logit is then the weighted mean of theirs."""
    fused = {name: value.copy() for name, value in mlp.items() if name.startswith("tower")}
    for name in ("users", "items"):
        fused[name] = np.concatenate([gmf[name], mlp[name]], axis=1)
    fused["head.w"] = np.concatenate([alpha * gmf["head.w"], (1 - alpha) * mlp["head.w"]])
    fused["head.b"] = alpha * gmf["head.b"] + (1 - alpha) * mlp["head.b"]
    params = network.named_params()
    wanted, got = {name: p.value.shape for name, p in params.items()}, {name: a.shape for name, a in fused.items()}
    if got != wanted:
        rule = "pretrained must be models of the same data, embedding_dim and hidden"
        raise ValueError(f"{rule}: parameters of shapes {wanted}, got {got}")
    for name, p in params.items():
        p.value = fused[name]
