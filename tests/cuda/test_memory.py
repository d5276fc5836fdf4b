"""What is said, and what is kept, where the memory of a device does not suffice."""

import re

import numpy as np
import pytest

from pyrec_core import NFM, GRU4Rec, NeuMF, NotEnoughMemoryError, _device_memory
from pyrec_core._random import Source
from pyrec_core.kernels.norm import layer_norm_backward
from pyrec_core.layers import BatchNorm, Chain, Dense
from pyrec_core.optim import Adagrad, Adam, Param
from pyrec_core.train import Callback, first_rows, fit_loop

RNG = np.random.default_rng(0)
X = RNG.integers(0, [5, 7, 3], (150, 3))
Y = ((X[:, 0] + X[:, 1]) % 2 == 0).astype(np.int64)
OPTIONS = {"embedding_dim": 4, "n_epochs": 1, "random_state": 0, "verbose": False, "device": "cuda"}


@pytest.fixture
def small(gpu_double):
    """A double of a GPU whose memory a test limits: ``small.limit`` bytes for each array."""
    return gpu_double.cupy


def said(text):
    """The pattern of a text that ends there."""
    return re.escape(text) + "$"


def test_scratch_memory_that_is_not_there_has_its_size_in_the_message(devices):
    rows = 2**42  # of nothing: only their moments take memory
    for device in devices:
        with device as on:
            x, gamma = on.put(np.empty((rows, 0), np.float32)), on.put(np.empty(0, np.float32))
            with pytest.raises(MemoryError, match=r"^Out of memory allocating [0-9]{14,} bytes of a kernel's scratch"):
                layer_norm_backward(x, x, gamma)


def test_a_parameter_that_does_not_fit_is_named(small):
    network = Chain(Dense(3, 10, Source(0)), Dense(10, 100, Source(0)))
    small.limit = 1000
    need = "parameter 1.w, float32 (10, 100), needs 4000 bytes (0.0 GiB)"
    with pytest.raises(NotEnoughMemoryError, match=said(f"{need}, but 1000 bytes (0.0 GiB) are free on the device")):
        network.to("cuda")
    norm = BatchNorm(500)
    norm.gamma.value = norm.beta.value = norm.gamma.value[:1]
    with pytest.raises(NotEnoughMemoryError, match=r"^1\.mean, float32 \(500,\), needs 2000 bytes"):
        Chain(Dense(1, 1, Source(0)), norm).to("cuda")


def test_what_an_optimizer_keeps_is_named_and_moves_whole(small):
    p = Param(np.ones((10, 10), np.float32))
    p.state = {"sum": np.ones((10, 10)), "more": np.ones((10, 10))}
    small.limit = 799
    with pytest.raises(NotEnoughMemoryError, match=r"^sum of parameter, float64 \(10, 10\), needs 800 bytes"):
        p.to("cuda")
    assert isinstance(p.value, np.ndarray)
    with pytest.raises(NotEnoughMemoryError, match=r"^sum of parameter table, float64"):
        p.to("cuda", "table")
    assert isinstance(p.value, np.ndarray)


@pytest.mark.parametrize("rows", [False, True])
def test_an_optimizer_without_memory_has_changed_nothing(small, rows):
    params = [Param(np.ones((n, 10), np.float32)) for n in (5, 20)]
    for p in params:
        p.to("cuda")
        if rows:
            p.add_rows(small.asarray(np.array([1, 2])), small.ones((2, 10), np.float32))
        else:
            p.add_grad(small.ones(p.value.shape, np.float32))
    small.limit = 700
    need = r"^\w+ of a parameter, kept by the optimizer, float32 \(20, 10\), needs 800 bytes"
    with pytest.raises(NotEnoughMemoryError, match=need):
        Adam().step(params)
    for p in params:
        assert p.t == 0
        assert (p.value.get() == 1.0).all()


def test_training_data_that_do_not_fit_are_named(small):
    small.limit = 1500  # the parameters do
    with pytest.raises(NotEnoughMemoryError, match=r"^ids of the training data, int\d+ \(150, 3\), needs"):
        NFM(**OPTIONS).fit(X, Y)
    with pytest.raises(NotEnoughMemoryError, match=r"^ids of the validation data, int\d+ \(150, 3\), needs"):
        NFM(**OPTIONS).fit(X[:10], Y[:10], validation_data=(X, Y))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_batch_that_does_not_fit_names_the_kernel_and_a_batch_size(small, method):
    small.limit = 10_000  # 32 rows of 64 units take 8192 bytes
    model = NFM(**OPTIONS, hidden=(64,), batch_size=128)
    need = "gemm needs an array of 32768 bytes (0.0 GiB), but 10000 bytes (0.0 GiB) are free on the device"
    with pytest.raises(NotEnoughMemoryError, match=said(f"{need}. batch_size=32 was seen to fit")):
        getattr(model, method)(X, Y)
    assert not hasattr(model, "weights_")
    getattr(model.set_params(batch_size=32), method)(X, Y)  # it does
    small.limit = 2**34
    want = NFM(**OPTIONS, hidden=(64,), batch_size=32)
    getattr(want, method)(X, Y)
    np.testing.assert_array_equal(model.decision_function(X), want.decision_function(X))


