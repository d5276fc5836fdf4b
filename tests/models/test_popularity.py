import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import Popularity

X = np.array([[5, 0, 1, 0], [1, 1, 0, 0], [2, -3, 0, 0]])


def test_counts_are_the_users_of_each_item():
    model = Popularity().fit(X)
    assert model.item_counts_.tolist() == [3, 2, 1, 0]
    assert model.item_counts_.dtype == np.float64


def test_sample_weight_weights_the_users():
    assert Popularity().fit(X, sample_weight=[1, 0.5, 0]).item_counts_.tolist() == [1.5, 0.5, 1, 0]
    assert Popularity().fit(X, sample_weight=[False, True, True]).item_counts_.tolist() == [2, 2, 0, 0]


def test_everybody_gets_the_most_popular_unseen_items():
    model = Popularity().fit(X)
    items, scores = model.recommend([0, 1, 2], k=3)
    assert items.tolist() == [[1, 3, -1], [2, 3, -1], [2, 3, -1]]
    assert scores.tolist() == [[2, 0, -np.inf], [1, 0, -np.inf], [1, 0, -np.inf]]
    assert model.recommend(sp.csr_array((1, 4)), k=4)[0].tolist() == [[0, 1, 2, 3]]


def test_predict_gives_the_counts():
    model = Popularity().fit(X)
    assert model.predict([[0], [2]], [0, 3]).tolist() == [[3, 0], [3, 0]]
    assert model.predict(1, 2) == 1


def test_similar_items_are_refused():
    with pytest.raises(ValueError, match="got Popularity, which has no notion of similarity"):
        Popularity().fit(X).similar_items(0)


def test_large_counts_stay_exact():
    weights = np.array([2.0**24, 1.0])
    model = Popularity().fit(np.array([[1, 1], [1, 0]]), sample_weight=weights)
    items, scores = model.recommend(np.zeros((1, 2)), k=2)
    assert items.tolist() == [[0, 1]]
    assert scores.tolist() == [[2**24 + 1, 2**24]]
