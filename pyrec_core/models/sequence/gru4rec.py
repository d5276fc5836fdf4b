"""GRU4Rec: Hidasi et al., ICLR 2016, arXiv:1511.06939; Hidasi & Karatzoglou, CIKM 2018, arXiv:1706.03847."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..._backend import Array, array_module, to_device, to_host, use_threads
from ..._sessions import Sessions
from ..._validation import check_choice, check_float, check_int
from ...kernels.linalg import gemm
from ...kernels.ranking import ranks_in_factors
from ...optim import Optimizer, resolve
from ...train import pack
from .._trained import Trained, with_momentum
from ._base import SequenceModel, one_a_row, rows_at
from ._gru4rec_network import Network
from ._gru4rec_training import Lanes, Prefixes
from ._inputs import by_first_event, check_sessions, is_frame

LOSSES = ("cross-entropy", "bpr", "top1", "top1-max", "bpr-max")
EMBEDDINGS = ("constrained", "separate", "none")
BATCHES = ("session-parallel", "prefixes")
LEARNING_RATE = 0.05  # of Adagrad


@dataclass(kw_only=True, eq=False, repr=False)
class GRU4Rec(Trained, SequenceModel):
    """Recurrent network over the clicks of a session, trained to rank the next one above sampled others.

    Sessions run side by side in the lanes of a batch; the hidden state is carried from step to step, and gradients go
    back one step. The positive item of a row is compared with the positives of the other rows and with ``n_sample``
    items that all rows share.

    Parameters
    ----------
    hidden : tuple of int
        Units of each layer.
    loss : {"cross-entropy", "bpr", "top1", "top1-max", "bpr-max"}
    n_sample : int >= 0
        Additional negatives of a batch, shared by its rows.
    sample_alpha : float >= 0
        They are drawn with probability proportional to ``support ** sample_alpha``.
    logq : float >= 0
        Weight of the correction of the scores by ``log q`` in training, for the cross-entropy; 0 switches it off.
    logq_mode : {"compat", "exact"}
        "compat": q is the support of an item in the batch, and ``support ** sample_alpha`` of a sample, as published
        results have it. "exact": how often the item is expected in the batch, and among the samples.
    bpreg : float >= 0
        Weight of the regulariser of the scores in BPR-max.
    elu : float >= 0
        If > 0, scores pass an ELU with this slope before the loss (not for the cross-entropy).
    label_smoothing : float in [0, 1)
        Share of the target's weight that goes to the negatives, for the cross-entropy.
    dropout_embed, dropout_hidden : float in [0, 1)
        Shares of the input and of each layer's output that are dropped in training. What was dropped from a state is
        missing in the next step too.
    momentum : float in [0, 1)
        On top of the optimizer.
    embedding : {"constrained", "separate", "none"}
        Input of the network: the row of the item in the output layer, in a table of its own, or one weight per gate
        and item.
    embedding_dim : int, optional
        Columns of a separate table; default: the units of the first layer.
    reset : {"before", "after"}
        Whether the reset gate acts before the product of the state, as in the original, or after it.
    batches : {"session-parallel", "prefixes"}
        "prefixes": each beginning of a session is an example of its own, in random order, whose gradient goes back to
        its first click (Tan, Xu & Liu 2016, arXiv:1606.08117).
    item_dropout : float in [0, 1)
        Share of the clicks that are left out of prefixes in training.
    max_length : int >= 1, optional
        Only so many of the last clicks make a prefix in training.
    n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction, callbacks
        How to train: as in all models that are trained. A ``learning_rate`` of None is 0.05 for ``"adagrad"``. The
        validation score is MRR@20.
    device, n_threads, random_state, verbose
        As in all models.

    Attributes
    ----------
    embeddings_ : float32 (n_items, hidden[-1])
        Rows of the output layer.
    weights_ : dict of str to array
        All parameters of the network.
    loss_curve_, validation_scores_ : float64 (epochs,)
    n_epochs_, n_items_, n_features_in_ : int
    item_counts_ : int64 (n_items,)
        Events of each item in training.
    item_ids_ : array or None
        The ids that came with the training data.

    Notes
    -----
    Sessions are trained on from the one that begins first to the one that begins last, where they have times, so that
    the last steps see the most recent data. The loss of a batch is divided by ``batch_size``, also where fewer lanes
    are left.

    Examples
    --------
    >>> from pyrec_core import GRU4Rec
    >>> sessions = ([0, 1, 2, 3] * 50, list(range(0, 201, 4)))
    >>> model = GRU4Rec(hidden=(8,), n_sample=4, batch_size=5, n_epochs=20, random_state=0).fit(sessions)
    >>> model.recommend_next([[0], [0, 1]], k=1)[0]
    array([[1],
           [2]], dtype=int32)
    """

    hidden: tuple[int, ...] = (100,)
    loss: str = "cross-entropy"
    n_sample: int = 2048
    sample_alpha: float = 0.5
    logq: float = 0.0
    logq_mode: str = "compat"
    bpreg: float = 1.0
    elu: float = 0.0
    label_smoothing: float = 0.0
    dropout_embed: float = 0.0
    dropout_hidden: float = 0.0
    momentum: float = 0.0
    embedding: str = "constrained"
    embedding_dim: int | None = None
    reset: str = "before"
    batches: str = "session-parallel"
    item_dropout: float = 0.0
    max_length: int | None = None

    def fit(self, sessions: Any, validation_data: Any = None, resume: Any = None) -> Self:
        """Learn from sessions.

        Parameters
        ----------
        sessions : Sessions, tuple (items, offsets), or data frame
            ``items`` are dense ids, the sessions end to end, ``offsets`` where each begins. A frame needs columns
            ``session`` and ``item``, and may have ``time``. External ids of `Sessions` or a frame are the ids that
            the other methods take and give. Sessions of fewer than two events only count for the support.
        validation_data : like ``sessions``, or a list of id sequences, optional
            Scored after each epoch. Unknown items are left out, with one warning.
        resume : path, optional
            A file that `pyrec_core.train.Checkpoint` wrote for the same parameters and data: training goes on from
            there, with the bits of one that was never interrupted.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            ``device="cuda"`` where that cannot be used; the message says why.
        TypeError
            A parameter or ``sessions`` of the wrong type, ids that are not integers or strings.
        ValueError
            A parameter out of range; no session of two events; a loss that is not finite; a checkpoint of another
            training.
        NotEnoughMemoryError
            Not enough memory on a GPU; the message names the array, and a ``batch_size`` that fits if it is that.
        KeyboardInterrupt
            Ctrl-C: the model is then fitted as far as training came.
        """
        return self._fit_and_set(sessions, validation_data, resume=resume)

    @property
    def embeddings_(self) -> NDArray[Any]:
        """Rows of the output layer (n_items, hidden[-1])."""
        self.check_fitted()
        return self.weights_["items"]

    def session_representations(self, prefixes: Any) -> NDArray[Any]:
        """Return the hidden state of the last layer after each prefix, zeros after an empty one.

        Parameters
        ----------
        prefixes
            As in `recommend_next`.

        Returns
        -------
        float32 (n, hidden[-1]), or (hidden[-1],) for one prefix
        """
        self._check_ready()
        (items, offsets), one = self._prefixes("prefixes", prefixes)
        found = np.zeros((len(offsets) - 1, self.embeddings_.shape[1]), self.embeddings_.dtype)
        filled = np.diff(offsets) > 0
        found[filled] = to_host(rows_at(self._states(items, offsets), offsets[1:][filled] - 1))
        return found[0] if one else found

    def _fit(self, data: Sessions, validation: Any, state: dict[str, Any], **options: Any) -> dict[str, Any]:
        data = data.take(by_first_event(data))
        held_out = validation
        if validation is None and self.early_stopping:
            first = len(data) - max(1, int(len(data) * self.validation_fraction))
            held_out, data = data.take(np.arange(first, len(data))), data.take(np.arange(first))
        if not (np.diff(data.offsets) >= 2).any():
            raise ValueError("sessions must have a session of 2 or more events beside the validation data, got none")
        source, snapshot, about = self._beginning(options["resume"], data.items, data.offsets, np.array(data.n_items))
        network = Network(self, data.n_items, source)
        network.to(self.device)
        training = (Prefixes if self.batches == "prefixes" else Lanes)(self, network, data, source)
        validate = None if held_out is None else self._scorer(network, state, held_out)
        n_examples = float(np.maximum(np.diff(data.offsets) - 1, 0).sum())
        return self._train(
            network, training.batches, training.step, source, snapshot, about, n_examples=n_examples, validate=validate,
            part=training.part,
        )  # fmt: skip

    def _scorer(self, network: Network, state: dict[str, Any], held_out: Any) -> Callable[[], float]:
        probe = type(self)(**self.get_params())
        probe._set_fitted({**state, "weights_": {name: p.value for name, p in network.named_params().items()}})
        if is_frame(held_out):
            held_out = check_sessions("validation_data", held_out)
        known, _ = probe._prefixes("validation_data", held_out)
        if not (np.diff(known[1]) >= 2).any():
            raise ValueError("validation_data must have a session of 2 or more known events, got none")
        probe.item_ids_ = None  # what is scored after each epoch are dense ids
        return lambda: probe.score(known)

    def _optimizer(self) -> Optimizer:
        rate = LEARNING_RATE if self.learning_rate is None and self.optimizer == "adagrad" else self.learning_rate
        return with_momentum(resolve(self.optimizer, rate), self.momentum)

    def _check_common(self) -> None:
        super()._check_common()
        self._check_trained()
        hidden = self.hidden if isinstance(self.hidden, (tuple, list)) else (self.hidden,)
        if not hidden:
            raise ValueError("hidden must have one layer at least, got none")
        for units in hidden:
            check_int("hidden", units, low=1)
        check_choice("loss", self.loss, LOSSES)
        check_choice("logq_mode", self.logq_mode, ("compat", "exact"))
        check_choice("embedding", self.embedding, EMBEDDINGS)
        check_choice("batches", self.batches, BATCHES)
        check_choice("reset", self.reset, ("before", "after"))
        check_int("n_sample", self.n_sample, low=0)
        for name in ("sample_alpha", "logq", "bpreg", "elu"):
            check_float(name, getattr(self, name), low=0.0)
        for name in ("dropout_embed", "dropout_hidden", "item_dropout", "label_smoothing"):
            if check_float(name, getattr(self, name), low=0.0) >= 1.0:
                raise ValueError(f"{name} must be < 1, got {getattr(self, name)}")
        for name in ("embedding_dim", "max_length"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), low=1)
        if self.loss != "cross-entropy" and (self.logq or self.label_smoothing):
            rule = "logq and label_smoothing must be 0 but for the cross-entropy"
            raise ValueError(f"{rule}, got {self.logq} and {self.label_smoothing} for {self.loss}")
        if self.loss == "cross-entropy" and self.elu:
            raise ValueError(f"elu must be 0 for the cross-entropy, got {self.elu}")
        if self.embedding != "separate" and self.embedding_dim is not None:
            raise ValueError(f"embedding_dim must be None unless embedding is 'separate', got {self.embedding_dim}")
        if self.batch_size < 2 and not self.n_sample:
            raise ValueError("batch_size must be 2 or more where n_sample is 0, got 1: no negatives")

    def _network(self) -> Network:
        """Return the network of the fitted weights, on the device."""
        return self._network_by(lambda: Network.of(self.weights_))

    def _states(self, items: NDArray[np.int32], offsets: NDArray[np.int64]) -> Array:
        packed = pack(offsets)
        x, position = (to_device(a, self.device) for a in (items[packed.position], packed.position))
        with use_threads(self.n_threads):
            rows = self._network().forward(x, steps=packed.steps)[0]
        states = array_module(rows).empty_like(rows)
        states[position] = rows
        return states

    def _advance(self, memory: Any, item: NDArray[np.int32]) -> Any:
        network = self._network()
        before = network.zero_states(1) if memory is None else [to_device(state, self.device) for state in memory]
        with use_threads(self.n_threads):
            return network.step(to_device(item, self.device), before)[0]

    def _recall(self, memory: Any) -> Array:
        return to_device(memory[-1], self.device)

    def _scores(self, states: Array) -> Array:
        network = self._network()
        scores = gemm(states, network.items.value, trans_b=True, n_threads=self.n_threads)
        scores += network.bias.value
        return scores

    def _ranks(self, states: Array, targets: NDArray[np.int32], ties: str) -> NDArray[np.float64]:
        relevant, network = one_a_row(targets, self.n_items_), self._network()
        items, bias = network.items.value, network.bias.value
        ranks = ranks_in_factors(states, items, relevant, item_bias=bias, ties=ties, n_threads=self.n_threads)
        found: NDArray[np.float64] = to_host(ranks)
        return found