class Steps:
    """Trains a small network on columns of random numbers, batch by batch."""

    def __init__(self, width):
        self.network = Chain(BatchNorm(8), Dense(8, width, Source(0)))
        self.network.to("cuda")
        self.sizes = []

    def step(self, x):
        self.sizes.append(len(x))
        y, backprop = self.network.forward(x, train=True)
        backprop(y)
        return 1.0, len(x)

    def train(self, batches, **options):
        options |= {"n_epochs": 1, "source": Source(0)}
        fit_loop(self.network, lambda epoch: batches, self.step, Adagrad(), **options)

    def kept(self):
        values = {name: p.value.get() for name, p in self.network.named_params().items()}
        return values | self.network.state()


@pytest.mark.parametrize("batches", ["session-parallel", "prefixes"])
def test_lanes_and_prefixes_that_do_not_fit_name_a_batch_size(small, batches):
    class Limit(Callback):
        def batch(self, training, weight):  # negatives and the plan of many steps are there then
            small.limit = 13_000  # 64 rows of 72 scores are 18 kB

    sessions = np.random.default_rng(0).integers(0, 40, 400), np.arange(0, 401, 4)
    model = GRU4Rec(
        hidden=(8,), batch_size=64, batches=batches, n_sample=8, n_epochs=1, random_state=0, verbose=False,
        device="cuda", callbacks=[Limit()],
    )  # fmt: skip
    with pytest.raises(NotEnoughMemoryError, match=r"^\w+ needs an array of 18432 .*\. batch_size=32 was seen to fit$"):
        model.fit(sessions)


def test_pairs_that_do_not_fit_name_a_batch_size_and_are_predicted_in_smaller_blocks(small):
    liked = np.random.default_rng(0).random((8, 20)) < 0.4
    options = {"hidden": (64, 32), "n_epochs": 1, "random_state": 0, "verbose": False, "device": "cuda"}
    small.limit = 11_000  # the gradients of the rows of 32 pairs take 10240 bytes
    need = r"^ncf_forward needs an array of 16384 bytes .*\. batch_size=32 was seen to fit$"
    with pytest.raises(NotEnoughMemoryError, match=need):
        NeuMF(batch_size=64, **options).fit(liked)
    model = NeuMF(batch_size=32, **options).fit(liked)
    users, items = np.arange(8)[:, None], np.arange(20)
    in_blocks = model.predict(users, items)
    small.limit = 2**34
    np.testing.assert_allclose(in_blocks, model.predict(users, items), rtol=1e-6)


def test_a_step_that_fails_leaves_the_network_as_it_was_before(small):
    steps = Steps(width=64)
    first, second = (small.asarray(RNG.normal(size=(n, 8)).astype(np.float32)) for n in (16, 100))
    steps.train([first])
    before = steps.kept()
    small.limit = 64 * 64 * 4
    with pytest.raises(NotEnoughMemoryError, match=r"batch_size=50 was seen to fit$"):
        steps.train([second], batch_size=100, part=first_rows)
    assert steps.sizes == [16, 100, 50]
    assert all(p.grad is None for p in steps.network.params())
    small.limit = 2**34
    after = steps.kept()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved <= {"0.mean", "0.var"}  # of the failed step itself, which began as any other


def test_no_batch_size_is_given_where_none_fits_or_none_is_known(small):
    steps = Steps(width=64)
    batch = small.zeros((8, 8), np.float32)[:6]
    small.limit = 150
    with pytest.raises(NotEnoughMemoryError, match=r"No batch_size below 6 was seen to fit$"):
        steps.train([batch], batch_size=6, part=first_rows)
    assert steps.sizes == [6, 3, 1]  # of which batch norm refuses the last
    with pytest.raises(NotEnoughMemoryError, match=r"A smaller batch_size needs less$"):
        steps.train([batch], batch_size=6)


def test_on_the_cpu_an_error_is_as_it_was():
    network = Dense(1, 1, Source(0))

    def step(batch):
        raise MemoryError("Out of memory allocating 5 bytes")

    with pytest.raises(MemoryError) as caught:
        fit_loop(network, lambda epoch: [0], step, Adagrad(), n_epochs=1, source=Source(0), part=first_rows)
    assert type(caught.value) is MemoryError


def test_predictions_take_smaller_blocks_where_memory_is_short(small):
    model = NFM(**OPTIONS, hidden=(64,)).fit(X, Y)
    want = model.decision_function(X)
    small.limit = 10_000  # 150 rows of 64 units do not fit
    np.testing.assert_allclose(model.decision_function(X), want, rtol=1e-6)
    small.limit = 200  # nor does one
    with pytest.raises(NotEnoughMemoryError, match=r"^gemm needs an array of 256 bytes"):
        model.decision_function(X)


def test_blocks_shrink_and_cover_everything_once(small):
    seen, tried = [], []

    def work(first, last):
        tried.append(last - first)
        if last - first > 3:
            raise MemoryError
        seen.extend(range(first, last))

    _device_memory.in_blocks(work, 20, 8, "cuda")
    assert seen == list(range(20))
    assert tried == [8, 4, *[2] * 10]
    with pytest.raises(MemoryError):
        _device_memory.in_blocks(work, 20, 8, "cpu")
    with pytest.raises(NotEnoughMemoryError, match=r"^A step needs more memory, but"):
        _device_memory.in_blocks(lambda first, last: work(0, 9), 20, 8, "cuda")


def test_arrays_of_a_failed_call_are_given_back(small):
    kept = []

    class Big:
        def __del__(self):
            kept.append("freed")

    def fails():
        big = Big()
        raise MemoryError(f"{big}")

    try:
        fails()
    except MemoryError as error:
        _device_memory.release(error)
        assert kept == ["freed"]
