import json
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import EASE, Interactions, NotFittedError, Popularity, load
from pyrec_core._validation import check_interactions
from pyrec_core.metrics import ndcg
from pyrec_core.models._estimator import Estimator
from pyrec_core.models.interaction._inputs import hide_fifth

X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], np.float32)


@dataclass(kw_only=True, eq=False, repr=False)
class Remembers(Estimator):
    hidden: tuple = (64,)
    alpha: float = 0.5

    def fit(self, **attributes):
        self._set_fitted({"n_features_in_": 1, **attributes})
        return self


def test_get_and_set_params():
    model = EASE(l2=3.0)
    assert model.get_params() == {
        "l2": 3.0, "dtype": "auto", "positive": False, "max_weights_per_item": None,
        "device": "cpu", "n_threads": None, "random_state": None, "verbose": None,
    }  # fmt: skip
    assert model.set_params(l2=4.0, positive=True) is model
    assert (model.l2, model.positive) == (4.0, True)


def test_set_params_with_an_unknown_name_changes_nothing():
    model = EASE()
    with pytest.raises(ValueError, match=r"params must be among .*l2.* for EASE, got lambda_, reg"):
        model.set_params(l2=1.0, lambda_=3, reg=1)
    assert model.l2 == 500.0


def test_parameters_are_keywords():
    with pytest.raises(TypeError):
        EASE(500.0)
    with pytest.raises(TypeError):
        EASE(lambda_=1)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(EASE()) == "EASE()"
    assert repr(EASE(l2=500.0, positive=True, dtype="float64")) == "EASE(dtype='float64', positive=True)"
    assert eval(repr(EASE(l2=2.5)), {"EASE": EASE}).l2 == 2.5
    assert repr(Remembers(hidden=(1, 2), alpha=np.float64(0.5))) != "Remembers()"


def test_models_are_equal_by_identity_and_hashable():
    one, two = EASE(), EASE()
    assert one != two
    assert len({one, two, one}) == 2


def test_unfitted_models_say_so():
    with pytest.raises(NotFittedError, match="EASE must be fitted first, call fit"):
        EASE().recommend([0])
    assert not hasattr(EASE(), "interactions_")


@pytest.mark.parametrize("mmap", [False, True])
def test_save_and_load_keep_every_kind_of_attribute(tmp_path, mmap):
    attributes = {
        "table_": np.arange(6.0).reshape(2, 3), "none_": None, "pair_": (1, (2.5, "ä")), "flag_": True,
        "names_": np.array(["x", "yy"]), "sparse_": sp.csr_array(np.eye(3, 4, dtype=np.float32)),
        "empty_": sp.csr_array((0, 7)), "count_": np.int64(3), "scalar_": np.array(2.0),
    }  # fmt: skip
    model = Remembers(hidden=(3, 4), alpha=np.float64(0.1)).fit(**attributes)
    model.save(tmp_path / "model")
    found = load(tmp_path / "model", mmap=mmap)
    assert type(found) is Remembers
    assert found.get_params() == {"hidden": (3, 4), "alpha": 0.1}
    assert vars(found).keys() == vars(model).keys()
    for name, value in attributes.items():
        other = getattr(found, name)
        if sp.issparse(value):
            assert other.shape == value.shape
            assert isinstance(other, sp.csr_array)
            np.testing.assert_array_equal(other.toarray(), value.toarray())
        elif isinstance(value, np.ndarray):
            assert (other.dtype, other.shape) == (value.dtype, value.shape)
            np.testing.assert_array_equal(other, value)
        else:
            assert other == value


def test_save_writes_no_pickle_and_no_interactions_unless_asked(tmp_path):
    path = tmp_path / "model"
    EASE().fit(X).save(path, include_interactions=False)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["header.json", "item_weights_.npy"]
    assert not hasattr(load(path), "interactions_")
    with pytest.raises(ValueError, match="this model was saved without its interactions"):
        load(path).recommend(0)
    with pytest.raises(ValueError, match="this model was saved without its interactions"):
        load(path).predict(0, 0)
    assert load(path).similar_items(0, k=2)[0].tolist() == EASE().fit(X).similar_items(0, k=2)[0].tolist()


