"""Checkpoints: a training that goes on from one has the bits of one that was never interrupted."""

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core import GRU4Rec, MarkovChain, Sessions, load
from pyrec_core.optim import Adam
from pyrec_core.train import Callback, Checkpoint, EarlyStopping, Snapshot

RNG = np.random.default_rng(0)
SESSIONS = (RNG.integers(0, 12, 120).astype(np.int32), np.arange(0, 121, 4))
OPTIONS = {"hidden": (5,), "n_sample": 6, "batch_size": 4, "random_state": 3}
STOPPING = {"early_stopping": 2, "validation_fraction": 0.3, "learning_rate": 0.3}
WAYS = {
    "plain": {},
    "momentum": {"momentum": 0.4},
    "dropout": {"dropout_embed": 0.3, "dropout_hidden": 0.2},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "rows of adam": {"optimizer": Adam(rows="exact"), "learning_rate": 0.01},
    "early stopping": STOPPING | {"early_stopping": 20},
    "prefixes": {"batches": "prefixes", "item_dropout": 0.3, "n_sample": 0, "reset": "after", "hidden": (4, 3)},
}


class StopHard(Callback):
    """Is Ctrl-C after so many epochs and one batch."""

    def __init__(self, epochs):
        self.epochs = epochs

    def batch(self, training, weight):
        if training.epoch == self.epochs:
            raise KeyboardInterrupt


def interrupted(path, epochs, every=1, data=SESSIONS, **options):
    model = GRU4Rec(**options, callbacks=(Checkpoint(path, every), StopHard(epochs)))
    with pytest.raises(KeyboardInterrupt):
        model.fit(data)


def same_models(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    for name, weights in a.weights_.items():
        assert same_bits(weights, b.weights_[name]), name
    assert same_bits(a.loss_curve_, b.loss_curve_)
    assert same_bits(a.validation_scores_, b.validation_scores_)
    assert a.n_epochs_ == b.n_epochs_


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("every", "epochs"), [(1, 1), (1, 4), (2, 3)])
def test_a_resumed_training_has_the_bits_of_one_that_was_not_interrupted(tmp_path, way, every, epochs):
    options, path = OPTIONS | {"n_epochs": 6} | WAYS[way], tmp_path / "training"
    whole = GRU4Rec(**options).fit(SESSIONS)
    interrupted(path, epochs, every, **options)
    same_models(GRU4Rec(**options).fit(SESSIONS, resume=path), whole)


def test_early_stopping_stops_a_resumed_training_where_it_would_have(tmp_path):
    """The best epoch lies before the interruption, the decision after it."""
    options = OPTIONS | STOPPING | {"n_epochs": 40}
    whole = GRU4Rec(**options).fit(SESSIONS)
    assert whole.n_epochs_ < 40
    best = int(np.argmax(whole.validation_scores_)) + 1
    interrupted(tmp_path / "training", best + 1, **options)
    resumed = GRU4Rec(**options).fit(SESSIONS, resume=tmp_path / "training")
    same_models(resumed, whole)
    assert resumed.score((SESSIONS[0][21 * 4 :], SESSIONS[1][: 30 - 21 + 1])) == whole.validation_scores_.max()


def test_a_training_that_had_stopped_stays_so(tmp_path):
    options, path = OPTIONS | STOPPING | {"n_epochs": 40}, tmp_path / "training"
    whole = GRU4Rec(**options, callbacks=(Checkpoint(path, every=1000),)).fit(SESSIONS)
    same_models(GRU4Rec(**options).fit(SESSIONS, resume=path), whole)


def test_the_checkpoint_after_the_last_epoch_serves_a_longer_training(tmp_path):
    path = tmp_path / "training"
    GRU4Rec(**OPTIONS, n_epochs=3, callbacks=[Checkpoint(path, every=1000)]).fit(SESSIONS)
    longer = GRU4Rec(**OPTIONS, n_epochs=5).fit(SESSIONS, resume=path)
    same_models(longer, GRU4Rec(**OPTIONS, n_epochs=5).fit(SESSIONS))


def test_training_without_a_seed_goes_on_with_the_one_it_had(tmp_path):
    options, path = OPTIONS | {"random_state": None}, tmp_path / "training"
    whole = GRU4Rec(**options, n_epochs=3, callbacks=(Checkpoint(path, every=2),))
    kept = []

    class Keep(Callback):
        last = True

        def epoch(self, training):
            if training.epoch == 2:
                kept.append(path.read_bytes())

    whole.callbacks = (*whole.callbacks, Keep())
    whole.fit(SESSIONS)
    path.write_bytes(kept[0])
    same_models(GRU4Rec(**options, n_epochs=3).fit(SESSIONS, resume=path), whole)


