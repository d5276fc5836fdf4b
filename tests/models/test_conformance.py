"""Every model of the interaction door passes the conformance suite, and the suite notices broken models."""

import numpy as np
import pytest
import scipy.sparse as sp

import pyrec_core
import pyrec_core.models
from pyrec_core import EASE, GMF, NCFMLP, SLIM, AssociationRules, ItemToItem, MarginalizedDAE, NeuMF, Popularity
from pyrec_core.kernels.topk import factor_top_k
from pyrec_core.models._estimator import Estimator
from pyrec_core.models.feature import FeatureEncoder, FeatureModel
from pyrec_core.models.interaction._base import InteractionModel
from pyrec_core.models.sequence import SequenceModel
from pyrec_core.testing import CHECKS, check_estimator, estimator_checks

QUICK = {"n_epochs": 3, "batch_size": 64, "learning_rate": 0.01, "random_state": 0}
MODELS = [
    EASE(),
    EASE(l2=2.0, dtype="float64"),
    EASE(l2=1e-3, positive=True),
    EASE(l2=2.0, max_weights_per_item=5),
    SLIM(l1=0.5, l2=2.0),
    SLIM(l1=0.0, l2=2.0, positive=False, dtype="float64"),
    SLIM(l1=0.1, l2=1.0, n_neighbors=8, max_weights_per_item=3),
    MarginalizedDAE(l2=2.0),
    MarginalizedDAE(dropout=0.2, l2=1.0, dtype="float64"),
    ItemToItem(),
    ItemToItem(similarity="jaccard", n_neighbors=5),
    AssociationRules(),
    AssociationRules(measure="lift", min_count=2, n_neighbors=5),
    AssociationRules(measure="llr", n_neighbors=None),
    Popularity(),
    GMF(embedding_dim=4, **QUICK),
    NCFMLP(hidden=(8, 6), dropout=0.1, **QUICK),
    NeuMF(embedding_dim=4, hidden=(8, 6, 4), loss="squared", **QUICK),
]
CASES = [pytest.param(check, id=f"{model!r}-{name}") for model in MODELS for name, check in estimator_checks(model)]


def test_every_model_is_listed():
    exported = {getattr(pyrec_core.models, name) for name in pyrec_core.models.__all__}
    models = {thing for thing in exported if isinstance(thing, type) and issubclass(thing, Estimator)}
    others = (SequenceModel, FeatureModel, FeatureEncoder)  # they have lists, and tests, of their own
    assert {model for model in models if not issubclass(model, others)} == {type(model) for model in MODELS}
    assert {model.__name__ for model in models} - {"LogisticRegression"} <= set(pyrec_core.__all__)


@pytest.mark.parametrize("check", CASES)
def test_model_conforms(check):
    check()


def test_the_suite_leaves_the_model_alone():
    model = EASE(l2=3.0)
    check_estimator(model)
    assert vars(model) == EASE(l2=3.0).get_params()


def test_all_checks_are_in_the_suite():
    import pyrec_core.testing as testing

    written = {name for name in vars(testing) if name.startswith("check_")} - {"check_estimator"}
    assert written == {check.__name__ for check in CHECKS} == {name for name, _ in estimator_checks(Popularity())}


def broken(check, **methods):
    """Return a copy of Popularity with other methods, and the check that has to notice."""
    return pytest.param(check, type("Broken", (Popularity,), methods), id=f"{check}-{'-'.join(methods)}")


def with_lists(change):
    """Make a ``recommend`` that changes what Popularity answers."""

    def recommend(self, users, k=10, exclude_seen=True, candidates=None):
        return change(*Popularity.recommend(self, users, k, exclude_seen, candidates))

    return recommend


def init_computes(self, **params):
    Popularity.__init__(self, **params)
    self.n_threads = self.n_threads or 1


def fit_by_thread_count(self, X, sample_weight):
    return {"item_counts_": Popularity._fit(self, X, sample_weight)["item_counts_"] * (self.n_threads or 2)}


def fit_sets_early(self, X, sample_weight=None):
    self.n_features_in_ = X.shape[-1]
    return Popularity.fit(self, X, sample_weight)


def fit_by_format(self, X, sample_weight=None):
    Popularity.fit(self, X, sample_weight=sample_weight)
    self.item_counts_ = self.item_counts_ + isinstance(X, sp.coo_array)
    return self


def fit_adds(self, X, sample_weight):
    counts = Popularity._fit(self, X, sample_weight)["item_counts_"]
    before = getattr(self, "item_counts_", counts)
    return {"item_counts_": counts + (before if before.shape == counts.shape else before[: len(counts)])}


def fit_centred(self, X, sample_weight):
    with np.errstate(divide="ignore"):
        return {"item_counts_": np.log(Popularity._fit(self, X, sample_weight)["item_counts_"])}