def change(path, **changed):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["header.json"] = json.dumps(json.loads(members["header.json"]) | changed).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_load_refuses_unknown_classes(tmp_path):
    EASE().fit(X).save(tmp_path / "model")
    for name in ("NoModel", "Estimator", "Trained", "InteractionModel", "SequenceModel", "dict", None, 3):
        change(tmp_path / "model", **{"class": name})
        with pytest.raises(
            ValueError, match=r"path must name a file with one of the models .*EASE, .*, got '.*model' with "
        ):
            load(tmp_path / "model")


@pytest.mark.parametrize(
    "changed",
    [
        {"parameters": {"no_such": 1}},
        {"parameters": [1]},
        {"attributes": {"fit": 1}},
        {"attributes": {}},
        {"sparse": {"interactions_": [4, 2]}},  # fewer columns than the indices reach
        {"sparse": {"interactions_": [9, 4]}},
        {"sparse": {"other_": [4, 4]}},
        {"sparse": None},
    ],
)
def test_load_refuses_wrong_contents(tmp_path, changed):
    EASE().fit(X).save(tmp_path / "model")
    change(tmp_path / "model", **changed)
    with pytest.raises(ValueError, match=r"path must name a model file, got .* with a wrong content"):
        load(tmp_path / "model")


def test_models_pickle_with_and_without_fit():
    assert pickle.loads(pickle.dumps(EASE(l2=3.0))).get_params() == EASE(l2=3.0).get_params()
    fitted = EASE(l2=3.0).fit(X)
    other = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(other.item_weights_, fitted.item_weights_)
    np.testing.assert_array_equal(other.recommend([0, 1])[1], fitted.recommend([0, 1])[1])


def test_refit_drops_attributes_of_the_first_fit():
    model = Remembers().fit(a_=1, b_=2)
    model.fit(a_=3)
    assert model.a_ == 3
    assert not hasattr(model, "b_")


def test_a_failed_fit_keeps_the_fitted_model():
    model = EASE(l2=3.0).fit(X)
    before = model.recommend(0)
    with pytest.raises(ValueError, match="X must hold finite values"):
        model.fit(np.full((3, 3), np.nan))
    np.testing.assert_array_equal(model.recommend(0)[1], before[1])


def test_fit_takes_interactions():
    data = Interactions.from_arrays([0, 0, 1, 1], [0, 1, 1, 2], value=[5, 1, 3, 2])
    one, two = EASE(l2=1.0).fit(data), EASE(l2=1.0).fit(data.matrix())
    np.testing.assert_array_equal(one.item_weights_, two.item_weights_)
    assert one.score(data) == two.score(data.matrix())


def test_fit_says_what_is_wrong():
    with pytest.raises(TypeError, match="positional"):
        EASE().fit(X, None, np.ones(4))  # weights are passed by name
    with pytest.raises(ValueError, match=r"X must have users and items, got 0 feature\(s\) \(shape=\(4, 0\)\) while"):
        EASE().fit(X[:, :0])
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(4,\), got \(3,\)"):
        EASE().fit(X, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"sample_weight must be finite and >= 0, got -2\.0"):
        EASE().fit(X, sample_weight=[1, 1, -2, 1])
    with pytest.raises(ValueError, match="sample_weight must be finite and >= 0, got nan"):
        EASE().fit(X, sample_weight=[1, 1, np.nan, 1])
    with pytest.raises(ValueError, match=r"sample_weight must be > 0 somewhere, got zeros only"):
        EASE().fit(X, sample_weight=np.zeros(4))
    with pytest.raises(TypeError, match="sample_weight must be numbers, got <U1"):
        EASE().fit(X, sample_weight=["a"] * 4)


