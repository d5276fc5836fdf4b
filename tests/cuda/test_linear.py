"""Linear item-item models in closed form on devices, compared with the CPU."""

import copy
import pickle
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp

import pyrec_core
from pyrec_core import EASE, MarginalizedDAE, NotEnoughMemoryError, _backend, _memory
from pyrec_core.evaluation import evaluate
from pyrec_core.kernels import _gram_blocks
from pyrec_core.models.interaction import _closed_form
from pyrec_core.split import per_user

MODELS = {
    "EASE": EASE(l2=3.0),
    "EASE, float64": EASE(l2=3.0, dtype="float64"),
    "EASE, computed in float64": EASE(l2=1e-3),
    "EASE, positive": EASE(l2=3.0, positive=True),
    "EASE, sparse": EASE(l2=3.0, max_weights_per_item=4),
    "MarginalizedDAE": MarginalizedDAE(l2=2.0),
    "MarginalizedDAE, float64": MarginalizedDAE(dropout=0.2, l2=1.0, dtype="float64"),
}
each_model = pytest.mark.parametrize("name", MODELS)
N_ITEMS = 20


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    dense = (rng.random((60, N_ITEMS)) < 0.3) * rng.integers(1, 4, (60, N_ITEMS)).astype(np.float32)
    dense[:, 5] = 0  # nobody has it
    return sp.csr_array(dense)


def clone(model, **changes):
    return type(model)(**{**model.get_params(deep=False), **changes})


def dense(model):
    weights = model.item_weights_
    return weights.toarray() if sp.issparse(weights) else weights


def close(got, want):
    rtol = 1e-4 if want.dtype == np.float32 else 1e-11
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def answers(model, X):
    """All that a model says, in NumPy."""
    items, scores = model.recommend(np.arange(60), k=7)
    said = {
        "recommend": scores,
        "new users": model.recommend(X[:9], k=30, exclude_seen=False)[1],
        "candidates": model.recommend([3, 4], k=3, candidates=[1, 2, 8])[1],
        "predict": model.predict(np.arange(60)[:, None], np.arange(N_ITEMS)),
        "similar": model.similar_items(np.arange(N_ITEMS), k=4)[1],
        "explain": model.explain(np.arange(60), 4, k=5)[1],
    }
    assert isinstance(items, np.ndarray)
    assert all(type(part) is np.ndarray for part in said.values())
    return said


@each_model
def test_a_model_learns_and_says_the_same(devices, X, name):
    want = clone(MODELS[name]).fit(X)
    said = answers(want, X)
    for device in devices:
        with device:
            model = clone(MODELS[name], device="cuda").fit(X)
            assert type(model.item_weights_) is type(want.item_weights_)
            close(dense(model), dense(want))
            assert not dense(model)[:N_ITEMS][:, 5].any() or name.startswith("Marginalized")
            here = answers(model, X)
            there = answers(copy.copy(model).set_params(device="cpu"), X)
            for what in said:
                close(here[what], said[what])
                close(there[what], here[what])
            np.testing.assert_allclose(model.score(X, X), want.score(X), rtol=1e-6)


def test_items_nobody_has_are_zero(devices, X):
    for device in devices:
        with device:
            for dtype in ("float32", "float64"):
                weights = EASE(l2=1.0, dtype=dtype, device="cuda").fit(X).item_weights_
                zeros = np.concatenate((weights[5], weights[:, 5], np.diag(weights)))
                assert (zeros == 0).all()
                assert not np.signbit(zeros).any()


@each_model
@pytest.mark.parametrize("columns", [1, 3, 100])
def test_a_matrix_beyond_the_memory_of_the_device(devices, X, monkeypatch, name, columns):
    want = clone(MODELS[name]).fit(X)
    said = answers(want, X)
    monkeypatch.setitem(_gram_blocks.MOST_COLUMNS, "cpu", columns)
    monkeypatch.setattr("pyrec_core.kernels.gram._ROW_BYTES", 200)
    size = want.item_weights_.dtype.itemsize * N_ITEMS**2
    for device in devices:
        with device:
            with monkeypatch.context() as patched:
                patched.setattr(_memory, "device_memory", lambda: size - 1)
                model = clone(MODELS[name], device="cuda").fit(X)
                weights = model._weights()
            close(dense(model), dense(want))
            assert weights is model.item_weights_  # no room for them: the CPU scores
            here = answers(model, X)
            for what in said:
                close(here[what], said[what])


