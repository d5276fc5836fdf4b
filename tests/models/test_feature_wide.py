"""Linear parts: crosses, FTRL with its penalty, and logits for negatives that were left out."""

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core import AFM, DCN, FM, NFM, PNN, DeepFM, FeatureEncoder, Features, WideDeep, XDeepFM, load
from pyrec_core.models.feature import LogisticRegression
from pyrec_core.optim import FTRL, SGD, Adagrad, Divided, Param

QUICK = {"n_epochs": 30, "batch_size": 32, "random_state": 0}
CROSSED = FeatureEncoder(categorical=["a", "b"], crosses=[("a", "b")], cross_size=4096)
PLAIN = FeatureEncoder(categorical=["a", "b"])


@pytest.fixture(scope="module")
def parity():
    """Two fields of six categories: the label is the parity of their sum, of which each alone says nothing."""
    rng = np.random.default_rng(0)
    a, b = np.divmod(rng.permutation(np.arange(1800) % 36), 6)
    return {"a": a, "b": b}, (a + b) % 2


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(**QUICK), WideDeep(**QUICK, hidden=(), learning_rate=0.05),
        WideDeep(**QUICK, hidden=(), learning_rate=0.05, wide_optimizer="ftrl"),
    ],
)  # fmt: skip
def test_a_linear_part_needs_a_cross_to_learn_a_combination(model, parity):
    without = model.set_params(encoder=PLAIN).fit(*parity).score(*parity)
    crossed = model.set_params(encoder=CROSSED).fit(*parity).score(*parity)
    assert without < 0.7
    assert crossed == 1.0


def test_crosses_have_weights_and_no_embeddings(parity, tmp_path):
    model = WideDeep(**QUICK, embedding_dim=3, hidden=(4,), encoder=CROSSED).fit(*parity)
    assert model.n_cross_rows_ == 4096
    sizes = sorted(w.shape for name, w in model.weights_.items() if w.shape[:1] in ((4096,), (14,)))
    assert sizes == [(14,), (14, 3), (4096,)]
    crosses = next(w for w in model.weights_.values() if w.shape == (4096,))
    assert np.count_nonzero(crosses) <= 36
    model.save(tmp_path / "model")
    assert same_bits(load(tmp_path / "model").predict_proba(parity[0]), model.predict_proba(parity[0]))
    new = {"a": [0, 99], "b": [98, 1]}
    assert np.isfinite(model.decision_function(new)).all()


@pytest.mark.parametrize("cls", [FM, NFM, DeepFM, XDeepFM, AFM])
def test_other_models_weight_crosses_too(cls, parity):
    model = cls(**{**QUICK, "n_epochs": 2}, embedding_dim=2, encoder=CROSSED).fit(*parity)
    crosses = next(w for w in model.weights_.values() if w.shape == (4096,))
    assert 0 < np.count_nonzero(crosses) <= 36


@pytest.mark.parametrize("cls", [PNN, DCN])
def test_models_without_a_linear_part_refuse_crosses(cls, parity):
    with pytest.raises(ValueError, match=f"X must have no crosses for {cls.__name__}, which has no linear part"):
        cls(encoder=CROSSED).fit(*parity)


def test_crosses_must_be_those_of_training(parity):
    X, y = parity
    model = LogisticRegression(**QUICK).fit(CROSSED.fit_transform(X), y)
    with pytest.raises(ValueError, match="X must have crosses of 4096 rows in all, as in training, got 0"):
        model.predict(PLAIN.fit_transform(X))
    with pytest.raises(ValueError, match="X must have crosses of 0 rows in all, as in training, got 4096"):
        LogisticRegression(**QUICK).fit(PLAIN.fit_transform(X), y).predict(CROSSED.fit_transform(X))


@pytest.fixture(scope="module")
def mostly_noise():
    """Forty fields, of which the first two decide."""
    rng = np.random.default_rng(1)
    X = rng.integers(0, 5, (2000, 40))
    return X, (X[:, 0] + X[:, 1] + rng.normal(size=2000) > 4).astype(int)


def linear_weights(model):
    return next(w for name, w in model.weights_.items() if name.rpartition(".")[2] == "w" and w.ndim == 1)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(**{**QUICK, "n_epochs": 3}),
        WideDeep(**{**QUICK, "n_epochs": 3}, hidden=(4,), embedding_dim=2, wide_optimizer=FTRL(learning_rate=0.1)),
    ],
    ids=["LogisticRegression", "WideDeep"],
)
def test_l1_gives_exact_zeros(model, mostly_noise):
    X, y = mostly_noise
    dense = linear_weights(model.set_params(l1=0.0).fit(X, y))
    sparse = linear_weights(model.set_params(l1=4.0).fit(X, y))
    seen = np.ones(240, bool)
    seen[5::6] = False  # the rows for what is unknown
    assert (dense[seen] != 0).all()
    assert (sparse[12:] == 0).mean() > 0.9
    assert np.count_nonzero(sparse[:12]) >= 4
    assert model.score(X, y) > 0.75


def test_the_constant_has_no_part_in_the_penalty():
    X = np.zeros((200, 1), int)
    y = (np.arange(200) < 180).astype(int)
    model = LogisticRegression(**QUICK, l1=1e6, learning_rate=1.0).fit(X, y)
    assert not model.weights_["w"].any()
    assert model.predict_proba(X)[0, 1] == pytest.approx(0.9, abs=0.02)


