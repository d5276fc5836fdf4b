"""GRU4Rec: that it learns, what its loss is, and what goes in."""

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core import GRU4Rec, MarkovChain, PyrecWarning, Sessions, load
from pyrec_core._random import Source
from pyrec_core.datasets import make_markov_sessions
from pyrec_core.models.sequence._gru4rec_network import Network
from pyrec_core.models.sequence._gru4rec_training import Lanes
from pyrec_core.optim import SGD, Adagrad, ExponentialDecay
from pyrec_core.train import Callback, Checkpoint

SMALL = {"hidden": (6,), "n_sample": 8, "batch_size": 5, "n_epochs": 2, "random_state": 0}


def random_sessions(n=30, length=5, n_items=12, seed=0):
    items = np.random.default_rng(seed).integers(0, n_items, n * length).astype(np.int32)
    return Sessions(items, np.arange(n + 1) * length, n_items=n_items)


def same_weights(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    return all(same_bits(weights, b.weights_[name]) for name, weights in a.weights_.items())


def test_it_remembers_more_than_the_last_click():
    """The next item depends on a class that only several clicks tell: no first-order model gets far."""
    data = make_markov_sessions(n_train=6000, n_test=500)

    def recall(ranks):
        return (ranks <= 1).mean()

    best = data.process.optimal_scores(data.test)
    targets = data.test.items.reshape(-1, 10)[:, 1:].ravel()
    optimum = recall((best >= best[np.arange(len(best)), targets][:, None]).sum(axis=1))
    model = GRU4Rec(hidden=(64,), n_sample=64, sample_alpha=0.0, batch_size=32, learning_rate=0.1, n_epochs=7,
                    random_state=0).fit(data.train)  # fmt: skip
    assert optimum > recall(model.next_ranks(data.test)) >= 0.75
    assert recall(MarkovChain().fit(data.train).next_ranks(data.test)) < 0.3
    assert (np.diff(model.loss_curve_) < 0).all()


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
@pytest.mark.parametrize("batches", ["session-parallel", "prefixes"])
def test_the_same_bits_with_any_number_of_threads(loss, batches):
    data = random_sessions(400, length=4, n_items=700)
    options = {"hidden": (100,), "batch_size": 240, "n_sample": 2048, "loss": loss, "batches": batches, "n_epochs": 1}
    options |= {"dropout_embed": 0.2, "dropout_hidden": 0.2, "random_state": 0}
    one, *others = (GRU4Rec(**options, n_threads=n).fit(data) for n in (1, 1, 2, 2))
    for other in others:
        assert same_weights(one, other)
        assert same_bits(one.loss_curve_, other.loss_curve_)
        assert same_bits(one.predict_next(data), other.predict_next(data))


def test_the_seed_matters():
    data = random_sessions()
    assert not same_weights(*(GRU4Rec(**{**SMALL, "random_state": seed}).fit(data) for seed in (0, 1)))
    assert not same_weights(*(GRU4Rec(**{**SMALL, "random_state": None}).fit(data) for _ in range(2)))


# one step of the loss, by hand

DATA = Sessions(np.array([0, 1, 2, 1, 3, 4, 0, 0, 3, 2, 1, 4]), np.array([0, 4, 5, 10, 12]), n_items=6)
SAMPLES = np.array([1, 4, 4, 0, 3], np.int32)


def step_of(**params):
    """One step of two lanes; returns its loss and weight, and the scores of targets and samples."""
    model = GRU4Rec(hidden=(4,), n_sample=len(SAMPLES), batch_size=2, random_state=0).set_params(**params)
    network = Network(model, DATA.n_items, Source(0), dtype=np.float64)
    network.bias.value[:] = np.linspace(-1, 1, DATA.n_items)
    training = Lanes(model, network, DATA, Source(0))
    inputs, targets, yes = np.array([0, 3], np.int32), np.array([1, 4], np.int32), np.ones(2, bool)
    (state,), _ = network.step(inputs, network.zero_states(2))
    columns = np.concatenate([targets, SAMPLES])
    scores = state @ network.items.value[columns].T + network.bias.value[columns]
    return training.step(((inputs, targets, yes, yes), SAMPLES)), scores, training


def cross_entropy(scores):
    return sum(np.log(np.exp(row - row[b]).sum()) for b, row in enumerate(scores))


@pytest.mark.parametrize("batch_size", [2, 5])
def test_the_loss_is_divided_by_the_batch_size_also_with_fewer_lanes(batch_size):
    (loss, weight), scores, _ = step_of(batch_size=batch_size)
    assert loss == pytest.approx(cross_entropy(scores) / batch_size, rel=1e-12)
    assert weight == 2


COUNTS = np.array([3.0, 3, 2, 2, 2, 0])  # of the 12 clicks above
LOG_Q = {
    # log support of the targets 1 and 4; log support ** 0.5 of the samples
    "compat": [np.log(3), np.log(2), *(np.log(COUNTS[SAMPLES]) / 2)],
    # how often they are expected: 2 targets from 12 clicks; 5 samples from all support ** 0.5
    "exact": [np.log(2 * 3 / 12), np.log(2 * 2 / 12), *np.log(5 * np.sqrt(COUNTS[SAMPLES]) / np.sqrt(COUNTS).sum())],
}


@pytest.mark.parametrize("mode", LOG_Q)
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_logq_is_subtracted_from_the_scores(mode, weight):
    (loss, _), scores, _ = step_of(logq=weight, logq_mode=mode, sample_alpha=0.5)
    assert loss == pytest.approx(cross_entropy(scores - weight * np.array(LOG_Q[mode])) / 2, rel=1e-12)


def test_logq_of_uniform_samples():
    (loss, _), scores, _ = step_of(logq=1.0, sample_alpha=0.0)
    assert loss == pytest.approx(cross_entropy(scores - [np.log(3), np.log(2), 0, 0, 0, 0, 0]) / 2, rel=1e-12)


def test_each_epoch_has_the_mean_loss_of_its_lanes():
    seen = []

    class Look(Callback):
        def batch(self, training, weight):
            seen.append(weight)

    model = GRU4Rec(**{**SMALL, "n_epochs": 1}, callbacks=[Look()]).fit(random_sessions(7))
    assert sum(seen) == 7 * 4  # each pair once
    assert seen[-1] < 5
    assert model.loss_curve_.shape == (1,)


# data


def table(**columns):
    return {"session": [7, 7, 3, 3, 3, 9, 9], "item": ["b", "a", "b", "c", "a", "c", "b"], **columns}


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(
    "names", [("session", "item", "time"), ("Session_ID", "itemId", "Timestamp"), ("visit", "ITEM", "time")]
)
def test_tables_with_the_usual_names(library, names):
    module = pytest.importorskip(library)
    columns = dict(zip(names, table(time=[2, 1, 9, 8, 7, 3, 4]).values(), strict=True))
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    wanted = Sessions.from_arrays(*table(time=[2, 1, 9, 8, 7, 3, 4]).values())
    assert wanted.items.tolist() != Sessions.from_arrays(*table().values()).items.tolist()
    model = GRU4Rec(**SMALL).fit(frame)
    assert same_weights(model, GRU4Rec(**SMALL).fit(wanted))
    assert model.item_ids_.tolist() == ["a", "b", "c"]
    assert model.recommend_next(["b"], k=3)[0].dtype == model.item_ids_.dtype


def test_a_table_as_validation_data():
    pandas = pytest.importorskip("pandas")
    train, valid = pandas.DataFrame(table()), pandas.DataFrame({"session": [1, 1, 1], "item": ["c", "b", "a"]})
    model = GRU4Rec(**SMALL).fit(train, validation_data=valid)
    assert model.validation_scores_[-1] == model.score([["c", "b", "a"]])


def test_tables_without_time_or_with_other_names():
    pandas = pytest.importorskip("pandas")
    model = MarkovChain().fit(pandas.DataFrame(table()))
    assert model.transitions_[[1], [0]] == 1  # b, then a
    with pytest.raises(ValueError, match=r"sessions must have columns session and item.*got \['user', 'item'\]"):
        MarkovChain().fit(pandas.DataFrame({"user": [1], "item": [2]}))
    with pytest.raises(TypeError, match=r"prefixes must be a list of id sequences.*got DataFrame"):
        model.recommend_next(pandas.DataFrame(table()))


def test_sessions_are_trained_on_in_the_order_in_which_they_begin():
    data = random_sessions()
    n = len(data)
    begins = np.random.default_rng(3).permutation(n)
    time = (begins[:, None] * 10 + np.arange(5)).ravel()
    shuffled = Sessions(data.items, data.offsets, time, n_items=12)
    assert same_weights(GRU4Rec(**SMALL).fit(shuffled), GRU4Rec(**SMALL).fit(data.take(np.argsort(begins))))
    assert not same_weights(GRU4Rec(**SMALL).fit(shuffled), GRU4Rec(**SMALL).fit(data))


def test_session_representations():
    model = GRU4Rec(**{**SMALL, "hidden": (5, 3)}).fit(random_sessions())
    states = model.session_representations([[1, 2, 3], [], [4]])
    assert (states.shape, states.dtype) == ((3, 3), np.float32)
    assert (states[1] == 0).all()
    np.testing.assert_allclose(model.session_representations([4]), states[2], rtol=1e-6)
    scores = states[0] @ model.embeddings_.T + model.weights_["bias"]
    np.testing.assert_allclose(scores, model.predict_next([1, 2, 3]), rtol=1e-5)


def test_unknown_items_in_validation_data_are_warned_of_once():
    with pytest.warns(PyrecWarning, match="validation_data hold 1 unknown items") as caught:
        GRU4Rec(**SMALL).fit(random_sessions(), validation_data=[[1, 99, 2]])
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([[1], [2]], ValueError, "validation_data must have a session of 2 or more known events, got none"),
        (5, TypeError, "validation_data must be a list of id sequences"),
    ],
)
def test_bad_validation_data_are_refused_before_training(given, error, message):
    class Fail(Callback):
        def begin(self, training):
            raise AssertionError("training must not begin")

    with pytest.raises(error, match=message):
        GRU4Rec(**SMALL, callbacks=(Fail(),)).fit(random_sessions(), validation_data=given)


