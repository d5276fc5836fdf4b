"""How often the host waits for the device: a GPU that works while the host does something else is a fast one."""

import numpy as np
import pytest
from devices import DeviceArray

from pyrec_core import FM, NFM, GRU4Rec, NeuMF
from pyrec_core._validation import trusted_inputs
from pyrec_core.kernels.embedding import bag_forward, gather
from pyrec_core.models.feature import DeepFM
from pyrec_core.optim import SGD, Param
from pyrec_core.train import SessionParallel

OPTIONS = {"batch_size": 32, "random_state": 0, "verbose": False, "embedding_dim": 4}
MODELS = {
    "FM": FM(**OPTIONS),
    "NFM": NFM(**OPTIONS, hidden=(8,), batch_norm=True, dropout=0.2),
    "DeepFM": DeepFM(**OPTIONS, hidden=(8,), optimizer="adam"),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_step_of_a_training_waits_for_the_number_of_its_ids_and_for_the_loss(gpu_double, model):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, [5, 7, 3], (32 * 8, 3)), rng.integers(0, 2, 32 * 8)
    waits = []
    for n_epochs in (1, 2):
        before = DeviceArray.waits
        type(model)(**model.get_params()).set_params(n_epochs=n_epochs, device="cuda").fit(X, y)
        waits.append(DeviceArray.waits - before)
    assert waits[1] - waits[0] == 2 * 8


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_step_of_partial_fit_waits_as_one_of_fit(gpu_double, model):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, [5, 7, 3], (32 * 8, 3)), rng.integers(0, 2, 32 * 8)
    going = type(model)(**model.get_params()).set_params(device="cuda").partial_fit(X, y)
    waits = []
    for n in (32 * 4, 32 * 8):
        before = DeviceArray.waits
        going.partial_fit(X[:n], y[:n])
        waits.append(DeviceArray.waits - before)
    assert waits[1] - waits[0] == 2 * 4


@pytest.mark.parametrize("options", [{}, {"logq": 1.0, "embedding": "separate"}, {"hidden": (4, 3), "n_sample": 0}])
def test_a_step_of_gru4rec_waits_for_the_number_of_its_ids_twice_and_for_the_loss(gpu_double, options):
    items, offsets = np.random.default_rng(0).integers(0, 9, 46), np.cumsum([0, 5, 5, 3, 6, 4, 5, 7, 6, 5])
    n_steps = len(list(SessionParallel(items, offsets, 4, options.get("n_sample", 6))))  # in the last ones lanes end
    waits = []
    for n_epochs in (1, 2):
        before = DeviceArray.waits
        model = GRU4Rec(**{"hidden": (4,), "n_sample": 6, "random_state": 0, "verbose": False, **options})
        model.set_params(batch_size=4, n_epochs=n_epochs, device="cuda").fit((items, offsets))
        waits.append(DeviceArray.waits - before)
    assert waits[1] - waits[0] == 3 * n_steps + 1  # one for the plan


def test_a_step_of_neumf_waits_for_the_numbers_of_its_ids_and_for_the_loss(gpu_double):
    X = np.random.default_rng(0).random((8, 20)) < 0.3
    waits = []
    for n_epochs in (1, 2):
        before = DeviceArray.waits
        NeuMF(n_epochs=n_epochs, batch_size=32, hidden=(8, 4), random_state=0, verbose=False, device="cuda").fit(X)
        waits.append(DeviceArray.waits - before)
    assert waits[1] - waits[0] == 3 * -(-5 * X.sum() // 32)


def test_ids_are_looked_at_unless_the_input_is_trusted(gpu_double):
    table, ids = gpu_double.put(np.ones((3, 2))), gpu_double.put(np.array([0, 3], np.int32))
    offsets = gpu_double.put(np.array([0, 9, 2]))
    with pytest.raises(ValueError, match=r"ids must hold row ids in 0..2, got 1 unknown: 3"):
        gather(table, ids)
    with pytest.raises(ValueError, match="offsets must be 1-D and rise from 0 to 0"):
        bag_forward(table, ids[:0], offsets)
    before = DeviceArray.waits
    with trusted_inputs():
        gather(table, ids // 2)
        bag_forward(table, ids[:0], gpu_double.put(np.array([0])))
    assert DeviceArray.waits == before


def test_trust_ends_with_its_block_and_does_not_reach_the_cpu(gpu_double):
    with trusted_inputs(), pytest.raises(ValueError, match="got 1 unknown: 3"):
        gather(np.ones((3, 2)), [0, 3])
    with pytest.raises(ValueError, match="got 1 unknown: 3"):
        gather(gpu_double.put(np.ones((3, 2))), gpu_double.put(np.array([3])))


def test_what_is_known_of_ids_ends_with_the_step(gpu_double):
    table = Param(gpu_double.put(np.zeros((3, 1))))
    ids = gpu_double.put(np.array([0, 1], np.int32))
    for change in (0, 1):
        ids += np.int32(change)
        table.add_rows(ids, gpu_double.put(np.ones((2, 1))))
        SGD(learning_rate=1.0).step([table])
    assert gpu_double.get(table.value).tolist() == [[-1.0], [-2.0], [-1.0]]
