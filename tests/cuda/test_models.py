"""Feature models trained on devices, compared with those trained on the CPU."""

from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp

import pyrec_core
from pyrec_core import AFM, DCN, FM, NFM, PNN, Features, WideDeep, XDeepFM, _backend
from pyrec_core.models.feature import DeepFM, FeatureEncoder, LogisticRegression
from pyrec_core.train import Checkpoint

OPTIONS = {"n_epochs": 2, "batch_size": 32, "random_state": 0, "verbose": False}
SMALL = {"embedding_dim": 4, "optimizer": "adagrad"}
MODELS = {
    "LR": LogisticRegression(**OPTIONS, l1=0.001),
    "FM": FM(**OPTIONS, **SMALL, l2=0.001),
    # the bias before a batch norm has no gradient but rounding errors, which other rules would make large
    "NFM": NFM(**OPTIONS, embedding_dim=4, optimizer="sgd", learning_rate=0.1, hidden=(8,), batch_norm=True),
    "DeepFM": DeepFM(**OPTIONS, **SMALL, hidden=(8, 4), dropout=0.2),
    "XDeepFM": XDeepFM(**OPTIONS, **SMALL, hidden=(8,), maps=(4, 4)),
    "PNN": PNN(**OPTIONS, **SMALL, hidden=(8,)),
    "PNN, both": PNN(**OPTIONS, **SMALL, hidden=(8,), products="both"),
    "AFM": AFM(**OPTIONS, **SMALL, attention_dim=4),
    "DCN": DCN(**OPTIONS, **SMALL, hidden=(8,)),
    "WideDeep": WideDeep(**OPTIONS, embedding_dim=4, hidden=(8,)),
}
RNG = np.random.default_rng(0)
X = RNG.integers(0, [5, 7, 3], (150, 3))
Y = ((X[:, 0] + X[:, 1]) % 2 == 0).astype(np.int64)
LEARNED = ("weights_", "state_", "loss_curve_", "validation_scores_")


def clone(model, **changes):
    return type(model)(**{**model.get_params(deep=False), **changes})


def close(got, want, rtol=1e-4):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1.0, np.abs(want).max(initial=0.0)))


def check_learned(model, like):
    """What a model has learned is as like, and lies on the host."""
    for name in LEARNED:
        got, want = getattr(model, name), getattr(like, name)
        pairs = [(got[key], want[key]) for key in want] if isinstance(want, dict) else [(got, want)]
        for one, other in pairs:
            assert isinstance(one, np.ndarray)
            close(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_the_same_and_predicts_on_both(devices, name):
    want = clone(MODELS[name]).fit(X, Y)
    outputs = want.decision_function(X)
    for device in devices:
        with device:
            model = clone(MODELS[name], device="cuda").fit(X, Y)
            check_learned(model, want)
            here = model.decision_function(X)
            close(here, outputs)
            assert isinstance(here, np.ndarray)
            model.set_params(device="cpu")
            close(model.decision_function(X), outputs)
            model.set_params(device="cuda")
            np.testing.assert_array_equal(model.decision_function(X), here)
            moved = clone(MODELS[name]).fit(X, Y).set_params(device="cuda")
            close(moved.decision_function(X), outputs)


def inputs():
    """Every kind of input that there is, with crosses and lists."""
    table = {
        "city": X[:, 0],
        "page": X[:, 1],
        "age": X[:, 2] / 2.0,
        "tags": [[f"t{i}" for i in row] for row in X[:, 1:]],
    }
    encoder = FeatureEncoder(
        categorical=["city", "page"], numerical="age", multi="tags", crosses=[("city", "page")], cross_size=11
    )
    features = Features.from_arrays({"city": X[:, 0], "page": X[:, 1]}, {"age": X[:, 2] / 2.0})
    dense = RNG.normal(size=(150, 4)).astype(np.float32)
    return {
        "features": (features, None),
        "dense": (dense, None),
        "sparse": (sp.csr_array(np.where(dense > 0.5, dense, 0.0)), None),
        "table": (table, encoder),
    }


@pytest.mark.parametrize("kind", inputs())
def test_all_inputs_are_learned_on_the_device(devices, kind):
    given, encoder = inputs()[kind]
    model = FM(**OPTIONS, embedding_dim=4, encoder=encoder, optimizer="adagrad")
    want = clone(model).fit(given, Y)
    for device in devices:
        with device:
            got = clone(model, device="cuda").fit(given, Y)
            check_learned(got, want)
            close(got.predict_proba(given), want.predict_proba(given))


def test_a_regressor_with_early_stopping_and_a_checkpoint(devices, tmp_path):
    y = X[:, 0] - 0.5 * X[:, 1]
    options = {**OPTIONS, **SMALL, "hidden": (8,), "loss": "squared"}
    want = NFM(**{**options, "n_epochs": 6}, early_stopping=2).fit(X, y)
    for device in devices:
        with device as on:
            path = tmp_path / on.name
            first = NFM(**{**options, "n_epochs": 3}, device="cuda", early_stopping=2, callbacks=[Checkpoint(path)])
            first.fit(X, y)
            got = NFM(**{**options, "n_epochs": 6}, device="cuda", early_stopping=2).fit(X, y, resume=path)
            check_learned(got, want)
            there = NFM(**{**options, "n_epochs": 6}, early_stopping=2).fit(X, y, resume=path)  # goes on elsewhere
            check_learned(there, want)
            close(got.predict(X), want.predict(X))


def test_parts_of_the_data_are_learned_on_the_device(devices):
    model = DeepFM(**OPTIONS, embedding_dim=4, hidden=(8,), field_sizes=[5, 7, 3], optimizer="adagrad")
    parts = (X[:70], Y[:70]), (X[70:], Y[70:]), (X[:70], Y[:70])
    want = clone(model)
    for part in parts:
        want.partial_fit(*part)
    for device in devices:
        with device:
            got = clone(model)
            for part, where in zip(parts, ("cuda", "cuda", "cpu"), strict=True):  # the last one elsewhere
                got.set_params(device=where).partial_fit(*part)
            check_learned(got, want)


def test_a_saved_model_predicts_on_either_device(devices, tmp_path):
    for device in devices:
        with device as on:
            model = FM(**OPTIONS, embedding_dim=4, device="cuda").fit(X, Y)
            model.save(tmp_path / on.name)
            loaded = pyrec_core.load(tmp_path / on.name)
            assert loaded.device == "cuda"
            np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
            close(loaded.set_params(device="cpu").decision_function(X), model.decision_function(X))


def test_the_device_is_a_parameter_like_others():
    assert FM().get_params()["device"] == "cpu"
    assert repr(FM(device="cuda")) == "FM(device='cuda')"
    with pytest.raises(ValueError, match="device must be one of 'cpu', 'cuda', got 'gpu'"):
        FM(device="gpu").fit(X, Y)
    with pytest.raises(TypeError, match="device must be one of 'cpu', 'cuda', got 0"):
        FM(device=0).fit(X, Y)


def test_a_device_that_is_not_there_is_never_replaced():
    model = FM(**OPTIONS).fit(X, Y).set_params(device="cuda")
    with patch.object(_backend, "cuda_problem", lambda: "CuPy is not installed"):
        for call in (lambda: clone(model).fit(X, Y), lambda: clone(model).partial_fit(X, Y), lambda: model.predict(X)):
            with pytest.raises(ImportError, match="device='cuda' cannot be used: CuPy is not installed"):
                call()