def test_every_says_when_the_file_is_written(tmp_path):
    path, epochs = tmp_path / "training", []

    class Look(Callback):
        last = True

        def epoch(self, training):
            epochs.append(Snapshot.load(path, training.about)._header["epoch"] if path.exists() else None)

    GRU4Rec(**OPTIONS, n_epochs=5, callbacks=(Checkpoint(path, every=2), Look())).fit(SESSIONS)
    assert epochs == [None, 2, 2, 4, 5]


def test_the_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    """What goes wrong while a checkpoint is written leaves the one before, and nothing else, in the folder."""
    path, options = tmp_path / "training", OPTIONS | {"n_epochs": 4}
    whole = GRU4Rec(**options).fit(SESSIONS)
    write, calls = np.lib.format.write_array, []

    def fails(*args, **kwargs):
        calls.append(1)
        if len(calls) == 20:
            raise OSError("no space left")
        write(*args, **kwargs)

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(OSError, match="no space left"):
        GRU4Rec(**options, callbacks=(Checkpoint(path),)).fit(SESSIONS)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["training"]
    same_models(GRU4Rec(**options).fit(SESSIONS, resume=path), whole)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "training"
    GRU4Rec(**OPTIONS, n_epochs=1, callbacks=(Checkpoint(path),)).fit(SESSIONS)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden": (6,)}, r"hidden is \(6,\), was \(5,\)"),
        ({"loss": "bpr-max"}, "loss is 'bpr-max', was 'cross-entropy'"),
        ({"momentum": 0.5}, "momentum is 0.5, was 0.0"),
        ({"optimizer": Adam()}, r"optimizer is Adam\(.*\), was 'adagrad'"),
        ({"random_state": 4}, "seed is 4, was 3"),
        ({"batch_size": 5, "n_sample": 7}, "batch_size is 5, was 4.*n_sample is 7, was 6"),
    ],
)
def test_differences_of_the_parameters_are_named(checkpoint, change, words):
    with pytest.raises(ValueError, match=f"resume must name a checkpoint of the same training, got .*{words}"):
        GRU4Rec(**(OPTIONS | change), n_epochs=2).fit(SESSIONS, resume=checkpoint)


@pytest.mark.parametrize(
    "data",
    [
        (SESSIONS[0][::-1], SESSIONS[1]),
        (SESSIONS[0], np.arange(0, 121, 5)),
        Sessions(*SESSIONS, n_items=13),
    ],
    ids=["items", "offsets", "n_items"],
)
def test_other_data_are_refused(checkpoint, data):
    with pytest.raises(ValueError, match=r"got differences: \[.data is .*, was "):
        GRU4Rec(**OPTIONS, n_epochs=2).fit(data, resume=checkpoint)


def test_what_does_not_change_the_training_may_differ(checkpoint):
    free = {"n_threads": 2, "verbose": False, "callbacks": (EarlyStopping(9),), "n_epochs": 2}
    resumed = GRU4Rec(**OPTIONS, **free).fit(SESSIONS, validation_data=SESSIONS, resume=checkpoint)
    for name, weights in GRU4Rec(**OPTIONS, n_epochs=2).fit(SESSIONS).weights_.items():
        assert same_bits(resumed.weights_[name], weights)


def test_other_files_are_refused(tmp_path):
    MarkovChain().fit(SESSIONS).save(tmp_path / "model")
    (tmp_path / "text").write_text("hello")
    for name, words in (("model", "a file of another kind"), ("text", "not a zip container")):
        with pytest.raises(ValueError, match=words):
            GRU4Rec(**OPTIONS).fit(SESSIONS, resume=tmp_path / name)
    with pytest.raises(FileNotFoundError):
        GRU4Rec(**OPTIONS).fit(SESSIONS, resume=tmp_path / "nothing")


def test_a_checkpoint_is_no_model(checkpoint):
    with pytest.raises(ValueError, match=r"path must name a file with one of the models .*'checkpoint'"):
        load(checkpoint)


def test_repr_and_arguments(tmp_path):
    assert repr(Checkpoint("a", every=2)) == "Checkpoint('a', every=2)"
    assert Checkpoint(tmp_path).path == str(tmp_path)
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        Checkpoint("a", 0)
    with pytest.raises(TypeError):
        Checkpoint(3)
