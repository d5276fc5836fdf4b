"""Early stopping and progress."""

import sys

import numpy as np
import pytest

from pyrec_core import _progress
from pyrec_core._random import Source
from pyrec_core.layers import Dense
from pyrec_core.optim import SGD
from pyrec_core.train import Callback, Checkpoint, EarlyStopping, Progress, Snapshot, fit_loop


class Counting(Dense):
    """A network whose weight and state count its epochs."""

    state_names = ("seen",)

    def __init__(self):
        super().__init__(1, 1, Source(0), dtype=np.float64)
        self.w.value[...] = 0.0
        self.seen = np.zeros(1)


def train(callbacks, scores=None, n_epochs=None, network=None, before=None, **options):
    """Train for as many epochs as there are scores, or until a callback stops it."""
    network = network or Counting()
    left = iter(scores or ())

    def step(batch):
        network.w.add_grad(np.full((1, 1), -1.0))
        network.seen += 1
        return 0.5, 4.0

    class Before(Callback):
        def begin(self, training):
            if before is not None:
                before(training)

    options = {"callbacks": [Before(), *callbacks], "n_epochs": n_epochs or len(scores)} | options
    options["validate"] = None if scores is None else lambda: next(left)
    return fit_loop(network, lambda epoch: [None], step, SGD(learning_rate=1.0), source=Source(0), **options)


@pytest.mark.parametrize(
    ("scores", "patience", "min_delta", "epochs", "best"),
    [
        ([1, 2, 3, 4], 1, 0.0, 4, 4),
        ([3, 2, 5, 5], 1, 0.0, 2, 1),
        ([3, 2, 5, 1, 1, 1], 2, 0.0, 5, 3),
        ([3, 3, 3, 3], 2, 0.0, 3, 1),  # as good is no rise
        ([1.0, 1.25, 1.5, 1.75], 2, 0.25, 4, 3),  # 1.25 is no rise over 1.0, 1.5 is; 1.75 is none over that
        ([1.0, 1.25, 1.125, 9.0], 2, 0.25, 3, 1),
        ([-3, -2, -4], 1, 0.0, 3, 2),
    ],
)
def test_when_it_stops_and_what_it_puts_back(scores, patience, min_delta, epochs, best):
    training = train([EarlyStopping(patience, min_delta=min_delta)], scores)
    assert training.epoch == len(training.scores) == epochs
    assert training.network.w.value == training.network.seen == best


def test_the_last_parameters_stay_without_restore_best():
    training = train([EarlyStopping(1, restore_best=False)], [3, 2, 5])
    assert training.epoch == training.network.w.value == training.network.seen == 2


def test_nothing_is_put_back_after_ctrl_c():
    class Interrupt(Callback):
        def batch(self, training, weight):
            if training.epoch == 2:
                raise KeyboardInterrupt

    network = Counting()
    with pytest.raises(KeyboardInterrupt):
        train([EarlyStopping(5), Interrupt()], [3, 2, 1], network=network)
    assert network.w.value == 3


def test_one_may_serve_several_trainings():
    stopping = EarlyStopping(1)
    train([stopping], [9, 1])
    assert stopping.state() == {}  # the parameters of a training that is over are not held

    def resumed(training):  # from a checkpoint of a training that had no early stopping
        training.epoch, training.scores = 1, [5.0]

    training = train([stopping], [1], n_epochs=4, before=resumed)
    assert (training.epoch, float(training.network.w.value[0, 0])) == (2, 1.0)


def test_it_goes_on_from_its_state():
    first = EarlyStopping(2)
    kept = {}

    class Keep(Callback):
        last = True

        def epoch(self, training):
            kept.update(first.state(), scores=list(training.scores))

    train([first, Keep()], [1, 3, 2])
    scores, second = kept.pop("scores"), EarlyStopping(2)
    second.load_state(kept)

    def resumed(training):
        training.epoch, training.scores = 3, scores

    network = Counting()
    training = train([second], [2], n_epochs=9, network=network, before=resumed)
    assert training.epoch == 4
    assert network.w.value == network.seen == 2  # of the second epoch, before it was interrupted


def test_a_checkpoint_keeps_the_best_of_its_own_epoch(tmp_path):
    """Also where it was named before early stopping."""
    training = train([Checkpoint(tmp_path / "training"), EarlyStopping(9)], [1, 2, 3])
    kept = EarlyStopping(9)
    training.callbacks = [kept]
    Snapshot.load(tmp_path / "training", {}).restore(training)
    assert kept.state()["w"] == kept.state()["state/seen"] == 3


def test_a_training_that_had_stopped_does_not_begin():
    def resumed(training):
        training.epoch, training.scores = 3, [3.0, 2.0, 1.0]

    training = train([EarlyStopping(2)], [], n_epochs=9, before=resumed)
    assert (training.epoch, training.stop) == (3, True)


def test_it_needs_scores():
    with pytest.raises(ValueError, match="early stopping must have a validation score, got no validation data"):
        train([EarlyStopping()], n_epochs=2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience must be >= 1, got 0"),
        ({"patience": 1.0}, TypeError, "patience must be an integer"),
        ({"min_delta": -1}, ValueError, r"min_delta must be >= 0\.0, got -1"),
        ({"restore_best": 1}, TypeError, "restore_best must be"),
    ],
)
def test_early_stopping_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**arguments)


def test_progress_line_by_line(capsys):
    train([Progress("GRU", verbose=True)], [0.25, 0.5])
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first.startswith("GRU: epoch 1/2: loss 0.5000, validation score 0.2500, ")
    assert second.startswith("GRU: epoch 2/2: loss 0.5000, validation score 0.5000, ")
    assert second.endswith(" s")


def test_progress_without_scores(capsys):
    train([Progress(verbose=True)], n_epochs=1)
    assert capsys.readouterr().err.startswith("fit: epoch 1/1: loss 0.5000, ")


@pytest.mark.parametrize("verbose", [False, None])
def test_progress_is_silent_where_it_should_be(capsys, verbose):
    train([Progress(verbose=verbose)], n_epochs=3)  # None: standard error is no terminal here
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("failing", [False, True])
def test_the_bar_counts_examples_and_is_closed(capsys, monkeypatch, failing):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(_progress, "PATIENCE", 0.0)
    monkeypatch.setattr(_progress, "find_spec", lambda name: None)  # the plain line, not tqdm's

    class Fail(Callback):
        def epoch(self, training):
            if failing:
                raise RuntimeError

    bar = Progress("GRU")
    if failing:
        with pytest.raises(RuntimeError):
            train([bar, Fail()], n_epochs=3, n_examples=4.0)
    else:
        train([bar, Fail()], n_epochs=3, n_examples=4.0)
    line = capsys.readouterr().err.split("\r")[-1]
    assert line.startswith("GRU: 4/12 (33 %)" if failing else "GRU: 12/12 (100 %)")
    assert line.endswith("\n")
    assert bar._bar is None


def test_a_resumed_bar_counts_what_is_left(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(_progress, "PATIENCE", 0.0)
    monkeypatch.setattr(_progress, "find_spec", lambda name: None)
    train([Progress()], n_epochs=3, n_examples=4.0, before=lambda training: setattr(training, "epoch", 1))
    assert "fit: 8/8 (100 %)" in capsys.readouterr().err


def test_verbose_must_be_a_bool():
    with pytest.raises(TypeError, match="verbose must be"):
        Progress(verbose="yes")
