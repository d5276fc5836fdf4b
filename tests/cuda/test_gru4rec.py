"""GRU4Rec trained and used on devices, compared with the CPU."""

from unittest.mock import patch

import numpy as np
import pytest

from pyrec_core import GRU4Rec, Sessions, _backend, load
from pyrec_core.train import Callback, Checkpoint

OPTIONS = {"hidden": (6,), "n_sample": 8, "batch_size": 4, "n_epochs": 2, "random_state": 0, "verbose": False}
LENGTHS = np.array([3, 5, 2, 4, 1, 3, 6, 2, 4, 3, 2, 5])
ITEMS = np.random.default_rng(0).integers(0, 12, LENGTHS.sum()).astype(np.int32)
DATA = Sessions(ITEMS, np.append(0, np.cumsum(LENGTHS)), n_items=12)
PREFIXES = [[1, 2, 3], [], [4], [5, 5, 0, 11, 2]]
MODELS = {
    "cross-entropy": {},
    "without samples": {"n_sample": 0},
    "logq": {"logq": 1.0},
    "exact logq, smooth": {"logq": 0.5, "logq_mode": "exact", "label_smoothing": 0.1},
    "bpr": {"loss": "bpr"},
    "top1": {"loss": "top1", "n_sample": 0},
    "top1-max": {"loss": "top1-max", "elu": 0.5},
    "bpr-max": {"loss": "bpr-max", "sample_alpha": 0.0, "momentum": 0.1},
    "separate": {"embedding": "separate", "embedding_dim": 5},
    "none": {"embedding": "none"},
    "reset after": {"reset": "after"},
    "layers, dropout": {"hidden": (5, 4), "dropout_embed": 0.2, "dropout_hidden": 0.3},
    "none, dropout, adam": {"embedding": "none", "dropout_hidden": 0.3, "optimizer": "adam"},
    "prefixes": {"batches": "prefixes"},
    "prefixes without samples": {"batches": "prefixes", "n_sample": 0, "loss": "bpr-max", "batch_size": 7},
    "prefixes, dropout": {"batches": "prefixes", "hidden": (5, 4), "item_dropout": 0.2, "dropout_hidden": 0.2,
                          "max_length": 2, "embedding": "separate"},
}  # fmt: skip


def made(name="cross-entropy", **changes):
    return GRU4Rec(**{**OPTIONS, **MODELS[name], **changes})


def close(got, want, rtol=1e-4):
    assert isinstance(got, np.ndarray)
    assert got.dtype == want.dtype
    finite = np.abs(want[np.isfinite(want)])
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * finite.max(initial=1.0))


def check_learned(model, like):
    """What a model has learned is as like, and lies on the host."""
    assert model.weights_.keys() == like.weights_.keys()
    for name, weights in like.weights_.items():
        close(model.weights_[name], weights)
    close(model.loss_curve_, like.loss_curve_)
    close(model.validation_scores_, like.validation_scores_)


def answers(model):
    """What every method says; of the best items their scores, as rounding may swap neighbours."""
    session = model.session().click(3).click(1)
    return (
        model.predict_next(PREFIXES), model.recommend_next(PREFIXES, k=5)[1],
        model.recommend_next(PREFIXES, k=12, exclude_seen=True)[1], model.next_ranks(DATA),
        model.session_representations(PREFIXES), session.recommend(k=3)[1], model.session().recommend(k=3)[1],
    )  # fmt: skip


