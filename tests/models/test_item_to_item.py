"""ItemToItem and AssociationRules: hand-worked scores, sessions, neighbours of an item."""

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import AssociationRules, ItemToItem, NotEnoughMemoryError, Sessions

# item 0 with item 1: 2 users; item 0 with item 2: 1; item 1 with item 2: 1; item 3 never
X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        ("count", [0, 2, 1, 0]),
        ("cosine", [0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0]),
        ("jaccard", [0, 2 / 3, 1 / 3, 0]),
    ],
)
def test_hand_worked_similarities(similarity, expected):
    model = ItemToItem(similarity=similarity, dtype="float64").fit(X)
    np.testing.assert_allclose(model.item_weights_.toarray()[0], expected, rtol=1e-14)
    np.testing.assert_allclose(model.item_weights_.toarray()[:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(model.predict(2, [1, 2, 3]), expected[1:], rtol=1e-14)


@pytest.mark.parametrize(
    ("measure", "to_1", "to_2", "back"),
    [
        ("count", 2, 1, 2),
        ("confidence", 2 / 3, 1 / 3, 1),
        ("lift", 2 * 4 / (3 * 2), 1 * 4 / (3 * 1), 2 * 4 / (3 * 2)),
        (
            "llr",
            2 * (2 * np.log(8 / 6) + np.log(4 / 6) + np.log(4 / 2)),
            2 * (np.log(4 / 3) + 2 * np.log(8 / 9) + np.log(4 / 3)),
            2 * (2 * np.log(8 / 6) + np.log(4 / 6) + np.log(4 / 2)),
        ),
    ],
)
def test_hand_worked_rules(measure, to_1, to_2, back):
    model = AssociationRules(measure=measure, dtype="float64").fit(X)
    weights = model.item_weights_.toarray()
    np.testing.assert_allclose([weights[0, 1], weights[0, 2], weights[1, 0]], [to_1, to_2, back], rtol=1e-14)
    np.testing.assert_allclose(model.predict(0, 2), weights[0, 2] + weights[1, 2], rtol=1e-14)
    assert not weights[3].any()
    assert not weights[:, 3].any()


def test_min_count_leaves_rare_rules_out():
    weights = AssociationRules(measure="lift", min_count=2).fit(X).item_weights_
    assert weights.nnz == 2
    assert weights[0, 1] == weights[1, 0] == pytest.approx(4 / 3)


def test_values_count_for_cosine_only():
    ratings = X * np.array([[1], [3], [5], [2]])
    cosine = ItemToItem(dtype="float64").fit(ratings).item_weights_[0, 1]
    assert cosine == pytest.approx((1 + 9) / np.sqrt((1 + 9 + 25) * (1 + 9)), rel=1e-14)
    for model in (ItemToItem(similarity="jaccard"), ItemToItem(similarity="count"), AssociationRules(measure="llr")):
        plain = model.fit(X).item_weights_
        np.testing.assert_array_equal(model.fit(ratings).item_weights_.toarray(), plain.toarray())


def test_neighbours_score_an_item_and_rules_lead_from_one():
    rng = np.random.default_rng(0)
    data = (rng.random((200, 30)) < np.linspace(0.5, 0.05, 30)).astype(np.float32)
    whole = ItemToItem(n_neighbors=None).fit(data).item_weights_.toarray()
    few = ItemToItem(n_neighbors=4).fit(data)
    rules = AssociationRules(n_neighbors=4).fit(data).item_weights_.toarray()
    all_rules = AssociationRules(n_neighbors=None).fit(data).item_weights_.toarray()
    items, scores = few.similar_items(np.arange(30), k=4)
    for i in range(30):
        near = np.argsort(-whole[:, i], kind="stable")[:4]
        assert set(np.flatnonzero(few.item_weights_.toarray()[:, i])) == set(near)
        assert items[i].tolist() == near.tolist()
        np.testing.assert_array_equal(scores[i], whole[near, i])
        assert set(np.flatnonzero(rules[i])) == set(np.argsort(-all_rules[i], kind="stable")[:4])
    rare = AssociationRules(n_neighbors=4).fit(data)
    np.testing.assert_array_equal(rare.similar_items(29, k=4)[1], -np.sort(-rules[29])[:4])


def test_sessions_serve_as_rows():
    sessions = Sessions(items=[0, 1, 0, 1, 2, 2, 3], offsets=[0, 2, 5, 7])
    model = ItemToItem(similarity="count").fit(sessions.matrix())
    assert model.recommend(sp.csr_array(np.array([[1, 0, 0, 0]])), k=2)[0].tolist() == [[1, 2]]
    assert AssociationRules().fit(sessions.matrix()).predict(0, 2) == pytest.approx(1 / 2 + 1 / 2)


def test_sample_weight_counts_users():
    weights = np.array([2.0, 1.0, 0.5, 1.0])
    model = AssociationRules(dtype="float64").fit(X, sample_weight=weights)
    assert model.item_weights_[0, 1] == pytest.approx(3 / 3.5, rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", [ItemToItem(n_neighbors=9), AssociationRules(measure="llr")], ids=repr)
def test_weights_do_not_depend_on_the_threads(model, dtype):
    data = sp.random_array((500, 200), density=0.05, rng=np.random.default_rng(0), format="csr", dtype=np.float32)
    one, *others = (model.set_params(n_threads=n, dtype=dtype).fit(data).item_weights_ for n in (1, 2, 3, 8))
    model.set_params(n_threads=None, dtype="float32")
    assert one.dtype == dtype
    for other in others:
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.data, other.data)


def test_fit_refuses_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr("pyrec_core._memory.available_memory", lambda: 100)
    with pytest.raises(NotEnoughMemoryError, match="ItemToItem with 4 items needs 336 bytes"):
        ItemToItem().fit(X)
    with pytest.raises(NotEnoughMemoryError, match="Set a smaller n_neighbors"):
        AssociationRules(n_neighbors=None).fit(X)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (ItemToItem(similarity="pearson"), ValueError, "similarity must be one of 'cosine', 'jaccard', 'count'"),
        (ItemToItem(n_neighbors=0), ValueError, "n_neighbors must be >= 1, got 0"),
        (ItemToItem(dtype="auto"), ValueError, "dtype must be one of 'float32', 'float64', got 'auto'"),
        (AssociationRules(measure="cosine"), ValueError, "measure must be one of 'confidence', 'lift', 'llr', 'count'"),
        (AssociationRules(min_count=-1), ValueError, "min_count must be >= 0, got -1"),
        (AssociationRules(n_neighbors=2.0), TypeError, r"n_neighbors must be an integer, got 2\.0"),
    ],
)
def test_parameters_are_checked_in_fit(model, error, message):
    with pytest.raises(error, match=message):
        model.fit(X)
