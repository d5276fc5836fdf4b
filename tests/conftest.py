"""Fixtures for all tests, and how hypothesis runs."""

import importlib
import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from devices import ORDERS, Device, double
from devices import simt as load_simt
from hypothesis import settings

import pyrec_core

SOURCE_TREE = (Path(__file__).parent.parent / "CMakeLists.txt").exists()  # `make dist` runs a copy of the tests

# Compiled code has no slow first example to complain about, but a loaded machine has; examples are the same each run.
settings.register_profile("pyrec", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("few", settings.get_profile("pyrec"), max_examples=3)  # under a slow sanitizer
settings.load_profile("pyrec")


def pytest_configure():
    """Away from the source tree, what is tested is the installed package or nothing. Ctrl-C is heard in any case."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
    if not SOURCE_TREE and "site-packages" not in Path(pyrec_core.__file__).parts:
        raise pytest.UsageError(f"pyrec_core must be installed to be tested here, got {pyrec_core.__file__}")


def pytest_collection_modifyitems(items):
    for item in items:
        if not SOURCE_TREE and item.get_closest_marker("source"):
            item.add_marker(pytest.mark.skip(reason="reads the source tree, which is not here"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with public data sets, named by PYREC_DATA; without it the tests on real data are skipped."""
    folder = os.environ.get("PYREC_DATA")
    if not folder:
        pytest.skip("PYREC_DATA is not set: no real data to test on")
    return Path(folder)


@pytest.fixture(scope="session")
def cupy():
    """CuPy with a GPU that works."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    return cupy


class Devices:
    """The devices to compare with the CPU, each to be entered: the test double in two orders, and a GPU."""

    def __init__(self, names):
        self.names = names

    def __iter__(self):
        return (_device(name) for name in self.names)


@contextmanager
def _device(name):
    if name in ORDERS:
        with double(name) as device:
            yield device
    else:
        yield Device(name, importlib.import_module("cupy"))


def double_is_there():
    """Whether the test double was built, as it must be where PYREC_SIMT_NEEDED is set."""
    try:
        load_simt()
    except ModuleNotFoundError:  # one that is there and does not load is an error
        if os.environ.get("PYREC_SIMT_NEEDED"):
            raise
        return False
    return True


@pytest.fixture(scope="session")
def simt():
    """The module with the CUDA kernels on the test double."""
    if not double_is_there():
        pytest.skip("no test double of a GPU (PYREC_SIMT=ON builds it)")
    return load_simt()


@pytest.fixture
def gpu_double(simt):
    """The test double in the place of a GPU, its lanes in natural order."""
    with double(ORDERS[0]) as device:
        yield device


@pytest.fixture(scope="session")
def devices():
    """All devices that there are."""
    names = list(ORDERS) if double_is_there() else []
    with suppress(ModuleNotFoundError):
        cupy = importlib.import_module("cupy")
        with suppress(cupy.cuda.runtime.CUDARuntimeError):
            names += ["cuda"] * (cupy.cuda.runtime.getDeviceCount() > 0)
    if not names:
        pytest.skip("no GPU with CuPy, and no test double of one (PYREC_SIMT=ON builds it)")
    return Devices(names)