def test_external_ids_in_validation_data():
    data = random_sessions()
    named = Sessions(data.items, data.offsets, item_ids=[f"i{n}" for n in range(12)])
    dense = GRU4Rec(**SMALL).fit(data, validation_data=data.take([3, 4]))
    by_name = GRU4Rec(**SMALL).fit(named, validation_data=named.take([3, 4]))
    assert same_bits(dense.validation_scores_, by_name.validation_scores_)
    assert by_name.validation_scores_[-1] == by_name.score(named.take([3, 4]))


# parameters

REFUSED = [
    ({"hidden": ()}, ValueError, "hidden must have one layer at least, got none"),
    ({"hidden": (3, 0)}, ValueError, "hidden must be >= 1, got 0"),
    ({"hidden": "a"}, TypeError, "hidden must be an integer, got 'a'"),
    ({"loss": "mse"}, ValueError, "loss must be one of .*, got 'mse'"),
    ({"n_sample": -1}, ValueError, "n_sample must be >= 0, got -1"),
    ({"sample_alpha": -0.5}, ValueError, "sample_alpha must be >= 0"),
    ({"logq": -1}, ValueError, "logq must be >= 0"),
    ({"logq_mode": "right"}, ValueError, "logq_mode must be one of"),
    ({"loss": "bpr", "logq": 1.0}, ValueError, "logq and label_smoothing must be 0 but for the cross-entropy"),
    ({"loss": "top1", "label_smoothing": 0.1}, ValueError, "logq and label_smoothing must be 0 but"),
    ({"elu": 1.0}, ValueError, "elu must be 0 for the cross-entropy, got 1.0"),
    ({"label_smoothing": 1.0}, ValueError, "label_smoothing must be < 1, got 1.0"),
    ({"dropout_embed": 1.0}, ValueError, "dropout_embed must be < 1, got 1.0"),
    ({"dropout_hidden": -0.1}, ValueError, "dropout_hidden must be >= 0"),
    ({"item_dropout": 1}, ValueError, "item_dropout must be < 1, got 1"),
    ({"max_length": 0}, ValueError, "max_length must be >= 1, got 0"),
    ({"embedding": "tied"}, ValueError, "embedding must be one of"),
    ({"embedding_dim": 4}, ValueError, "embedding_dim must be None unless embedding is 'separate', got 4"),
    ({"reset": "never"}, ValueError, "reset must be one of"),
    ({"batches": "all"}, ValueError, "batches must be one of"),
    ({"batch_size": 1, "n_sample": 0}, ValueError, "batch_size must be 2 or more where n_sample is 0"),
    ({"n_epochs": 0}, ValueError, "n_epochs must be >= 1, got 0"),
    ({"momentum": 1.0}, ValueError, "momentum must be < 1"),
    ({"optimizer": "adam", "momentum": 0.5}, ValueError, "momentum must be 0 for Adam, which has none, got 0.5"),
    ({"optimizer": "lion"}, ValueError, "optimizer must be one of"),
    ({"optimizer": 3}, TypeError, "optimizer must be"),
    ({"early_stopping": -1}, ValueError, "early_stopping must be >= 0, got -1"),
    ({"early_stopping": 0.5}, TypeError, "early_stopping must be an integer"),
    ({"validation_fraction": 1.0}, ValueError, r"validation_fraction must be in \(0, 1\), got 1.0"),
    ({"callbacks": Checkpoint("a")}, TypeError, "callbacks must be a sequence of Callback"),
    ({"callbacks": 5}, TypeError, "callbacks must be a sequence of Callback, got 5"),
    ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
]


