import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import EASE, Popularity

pytest.importorskip("sklearn")
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted


@pytest.fixture(scope="module")
def X():
    """Users of 4 tastes; rows of one block are near each other, so that there is something to learn."""
    rng = np.random.default_rng(0)
    chance = np.where(np.arange(120)[:, None] % 4 == np.arange(60) % 4, 0.4, 0.05)
    return sp.csr_array((rng.random((120, 60)) < chance).astype(np.float32))


def test_clone_copies_parameters_and_nothing_else(X):
    model = EASE(l2=3.0, positive=True, random_state=5).fit(X)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert vars(copy) == copy.get_params()


def test_grid_search_finds_the_best_l2(X):
    grid = [0.01, 30.0, 1e6]
    search = GridSearchCV(EASE(), {"l2": grid}, cv=KFold(3), error_score="raise").fit(X)
    by_hand = [np.mean([EASE(l2=l2).fit(X[train]).score(X[test]) for train, test in KFold(3).split(X)]) for l2 in grid]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_hand, rtol=1e-12)
    assert search.best_params_ == {"l2": grid[int(np.argmax(by_hand))]}
    assert len(set(by_hand)) == 3
    assert search.best_estimator_.recommend([0], k=3)[0].shape == (1, 3)


def test_grid_search_in_processes_gives_the_same(X):
    one, two = (
        GridSearchCV(EASE(), {"l2": [1.0, 30.0]}, cv=2, n_jobs=n_jobs, error_score="raise").fit(X) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_pipeline_fits_and_scores(X):
    counts = X * 3
    pipeline = make_pipeline(Binarizer(), EASE(l2=30.0)).fit(counts)
    assert pipeline.score(counts) == EASE(l2=30.0).fit(X).score(X)
    grid = {"l2": [1.0, 30.0], "positive": [False, True]}
    steps = Pipeline([("binary", Binarizer()), ("ease", EASE())])
    nested = {f"ease__{name}": values for name, values in grid.items()}
    piped = GridSearchCV(steps, nested, cv=2, error_score="raise").fit(counts)
    plain = GridSearchCV(EASE(), grid, cv=2, error_score="raise").fit(X)
    scores = plain.cv_results_["mean_test_score"]
    assert len(set(scores)) == 4
    np.testing.assert_array_equal(piped.cv_results_["mean_test_score"], scores)


def test_cross_val_score_prefers_the_model_that_learns(X):
    ease, popularity = (cross_val_score(model, X, cv=4, error_score="raise") for model in (EASE(l2=30.0), Popularity()))
    assert ease.shape == (4,)
    assert ease.mean() > popularity.mean() + 0.1


def test_sample_weight_reaches_fit_and_score(X):
    weights = np.random.default_rng(0).random(120)
    search = GridSearchCV(EASE(), {"l2": [1.0]}, cv=KFold(2), error_score="raise").fit(X, sample_weight=weights)
    expected = EASE(l2=1.0).fit(X, sample_weight=weights).item_weights_
    np.testing.assert_array_equal(search.best_estimator_.item_weights_, expected)
    by_hand = [
        EASE(l2=1.0).fit(X[a], sample_weight=weights[a]).score(X[b], sample_weight=weights[b])
        for a, b in KFold(2).split(X)
    ]
    assert search.best_score_ == pytest.approx(np.mean(by_hand), rel=1e-12)


def test_tags_and_fitted_state(X):
    model = EASE()
    assert get_tags(model).input_tags.sparse
    assert not get_tags(model).target_tags.required
    assert not is_classifier(model)
    assert not is_regressor(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.recommend([0])
    check_is_fitted(model.fit(X))


class Hidden:
    """What scikit-learn's suite must not see: ``predict`` of pairs, and a ``fit`` that has no place for labels."""

    @property
    def predict(self):
        raise AttributeError("predict")

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X, sample_weight)


class HiddenEASE(Hidden, EASE):
    pass


class HiddenPopularity(Hidden, Popularity):
    pass


@pytest.mark.filterwarnings("ignore:Estimator Hidden.* does not inherit from:UserWarning")
@pytest.mark.parametrize("model", [HiddenEASE(), HiddenPopularity()], ids=["EASE", "Popularity"])
def test_models_pass_scikit_learns_own_suite(model):
    ours = "the kind of error and the words are ours: a wrong dtype is a TypeError"
    expected = dict.fromkeys(("check_complex_data", "check_dtype_object", "check_n_features_in_after_fitting"), ours)
    expected["check_sample_weights_pandas_series"] = "a data frame as X may be a log of events: it is refused"
    results = check_estimator(model, expected_failed_checks=expected, on_skip=None, on_fail=None)
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    assert failed == []
    assert sum(r["status"] == "passed" for r in results) > 40


def test_models_do_not_import_scikit_learn():
    code = (
        "import sys, numpy as np; from pyrec_core import EASE; model = EASE().fit(np.eye(3));"
        "model.recommend(0); repr(model); model.get_params(); assert 'sklearn' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