def check_answers(got, want):
    for one, other in zip(got, want, strict=True):
        close(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_the_same_and_predicts_on_both(devices, name):
    want = made(name).fit(DATA)
    expected = answers(want)
    for device in devices:
        with device:
            model = made(name, device="cuda").fit(DATA)
            check_learned(model, want)
            here = answers(model)
            check_answers(here, expected)
            check_answers(answers(model.set_params(device="cpu")), expected)
            for again, before in zip(answers(model.set_params(device="cuda")), here, strict=True):
                np.testing.assert_array_equal(again, before)
            check_answers(answers(made(name).fit(DATA).set_params(device="cuda")), expected)


def test_the_best_items_have_their_ids(devices):
    named = Sessions(ITEMS, DATA.offsets, item_ids=[f"i{n:02}" for n in range(12)])
    want = made().fit(named)
    for device in devices:
        with device:
            model = made(device="cuda").fit(named)
            items, _ = model.recommend_next([["i01", "i02"], ["i05"]], k=4)
            assert items.tolist() == want.recommend_next([["i01", "i02"], ["i05"]], k=4)[0].tolist()
            assert model.recommend_next([["i01"]], k=20, exclude_seen=True)[0][0, -1] is None


@pytest.mark.parametrize("ties", ["conservative", "id", "standard", "median"])
def test_ranks_of_equal_scores(devices, ties):
    model = made().fit(DATA)
    model.weights_["items"][:] = model.weights_["items"][0]  # all items are alike
    want = model.next_ranks(DATA, ties=ties)
    for device in devices:
        with device:
            np.testing.assert_array_equal(model.set_params(device="cuda").next_ranks(DATA, ties=ties), want)
            model.set_params(device="cpu")


def test_a_live_session_may_change_its_device(devices):
    model = made("layers, dropout").fit(DATA)
    want = model.predict_next([3, 1, 2, 4])
    for device in devices:
        with device:
            session = model.session()
            for item, where in zip([3, 1, 2, 4], ("cpu", "cuda", "cuda", "cpu"), strict=True):
                model.set_params(device=where)
                session.click(item)
            for where in ("cuda", "cpu"):
                model.set_params(device=where)
                close(session.recommend(k=12)[1], np.sort(want)[::-1])


def test_early_stopping_and_a_checkpoint(devices, tmp_path):
    options = {"learning_rate": 0.3, "early_stopping": 2, "validation_fraction": 0.3}
    want = made(**options, n_epochs=6).fit(DATA)
    for device in devices:
        with device as on:
            path = tmp_path / on.name
            made(**options, n_epochs=3, device="cuda", callbacks=[Checkpoint(path)]).fit(DATA)
            got = made(**options, n_epochs=6, device="cuda").fit(DATA, resume=path)
            check_learned(got, want)
            check_learned(made(**options, n_epochs=6).fit(DATA, resume=path), want)  # goes on elsewhere
            whole = made(**options, n_epochs=6, device="cuda").fit(DATA)
            for name, weights in whole.weights_.items():  # a resumed training has the bits of a whole one
                np.testing.assert_array_equal(got.weights_[name], weights)


class CtrlC(Callback):
    def batch(self, training, weight):
        if training.epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_model_can_be_used(devices):
    model = made(callbacks=[CtrlC()])
    with pytest.raises(KeyboardInterrupt, match="training was interrupted after 1 whole epochs"):
        model.fit(DATA, validation_data=DATA.take([1, 2]))
    for device in devices:
        with device:
            other = made(callbacks=[CtrlC()], device="cuda")
            with pytest.raises(KeyboardInterrupt, match="training was interrupted after 1 whole epochs"):
                other.fit(DATA, validation_data=DATA.take([1, 2]))
            check_learned(other, model)
            check_answers(answers(other), answers(model))


def test_a_saved_model_predicts_on_either_device(devices, tmp_path):
    for device in devices:
        with device as on:
            model = made(device="cuda").fit(DATA)
            model.save(tmp_path / on.name)
            loaded = load(tmp_path / on.name)
            assert loaded.device == "cuda"
            np.testing.assert_array_equal(loaded.predict_next(PREFIXES), model.predict_next(PREFIXES))
            close(loaded.set_params(device="cpu").predict_next(PREFIXES), model.predict_next(PREFIXES))


def test_a_device_that_is_not_there_is_never_replaced():
    model = made().fit(DATA).set_params(device="cuda")
    with patch.object(_backend, "cuda_problem", lambda: "CuPy is not installed"):
        for call in (lambda: made(device="cuda").fit(DATA), lambda: model.predict_next([1]), model.session):
            with pytest.raises(ImportError, match="device='cuda' cannot be used: CuPy is not installed"):
                call()