def test_both_parts_are_trained_by_their_own_optimizer(mostly_noise):
    X, y = mostly_noise
    options = {**QUICK, "n_epochs": 2, "hidden": (4,), "embedding_dim": 2}
    still = SGD(learning_rate=1e-30)
    start = WideDeep(**options, optimizer=still).fit(X, y).weights_
    wide = WideDeep(**options, optimizer=still, wide_optimizer="ftrl").fit(X, y).weights_
    deep = WideDeep(**options, optimizer=Adagrad(), wide_optimizer=still).fit(X, y).weights_
    moved = [{name for name in start if not np.allclose(start[name], w[name], atol=1e-12)} for w in (wide, deep)]
    assert moved[0] == {name for name in start if name.startswith("0.")}
    assert moved[1] == {name for name in start if name.startswith("1.")}


def test_none_is_one_optimizer_for_both(mostly_noise, tmp_path):
    options = {**QUICK, "n_epochs": 2, "hidden": (4,), "optimizer": "adagrad"}
    one, two = (WideDeep(**options, wide_optimizer=wide).fit(*mostly_noise) for wide in (None, "adagrad"))
    for name, weights in one.weights_.items():
        assert same_bits(weights, two.weights_[name])
    model = WideDeep(**options, wide_optimizer=FTRL(l1=0.5, beta=0.3)).fit(*mostly_noise)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").get_params() == model.get_params()


def test_partial_fit_keeps_the_two_optimizers(mostly_noise):
    X, y = mostly_noise
    model = WideDeep(**QUICK, hidden=(4,), wide_optimizer="ftrl", l1=8.0)
    for _ in range(3):
        model.partial_fit(X, y)
    assert (linear_weights(model)[12:] == 0).mean() > 0.9


def test_divided_steps_each_parameter_once():
    v, w, z = (Param(np.zeros(2)) for _ in range(3))
    optimizer = Divided(
        SGD(learning_rate=1.0), (SGD(learning_rate=2.0), [w]), (SGD(learning_rate=3.0, clip_norm=1.0), [z])
    )
    for p in (v, w, z):
        p.add_grad(np.array([3.0, 4.0]))
    optimizer.step([v, w, z])
    assert (v.value.tolist(), w.value.tolist()) == ([-3.0, -4.0], [-6.0, -8.0])
    np.testing.assert_allclose(z.value, [-1.8, -2.4])
    assert all(p.grad is None for p in (v, w, z))
    optimizer.step([v])  # of a part of the parameters
    assert w.t == 1


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (LogisticRegression(l1=1.0, optimizer="adam"), ValueError, "l1 must be 0 unless optimizer is FTRL, got 1.0"),
        (LogisticRegression(l1=-1.0), ValueError, "l1 must be >= 0.0, got -1.0"),
        (WideDeep(l1=1.0), ValueError, "l1 must be 0 unless wide_optimizer is FTRL, got 1.0"),
        (WideDeep(l1=1.0, wide_optimizer="sgd"), ValueError, "l1 must be 0 unless wide_optimizer is FTRL, got 1.0"),
        (WideDeep(wide_optimizer="newton"), ValueError, "wide_optimizer must be one of"),
        (FM(negative_rate=0.0), ValueError, "negative_rate must be > 0.0, got 0.0"),
        (FM(negative_rate=1.5), ValueError, "negative_rate must be <= 1.0, got 1.5"),
        (FM(negative_rate="all"), TypeError, "negative_rate must be a number, got 'all'"),
        (FM(negative_rate=0.5, loss="squared"), ValueError, "negative_rate must be 1 for loss='squared', got 0.5"),
    ],
)
def test_bad_parameters_are_refused(model, error, message, mostly_noise):
    with pytest.raises(error, match=message):
        model.fit(*mostly_noise)


def test_probabilities_are_those_of_all_examples_when_negatives_were_left_out():
    rng = np.random.default_rng(2)
    X = rng.integers(0, 10, (60_000, 2))
    p = 1 / (1 + np.exp(4.0 - 0.3 * X[:, 0] + 0.1 * X[:, 1]))
    y = (rng.random(len(p)) < p).astype(int)
    kept = (y == 1) | (rng.random(len(p)) < 0.1)
    options = {"n_epochs": 20, "batch_size": 500, "optimizer": "adam", "learning_rate": 0.01, "random_state": 0}
    plain = LogisticRegression(**options).fit(X[kept], y[kept])
    model = LogisticRegression(**options, negative_rate=0.1).fit(X[kept], y[kept])
    assert plain.predict_proba(X)[:, 1].mean() > 3 * y.mean()
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), rel=0.05)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], p, rtol=0.4, atol=0.02)
    among_kept = plain.predict_proba(X)[:, 1]
    corrected = among_kept / (among_kept + (1 - among_kept) / 0.1)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], corrected, rtol=1e-9)
    np.testing.assert_allclose(model.decision_function(X), plain.decision_function(X) + np.log(0.1), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), (model.predict_proba(X)[:, 1] > 0.5).astype(int))


def test_features_of_no_rows_have_no_outputs():
    model = LogisticRegression(**QUICK).fit(Features([[0], [1]], target=[0, 1]))
    assert model.decision_function(Features(np.empty((0, 1), int))).shape == (0,)
