"""Neural collaborative filtering: what its models share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._backend import array_module, to_device, to_host, use_threads
from ..._device_memory import in_blocks
from ..._random import Source
from ..._validation import (
    Csr,
    check_choice,
    check_float,
    check_id_range,
    check_ids,
    check_int,
    check_integers,
    trusted_inputs,
)
from ..._vocabulary import Vocabulary
from ...kernels.activations import l2_normalize_forward
from ...kernels.embedding import gather
from ...kernels.losses import binary_cross_entropy, squared_error
from ...kernels.random import integers
from ...kernels.topk import factor_top_k, top_k
from ...metrics import ndcg
from ...optim import Optimizer
from ...train import Unseen, shuffled
from .._trained import Trained, with_l2
from ._base import SCORE_DEPTH
from ._inputs import beyond, hold_out, is_log, same_users, vocabularies_of
from ._known_users import KnownUsersModel
from ._pair_network import PAIRS_AT_ONCE, Ids, PairNetwork
from ._rows import Users

SCORES_AT_ONCE = 2**22  # of a table of users and all items
VALIDATED = 4096  # users, at most, whose lists are made after each epoch


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralModel(Trained, KnownUsersModel, ABC):
    """Base of the neural models of user and item embeddings: a leaf adds ``_build``, which makes its network.

    Each interaction is an example of target 1, whatever its value. With each come ``n_negatives`` examples of target 0,
    of items that the user does not have, drawn anew in each epoch. Users who have all items are left out.

    Parameters
    ----------
    n_negatives : int >= 1
        Negative examples for each positive one.
    loss : {"logistic", "squared"}
        Of the logit, or of the output as it is.
    l2 : float >= 0
        Adds ``l2 * w`` to the gradient of each parameter that a batch touches.
    n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction, callbacks
        How to train: as in all models that are trained. A batch has positive and negative examples. The validation
        score is the NDCG@100 of held-out items, as in ``score``, of 4096 users at most; without ``validation_data``
        early stopping holds out ``validation_fraction`` of the interactions.
    device, n_threads, random_state, verbose
        As in all models. Examples are drawn on the host in any case.

    Attributes
    ----------
    weights_ : dict of str to array
        All parameters of the network: "users" and "items" are the embeddings.
    interactions_ : scipy.sparse.csr_array (n_users, n_items)
        The training matrix.
    loss_curve_, validation_scores_ : float64, one value an epoch
    n_epochs_, n_users_, n_items_, n_features_in_ : int
    """

    n_negatives: int = 4
    loss: str = "logistic"
    l2: float = 0.0
    n_epochs: int = 20
    batch_size: int = 256
    optimizer: Any = "adam"

    def fit(
        self, X: Any, sample_weight: ArrayLike | None = None, validation_data: Any = None, resume: Any = None
    ) -> Self:
        """Learn from the interactions ``X``.

        Parameters
        ----------
        X : sparse or dense matrix (n_users, n_items), or Interactions or Sessions
            bool, integer or float; zeros are missing. The containers stand for their ``matrix()``; if they have
            external ids, these are the ids that the other methods take and give.
        sample_weight : array-like (n_users,), optional
            Finite weights >= 0 of the users: of their examples in the loss.
        validation_data : matrix (n_users, n_items), or Interactions or Sessions, optional
            Other interactions of the same users, as in ``score``; scored after each epoch.
        resume : path, optional
            A file that `pyrec_core.train.Checkpoint` wrote for the same parameters and data.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            ``device="cuda"`` where that cannot be used; the message says why.
        TypeError
            A parameter, ``X``, ``sample_weight`` or ``validation_data`` of the wrong type or dtype.
        ValueError
            A parameter out of range, no users, no items, no interactions to learn from, NaN or infinity; weights of
            the wrong length, negative or all zero; a loss that is not finite; a checkpoint of another training.
        NotEnoughMemoryError
            Not enough memory on a GPU; the message names the array, and a ``batch_size`` that fits if it is that.
        KeyboardInterrupt
            Ctrl-C: the model is then fitted as far as training came.
        """

        def learn(known: Csr, weights: NDArray[np.float64] | None) -> dict[str, Any]:
            ids = vocabularies_of(X) if is_log(X) else {}
            held_out = None if validation_data is None else _held_out(validation_data, known, ids)
            return self._fit(known, weights, held_out, resume)

        return self._fit_by(learn, X, sample_weight)

    def _fit(
        self, X: Csr, sample_weight: NDArray[np.float64] | None, held_out: Csr | None = None, resume: Any = None
    ) -> dict[str, Any]:
        self._check_parameters()
        weights = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        others = () if held_out is None else (held_out.indptr, held_out.indices)
        source, snapshot, about = self._beginning(resume, X.indptr, X.indices, weights, *others)
        if held_out is None and self.early_stopping:
            X, held_out = hold_out(X, self.validation_fraction, source)
        # Drawn on the host, where it is known what users lack, and given to a device batch by batch.
        examples = _Examples(X, weights, self.n_negatives, source)
        network = self._build(X.shape, source)
        network.to(self.device)
        validate = None if held_out is None else _ndcg(network, X, held_out, source)
        loss = binary_cross_entropy if self.loss == "logistic" else squared_error

        def step(batch: _Batch) -> tuple[float, float]:
            outputs, backprop = network.forward((batch.users, batch.items), train=True)
            n = len(batch.users)
            targets, weights = to_device(np.stack((batch.targets, batch.weights))[:, :, None], self.device)
            value, d_outputs = loss(outputs, targets, weights, divisor=n)
            backprop(d_outputs)
            return value, n

        return self._train(
            network, lambda epoch: examples.batches(self.batch_size), step, source, snapshot, about,
            n_examples=float(examples.count), validate=validate, part=_Batch.first,
        )  # fmt: skip

    @abstractmethod
    def _build(self, shape: tuple[int, int], source: Source) -> PairNetwork:
        """Return the network for a matrix of this shape."""

    def _top_k(
        self, users: Users, k: int, exclude: Csr | None, candidates: Any
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        assert users.ids is not None
        with use_threads(self.n_threads):
            return _best(self._network(), users.ids, k, exclude, candidates)

    def _pair_scores(self, users: Users, user_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        assert users.ids is not None
        network, asked = self._network(), users.ids[user_of]
        scores = np.empty(len(items), self.weights_["users"].dtype)

        def score(first: int, last: int) -> None:
            scores[first:last] = to_host(network((asked[first:last], items[first:last]))[:, 0])

        with use_threads(self.n_threads), trusted_inputs():
            in_blocks(score, len(items), PAIRS_AT_ONCE[network.device], network.device)
        return scores

    def _similar_items(self, items: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        n = len(items)
        themselves = Csr(np.arange(n + 1), items.astype(np.int32), np.ones(n, np.float32), (n, self.n_items_))
        with use_threads(self.n_threads):
            directions = l2_normalize_forward(self._network().items.value)
            asked = gather(directions, to_device(items, self.device))
            return _on_host(factor_top_k(asked, directions, k, themselves))

    def _network(self) -> PairNetwork:
        """Return the network of the fitted weights, on the device."""
        return self._network_by(lambda: PairNetwork.of(self.weights_))

    def _optimizer(self) -> Optimizer:
        return with_l2(super()._optimizer(), self.l2)

    def _check_common(self) -> None:
        super()._check_common()
        self._check_trained()

    def _check_parameters(self) -> None:
        check_int("n_negatives", self.n_negatives, low=1)
        check_choice("loss", self.loss, ("logistic", "squared"))
        check_float("l2", self.l2, low=0.0)


def check_tower(hidden: Any) -> tuple[int, ...]:
    """Return the widths of a tower, its foot included."""
    if not isinstance(hidden, (list, tuple)):
        raise TypeError(f"hidden must be a tuple of widths, got {hidden!r}")
    widths = tuple(check_int("hidden", width, low=1) for width in hidden)
    if len(widths) < 2 or widths[0] % 2:
        raise ValueError(f"hidden must be two or more widths, the first of them even, got {hidden!r}")
    return widths


class _Batch(NamedTuple):
    """Examples: float32 targets 0 or 1, and weights."""

    users: NDArray[np.int64]
    items: NDArray[np.int32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]

    def first(self, n: int) -> "_Batch":
        """Return the first n examples."""
        return _Batch(self.users[:n], self.items[:n], self.targets[:n], self.weights[:n])


class _Examples:
    """The examples of an epoch, in random order: example ``e`` belongs to interaction ``e // (n_negatives + 1)``."""

    def __init__(self, X: Csr, weights: NDArray[np.float64], n_negatives: int, source: Source) -> None:
        self._unseen = Unseen(X)
        counts = np.diff(X.indptr)
        learned = (weights > 0) & (self._unseen.counts > 0)
        if not counts[learned].any():
            raise ValueError("X must have a user (of positive weight) with some items and without others, got none")
        self._users = np.repeat(np.flatnonzero(learned), counts[learned])
        self._items = X.indices[np.repeat(learned, counts)]
        self._weights = weights.astype(np.float32)
        self._size, self._source = n_negatives + 1, source
        self.count = len(self._users) * self._size

    def batches(self, batch_size: int) -> Iterator[_Batch]:
        for examples in shuffled(self.count, batch_size, self._source):
            positive, place = np.divmod(examples, self._size)
            users, items = self._users[positive], self._items[positive]
            drawn = np.flatnonzero(place)
            items[drawn] = self._unseen.draw(users[drawn], examples[drawn], self._source)
            yield _Batch(users, items, (place == 0).astype(np.float32), self._weights[users])


