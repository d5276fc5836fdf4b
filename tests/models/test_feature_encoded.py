"""Feature models with an encoder: on tables, in pipelines and searches, saved and loaded; and fields of lists."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import same_bits

from pyrec_core import AFM, DCN, FM, NFM, PNN, DeepFM, FeatureEncoder, Features, Lists, WideDeep, XDeepFM, load
from pyrec_core.models.feature import LogisticRegression
from pyrec_core.train import Checkpoint

QUICK = {"n_epochs": 15, "batch_size": 32, "learning_rate": 0.05, "random_state": 0}
SMALL = {"embedding_dim": 4, **QUICK}
MODELS = [
    LogisticRegression(**QUICK), FM(**SMALL), NFM(**SMALL, hidden=(8,), batch_norm=True), DeepFM(**SMALL, hidden=(8,)),
    WideDeep(**SMALL, hidden=(8,)), XDeepFM(**SMALL, hidden=(8,), maps=(4,)), AFM(**SMALL),
    PNN(**SMALL, hidden=(8,), products="both"), DCN(**SMALL, hidden=(8,)),
]  # fmt: skip
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
ENCODER = FeatureEncoder(
    categorical=["user", "city"], numerical=["age", "clicks"], multi="genres", scaling={"clicks": "log"}
)


@pytest.fixture(scope="module")
def table():
    """What is liked: films with the genre that the city likes, by people of any age."""
    rng = np.random.default_rng(0)
    n = 500
    city = rng.integers(0, 3, n)
    genres = rng.random((n, 4)) < 0.4
    names = np.array(["action", "crime", "drama", "sci-fi"])
    cells = ["|".join(names[chosen]) for chosen in genres]
    columns = {
        "user": rng.integers(100, 120, n), "city": np.array(["Bonn", "Oslo", "Rome"])[city],
        "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40, 10, n)), "clicks": rng.integers(0, 1000, n),
        "genres": cells,
    }  # fmt: skip
    liked = genres[np.arange(n), city] | (genres.sum(axis=1) == 0)
    return pd.DataFrame(columns), np.where(liked, "yes", "no")


def copy(model, **changes):
    return type(model)(**{**model.get_params(deep=False), **changes})


@each_model
def test_a_model_with_an_encoder_takes_tables_and_is_saved_with_it(model, table, tmp_path):
    X, y = table
    encoder = copy(ENCODER)
    model = copy(model, encoder=encoder).fit(X, y)
    assert "categories_" not in vars(encoder)
    assert model.encoder is encoder
    assert model.score(X, y) > (0.6 if isinstance(model, LogisticRegression) else 0.7)  # it cannot cross
    outputs = model.decision_function(X)
    other_table = pl.from_pandas(X.assign(genres=[cell.split("|") if cell else None for cell in X["genres"]]))
    assert same_bits(model.decision_function(other_table.select(sorted(X.columns))), outputs)
    model.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert repr(again.get_params()) == repr(model.get_params())
        assert same_bits(again.decision_function(X), outputs)
        assert again.encoder_.categories_["city"].tolist() == ["Bonn", "Oslo", "Rome"]
    new = X[:2].assign(user=7, city=["Paris", None], genres=["western", ""])
    assert np.isfinite(model.decision_function(new)).all()


@each_model
def test_a_list_of_one_is_an_ordinary_field(model):
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 4, (200, 3))
    y = (ids[:, 0] + ids[:, 2]) % 2
    for pooling in ("mean", "sum"):
        last = Lists(ids[:, 2], np.arange(201), pooling=pooling)
        sgd = copy(model, optimizer="sgd", n_epochs=3)  # Adam would make rounding errors large
        one, other = copy(sgd).fit(Features(ids, target=y)), copy(sgd).fit(Features(ids[:, :2], lists=[last], target=y))
        outputs = one.decision_function(Features(ids))
        as_list = other.decision_function(Features(ids[:, :2], lists=[last]))
        np.testing.assert_allclose(as_list, outputs, rtol=1e-3, atol=1e-4)
        assert one.n_slots_ == other.n_slots_ == 3


@each_model
def test_the_mean_of_two_is_the_sum_with_half_their_weights(model):
    rng = np.random.default_rng(2)
    ids, pairs = rng.integers(0, 4, (200, 2)), rng.integers(0, 5, (200, 2))
    y = (ids[:, 0] + (pairs == 0).sum(axis=1)) % 2
    offsets = np.arange(201) * 2
    mean = Features(ids, lists=[Lists(pairs.reshape(-1), offsets)], target=y)
    halves = Lists(pairs.reshape(-1), offsets, np.full(400, 0.5), "sum")
    half = Features(ids, lists=[halves], target=y)
    one, other = copy(model).fit(mean), copy(model).fit(half)
    for name, weights in one.weights_.items():
        assert same_bits(weights, other.weights_[name])
    assert same_bits(one.decision_function(mean), other.decision_function(mean))


@each_model
def test_lists_give_the_same_bits_for_any_number_of_threads(model, table):
    X, y = table
    one, three = (copy(model, encoder=ENCODER, n_threads=n).fit(X, y) for n in (1, 3))
    assert same_bits(one.decision_function(X), three.decision_function(X))


def test_an_empty_list_counts_as_one_unknown_category():
    lists = Lists([0, 1, 0, -1], [0, 2, 3, 4, 4])
    features = Features(np.zeros((4, 1), int), lists=[lists], target=[0, 1, 0, 1])
    model = FM(**SMALL).fit(features)
    outputs = model.decision_function(features)
    assert outputs[2] == outputs[3]
    one_of_two_unknown = Features([[0]], lists=[Lists([0, 9], [0, 2])])
    table = {name: w for name, w in model.weights_.items() if name.endswith((".w", ".table", ".b"))}
    w = next(w for name, w in table.items() if name.endswith(".w"))
    E = next(w for name, w in table.items() if name.endswith(".table"))
    b = next(w for name, w in table.items() if name.endswith(".b"))
    # rows: 0 the only category of the first field, 1 its unknown; 2 and 3 the categories of the second, 4 its unknown
    wanted = w[0] + (w[2] + w[4]) / 2 + E[0] @ (E[2] + E[4]) / 2 + b
    np.testing.assert_allclose(model.decision_function(one_of_two_unknown), wanted, rtol=1e-5)
    model.set_params(handle_unknown="error")
    with pytest.raises(ValueError, match="got 2 others, first -1 in field 1 of row 2"):
        model.predict(features)


def test_linear_outputs_are_their_definition():
    rng = np.random.default_rng(4)
    n = 300
    ids, values = rng.integers(-1, 4, (n, 2)), rng.normal(size=(n, 2))
    lists = []
    for pooling, weighted in (("mean", True), ("sum", False), ("mean", False)):
        offsets = np.append(0, np.cumsum(rng.integers(0, 4, n)))
        weights = rng.normal(size=offsets[-1]) if weighted else None
        lists.append(Lists(rng.integers(-1, 5, offsets[-1]), offsets, weights, pooling))
    features = Features(ids, values, rng.integers(0, 2, n), [4, 4, 5, 5, 5], lists=lists)
    model = LogisticRegression(**QUICK).fit(features)
    first = np.cumsum([0, 5, 5, 6, 6])  # each field has a row more, for the unknown
    w, wanted = model.weights_["w"].astype(float), np.full(n, float(model.weights_["b"][0]))
    row = lambda field, category: first[field] + (category if category >= 0 else features.field_sizes[field])  # noqa: E731
    for i in range(n):
        wanted[i] += sum(values[i, j] * w[row(j, ids[i, j])] for j in range(2))
        for j, field in enumerate(lists, start=2):
            inside = slice(field.offsets[i], field.offsets[i + 1])
            chosen = field.ids[inside].tolist() or [-1]
            weights = [1.0] * len(chosen) if field.weights is None or field.lengths[i] == 0 else field.weights[inside]
            total = sum(weight * w[row(j, category)] for weight, category in zip(weights, chosen, strict=True))
            wanted[i] += total / len(chosen) if field.pooling == "mean" else total
    np.testing.assert_allclose(model.decision_function(features), wanted, rtol=1e-5, atol=1e-5)


def test_a_regressor_with_lists_learns_the_mean_of_their_weights():
    rng = np.random.default_rng(3)
    cells = [rng.choice(6, rng.integers(1, 5), replace=False).tolist() for _ in range(800)]
    worth = np.array([1.0, -2.0, 0.5, 3.0, 0.0, -1.0])
    y = np.array([worth[cell].mean() for cell in cells])
    options = {"n_epochs": 60, "learning_rate": 0.02, "batch_size": 50, "random_state": 0}
    encoder = FeatureEncoder(multi="cell")
    model = LogisticRegression(loss="squared", optimizer="adam", encoder=encoder, **options).fit({"cell": cells}, y)
    assert model.score({"cell": cells}, y) > 0.999
    total = np.array([worth[cell].sum() for cell in cells])
    assert copy(model).fit({"cell": cells}, total).score({"cell": cells}, total) < 0.95
    encoder = FeatureEncoder(multi="cell", multi_pooling="sum")
    assert copy(model, encoder=encoder).fit({"cell": cells}, total).score({"cell": cells}, total) > 0.999


def test_a_part_of_the_table_at_a_time(table):
    X, y = table
    model = DeepFM(**{**SMALL, "learning_rate": 0.02}, hidden=(8,), encoder=ENCODER)
    for epoch in range(10):
        for rows in np.array_split(np.arange(len(y)), 3):
            model.partial_fit(X.iloc[rows] if epoch else X, y[rows] if epoch else y, classes=["no", "yes"])
    assert model.score(X, y) > 0.8
    assert model.encoder_.categories_["user"].tolist() == sorted(set(X["user"]))


def test_validation_and_resume_with_an_encoder(table, tmp_path):
    X, y = table
    model = DeepFM(**SMALL, hidden=(8,), encoder=ENCODER)
    whole = copy(model, early_stopping=3).fit(X[:400], y[:400], validation_data=(X[400:], y[400:]))
    assert len(whole.validation_scores_) == whole.n_epochs_
    copy(model, n_epochs=2, callbacks=(Checkpoint(tmp_path / "training"),)).fit(X, y)
    resumed = copy(model).fit(X, y, resume=tmp_path / "training")
    assert same_bits(resumed.decision_function(X), copy(model).fit(X, y).decision_function(X))


def test_parameters_of_the_encoder_are_parameters_of_the_model():
    model = FM(encoder=FeatureEncoder(categorical="a"))
    assert model.get_params()["encoder__min_count"] == 1
    assert "encoder__min_count" not in model.get_params(deep=False)
    assert model.set_params(encoder__min_count=3, l2=1.0).encoder.min_count == 3
    assert model.l2 == 1.0
    with pytest.raises(ValueError, match="encoder must be a FeatureEncoder to have min_count, got None"):
        FM().set_params(encoder__min_count=3)
    with pytest.raises(ValueError, match="params must be among categorical"):
        model.set_params(encoder__nonsense=3)


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ("FeatureEncoder", TypeError, "encoder must be a FeatureEncoder, got str"),
        (
            FeatureEncoder(categorical="nobody"),
            ValueError,
            "X must have all columns of the encoder, got none of 'nobody'",
        ),
    ],
)
def test_bad_encoders_are_refused(encoder, error, message, table):
    with pytest.raises(error, match=message):
        FM(encoder=encoder).fit(*table)


def test_a_table_without_an_encoder_is_refused(table):
    with pytest.raises(TypeError, match="or give the model an encoder"):
        FM().fit(*table)


class TestSklearn:
    """Pipelines, searches and clones."""

    sklearn = pytest.importorskip("sklearn")

    def test_clone(self):
        from sklearn.base import clone

        model = FM(encoder=copy(ENCODER))
        again = clone(model)
        assert again.encoder is not model.encoder
        assert repr(again) == repr(model)
        assert repr(clone(ENCODER)) == repr(ENCODER)

    def test_a_pipeline_is_the_model_with_the_encoder(self, table):
        from sklearn.pipeline import Pipeline

        X, y = table
        pipeline = Pipeline([("encode", ENCODER), ("model", DeepFM(**SMALL, hidden=(8,)))]).fit(X, y)
        model = DeepFM(**SMALL, hidden=(8,), encoder=ENCODER).fit(X, y)
        assert same_bits(pipeline.predict_proba(X), model.predict_proba(X))
        assert pipeline[:-1].get_feature_names_out().tolist() == ["user", "city", "age", "clicks", "genres"]

    @pytest.mark.parametrize("make", [lambda X: X, pl.from_pandas], ids=["pandas", "polars"])
    def test_a_search_over_parameters_of_both(self, table, make):
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import Pipeline

        X, y = table
        pipeline = Pipeline([("encode", copy(ENCODER)), ("model", DeepFM(**SMALL, hidden=(8,)))])
        grid = {"encode__min_count": [1, 1000], "model__l2": [0.0]}
        search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(make(X), y)
        assert search.best_params_["encode__min_count"] == 1
        model = DeepFM(**SMALL, hidden=(8,), encoder=copy(ENCODER))
        search = GridSearchCV(model, {"encoder__min_count": [1, 1000]}, cv=2, error_score="raise").fit(make(X), y)
        assert search.best_params_["encoder__min_count"] == 1
        assert search.predict(make(X)).shape == y.shape
