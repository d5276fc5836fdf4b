"""Fixtures for all tests, and how hypothesis runs."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import pyrec_core

SOURCE_TREE = (Path(__file__).parent.parent / "CMakeLists.txt").exists()  # `make dist` runs a copy of the tests

# Compiled code has no slow first example to complain about, but a loaded machine has; examples are the same each run.
settings.register_profile("pyrec", deadline=None, derandomize=True, max_examples=30)
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