def _held_out(X: Any, known: Csr, ids: dict[str, Vocabulary]) -> Csr:
    """Return what validation data have beyond the training data."""

    def finder(what: str, n: int) -> Callable[[ArrayLike], NDArray[np.int64]]:
        if what in ids:
            return lambda given: ids[what].dense("validation_data", given)
        return lambda given: check_id_range("validation_data", check_integers("validation_data", given), n, what)

    user_of, item_of = (finder(what, n) for what, n in zip(("user", "item"), known.shape, strict=True))
    held_out = beyond(same_users("validation_data", X, known, user_of, item_of), known)
    if not held_out.nnz:
        raise ValueError("validation_data must have interactions beyond those of X, got none")
    return held_out


def _ndcg(network: PairNetwork, known: Csr, held_out: Csr, source: Source) -> Callable[[], float]:
    """Return what scores a network in training."""
    users = np.flatnonzero(np.diff(held_out.indptr))
    if not len(users):
        raise ValueError("validation_fraction must hold out an interaction, got none: X is too small")
    if len(users) > VALIDATED:
        order = np.argsort(integers(len(users), 2**63 - 1, **source.take("split", len(users))), kind="stable")
        users = np.sort(users[order[:VALIDATED]])
    seen, wanted = known.rows(users), held_out.rows(users).to_scipy()
    return lambda: float(ndcg(_best(network, users, SCORE_DEPTH, seen, None)[0], wanted, SCORE_DEPTH).mean())


