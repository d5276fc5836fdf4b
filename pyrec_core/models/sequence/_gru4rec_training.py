"""The two ways in which GRU4Rec is trained: sessions side by side, or all beginnings of sessions."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._backend import Array, array_module, to_device
from ..._random import Source
from ..._sessions import Sessions
from ...kernels.losses import sampled_softmax
from ...train import Negatives, SessionParallel, pack, prefixes, shuffled
from ._gru4rec_network import Network, States
from ._inputs import with_predecessor


class _Training:
    """What both have in common: negatives, and the loss of a batch.

    Parameters
    ----------
    options : GRU4Rec
    network : Network
    data : Sessions
    source : Source
    """

    def __init__(self, options: Any, network: Network, data: Sessions, source: Source) -> None:
        self.options, self.network, self.data, self.source = options, network, data, source
        device = options.device
        support = np.bincount(data.items, minlength=data.n_items).astype(np.float64)
        enough = max(1, len(data.items) * options.n_sample)  # no epoch has more steps than events
        self.negatives = Negatives(
            support, options.n_sample, options.sample_alpha, cache=min(1_000_000, enough), device=device
        )
        logs = np.log(np.maximum(support, 1.0)), np.log(np.maximum(self.negatives.weights, 1e-300))
        self._log_support, self._log_weights = (to_device(a, device) for a in logs)
        self._log_totals = np.log(support.sum()), np.log(self.negatives.weights.sum())
        self._loss: dict[str, Any] = {"loss": options.loss, "divisor": float(options.batch_size)}
        if options.loss == "cross-entropy":
            self._loss["label_smoothing"] = options.label_smoothing
        else:
            self._loss["elu"] = options.elu
        if options.loss == "bpr-max":
            self._loss["reg"] = options.bpreg

    def loss(self, hidden: Array, targets: Array, samples: Array) -> tuple[float, Any]:
        """Return the loss of a batch and the gradient of ``hidden``; leave those of the output layer in it."""
        network = self.network
        ids = array_module(hidden).concatenate([targets, samples])
        log_q = self._log_q(targets, samples, hidden.dtype) if self.options.logq else None
        loss, d_hidden, rows, d_bias = sampled_softmax(
            hidden, network.items.value, network.bias.value, ids, len(targets), log_q=log_q, **self._loss
        )
        network.items.add_rows(*rows)
        network.bias.add_rows(ids, d_bias)
        return loss, d_hidden

    def _log_q(self, targets: Array, samples: Array, dtype: Any) -> Array:
        """Return what is subtracted from the scores of the columns, up to what they have in common."""
        in_batch, sampled = self._log_support[targets], self._log_weights[samples]
        if self.options.logq_mode == "exact":
            in_batch = in_batch + np.log(len(targets)) - self._log_totals[0]
            sampled = sampled + np.log(max(1, len(samples))) - self._log_totals[1]
        scaled = self.options.logq * array_module(in_batch).concatenate([in_batch, sampled])
        return scaled.astype(dtype)


class Lanes(_Training):
    """Sessions side by side, one pair of neighbouring clicks a step."""

    def __init__(self, options: Any, network: Network, data: Sessions, source: Source) -> None:
        super().__init__(options, network, data, source)
        self._states: States = []

    def batches(self, epoch: int) -> Iterator[Any]:
        """Yield what a step needs."""
        options = self.options
        self._states = []
        batches = SessionParallel(
            self.data.items, self.data.offsets, options.batch_size, options.n_sample, device=options.device
        )
        return zip(batches, self.negatives.draws(self.source), strict=False)

    def step(self, batch: Any) -> tuple[float, float]:
        """Go forward and back over one pair of each lane; return the loss, and how many lanes there are."""
        (inputs, targets, reset, keep), samples = batch
        states = self._states or self.network.zero_states(len(keep))
        states = [_carried(state, reset, keep) for state in states]
        self._states, backprop = self.network.step(inputs, states, train=True)
        loss, d_hidden = self.loss(self._states[-1], targets, samples)
        backprop(d_hidden)
        return loss, len(targets)

    def part(self, batch: Any, n: int) -> Any:
        """Return the first n lanes of a batch as if sessions began there; what is known of the others is forgotten."""
        (inputs, targets, reset, _), samples = batch
        self._states = []
        return (inputs[:n], targets[:n], reset[:n], reset[:n]), samples


class Prefixes(_Training):
    """Each beginning of a session, to predict the click after it. Batches are put together on the host."""

    def __init__(self, options: Any, network: Network, data: Sessions, source: Source) -> None:
        super().__init__(options, network, data, source)
        self._targets = with_predecessor(data.offsets)

    def batches(self, epoch: int) -> Iterator[Any]:
        """Yield what a step needs."""
        chosen = shuffled(len(self._targets), self.options.batch_size, self.source)
        for batch, samples in zip(chosen, self.negatives.draws(self.source), strict=False):
            if len(batch) >= 2 or len(samples):  # a single row without samples has no negatives
                yield self._targets[batch], samples

    def step(self, batch: Any) -> tuple[float, float]:
        """Go forward and back over whole prefixes; return the loss, and how many there are."""
        positions, samples = batch
        options, items = self.options, self.data.items
        clicks, offsets = prefixes(
            items, self.data.offsets, positions,
            drop=options.item_dropout, max_length=options.max_length, source=self.source,
        )  # fmt: skip
        packed = pack(offsets)
        arrays = clicks[packed.position], items[positions[packed.order]], packed.last
        inputs, targets, last = (to_device(a, options.device) for a in arrays)
        states, backprop = self.network.forward(inputs, steps=packed.steps, train=True)
        loss, d_last = self.loss(states[last], targets, samples)
        d_states = array_module(states).zeros_like(states)
        d_states[last] = d_last
        backprop(d_states)
        return loss, len(positions)

    def part(self, batch: Any, n: int) -> Any:
        """Return the first n prefixes of a batch."""
        positions, samples = batch
        return positions[:n], samples


def _carried(state: Array, reset: Array, keep: Array) -> Array:
    """Return the rows of a state that go on, those of new sessions zero. Their number is known: nothing waits."""
    xp, n = array_module(state), len(reset)
    if n < len(keep):
        state = state[xp.argsort((~keep).view(np.int8), kind="stable")[:n]]  # those that stay come first, in order
    xp.copyto(state, 0.0, where=xp.broadcast_to(reset[:, None], state.shape))
    return state