@pytest.mark.parametrize(("params", "error", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_bad_parameters_are_refused(params, error, message):
    model = GRU4Rec(**{**SMALL, **params})
    with pytest.raises(error, match=message):
        model.fit(random_sessions())
    assert not hasattr(model, "n_items_")


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, Adagrad(learning_rate=0.05)),
        ({"learning_rate": 0.2, "momentum": 0.3}, Adagrad(learning_rate=0.2, momentum=0.3)),
        ({"optimizer": Adagrad(learning_rate=0.5)}, Adagrad(learning_rate=0.5)),
        (
            {"optimizer": SGD(learning_rate=0.5, momentum=0.1), "learning_rate": 0.2},
            SGD(learning_rate=0.2, momentum=0.1),
        ),
        ({"optimizer": "sgd"}, SGD()),
    ],
    ids=str,
)
def test_which_learning_rate_counts(params, wanted):
    assert GRU4Rec(**params)._optimizer() == wanted


@pytest.mark.parametrize("embedding", ["constrained", "separate", "none"])
@pytest.mark.parametrize("reset", ["before", "after"])
def test_parameters_that_are_set_later_are_for_the_next_fit(embedding, reset, tmp_path):
    model = GRU4Rec(**{**SMALL, "hidden": (5, 3)}, embedding=embedding, reset=reset).fit(random_sessions())
    wanted = model.predict_next([[1, 2, 3]])
    for others in ({"hidden": (4,)}, {"embedding": "separate", "embedding_dim": 9}, {"reset": "before"}):
        model.set_params(**others).save(tmp_path / "model")
        assert same_bits(load(tmp_path / "model").predict_next([[1, 2, 3]]), wanted)


def test_optimizers_and_schedules_return_from_a_file_and_callbacks_do_not(tmp_path):
    path = tmp_path / "model"
    params = {
        "optimizer": SGD(clip_norm=1.0),
        "learning_rate": ExponentialDecay(learning_rate=0.1, factor=0.5, every=10),
    }
    model = GRU4Rec(**SMALL, **params, callbacks=(Callback(),)).fit(random_sessions())
    model.save(path)
    assert load(path).get_params() == {**model.get_params(), "callbacks": ()}


def test_code_cannot_be_saved(tmp_path):
    model = GRU4Rec(**SMALL, learning_rate=lambda t: 0.1 / t).fit(random_sessions())
    with pytest.raises(TypeError, match="a model to be saved must have optimizers and schedules of pyrec_core"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
