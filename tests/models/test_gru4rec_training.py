"""GRU4Rec in training: Ctrl-C, early stopping, and what is held out."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core import GRU4Rec, Sessions
from pyrec_core.train import Callback, Checkpoint

SMALL = {"hidden": (6,), "n_sample": 8, "batch_size": 5, "n_epochs": 4, "random_state": 0}
ITEMS = np.random.default_rng(0).integers(0, 12, 150).astype(np.int32)
DATA = Sessions(ITEMS, np.arange(0, 151, 5), n_items=12)


class CtrlC(Callback):
    def __init__(self, epochs, batches=1):
        self.epochs, self.left = epochs, batches

    def batch(self, training, weight):
        if training.epoch == self.epochs:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("epochs", [0, 2])
def test_ctrl_c_leaves_a_model_that_can_be_used(epochs, tmp_path):
    model = GRU4Rec(**SMALL).fit((np.array([0, 1, 2]), np.array([0, 3])))  # what came before is forgotten
    model.set_params(callbacks=(CtrlC(epochs), Checkpoint(tmp_path / "training")))
    message = f"training was interrupted after {epochs} whole epochs; the model is usable"
    with pytest.raises(KeyboardInterrupt, match=message):
        model.fit(DATA)
    assert (model.n_items_, model.n_epochs_, len(model.loss_curve_)) == (12, epochs, epochs)
    assert model.recommend_next([[1, 2]], k=3)[0].shape == (1, 3)
    first, whole = GRU4Rec(**SMALL).fit(DATA), GRU4Rec(**{**SMALL, "n_epochs": max(1, epochs)}).fit(DATA)
    assert not same_bits(model.embeddings_, whole.embeddings_)  # the step after the whole epochs counts too
    assert same_bits(model.loss_curve_, first.loss_curve_[:epochs])
    model.save(tmp_path / "model")


def test_an_error_leaves_the_model_as_it_was():
    model = GRU4Rec(**SMALL).fit(DATA)
    before = model.embeddings_.copy()
    with pytest.raises(ValueError, match="loss must stay finite"):
        model.set_params(learning_rate=1e38).fit(DATA)
    assert same_bits(model.embeddings_, before)


LONG_TRAINING = """
import sys, time
import numpy as np
from pyrec_core import GRU4Rec
from pyrec_core.train import Callback

class Say(Callback):
    def batch(self, training, weight):
        if not said:
            said.append(print("training", flush=True))

said, rng = [], np.random.default_rng(0)
sessions = rng.integers(0, 20_000, 400_000), np.arange(0, 400_001, 10)
model = GRU4Rec(hidden=(256,), batch_size=128, n_epochs=1000, callbacks=[Say()], random_state=0)
try:
    model.fit(sessions)
except KeyboardInterrupt as stop:
    print(stop, model.recommend_next([[1, 2]], k=3)[0].shape, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_real_ctrl_c_is_answered_within_a_second():
    with subprocess.Popen([sys.executable, "-c", LONG_TRAINING], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "training\n"
            time.sleep(0.2)
            sent = time.perf_counter()
            os.kill(process.pid, signal.SIGINT)
            answer = process.stdout.readline()
            waited = time.perf_counter() - sent
        finally:
            process.kill()
    assert answer == "training was interrupted after 0 whole epochs; the model is usable (1, 3)\n"
    assert waited < 1.0


def test_early_stopping_holds_out_the_sessions_that_begin_last():
    begins = np.random.default_rng(3).permutation(30)
    timed = Sessions(ITEMS, DATA.offsets, (begins[:, None] * 10 + np.arange(5)).ravel(), n_items=12)
    by_time = np.argsort(begins)
    options = {**SMALL, "early_stopping": 2, "n_epochs": 30, "learning_rate": 0.3}
    model = GRU4Rec(**options, validation_fraction=0.3).fit(timed)
    first, last = timed.take(by_time[:21]), timed.take(by_time[21:])
    apart = GRU4Rec(**options).fit(first, validation_data=last)
    assert same_bits(model.validation_scores_, apart.validation_scores_)
    assert same_bits(model.embeddings_, apart.embeddings_)
    assert model.n_epochs_ == len(model.validation_scores_) == len(model.loss_curve_) < 30
    assert model.score(last) == model.validation_scores_.max()  # the best parameters were put back
    assert np.argmax(model.validation_scores_) == model.n_epochs_ - 3  # two epochs later it stopped


def test_early_stopping_by_default_waits_for_three_epochs():
    one, three = (GRU4Rec(**{**SMALL, "n_epochs": 30, "early_stopping": patience, "learning_rate": 0.3}).fit(DATA)
                  for patience in (True, 3))  # fmt: skip
    assert same_bits(one.validation_scores_, three.validation_scores_)


def test_validation_without_early_stopping_only_looks_on():
    plain, watched = GRU4Rec(**SMALL).fit(DATA), GRU4Rec(**SMALL).fit(DATA, validation_data=DATA.take([1, 2]))
    assert same_bits(plain.embeddings_, watched.embeddings_)
    assert (len(plain.validation_scores_), len(watched.validation_scores_)) == (0, 4)


def test_the_rest_beside_the_validation_data_must_be_trainable():
    with pytest.raises(ValueError, match="sessions must have a session of 2 or more events beside the validation data"):
        GRU4Rec(**SMALL, early_stopping=True).fit(([0, 1, 2], [0, 1, 3]))
    with pytest.raises(ValueError, match="validation_data must have a session of 2 or more known events"):
        GRU4Rec(**SMALL, early_stopping=True).fit(([0, 1, 2], [0, 2, 3]))


def test_verbose_says_how_training_goes(capsys):
    GRU4Rec(**SMALL, verbose=True).fit(DATA, validation_data=DATA)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"GRU4Rec: epoch {n}/4: loss ") for n, line in enumerate(lines, 1))
    assert "validation score 0." in lines[0]
    GRU4Rec(**SMALL, verbose=False).fit(DATA)
    assert capsys.readouterr() == ("", "")
