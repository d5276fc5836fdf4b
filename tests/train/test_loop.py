"""The training loop: what is called when, what an epoch's loss is, and how training ends."""

import numpy as np
import pytest

from pyrec_core._backend import check_threads
from pyrec_core._random import Source
from pyrec_core.layers import Dense
from pyrec_core.optim import SGD
from pyrec_core.train import Callback, Training, fit_loop


class Log(Callback):
    """Writes down how it was called, and what it saw."""

    def __init__(self, name="", calls=None, last=False):
        self.name, self.calls, self.last = name, [] if calls is None else calls, last

    def _note(self, what, *seen):
        self.calls.append((self.name, what, *seen) if self.name else (what, *seen))

    def begin(self, training):
        self._note("begin", training.epoch)

    def batch(self, training, weight):
        self._note("batch", weight)

    def epoch(self, training):
        self._note("epoch", training.epoch, len(training.losses), len(training.scores))

    def end(self, training, completed):
        self._note("end", completed)


class StopAfter(Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def epoch(self, training):
        training.stop = training.epoch >= self.epochs


def fresh():
    network = Dense(1, 1, Source(0), dtype=np.float64)
    network.w.value[...] = 0.0
    return network


def train(losses=((1.0, 1.0),), n_epochs=1, **options):
    """Train `fresh` or a given network on losses and weights, the same in each epoch; it moves by 1 in each step."""
    network = options.pop("network", None) or fresh()

    def step(batch):
        network.w.add_grad(np.full((1, 1), -1.0))
        if isinstance(batch, BaseException):
            raise batch
        return batch

    options = {"source": Source(0)} | options
    return fit_loop(network, lambda epoch: losses, step, SGD(learning_rate=1.0), n_epochs=n_epochs, **options)


def test_order_of_calls():
    log = Log()
    training = train([(1.0, 3.0), (2.0, 4.0)], n_epochs=2, callbacks=[log], validate=lambda: 0.5)
    one = [("batch", 3.0), ("batch", 4.0)]
    wanted = [("begin", 0), *one, ("epoch", 1, 1, 1), *one, ("epoch", 2, 2, 2), ("end", True)]
    assert log.calls == wanted
    assert (training.epoch, training.scores) == (2, [0.5, 0.5])
    assert training.network.w.value == 4.0  # one step of the optimizer for each batch


def test_callbacks_that_come_last_are_called_after_the_others():
    calls = []
    train(callbacks=[Log("z", calls, last=True), Log("a", calls), Log("b", calls)])
    for what in ("begin", "batch", "epoch", "end"):
        assert [name for name, kind, *_ in calls if kind == what] == ["a", "b", "z"]


def test_the_score_of_an_epoch_is_that_of_its_last_step():
    network = fresh()
    training = train([(1.0, 1.0)] * 3, 2, network=network, validate=lambda: float(network.w.value[0, 0]))
    assert training.scores == [3.0, 6.0]


def test_losses_are_means_by_weight():
    training = train([(1.0, 3.0), (5.0, 1.0)])
    assert training.losses == [2.0]


def test_an_epoch_without_batches_has_no_loss():
    assert np.isnan(train([]).losses).all()


def test_a_stop_ends_training_after_the_epoch():
    training = train(n_epochs=9, callbacks=[StopAfter(3)])
    assert (training.epoch, len(training.losses)) == (3, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_refused_before_its_step(bad):
    network, log = fresh(), Log()
    message = rf"loss must stay finite, got {bad} in epoch 1: a lower learning_rate, or clip_norm of the optimizer"
    with pytest.raises(ValueError, match=message):
        train([(1.0, 1.0), (bad, 1.0)], network=network, callbacks=[log])
    assert network.w.value == 1.0
    assert log.calls[-1] == ("end", False)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()])
def test_ctrl_c_and_errors_end_the_callbacks_and_go_on(error):
    log = Log()
    with pytest.raises(type(error)):
        train([(1.0, 1.0), error], callbacks=[log])
    assert log.calls == [("begin", 0), ("batch", 1.0), ("end", False)]


def test_what_ends_a_training_leaves_no_gradient_for_the_next():
    network = fresh()
    with pytest.raises(KeyboardInterrupt):
        train([KeyboardInterrupt()], network=network)
    train(network=network)
    assert network.w.value == 1.0  # one step, not one of two gradients


def test_each_epoch_begins_its_random_numbers_anew():
    source, seen = Source(7), []

    class Draw(Callback):
        def batch(self, training, weight):
            address = source.take("dropout", 10)
            seen.append((address["epoch"], address["first"]))

    train([(1.0, 1.0)] * 2, 2, source=source, callbacks=[Draw()])
    assert seen == [(0, 0), (0, 10), (1, 0), (1, 10)]


def test_threads_are_given_to_the_whole_training():
    seen = []

    class Look(Callback):
        def batch(self, training, weight):
            seen.append(check_threads(None))

    train(n_threads=1, callbacks=[Look()])
    train(n_threads=3, callbacks=[Look()])
    assert seen == [1, 3]


def test_a_callback_does_nothing_by_itself():
    callback, training = Callback(), Training(Dense(1, 1, Source(0)), 1)
    callback.begin(training)
    callback.batch(training, 1.0)
    callback.epoch(training)
    callback.end(training, True)
    callback.load_state(callback.state())
    assert vars(callback) == {}
    assert (training.epoch, training.losses, training.stop) == (0, [], False)
