"""The feature door under scikit-learn: its own suite of checks, pipelines, and model selection."""

import numpy as np
import pytest

from pyrec_core import AFM, DCN, FM, NFM, PNN, DeepFM, WideDeep, XDeepFM
from pyrec_core.models.feature import LogisticRegression

pytest.importorskip("sklearn")
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.estimator_checks import check_estimator

# What cannot apply: this package raises TypeError for a wrong dtype, where these checks want a ValueError.
NOT_OURS = {
    "check_complex_data": "complex numbers are a TypeError",
    "check_dtype_object": "objects are a TypeError",
}
QUICK = {"n_epochs": 30, "learning_rate": 0.05, "batch_size": 32, "random_state": 0}
MODELS = [
    FM(**QUICK), FM(**QUICK, loss="squared"), NFM(**QUICK, hidden=(8,), batch_norm=True), DeepFM(**QUICK, hidden=(8,)),
    WideDeep(**QUICK, hidden=(8,)), XDeepFM(**QUICK, hidden=(8,), maps=(4, 4)), AFM(**QUICK), PNN(**QUICK, hidden=(8,)),
    DCN(**QUICK, hidden=(8,)), LogisticRegression(**QUICK),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{type(m).__name__}-{m.loss}")
def test_passes_the_checks_of_sklearn(model):
    results = check_estimator(model, expected_failed_checks=NOT_OURS, on_fail=None, on_skip=None)
    failed = [f"{r['check_name']}: {r['exception']}" for r in results if r["status"] == "failed"]
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 45


@pytest.fixture(scope="module")
def examples():
    """Two fields whose combination decides, and one that says nothing."""
    X = np.random.default_rng(0).integers(0, 4, size=(600, 3))
    return X, np.where((X[:, 0] + X[:, 1]) % 2 == 0, "yes", "no")


def test_is_a_classifier_or_a_regressor_by_its_loss():
    assert is_classifier(FM())
    assert is_regressor(FM(loss="squared"))
    assert hasattr(FM(), "predict_proba")
    assert not hasattr(FM(loss="squared"), "predict_proba")


def test_clone_copies_parameters_and_nothing_else(examples):
    model = DeepFM(**QUICK, hidden=(8,)).fit(*examples)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "weights_")


def test_grid_search_prefers_the_model_that_can_learn_it(examples):
    search = GridSearchCV(FM(**QUICK), {"embedding_dim": [4], "l2": [0.0, 100.0]}, cv=3, error_score="raise")
    search.fit(*examples)
    assert search.best_params_["l2"] == 0.0
    assert search.best_score_ > 0.95


def test_cross_validation_and_pipelines_take_strings_through_an_encoder(examples):
    X, y = examples
    words = np.array(["a", "b", "c", "d"])[X]
    pipeline = make_pipeline(OrdinalEncoder(dtype=np.int32), FM(**QUICK, embedding_dim=4))
    assert cross_val_score(pipeline, words, y, cv=3, error_score="raise").min() > 0.95
