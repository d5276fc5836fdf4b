"""Feature models: what they are equal to, what only they learn, their inputs, and how training goes."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import same_bits

from pyrec_core import AFM, DCN, FM, NFM, PNN, DeepFM, Features, NotFittedError, WideDeep, XDeepFM
from pyrec_core.datasets import make_ctr
from pyrec_core.metrics import global_auc
from pyrec_core.models import feature
from pyrec_core.models.feature import LogisticRegression
from pyrec_core.models.feature._inputs import encode, learn_layout
from pyrec_core.testing import estimator_checks
from pyrec_core.train import Callback, Checkpoint

QUICK = {"n_epochs": 5, "batch_size": 32, "learning_rate": 0.05, "random_state": 0}
SMALL = {"embedding_dim": 4, **QUICK}
MODELS = [
    LogisticRegression(**QUICK), FM(**SMALL, dropout=0.2), NFM(**SMALL, hidden=(8,), dropout=0.2, batch_norm=True),
    DeepFM(**SMALL, hidden=(8,), dropout=0.2), WideDeep(**SMALL, hidden=(8, 4), batch_norm=True),
    XDeepFM(**SMALL, hidden=(8,), maps=(6, 4), split_half=True), AFM(**SMALL, dropout=0.2),
    PNN(**SMALL, hidden=(8,), products="both"), DCN(**SMALL, hidden=(8,), batch_norm=True),
]  # fmt: skip
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


CHECKS = [
    pytest.param(check, id=f"{type(model).__name__}-{name}")
    for model in MODELS
    for name, check in estimator_checks(model)
]


def test_every_model_is_listed():
    models = {getattr(feature, name) for name in feature.__all__} - {feature.FeatureModel, feature.FeatureEncoder}
    assert models == {type(model) for model in MODELS}


@pytest.mark.parametrize("check", CHECKS)
def test_model_conforms(check):
    check()


@pytest.fixture(scope="module")
def examples():
    """Three fields; the first two decide together."""
    X = np.random.default_rng(0).integers(0, 5, size=(400, 3))
    return X, (X[:, 0] + X[:, 1]) % 2


def copy(model, **changes):
    return type(model)(**{**model.get_params(), **changes})


@each_model
def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(model, examples, tmp_path):
    whole = copy(model).fit(*examples)
    copy(model, n_epochs=2, callbacks=(Checkpoint(tmp_path / "training"),)).fit(*examples)
    resumed = copy(model).fit(*examples, resume=tmp_path / "training")
    for name, weights in whole.weights_.items():
        assert same_bits(weights, resumed.weights_[name])
    assert same_bits(whole.predict_proba(examples[0]), resumed.predict_proba(examples[0]))


def test_training_resumes_on_the_same_numbers_only(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))  # as ids all rows are alike: only their values differ
    y = X[:, 0] > 0
    FM(**SMALL, callbacks=(Checkpoint(tmp_path / "training"),)).fit(X, y)
    with pytest.raises(ValueError, match="resume must name a checkpoint of the same training, got differences"):
        FM(**SMALL).fit(X + 1.0, y, resume=tmp_path / "training")


def test_ctrl_c_leaves_a_usable_model(examples):
    class Interrupt(Callback):
        def epoch(self, training):
            if training.epoch == 2:
                raise KeyboardInterrupt

    model = FM(**SMALL, callbacks=(Interrupt(),))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*examples)
    assert model.n_epochs_ == 2
    assert same_bits(
        model.predict_proba(examples[0]), FM(**{**SMALL, "n_epochs": 2}).fit(*examples).predict_proba(examples[0])
    )


def test_nfm_without_hidden_layers_is_a_factorization_machine(examples):
    fm, nfm = (cls(**SMALL).fit(*examples) for cls in (FM, lambda **kw: NFM(**kw, hidden=())))
    np.testing.assert_array_equal(fm.decision_function(examples[0]), nfm.decision_function(examples[0]))


def test_fm_of_two_fields_is_matrix_factorization_with_biases(examples):
    X, y = examples[0][:, :2], examples[1]
    model = FM(**SMALL, loss="squared").fit(X, y)
    table, linear = (next(w for n, w in model.weights_.items() if n.endswith(end)) for end in (".table", ".w"))
    bias = next(w for n, w in model.weights_.items() if n.endswith(".b"))
    rows = X + np.array([0, 6])  # the first field has 5 categories, and a row for what is unknown
    by_hand = (table[rows[:, 0]] * table[rows[:, 1]]).sum(axis=1) + linear[rows].sum(axis=1) + bias
    np.testing.assert_allclose(model.predict(X), by_hand, rtol=1e-5, atol=1e-6)


def test_cin_learns_what_three_fields_decide_together_and_fm_does_not():
    data = make_ctr(n_train=200_000, n_test=20_000, random_state=0)
    train, test = data.train, data.test
    options = {"embedding_dim": 8, "n_epochs": 5, "batch_size": 500, "learning_rate": 0.01, "random_state": 0}
    cin = XDeepFM(**options, maps=(16, 16), hidden=()).fit(train)
    fm = FM(**options).fit(train)
    assert global_auc(test.target, cin.decision_function(test)) >= 0.82
    assert global_auc(test.target, fm.decision_function(test)) <= 0.62


def test_sparse_and_dense_numbers_give_the_same_model():
    rng = np.random.default_rng(1)
    X = np.where(rng.random((200, 6)) < 0.4, rng.normal(size=(200, 6)), 0.0).astype(np.float32)
    y = X[:, 0] * X[:, 1] + X[:, 2]
    dense, sparse = (FM(**SMALL, loss="squared").fit(given, y) for given in (X, sp.csr_array(X)))
    assert same_bits(dense.predict(X), sparse.predict(sp.csr_array(X)))
    one_hot = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 100)]
    ids = one_hot.argmax(axis=1)[:, None]
    target = ids[:, 0].astype(float)
    by_number = FM(**SMALL, loss="squared").fit(one_hot, target).predict(one_hot)
    assert np.corrcoef(by_number, target)[0, 1] > 0.5


def test_each_column_of_a_dense_matrix_has_a_place_of_its_own():
    X = np.random.default_rng(5).integers(0, 3, size=(50, 4)).astype(np.float32)  # with zeros in every column
    layout = learn_layout(X)
    fields = encode(X, layout, None, "row")
    np.testing.assert_array_equal(fields.values, X)
    rows = np.broadcast_to(layout.offsets[:-1], X.shape)
    np.testing.assert_array_equal(fields.ids[X != 0], rows[X != 0])
    assert learn_layout(sp.csr_array(np.eye(4, dtype=np.float32))).n_slots == 1


def test_unseen_ids_stand_for_the_row_of_the_unknown(examples):
    X, y = examples
    model = FM(**SMALL, field_sizes=[9, 9, 9]).fit(X, y)
    strangers = X[:5].copy()
    strangers[:, 2] = [7, 8, 9, 1000, 5]  # in range but never seen, and out of range
    scores = model.decision_function(strangers)
    other = strangers.copy()
    other[:, 2] = 123456
    np.testing.assert_array_equal(scores, model.decision_function(other))
    with pytest.raises(ValueError, match="X must hold ids seen in training, got 5 others, first 7 in field 2 of row 0"):
        model.set_params(handle_unknown="error").predict(strangers)


def test_features_bring_their_target_and_their_missing_entries():
    features = Features([[0, 1], [1, 0], [-1, 1], [1, 1]], target=[0, 1, 0, 1], field_sizes=[2, 2])
    model = FM(**SMALL).fit(features)
    assert model.predict(features).shape == (4,)
    with pytest.raises(TypeError, match="X must be Features as in training, got integer ids"):
        model.predict(np.array([[0, 1]]))


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([[0, -1]], [1], ValueError, r"X must hold ids in 0\.\."),
        ([0, 1], [1, 0], ValueError, "X must be 2-D"),
        ([[0, 1], [1, 0]], [0, 1, 1], ValueError, "y must have 2 entries, one a row of X, got 3"),
        ([[0, 1], [1, 0], [1, 1]], [0, 1, 2], ValueError, "y must hold two labels, got 3"),
        ([[0, 1], [1, 0]], [1, 1], ValueError, "got one class only"),
        ([[0, 1], [1, 0]], [0.5, 0.1], ValueError, "y must hold labels, got numbers"),
        ([[0.0, np.nan], [1, 0]], [0, 1], ValueError, "X must hold finite values"),
        ([["a", "b"]], [1], TypeError, "X must be"),
        ([[0, 1], [1, 0]], None, ValueError, "y must be given"),
    ],
)
def test_bad_input_is_refused(X, y, error, message):
    model = FM(**SMALL)
    with pytest.raises(error, match=message):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be"), ({"l2": -1}, ValueError, "l2 must be"),
        ({"handle_unknown": "x"}, ValueError, "handle_unknown must be"), ({"batch_size": 0}, ValueError, "batch_size"),
        ({"field_sizes": [1, 9, 9]}, ValueError, "field_sizes must be integers >="),
        ({"optimizer": "newton"}, ValueError, "optimizer must be"), ({"n_epochs": 1.5}, TypeError, "n_epochs"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(examples, changes, error, message):
    with pytest.raises(error, match=message):
        FM(**{**SMALL, **changes}).fit(*examples)


def test_partial_fit_learns_batch_by_batch(examples):
    X, y = examples
    model = FM(embedding_dim=4, batch_size=32, learning_rate=0.05, field_sizes=[5, 5, 5], random_state=0)
    for _ in range(20):
        for rows in np.array_split(np.arange(len(y)), 4):
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert model.score(X, y) > 0.95
    assert model.n_epochs_ == 80


def test_early_stopping_keeps_the_best_epoch(examples):
    X, y = examples
    rng = np.random.default_rng(3)
    noise = np.where(rng.random(len(y)) < 0.3, 1 - y, y)
    model = DeepFM(**{**SMALL, "n_epochs": 60, "embedding_dim": 16}, hidden=(32,), early_stopping=3)
    model.fit(X, noise, validation_data=(X[:100], y[:100]))
    assert model.n_epochs_ < 60
    best = int(np.argmax(model.validation_scores_))
    assert global_auc(y[:100], model.decision_function(X[:100])) == model.validation_scores_[best]
    held_out_by_itself = FM(**SMALL, early_stopping=2).fit(X, y)
    assert held_out_by_itself.validation_scores_.size == held_out_by_itself.n_epochs_
