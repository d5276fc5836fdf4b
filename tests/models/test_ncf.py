"""GMF, NCFMLP and NeuMF: what they are equal to, how they learn, and what only they learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import same_bits
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from pyrec_core import EASE, GMF, NCFMLP, Interactions, NeuMF, NotFittedError, Popularity, evaluate, load
from pyrec_core._random import Source
from pyrec_core._validation import check_interactions
from pyrec_core.models.interaction import KnownUsersModel
from pyrec_core.models.interaction import _neural as module
from pyrec_core.models.interaction._neural import _Examples
from pyrec_core.models.interaction._pair_network import PairNetwork
from pyrec_core.split import per_user
from pyrec_core.testing import estimator_checks
from pyrec_core.train import Callback, Checkpoint

QUICK = {"n_epochs": 4, "batch_size": 64, "learning_rate": 0.01, "random_state": 0}
MODELS = [GMF(embedding_dim=3, **QUICK), NCFMLP(hidden=(8, 5, 4), dropout=0.2, **QUICK),
          NeuMF(embedding_dim=3, hidden=(8, 5, 4), **QUICK)]  # fmt: skip
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def copy(model, **changes):
    return type(model)(**{**model.get_params(), **changes})


def planted(n_users=200, n_items=60, seed=0):
    """Users and items on a circle: a user has items near him, and popularity says nothing."""
    rng = np.random.default_rng(seed)
    user, item = rng.random((n_users, 1)), np.arange(n_items) / n_items
    distance = np.abs((user - item + 0.5) % 1 - 0.5)
    return sp.csr_array((rng.random((n_users, n_items)) < 0.8 * (distance < 0.15)).astype(np.float32))


X = planted()


def test_gmf_with_weights_of_one_is_matrix_factorization():
    model = copy(MODELS[0]).fit(X)
    model.weights_["head.w"][:], model.weights_["head.b"][:] = 1, 0
    p, q = model.weights_["users"], model.weights_["items"]
    table = (p[:, None] * q).sum(axis=2)
    np.testing.assert_allclose(model.predict(np.arange(200)[:, None], np.arange(60)), table, rtol=1e-5, atol=1e-6)
    items, scores = model.recommend(7, k=60, exclude_seen=False)
    np.testing.assert_allclose(scores, table[7][items], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 0.0, 0.3, 1.0])
def test_a_fused_model_begins_with_the_mean_of_both_logits(alpha):
    gmf, mlp = (copy(model).fit(X) for model in MODELS[:2])
    model = copy(MODELS[2], pretrained=(gmf, mlp), alpha=alpha)
    net = model._build(X.shape, Source(0))
    pairs = np.arange(200).repeat(60), np.tile(np.arange(60), 200)
    expected = alpha * gmf.predict(*pairs) + (1 - alpha) * mlp.predict(*pairs)
    np.testing.assert_allclose(net(pairs)[:, 0], expected, rtol=1e-4, atol=1e-6)
    before = gmf.weights_["users"].copy(), mlp.weights_["tower.0.w"].copy()
    model.fit(X)
    assert same_bits(gmf.weights_["users"], before[0])
    assert same_bits(mlp.weights_["tower.0.w"], before[1])
    assert model.loss_curve_[-1] < 1.5 * min(gmf.loss_curve_[-1], mlp.loss_curve_[-1])


def test_after_pretraining_the_optimizer_is_sgd_unless_one_is_named():
    gmf, mlp = (copy(model).fit(X) for model in MODELS[:2])
    cases = (None, None, "adam"), ((gmf, mlp), None, "sgd"), ((gmf, mlp), "adagrad", "adagrad"), (None, "ftrl", "ftrl")
    for pretrained, named, expected in cases:
        assert copy(MODELS[2], pretrained=pretrained, optimizer=named)._optimizer().rule == expected


def test_pretrained_models_must_fit():
    gmf, mlp = (copy(model).fit(X) for model in MODELS[:2])
    for wrong in (gmf, (gmf,), (mlp, gmf), (gmf, EASE()), [gmf, mlp]):
        with pytest.raises(TypeError, match=r"^pretrained must be a fitted GMF and a fitted NCFMLP, got"):
            copy(MODELS[2], pretrained=wrong).fit(X)
    with pytest.raises(NotFittedError):
        copy(MODELS[2], pretrained=(gmf, copy(mlp))).fit(X)
    for change in ({"embedding_dim": 4}, {"hidden": (8, 4)}):
        with pytest.raises(ValueError, match=r"^pretrained must be models of the same data, .* shapes"):
            copy(MODELS[2], pretrained=(gmf, mlp), **change).fit(X)
    with pytest.raises(ValueError, match=r"^pretrained must be models of the same data"):
        copy(MODELS[2], pretrained=(gmf, mlp)).fit(X[:50])


def test_a_clone_keeps_the_pretrained_models_and_a_file_does_not(tmp_path):
    gmf, mlp = (copy(model).fit(X) for model in MODELS[:2])
    model = copy(MODELS[2], pretrained=(gmf, mlp)).fit(X)
    again = clone(model)
    assert again.pretrained[0] is gmf
    assert not again.__sklearn_is_fitted__()
    assert same_bits(again.fit(X).weights_["head.w"], model.weights_["head.w"])
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.pretrained is None
    np.testing.assert_array_equal(loaded.recommend([3])[0], model.recommend([3])[0])


@pytest.mark.parametrize("kind", ["gmf", "mlp", "neumf", "fused"])
def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(kind, tmp_path):
    model = dict(zip(("gmf", "mlp", "neumf", "fused"), [*MODELS, MODELS[2]], strict=True))[kind]
    if kind == "fused":
        model = copy(model, pretrained=tuple(copy(part).fit(X) for part in MODELS[:2]))
    whole = copy(model).fit(X)
    copy(model, n_epochs=2, callbacks=(Checkpoint(tmp_path / "training"),)).fit(X)
    resumed = copy(model).fit(X, resume=tmp_path / "training")
    for name, weights in whole.weights_.items():
        assert same_bits(weights, resumed.weights_[name])
    with pytest.raises(ValueError, match="differences"):
        copy(model).fit(X[:, :-1], resume=tmp_path / "training")


@each_model
def test_ctrl_c_leaves_a_usable_model(model):
    class Interrupt(Callback):
        def epoch(self, training):
            if training.epoch == 2:
                raise KeyboardInterrupt

    data = Interactions(*X.nonzero(), user_ids=np.arange(200)[::-1], item_ids=[f"i{i}" for i in range(60)])
    stopped = copy(model, callbacks=(Interrupt(),))
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(data)
    assert stopped.n_epochs_ == 2
    shorter = copy(model, n_epochs=2).fit(data)
    assert same_bits(stopped.predict([3, 199], ["i7", "i0"]), shorter.predict([3, 199], ["i7", "i0"]))


def test_an_epoch_has_each_interaction_once_and_its_negatives():
    X = np.zeros((5, 6))
    X[0, [1, 4]], X[1], X[3, 5], X[4, [0, 2]] = 1, 1, 9, 1  # user 1 has all, user 2 nothing
    weights, source = np.array([1.0, 1.0, 1.0, 0.5, 0.0]), Source(0)
    examples = _Examples(check_interactions("X", X), weights, 3, source)
    assert examples.count == 3 * 4
    seen = []
    for epoch in range(2):
        source.begin(epoch)
        users, items, targets, of_example = (np.concatenate(a) for a in zip(*examples.batches(5), strict=True))
        positive = targets == 1
        pairs = sorted(zip(users[positive].tolist(), items[positive].tolist(), strict=True))
        assert pairs == [(0, 1), (0, 4), (3, 5)]
        assert not X[users[~positive], items[~positive]].any()
        assert np.bincount(users).tolist() == [8, 0, 0, 4]
        assert same_bits(of_example, weights.astype(np.float32)[users])
        seen.append(list(zip(users.tolist(), items.tolist(), strict=True)))
    assert seen[0] != seen[1]
    for nothing, weights in ((np.ones((2, 3)), np.ones(2)), (np.zeros((2, 3)), np.ones(2)), (np.eye(2), np.zeros(2))):
        with pytest.raises(ValueError, match=r"^X must have a user .* with some items and without others"):
            _Examples(check_interactions("X", nothing), weights, 1, source)


@pytest.mark.parametrize(
    "model",
    [
        GMF(embedding_dim=8, n_epochs=30, learning_rate=0.01, random_state=0),
        NCFMLP(hidden=(32, 16, 8), n_epochs=30, learning_rate=0.01, random_state=0),
        NeuMF(embedding_dim=8, hidden=(32, 16, 8), n_epochs=30, learning_rate=0.01, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_they_find_what_only_the_user_tells(model):
    split = per_user(planted(400), test_size=0.25, random_state=0)
    found = evaluate(model.fit(split.train), split, "ndcg", 10)["ndcg@10"]
    popular = evaluate(Popularity().fit(split.train), split, "ndcg", 10)["ndcg@10"]
    assert popular < 0.2
    assert found > 3 * popular


@each_model
def test_early_stopping_scores_held_out_interactions(model):
    stopped = copy(model, n_epochs=15, early_stopping=2).fit(X)
    assert len(stopped.validation_scores_) == stopped.n_epochs_
    assert stopped.interactions_.nnz == X.nnz
    split = per_user(X, test_size=0.2, random_state=0)
    watched = copy(model).fit(split.train, validation_data=split.test)
    assert watched.validation_scores_[-1] == pytest.approx(watched.score(split.test), abs=1e-12)
    assert watched.score(split.test) == watched.score(split.train + split.test)
    names = {"user_ids": [f"u{i}" for i in range(200)], "item_ids": np.arange(60)}
    log, later = (Interactions(*part.nonzero(), **names) for part in (split.train, split.test))
    named = copy(model).fit(log, validation_data=later)
    assert same_bits(named.validation_scores_, watched.validation_scores_)
    later_half = Interactions(user := later.user[:50], later.item[:50], **names)
    assert len(user) == 50
    assert 0 <= named.score(later_half) <= 1


def test_validation_users_are_limited(monkeypatch):
    split = per_user(X, test_size=0.2, random_state=0)
    whole = copy(MODELS[0]).fit(split.train, validation_data=split.test)
    monkeypatch.setattr(module, "VALIDATED", 20)
    few = copy(MODELS[0]).fit(split.train, validation_data=split.test)
    assert same_bits(few.weights_["users"], whole.weights_["users"])
    assert not np.array_equal(few.validation_scores_, whole.validation_scores_)


def test_validation_data_must_be_new_and_of_the_same_users():
    model = copy(MODELS[0])
    for wrong, rule in ((X, "beyond those of X"), (X[:-1], "a row for each user"), (X[::-1], "all that training had")):
        with pytest.raises(ValueError, match=f"^validation_data must .*{rule}"):
            model.fit(X, validation_data=wrong)
    with pytest.raises(ValueError, match="validation_data must hold item ids"):
        model.fit(Interactions(*X.nonzero()), validation_data=Interactions([0], [60], n_items=61))
    with pytest.raises(ValueError, match=r"^validation_fraction must hold out an interaction"):
        copy(model, early_stopping=True).fit(np.eye(3))


@pytest.mark.parametrize(
    ("model", "wrong", "error", "message"),
    [
        (GMF, {"embedding_dim": 0}, ValueError, "embedding_dim must be >= 1, got 0"),
        (GMF, {"n_negatives": 0}, ValueError, "n_negatives must be >= 1, got 0"),
        (GMF, {"loss": "hinge"}, ValueError, "loss must be one of 'logistic', 'squared', got 'hinge'"),
        (GMF, {"l2": -1.0}, ValueError, "l2 must be >= 0"),
        (GMF, {"optimizer": None}, TypeError, "optimizer must be one of"),
        (NCFMLP, {"hidden": (8,)}, ValueError, "hidden must be two or more widths, the first of them even"),
        (NCFMLP, {"hidden": (7, 4)}, ValueError, "hidden must be two or more widths, the first of them even"),
        (NCFMLP, {"hidden": 8}, TypeError, "hidden must be a tuple of widths, got 8"),
        (NCFMLP, {"dropout": 1.0}, ValueError, "dropout must be < 1"),
        (NeuMF, {"alpha": 1.5}, ValueError, "alpha must be <= 1"),
        (NeuMF, {"batch_size": 0}, ValueError, "batch_size must be >= 1"),
    ],
)
def test_bad_parameters_are_refused(model, wrong, error, message):
    with pytest.raises(error, match=f"^{message}"):
        model(**wrong).fit(X)


@each_model
def test_new_users_are_refused_with_the_reason(model):
    fitted = copy(model).fit(X)
    for rows in (X[:2], X[:2].toarray(), Interactions([0], [3], n_items=60)):
        with pytest.raises(
            ValueError, match=rf"^users must be ids .*: {type(model).__name__} has learned nothing of new"
        ):
            fitted.recommend(rows)


@each_model
def test_a_file_without_interactions_relates_items_only(model, tmp_path):
    fitted = copy(model).fit(X)
    fitted.save(tmp_path / "model", include_interactions=False)
    bare = load(tmp_path / "model")
    np.testing.assert_array_equal(bare.similar_items(5)[0], fitted.similar_items(5)[0])
    for call in (bare.recommend, lambda users: bare.predict(users, 0), lambda users: bare.score(X)):
        with pytest.raises(ValueError, match="must have its interactions to know users"):
            call(0)


@each_model
def test_similar_items_are_those_of_the_same_users(model):
    fitted = copy(model, n_epochs=15, batch_size=256, learning_rate=0.02).fit(X)
    distance = np.abs(fitted.similar_items(np.arange(60), k=3)[0] - np.arange(60)[:, None])
    assert np.minimum(distance, 60 - distance).mean() < 10  # by chance 15
    q = fitted.weights_["items"].astype(np.float64)
    items, scores = fitted.similar_items(5, k=1)
    cosine = (q[5] * q[items[0]]).sum() / np.sqrt((q[5] ** 2).sum() * (q[items[0]] ** 2).sum())
    np.testing.assert_allclose(scores[0], cosine, rtol=1e-5)


def test_a_search_compares_parameters_on_what_was_held_out_of_all_rows():
    split, rows = per_user(X, test_size=0.2, random_state=0), np.arange(200)
    grid = {"learning_rate": [1e-6, 0.01]}
    search = GridSearchCV(copy(MODELS[0], n_epochs=8), grid, cv=[(rows, rows)],
                          scoring=lambda model, X, y=None: model.score(split.test))  # fmt: skip
    assert search.fit(split.train).best_params_ == {"learning_rate": 0.01}
    folds = GridSearchCV(copy(MODELS[0]), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="X must have a row for each user of the training data, with all"):
        folds.fit(X)


def test_candidates_of_towers_are_scored_alone(monkeypatch):
    model = copy(MODELS[2]).fit(X)
    asked = []
    monkeypatch.setattr(
        PairNetwork,
        "table",
        lambda self, users, items, real=PairNetwork.table: asked.append(items) or real(self, users, items),
    )
    wanted = model.recommend([0, 5], k=60, exclude_seen=False)
    monkeypatch.setattr(module, "SCORES_AT_ONCE", 1)  # a user at a time
    chosen = sp.csr_array((np.ones(3), ([0, 0, 1], [4, 50, 7])), shape=(2, 60))
    for candidates, width in ((None, 60), ([7, 9], 2), ([], 0), (chosen, None)):
        asked.clear()
        items, scores = model.recommend([0, 5], k=60, exclude_seen=False, candidates=candidates)
        assert [len(a) for a in asked] == ([2, 1] if width is None else [width] * 2)
        for row in range(2):
            allowed = chosen.toarray()[row] > 0 if width is None else np.isin(np.arange(60), asked[0])
            keep = allowed[wanted[0][row]]
            np.testing.assert_array_equal(items[row, : keep.sum()], wanted[0][row][keep])
            assert same_bits(scores[row, : keep.sum()], wanted[1][row][keep])
            assert (items[row, keep.sum() :] == -1).all()


class Bold(GMF):
    """Claims to know new users, by taking them for the first ones."""

    def _new_users(self, name, X):
        return self._training_users(np.arange(self._new_rows(name, X).shape[0]))


class Unweighted(GMF):
    def _fit(self, X, sample_weight, held_out=None, resume=None):
        return super()._fit(X, None, held_out, resume)


class SameScore(GMF):
    def score(self, X, y=None, *, sample_weight=None):
        return 0.5


@pytest.mark.parametrize(("check", "cls"), [
    ("check_rows_are_users", Bold), ("check_sample_weight", Unweighted), ("check_score", SameScore),
])  # fmt: skip
def test_the_suite_notices_a_broken_model_of_known_users(check, cls):
    with pytest.raises(AssertionError, match=f"^{check}: {cls.__name__}: "):
        dict(estimator_checks(cls(embedding_dim=2, **QUICK)))[check]()


def test_they_all_know_users_only():
    assert all(isinstance(model, KnownUsersModel) and not model.answers_new_users for model in MODELS)
