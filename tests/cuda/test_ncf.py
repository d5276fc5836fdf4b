"""The network of neural collaborative filtering on devices, and the models that are trained with it."""

import pickle
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp
from devices import check_equals_cpu
from helpers import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrec_core
from pyrec_core import GMF, NCFMLP, NeuMF, _backend
from pyrec_core.kernels.ncf import NCFParameters, ncf_backward, ncf_forward
from pyrec_core.models.interaction import _neural, _pair_network
from pyrec_core.split import per_user
from pyrec_core.train import Checkpoint

DTYPES = ["float32", "float64"]
TOWERS = [(3, ()), (0, (4, 3)), (40, (6, 5, 4)), (2, (2, 40, 17, 33)), (1, (70, 1))]


def network(g, tower, dtype, seed=0, n_users=6, n_items=300):
    rng = np.random.default_rng(seed)
    d = g + (tower[0] // 2 if tower else 0)

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    weights = [draw(n, m) / np.sqrt(n).astype(dtype) for n, m in pairwise(tower)]
    head = draw(g + (tower[-1] if tower else 0))
    return NCFParameters(draw(n_users, d), draw(n_items, d), weights, [draw(m) for m in tower[1:]], head, draw(1))


def pairs(n, seed=0):
    """Few users, so that they come again and again."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 6, n), rng.integers(0, 300, n)


def arrays(gradients):
    return [gradients.users, gradients.items, *gradients.weights, *gradients.biases, gradients.head, gradients.offset]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=15)
@given(
    n=st.sampled_from([0, 1, 2, 70, 300]), case=st.sampled_from(TOWERS), seed=st.integers(0, 99), masked=st.booleans()
)
def test_both_ways_equal_cpu(devices, dtype, n, case, seed, masked):
    params, (users, items), rng = network(*case, dtype, seed), pairs(n, seed), np.random.default_rng(seed)
    masks = [1.5 * (rng.random((n, len(b))) < 0.7).astype(dtype) for b in params.biases] * masked
    check_equals_cpu(devices, ncf_forward, params, users, items, masks)
    _, kept = ncf_forward(params, users, items, masks)
    d_logits = rng.normal(size=n).astype(dtype)
    check_equals_cpu(devices, ncf_backward, d_logits, kept, params, users, items, masks)


def test_nan_is_not_hidden(devices):
    params = network(2, (6, 5, 4), "float64")
    params.users[3] = np.nan
    check_equals_cpu(devices, ncf_forward, params, np.array([3, 1]), np.array([0, 0]))


def test_bad_arguments_are_refused_on_devices_too(devices):
    params, (users, items) = network(2, (6, 5, 4), "float64"), pairs(3)
    _, kept = ncf_forward(params, users, items)
    for device in devices:
        with device as on:
            there, ids = on.put(params), on.put((users, items))
            with pytest.raises(ValueError, match=r"^users must hold user ids in 0..5, got 1 unknown: 6"):
                ncf_forward(there, on.put(np.array([0, 6, 1])), ids[1])
            with pytest.raises(ValueError, match=r"^masks\[0\] must have shape \(3, 5\)"):
                ncf_forward(there, *ids, on.put([np.ones((3, 4)), np.ones((3, 4))]))
            for mixed in (there._replace(items=params.items), there._replace(biases=params.biases)):
                with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                    ncf_forward(mixed, *ids)
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                ncf_forward(params, *ids)
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                ncf_backward(on.put(np.ones(3)), kept, there, *ids)


def planted(n_users=24, n_items=16):
    """Users have items near them on a circle."""
    rng = np.random.default_rng(0)
    distance = np.abs((rng.random((n_users, 1)) - np.arange(n_items) / n_items + 0.5) % 1 - 0.5)
    return sp.csr_array((rng.random((n_users, n_items)) < 0.8 * (distance < 0.2)).astype(np.float32))


X = planted()
SPLIT = per_user(X, test_size=0.2, random_state=0)
QUICK = {"n_epochs": 2, "batch_size": 128, "learning_rate": 0.01, "random_state": 0, "verbose": False}
MODELS = {
    "GMF": GMF(embedding_dim=3, **QUICK),
    "GMF, squared": GMF(embedding_dim=3, **QUICK, loss="squared", l2=0.01, n_negatives=2),
    "NCFMLP": NCFMLP(hidden=(8, 5, 4), dropout=0.2, **QUICK),
    "NeuMF": NeuMF(embedding_dim=3, hidden=(8, 5), **QUICK, optimizer="adagrad"),
}
each_model = pytest.mark.parametrize("name", MODELS)


def copy(model, **changes):
    return type(model)(**{**model.get_params(), **changes})


def close(got, want, rtol=1e-4):
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1.0, np.abs(want).max(initial=0.0)))


def check_learned(got, want):
    assert set(got.weights_) == set(want.weights_)
    for name, weights in want.weights_.items():
        close(got.weights_[name], weights)
    close(got.loss_curve_, want.loss_curve_)
    close(got.validation_scores_, want.validation_scores_)


def check_ranks(got, want, scores_of):
    """Both have the same scores, which are those of the items, whatever the order of near ones."""
    (items, scores), (_, wanted) = got, want
    close(scores, wanted)
    for row in range(len(items)):
        there = items[row] >= 0
        close(scores[row][there], scores_of(row, items[row][there]))


@each_model
def test_a_model_learns_the_same_and_predicts_on_both(devices, name):
    want = copy(MODELS[name]).fit(SPLIT.train, validation_data=SPLIT.test)
    users, items = np.arange(24)[:, None], np.arange(16)
    table, similar = want.predict(users, items), want.similar_items(items, k=15)
    for device in devices:
        with device:
            model = copy(MODELS[name], device="cuda").fit(SPLIT.train, validation_data=SPLIT.test)
            check_learned(model, want)
            here = model.predict(users, items)
            close(here, table)
            assert model.score(SPLIT.test) == pytest.approx(model.validation_scores_[-1], abs=1e-12)
            close(model.similar_items(items, k=15)[1], similar[1])
            assert model.similar_items(3)[0].dtype == np.int32
            check_ranks(model.recommend(np.arange(24)), want.recommend(np.arange(24)), want.predict)
            model.set_params(device="cpu")
            close(model.predict(users, items), table)
            model.set_params(device="cuda")
            assert same_bits(model.predict(users, items), here)
            moved = copy(MODELS[name]).fit(SPLIT.train).set_params(device="cuda")
            close(moved.predict(users, items), table)


@each_model
def test_candidates_and_tables_in_parts(devices, name, monkeypatch):
    model = copy(MODELS[name]).fit(X)
    chosen = sp.csr_array((np.ones(4), ([0, 0, 1, 1], [4, 13, 7, 4])), shape=(3, 16))
    asked, cases = [0, 5, 0], (None, [7, 9, 7], [], chosen)
    wanted = [model.recommend(asked, k=12, candidates=candidates) for candidates in cases]
    model.set_params(device="cuda")
    monkeypatch.setitem(_pair_network.PAIRS_AT_ONCE, "cuda", 7)
    for at_once in (_neural.SCORES_AT_ONCE, 20):  # a user at a time
        monkeypatch.setattr(_neural, "SCORES_AT_ONCE", at_once)
        for device in devices:
            with device:
                for candidates, want in zip(cases, wanted, strict=True):
                    found = model.recommend(asked, k=12, candidates=candidates)
                    assert (found[0] < 0).tolist() == (want[0] < 0).tolist()
                    finite = np.isfinite(want[1])
                    close(found[1][finite], want[1][finite])
                    np.testing.assert_array_equal(np.sort(found[0]), np.sort(want[0]))
                vars(model).pop("_made")


def test_early_stopping_and_a_checkpoint_that_goes_on_elsewhere(devices, tmp_path):
    model = copy(MODELS["NeuMF"], early_stopping=1, n_epochs=4)
    want = copy(model).fit(X)
    for device in devices:
        with device as on:
            path = tmp_path / on.name
            copy(model, device="cuda", n_epochs=2, callbacks=[Checkpoint(path)]).fit(X)
            for where in ("cuda", "cpu"):
                check_learned(copy(model, device=where).fit(X, resume=path), want)


def test_parts_of_a_fused_model_may_come_from_any_device(devices):
    parts = copy(MODELS["GMF"]).fit(X), NCFMLP(hidden=(8, 5), **QUICK).fit(X)
    fused = NeuMF(embedding_dim=3, hidden=(8, 5), **QUICK)
    want = copy(fused, pretrained=parts).fit(X)
    for device in devices:
        with device:
            there = copy(parts[0], device="cuda").fit(X), parts[1]
            check_learned(copy(fused, pretrained=there, device="cuda").fit(X), want)
            check_learned(copy(fused, pretrained=there).fit(X), want)


def test_a_saved_model_predicts_on_either_device(devices, tmp_path):
    for device in devices:
        with device as on:
            model = copy(MODELS["NeuMF"], device="cuda").fit(X)
            model.save(tmp_path / on.name)
            loaded = pyrec_core.load(tmp_path / on.name)
            assert loaded.device == "cuda"
            assert same_bits(loaded.predict(3, np.arange(16)), model.predict(3, np.arange(16)))
            close(loaded.set_params(device="cpu").predict(3, np.arange(16)), model.predict(3, np.arange(16)))


def test_the_network_stays_on_the_device_until_the_next_fit(devices):
    for device in devices:
        with device:
            model = copy(MODELS["GMF"], device="cuda").fit(X)
            before = model.predict(0, np.arange(16))
            made = vars(model)["_made"]
            model.recommend(0)
            assert vars(model)["_made"] is made
            again = pickle.loads(pickle.dumps(model))
            assert "_made" not in vars(again)
            assert same_bits(again.predict(0, np.arange(16)), before)
            model.set_params(random_state=1).fit(X)
            assert not np.array_equal(model.predict(0, np.arange(16)), before)


def test_a_device_that_is_not_there_is_never_replaced():
    model = copy(MODELS["GMF"]).fit(X).set_params(device="cuda")
    calls = (lambda: copy(model).fit(X), lambda: model.predict(0, 0), model.recommend, model.similar_items)
    with patch.object(_backend, "cuda_problem", lambda: "CuPy is not installed"):
        for call in calls[:2] + tuple(lambda f=f: f(0) for f in calls[2:]):
            with pytest.raises(ImportError, match="device='cuda' cannot be used: CuPy is not installed"):
                call()