def _best(
    network: PairNetwork, users: Ids, k: int, exclude: Csr | None, candidates: Any
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return the top k of users: from factors where the network has no tower, else from tables of all scores."""
    if not network.tower:
        return _on_host(factor_top_k(*network.factors(users), k, exclude, candidates=candidates))
    n, n_items = len(users), len(network.items.value)
    shared = np.arange(n_items)
    if sp.issparse(candidates):
        candidates = candidates.tocsr()
        if candidates.shape != (n, n_items):
            raise ValueError(f"candidates must have shape {(n, n_items)}, got {candidates.shape}")
    elif candidates is not None:
        shared = np.unique(check_ids("candidates", candidates, n_items, "item"))
    parts, xp = [], array_module(network.items.value)
    at_once = max(1, SCORES_AT_ONCE // n_items)
    for first in range(0, max(n, 1), at_once):
        rows = np.arange(first, min(n, first + at_once))
        ranked = candidates[rows] if sp.issparse(candidates) else candidates
        items = np.unique(ranked.indices) if sp.issparse(ranked) else shared
        scores = network.table(users[rows], items)
        if len(items) < n_items:
            of_all = xp.full((len(rows), n_items), -np.inf, scores.dtype)
            of_all[:, to_device(items, network.device)] = scores
            scores = of_all
        left_out = None if exclude is None else exclude.rows(rows)
        parts.append(_on_host(top_k(scores, k, left_out, candidates=ranked)))
    found, best = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(best)


def _on_host(ranks: tuple[Any, Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return the items and scores of a selection on the host."""
    items, scores = ranks
    return to_host(items), to_host(scores)
