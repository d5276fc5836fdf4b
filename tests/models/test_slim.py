import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import EASE, SLIM, ConvergenceWarning, NotEnoughMemoryError, load
from pyrec_core.kernels.gram import gram
from pyrec_core.kernels.slim import slim_weights
from pyrec_core.models.interaction import slim as module


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return sp.csr_array((rng.random((300, 80)) < np.linspace(0.4, 0.02, 80)).astype(np.float32))


def test_weights_are_those_of_the_kernel(X):
    model = SLIM(l1=2.0, l2=10.0).fit(X)
    expected, n_iter = slim_weights(gram(X), 2.0, 10.0)
    np.testing.assert_array_equal(model.item_weights_.toarray(), expected.toarray())
    assert model.n_iter_ == n_iter.max() > 1
    assert isinstance(model.n_iter_, int)


def test_without_l1_and_signs_it_is_ease(X):
    """The same problem: SLIM's penalty is half of l2 times the squares, and so is its loss."""
    slim = SLIM(l1=0.0, l2=30.0, positive=False, dtype="float64", tol=1e-6).fit(X)
    ease = EASE(l2=30.0, dtype="float64").fit(X)
    np.testing.assert_allclose(slim.item_weights_.toarray(), ease.item_weights_, atol=1e-5)
    single = SLIM(l1=0.0, l2=30.0, positive=False).fit(X)
    np.testing.assert_allclose(single.item_weights_.toarray(), ease.item_weights_, atol=1e-3)


def test_l1_makes_it_sparse(X):
    nonzero = [SLIM(l1=l1, l2=10.0).fit(X).item_weights_.nnz for l1 in (0.1, 1.0, 5.0, 1e6)]
    assert nonzero == sorted(nonzero, reverse=True)
    assert nonzero[-1] == 0
    assert len(set(nonzero)) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"n_neighbors": 9}, {"positive": False}])
def test_weights_do_not_depend_on_the_threads(X, dtype, options):
    weights = np.random.default_rng(1).random(300)
    one, *others = (
        SLIM(l1=0.5, l2=5.0, dtype=dtype, n_threads=n, **options).fit(X, sample_weight=weights).item_weights_
        for n in (1, 2, 3, 8)
    )
    assert one.dtype == dtype
    for other in others:
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.data, other.data)


def test_neighbours_are_the_items_of_largest_cosine(X):
    dense = X.toarray()
    sizes = np.sqrt((dense**2).sum(axis=0))
    cosine = (dense.T @ dense) / np.outer(sizes, sizes)
    np.fill_diagonal(cosine, -1)
    weights = SLIM(l1=0.01, l2=1.0, n_neighbors=5).fit(X).item_weights_.toarray()
    for j in range(80):
        allowed = np.argsort(-cosine[:, j], kind="stable")[:5]
        assert set(np.flatnonzero(weights[:, j])) <= set(allowed)
    assert np.count_nonzero(weights) > 200


def test_max_weights_per_item_keeps_the_largest(X):
    whole = SLIM(l1=0.5, l2=5.0).fit(X).item_weights_.toarray()
    few = SLIM(l1=0.5, l2=5.0, max_weights_per_item=3).fit(X).item_weights_.toarray()
    for j in range(80):
        kept = np.argsort(-whole[:, j], kind="stable")[:3]
        np.testing.assert_array_equal(few[kept, j], whole[kept, j])
        assert np.count_nonzero(few[:, j]) <= 3


def test_sample_weight_weights_the_users(X):
    weights = np.random.default_rng(1).integers(0, 3, 300)
    weighted = SLIM(l1=0.5, l2=5.0, dtype="float64", tol=1e-8).fit(X, sample_weight=weights)
    repeated = SLIM(l1=0.5, l2=5.0, dtype="float64", tol=1e-8).fit(X[np.repeat(np.arange(300), weights)])
    np.testing.assert_allclose(weighted.item_weights_.toarray(), repeated.item_weights_.toarray(), atol=1e-6)


def test_a_fit_that_does_not_converge_warns_and_can_be_used(X):
    with pytest.warns(ConvergenceWarning, match="columns did not converge in max_iter=1 sweeps"):
        model = SLIM(l1=0.5, l2=5.0, max_iter=1).fit(X)
    assert model.n_iter_ == 1
    assert (model.recommend([0, 1])[0] >= 0).all()


@pytest.mark.parametrize("step", ["gram", "slim_weights", "cooccurrence_weights", "largest_per_item"])
def test_an_interrupted_fit_keeps_the_fitted_model(monkeypatch, X, step):
    model = SLIM(l1=0.5, l2=5.0, n_neighbors=9, max_weights_per_item=4).fit(X)
    wanted = model.recommend(np.arange(300))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :40])
    monkeypatch.undo()
    for found, expected in zip(model.recommend(np.arange(300)), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_save_keeps_weights_and_sweeps(X, tmp_path):
    model = SLIM(l1=0.5, l2=5.0).fit(X)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", mmap=True)
    assert isinstance(again.item_weights_, sp.csr_array)
    assert again.n_iter_ == model.n_iter_
    np.testing.assert_array_equal(again.item_weights_.toarray(), model.item_weights_.toarray())


def test_fit_refuses_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr("pyrec_core._memory.available_memory", lambda: 2**30)
    monkeypatch.setattr(module, "gram", None)  # must not be reached
    X = sp.csr_array((np.ones(3, np.float32), ([0, 0, 1], [0, 49_999, 7])), shape=(2, 50_000))
    with pytest.raises(NotEnoughMemoryError, match="SLIM with 50000 items needs 10000000000 bytes"):
        SLIM().fit(X)
    with pytest.raises(NotEnoughMemoryError, match="20000000000 bytes"):
        SLIM(dtype="float64").fit(X)


def test_verbose_shows_progress(X, capsys):
    SLIM(verbose=True).fit(X)
    assert "SLIM" in capsys.readouterr().err
    SLIM(verbose=False).fit(X)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"l1": -1.0}, ValueError, r"l1 must be >= 0, got -1\.0"),
        ({"l2": "5"}, TypeError, "l2 must be a number, got '5'"),
        ({"positive": 1}, TypeError, "positive must be True or False, got 1"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be >= 1, got 0"),
        ({"max_weights_per_item": 2.0}, TypeError, r"max_weights_per_item must be an integer, got 2\.0"),
        ({"tol": 0.0}, ValueError, r"tol must be > 0, got 0\.0"),
        ({"max_iter": 0}, ValueError, "max_iter must be >= 1, got 0"),
        ({"dtype": "auto"}, ValueError, "dtype must be one of 'float32', 'float64', got 'auto'"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, error, message):
    with pytest.raises(error, match=message):
        SLIM(**parameters).fit(np.eye(3))
