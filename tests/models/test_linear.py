"""What the linear item-item models share: explanations, the constant, the largest weights."""

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import EASE, SLIM, AssociationRules, ItemToItem, MarginalizedDAE, NotFittedError
from pyrec_core.datasets import make_blocks
from pyrec_core.models.interaction._linear import largest_per_item

MODELS = [
    EASE(l2=3.0),
    EASE(l2=3.0, dtype="float64"),
    EASE(l2=3.0, max_weights_per_item=4),
    SLIM(l1=0.5, l2=2.0),
    MarginalizedDAE(l2=2.0),
    MarginalizedDAE(dropout=0.3, l2=2.0, dtype="float64"),
    ItemToItem(n_neighbors=7),
    AssociationRules(measure="llr"),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=repr)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return sp.csr_array((rng.random((50, 20)) < 0.3) * rng.integers(1, 4, (50, 20)).astype(np.float32))


def parts_of(model):
    """The weights of the items as a dense matrix, and the constant."""
    weights = model.item_weights_.toarray() if sp.issparse(model.item_weights_) else model.item_weights_
    return weights[:20].astype(np.float64), weights[20] if len(weights) > 20 else np.zeros(20)


@each_model
def test_contributions_add_up_to_the_score(model, X):
    model.fit(X)
    _, constant = parts_of(model)
    users = np.arange(50)
    _, parts = model.explain(users, 4, k=20)
    np.testing.assert_allclose(parts.sum(axis=1) + constant[4], model.predict(users, 4), rtol=1e-5, atol=1e-6)
    for item in range(20):
        found, parts = model.explain(7, item, k=20)
        np.testing.assert_allclose(parts.sum() + constant[item], model.predict(7, item), rtol=1e-5, atol=1e-6)
        assert found.dtype == np.int32
        assert parts.dtype == model.item_weights_.dtype


@each_model
def test_contributions_are_value_times_weight_largest_first(model, X):
    model.fit(X)
    weights, _ = parts_of(model)
    dense = X.toarray().astype(np.float64)
    for user, item in ((3, 0), (11, 19), (49, 7)):
        expected = dense[user] * weights[:, item]
        order = np.argsort(-expected, kind="stable")
        order = order[expected[order] != 0]
        items, parts = model.explain(user, item, k=20)
        assert items[: len(order)].tolist() == order.tolist()
        np.testing.assert_allclose(parts[: len(order)], expected[order], rtol=1e-5)
        assert (items[len(order) :] == -1).all()
        assert (parts[len(order) :] == 0).all()
        few, values = model.explain(user, item, k=2)
        assert few.tolist() == items[:2].tolist()
        assert values.tolist() == parts[:2].tolist()


def test_users_and_items_broadcast(X):
    model = EASE(l2=3.0).fit(X)
    assert model.explain(3, 5, k=4)[0].shape == (4,)
    assert model.explain(3, [5, 6], k=4)[0].shape == (2, 4)
    assert model.explain([3], 5, k=4)[0].shape == (1, 4)
    assert model.explain([3, 8], [5, 6], k=4)[0].shape == (2, 4)
    table = model.explain([3, 8, 9], [[5], [6]], k=4)
    assert table[0].shape == table[1].shape == (2, 3, 4)
    for a, item in enumerate((5, 6)):
        for b, user in enumerate((3, 8, 9)):
            for whole, one in zip(table, model.explain(user, item, k=4), strict=True):
                np.testing.assert_array_equal(whole[a, b], one)
    assert model.explain([], [], k=4)[0].shape == (0, 4)


def test_rows_of_new_users_are_explained_like_users(X):
    model = SLIM(l1=0.5, l2=2.0).fit(X)
    for rows in (X[[4, 9]], X[[4, 9]].toarray()):
        for a, b in zip(model.explain(rows, [1, 2]), model.explain([4, 9], [1, 2]), strict=True):
            np.testing.assert_array_equal(a, b)
    empty, parts = model.explain(sp.csr_array((1, 20)), 3, k=3)
    assert empty.tolist() == [[-1, -1, -1]]
    assert parts.tolist() == [[0, 0, 0]]


def test_explain_refuses(X):
    with pytest.raises(NotFittedError):
        EASE().explain(0, 0)
    model = EASE(l2=3.0).fit(X)
    with pytest.raises(ValueError, match="k must be >= 1"):
        model.explain(0, 0, k=0)
    with pytest.raises(ValueError, match="got 1 unknown: 20"):
        model.explain(0, 20)
    with pytest.raises(ValueError, match="got 1 unknown: 50"):
        model.explain(50, 0)
    with pytest.raises(TypeError, match="items must be integers"):
        model.explain(0, 0.5)
    with pytest.raises(ValueError, match=r"users and items must broadcast, got shapes \(2,\) and \(3,\)"):
        model.explain([0, 1], [0, 1, 2])


def test_the_constant_reaches_every_user(X):
    model = MarginalizedDAE(l2=2.0).fit(X)
    weights, constant = parts_of(model)
    assert model.item_weights_.shape == (21, 20)
    np.testing.assert_allclose(model.recommend(sp.csr_array((1, 20)), k=20)[1][0], -np.sort(-constant), rtol=1e-6)
    expected = X.toarray() @ weights + constant
    items, scores = model.recommend(X, k=20, exclude_seen=False)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, items, axis=1), atol=1e-5)
    similar, scores = model.similar_items(4, k=19)  # has nothing to do with popularity
    np.testing.assert_allclose(scores, weights[4, similar], rtol=1e-6)
    assert set(similar) == set(range(20)) - {4}


@pytest.mark.parametrize("keep", [1, 3, 25, 1000])
def test_the_largest_of_sparse_weights_are_those_of_dense_ones(keep):
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((25, 25)) < 0.4, rng.integers(-5, 6, (25, 25)), 0).astype(np.float32)  # with ties
    of_dense, of_sparse = largest_per_item(dense, keep, 1), largest_per_item(sp.csr_array(dense), keep, 1)
    np.testing.assert_array_equal(of_sparse.toarray(), of_dense.toarray())
    assert isinstance(of_sparse, sp.csr_array)
    assert of_sparse.nnz == np.count_nonzero(of_dense.toarray())


@pytest.mark.parametrize(
    "model",
    [
        EASE(l2=50.0),
        SLIM(l1=1.0, l2=20.0),
        SLIM(l1=5.0, l2=20.0, dtype="float64"),
        MarginalizedDAE(l2=50.0),
        ItemToItem(),
        ItemToItem(similarity="jaccard", n_neighbors=20),
        AssociationRules(measure="lift", min_count=5),
        AssociationRules(measure="llr"),
    ],
    ids=repr,
)
def test_lists_stay_in_the_block_of_the_user(model):
    """5 blocks of users and items: what learns puts more than nine in ten items into the user's block."""
    items, _ = model.fit(make_blocks().matrix()).recommend(np.arange(500), k=10)
    assert ((items % 5) == (np.arange(500) % 5)[:, None]).mean() > 0.9
