"""The whole network of GRU4Rec, from its loss to every parameter: the way back is the gradient, in float64."""

import numpy as np
import pytest
from helpers import dense_gradient

from pyrec_core import GRU4Rec, Sessions
from pyrec_core._random import Source
from pyrec_core.models.sequence._gru4rec_network import Network
from pyrec_core.models.sequence._gru4rec_training import Lanes, Prefixes
from pyrec_core.models.sequence.gru4rec import LOSSES

# item 5 is never clicked; sessions of 4, 1, 5 and 2 clicks
DATA = Sessions(np.array([0, 1, 2, 1, 3, 4, 0, 0, 3, 2, 1, 4]), np.array([0, 4, 5, 10, 12]), n_items=6)
SAMPLES = np.array([1, 4, 4, 0], np.int32)  # one of them is a target too, one stands twice
STEP = 1e-6


def options(**params):
    common = {"batch_size": 5, "n_sample": len(SAMPLES), "dropout_embed": 0.3, "dropout_hidden": 0.3}
    return GRU4Rec(**{**common, "hidden": (4,), **params})


def training_of(model, kind, seed=0):
    source = Source(seed)
    network = Network(model, DATA.n_items, source, dtype=np.float64)
    network.bias.value[:] = np.linspace(-0.5, 0.5, DATA.n_items)
    return kind(model, network, DATA, source)


def check_gradients(training, run):
    """Compare the gradients that ``run`` leaves in the parameters with central differences of the loss it returns."""
    network = training.network

    def loss():
        training.source.begin(0)  # the same dropout each time
        return run()

    loss()
    params = network.named_params()
    gradients = {name: dense_gradient(p) for name, p in params.items()}
    for name, p in params.items():
        numeric = np.empty_like(p.value)
        for at in np.ndindex(*p.value.shape):
            value = p.value[at]
            p.value[at] = value + STEP
            high = loss()
            p.value[at] = value - STEP
            numeric[at] = (high - loss()) / (2 * STEP)
            p.value[at] = value
        largest = np.abs(numeric).max()
        assert largest > 1e-4, f"{name} must matter"
        assert np.abs(gradients[name] - numeric).max() <= 1e-6 * largest, name
    for p in params.values():
        p.clear()


def lanes(model):
    """Three lanes go on from five: one state is dropped, one more session is over, and begins anew."""
    training = training_of(model, Lanes)
    rng = np.random.default_rng(1)
    before = [rng.normal(size=(5, cell.u.value.shape[0])) for cell in training.network.cells]
    inputs, targets = np.array([1, 0, 1, 3], np.int32), np.array([2, 1, 3, 0], np.int32)
    reset, keep = np.array([False, True, False, False]), np.array([True, True, False, True, True])

    def run():
        training._states = [state.copy() for state in before]
        return training.step(((inputs, targets, reset, keep), SAMPLES[: model.n_sample]))[0]

    return training, run


def beginnings(model):
    training = training_of(model, Prefixes)
    positions = np.array([3, 8, 1, 11, 9])
    return training, lambda: training.step((positions, SAMPLES[: model.n_sample]))[0]


NETWORKS = [
    {"embedding": embedding, "reset": reset, "hidden": hidden}
    for embedding in ("constrained", "separate", "none")
    for reset in ("before", "after")
    for hidden in ((4,), (3, 4))
]
SCORES = [{"loss": loss, **({"elu": 0.7} if loss != "cross-entropy" else {})} for loss in LOSSES]
SCORES += [{"logq": 1.0}, {"label_smoothing": 0.2}, {"loss": "bpr-max", "bpreg": 2.0}, {"n_sample": 0}]


@pytest.mark.parametrize("params", [*NETWORKS, *SCORES], ids=str)
def test_a_step_of_lanes(params):
    check_gradients(*lanes(options(**params)))


@pytest.mark.parametrize("params", [*NETWORKS, {"loss": "bpr-max"}, {"item_dropout": 0.5}, {"max_length": 2}], ids=str)
def test_whole_prefixes(params):
    check_gradients(*beginnings(options(**{"batches": "prefixes", **params})))


def test_a_separate_table_may_have_any_width():
    check_gradients(*lanes(options(embedding="separate", embedding_dim=2)))


@pytest.mark.parametrize("lost", ["input", "output"])
def test_the_check_finds_a_gradient_that_is_lost(lost):
    training, run = lanes(options())
    items = training.network.items
    add = items.add_rows
    items.add_rows = lambda ids, rows: add(ids, rows) if (len(ids) == 4) == (lost == "output") else None
    with pytest.raises(AssertionError, match="items"):
        check_gradients(training, run)