def test_what_fits_nowhere_is_refused_by_name(devices, monkeypatch):
    X = sp.csr_array((np.ones(3, np.float32), ([0, 0, 1], [0, 49_999, 7])), shape=(2, 50_000))
    for device in devices:
        with device, monkeypatch.context() as patched:
            patched.setattr(_memory, "available_memory", lambda: 2**30)
            patched.setattr(_memory, "device_memory", lambda: 2**29)
            for model in (EASE(device="cuda"), MarginalizedDAE(device="cuda")):
                with pytest.raises(NotEnoughMemoryError) as caught:
                    model.fit(X)
                for part in (
                    "the Gram matrix of 50000 items, float32 (50000, 50000), needs 10000000000 bytes (9.3 GiB)",
                    "but 1073741824 bytes (1.0 GiB) are available. Drop rare items",
                ):
                    assert part in str(caught.value)


def test_weights_that_the_host_has_no_room_for_are_refused_before_the_work(devices, X, monkeypatch):
    for device in devices:
        with device, monkeypatch.context() as patched:
            patched.setattr(_memory, "available_memory", lambda: 1000)
            for model, shape in (EASE(device="cuda"), "(20, 20)"), (MarginalizedDAE(device="cuda"), r"(21, 20)"):
                with pytest.raises(NotEnoughMemoryError) as caught:
                    model.fit(X)
                assert f"the weights of 20 items, float32 {shape}, needs" in str(caught.value)


def test_a_device_without_room_for_a_column_is_refused(devices, X, monkeypatch):
    for device in devices:
        with device, monkeypatch.context() as patched:
            patched.setattr(_memory, "device_memory", lambda: 10)
            with pytest.raises(NotEnoughMemoryError, match=r"a column of blocks, float32 \(20, 1\), needs 104"):
                EASE(device="cuda").fit(X)


def test_the_copy_on_the_device_is_made_once_and_forgotten(devices, X, tmp_path):
    for device in devices:
        with device as on:
            for model in (EASE(l2=3.0, device="cuda"), EASE(l2=3.0, max_weights_per_item=4, device="cuda")):
                model.fit(X)
                assert "_made" not in vars(model)
                first = model._weights()
                model.recommend([1, 2])
                assert model._weights() is first
                assert "_made" not in vars(pickle.loads(pickle.dumps(model)))
                model.save(tmp_path / on.name)
                loaded = pyrec_core.load(tmp_path / on.name)
                assert loaded.device == "cuda"
                for got, want in zip(loaded.recommend(np.arange(60)), model.recommend(np.arange(60)), strict=True):
                    np.testing.assert_array_equal(got, want)
                model.fit(X[:30])
                refitted = model.predict(0, np.arange(N_ITEMS))
                close(refitted, clone(model, device="cpu").fit(X[:30]).predict(0, np.arange(N_ITEMS)))
                model.item_weights_ = model.item_weights_ * 2  # by hand
                close(model.predict(0, np.arange(N_ITEMS)), 2 * refitted)
                model.set_params(device="cpu").recommend([1, 2])
                assert "_made" not in vars(model)


def test_not_definite_and_interrupted_fits_keep_the_model(devices, X):
    for device in devices:
        with device:
            model = EASE(l2=3.0, device="cuda").fit(X)
            want = model.recommend([0, 1])
            with pytest.raises(ValueError, match=r"^l2 must be .* got l2=0"):
                model.set_params(l2=0).fit(X)
            model.set_params(l2=3.0)
            with patch.object(_closed_form, "to_host", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
                model.fit(X[:10])
            for got, expected in zip(model.recommend([0, 1]), want, strict=True):
                np.testing.assert_array_equal(got, expected)


def test_evaluation_ranks_alike(devices, X):
    split = per_user(X, test_size=0.25, random_state=0)
    model = EASE(l2=3.0).fit(split.train)
    metrics = ["ndcg@5", "auc"]  # of lists, and of ranks
    want = evaluate(model, split, metrics)
    for device in devices:
        with device:
            assert str(evaluate(copy.copy(model).set_params(device="cuda"), split, metrics)) == str(want)


def test_the_device_is_checked(X):
    assert EASE().get_params()["device"] == "cpu"
    assert repr(MarginalizedDAE(device="cuda")) == "MarginalizedDAE(device='cuda')"
    with pytest.raises(ValueError, match="device must be one of 'cpu', 'cuda', got 'gpu'"):
        EASE(device="gpu").fit(X)
    model = EASE().fit(X).set_params(device="cuda")
    with patch.object(_backend, "cuda_problem", lambda: "CuPy is not installed"):
        for call in (lambda: clone(model).fit(X), lambda: model.predict(0, 0), lambda: model.recommend(0)):
            with pytest.raises(ImportError, match="device='cuda' cannot be used: CuPy is not installed"):
                call()