def fit_ignores_weights(self, X, sample_weight):
    return Popularity._fit(self, X, None)


def keeps_notes(self, users, items):
    self.last_users_ = users
    return Popularity.predict(self, users, items)


def forgets(self, users, items):
    self.item_counts_[:] = self.item_counts_[::-1]
    return Popularity.predict(self, users, items)


def top_k_with_seen(self, users, k, exclude, candidates):
    return Popularity._top_k(self, users, k, None, candidates)


def top_k_of_all(self, users, k, exclude, candidates):
    return Popularity._top_k(self, users, k, exclude, None)


def recommend_ids_with_seen(self, users, k=10, exclude_seen=True, candidates=None):
    return Popularity.recommend(self, users, k, exclude_seen and np.ndim(users) != 1, candidates)


def similar_to_itself(self, items, k):
    return Popularity._top_k(self, self._training_users(items), k, None, None)


def save_with_suffix(self, path, include_interactions=True):
    Popularity.save(self, f"{path}.npz", include_interactions)


def external_is_dense(self, what, dense):
    return dense


def dense_by_place(self, what, ids, name=None):
    return np.searchsorted(getattr(self, f"{what}_ids_"), ids)


def save_without_names(self, path, include_interactions=True):
    other = Popularity()
    other._set_fitted({name: value for name, value in vars(self).items() if name.endswith("_") and "ids" not in name})
    other.save(path)


def save_it_all(self, path, include_interactions=True):
    Popularity.save(self, path)


BROKEN = [
    broken("check_parameters", __init__=init_computes),
    broken("check_parameters", __eq__=lambda self, other: True, __hash__=None),
    broken("check_not_fitted", check_fitted=lambda self: None),
    broken("check_fit", fit=lambda self, X, sample_weight=None: None),
    broken("check_fit_refuses", fit=fit_sets_early),
    broken("check_input_formats", fit=fit_by_format),
    broken("check_recommend_shapes", recommend=with_lists(lambda i, s: (i.astype(np.int64), s))),
    broken("check_recommend_shapes", recommend=with_lists(lambda i, s: (np.maximum(i, 0), s))),
    broken("check_recommend_shapes", recommend=with_lists(lambda i, s: (np.atleast_2d(i), np.atleast_2d(s)))),
    broken("check_recommend_refuses", _check_ready=lambda self: None, _users=lambda self, users: None),
    broken("check_recommend_order", recommend=with_lists(lambda i, s: (i[..., ::-1], s[..., ::-1]))),
    broken("check_recommend_order", recommend=with_lists(lambda i, s: (i, np.zeros_like(s)))),
    broken("check_exclude_seen", _top_k=top_k_with_seen),
    broken("check_candidates", _top_k=top_k_of_all),
    broken("check_rows_are_users", recommend=recommend_ids_with_seen),
    broken("check_predict", predict=lambda self, users, items: Popularity.predict(self, users, items) + 1),
    broken("check_predict", predict=lambda self, users, items: np.asarray(Popularity.predict(self, users, items))),
    broken("check_similar_items", _similar_items=similar_to_itself),
    broken("check_unseen_item", _fit=fit_centred),
    broken("check_sample_weight", _fit=fit_ignores_weights),
    broken("check_deterministic", _fit=fit_by_thread_count),
    broken("check_refit", _fit=fit_adds),
    broken("check_threads_share_model", predict=keeps_notes),
    broken("check_threads_share_model", predict=forgets),
    broken("check_save_and_load", save=save_with_suffix),
    broken("check_save_and_load", save=save_it_all),
    broken("check_score", score=lambda self, X, y=None: float(np.random.default_rng().random())),
    broken("check_score", score=lambda self, X, y=None: 0.5),
    broken("check_ids", _external=external_is_dense),
    broken("check_ids", _dense=dense_by_place),
    broken("check_ids", save=save_without_names),
]


@pytest.mark.parametrize(("name", "cls"), BROKEN)
def test_the_suite_notices_a_broken_model(name, cls):
    check = dict(estimator_checks(cls()))[name]
    with pytest.raises(AssertionError, match=f"^{name}: Broken: "):
        check()


def test_every_check_has_a_broken_model():
    assert {param.values[0] for param in BROKEN} == {check.__name__ for check in CHECKS}


class HighestId(InteractionModel):
    """A model from outside the package: scores items by their id."""

    def _fit(self, X, sample_weight):
        return {"ids_": np.arange(float(X.shape[1]))}

    def _top_k(self, users, k, exclude, candidates):
        return factor_top_k(np.ones((users.rows.shape[0], 1)), self.ids_[:, None], k, exclude, candidates=candidates)

    def _pair_scores(self, users, user_of, items):
        return self.ids_[items]


def test_a_foreign_model_can_be_checked():
    check_estimator(HighestId())