def test_recommend_says_what_is_wrong():
    model = EASE().fit(X)
    with pytest.raises(ValueError, match=r"users must hold user ids in 0\.\.3, got 4 unknown: 4, -1, 9"):
        model.recommend([0, 4, -1, 9, 8])
    with pytest.raises(ValueError, match=r"users must have 4 columns \(items\), got shape \(1, 3\)"):
        model.recommend(X[:1, :3])
    with pytest.raises(TypeError, match="users must be integers, got bool"):
        model.recommend(X[0] > 0)
    with pytest.raises(ValueError, match="users and items must broadcast"):
        model.predict([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        model.similar_items(0, k=0)


def test_threads_share_one_fitted_model():
    matrix = sp.random_array((300, 80), density=0.1, rng=np.random.default_rng(0), format="csr")
    users = np.arange(300)
    for model in (EASE(l2=5.0, n_threads=2).fit(matrix), Popularity(n_threads=2).fit(matrix)):
        items, scores = model.recommend(users)
        pairs = model.predict(users[:, None], np.arange(80))
        with ThreadPoolExecutor(4) as pool:
            lists = [pool.submit(model.recommend, users) for _ in range(40)]
            tables = [pool.submit(model.predict, users[:, None], np.arange(80)) for _ in range(40)]
        for one, table in zip(lists, tables, strict=True):
            np.testing.assert_array_equal(one.result()[0], items)
            np.testing.assert_array_equal(one.result()[1], scores)
            np.testing.assert_array_equal(table.result(), pairs)


def test_score_hides_a_fifth_of_each_row():
    rng = np.random.default_rng(0)
    lengths = np.arange(2, 31)
    dense = np.array([rng.permutation(30) < length for length in lengths])
    visible, hidden = (p.to_scipy().toarray() for p in hide_fifth(check_interactions("X", dense), seed=3))
    np.testing.assert_array_equal(visible + hidden, dense)
    np.testing.assert_array_equal((hidden > 0).sum(axis=1), np.maximum(1, lengths // 5))
    other = hide_fifth(check_interactions("X", dense), seed=4)[1].to_scipy().toarray()
    assert (other != hidden).any()


def test_score_is_ndcg_of_the_hidden_items():
    rng = np.random.default_rng(0)
    dense = (rng.random((80, 150)) < np.linspace(0.5, 0.02, 150)).astype(np.float32)
    model = EASE(l2=5.0, random_state=7).fit(dense[:60])
    visible, hidden = (part.to_scipy() for part in hide_fifth(check_interactions("X", dense[60:]), seed=7))
    items, _ = model.recommend(visible, k=100)
    assert model.score(dense[60:]) == pytest.approx(np.mean(ndcg(items, hidden, 100)), abs=1e-15)
    perfect = np.zeros((1, 150))
    perfect[0, :2] = 1
    assert Popularity().fit(np.eye(150) + perfect).score(perfect) == 1.0
    with pytest.raises(ValueError, match="X must have rows with 2 or more items, got none"):
        model.score(np.eye(150))


def test_score_skips_rows_without_a_choice_and_weights_the_others():
    rng = np.random.default_rng(0)
    held_out = (rng.random((30, 50)) < 0.2).astype(np.float32)
    model = EASE(l2=5.0).fit(rng.random((60, 50)) < 0.2)
    short = np.zeros((2, 50))
    short[0, 3] = 1
    value = model.score(held_out)
    assert model.score(np.r_[held_out, short]) == value
    assert model.score(held_out, sample_weight=np.full(30, 2.0)) == pytest.approx(value, rel=1e-12)
    assert model.score(held_out, sample_weight=np.arange(30) < 10) == pytest.approx(model.score(held_out[:10]))
    with pytest.raises(ValueError, match="X must have rows with 2 or more items, got none"):
        model.score(np.r_[held_out, short], sample_weight=np.r_[np.zeros(30), 1, 1])
