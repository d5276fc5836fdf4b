"""The CUDA module: importable anywhere."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module", autouse=True)
def simd_level():
    """Hides the fixture of this name: one CPU level is enough to compare with."""


@pytest.fixture(scope="module")
def native():
    """The CUDA module."""
    return pytest.importorskip("pyrec_core._cuda", reason="_cuda was not built (no nvcc, or PYREC_CUDA=OFF)")


def test_module_says_whether_it_can_run(native):
    assert (native.cuda_status() == "") == (native.device_count() > 0)


def test_module_imports_and_explains_itself_where_no_gpu_is_visible(native):
    code = """
from pyrec_core import _cuda
class OnDevice:
    def __init__(self, shape):
        self.__cuda_array_interface__ = {"shape": shape, "typestr": "<f4", "data": (4096, False)}
print(_cuda.device_count())
print(_cuda.cuda_status())
_cuda.bi_interaction_forward(0, OnDevice((0, 4)), OnDevice((0, 3, 4)))  # nothing to do
try:
    _cuda.bi_interaction_forward(0, OnDevice((2, 4)), OnDevice((2, 3, 4)))
except RuntimeError as error:
    print(error)
"""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, status, error = done.stdout.splitlines()
    assert count == "0"
    assert "NVIDIA driver" in status
    assert error.startswith("CUDA kernel launch failed: ")
