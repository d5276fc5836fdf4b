"""Every kernel test runs once on each SIMD level that this machine has."""

import os

import pytest

from pyrec_core import _backend, _detect

LEVELS = [f"v{level}" for level in range(2, _detect.simd_level() + 1)] or ["native"]


def use_level(level):
    """Make the kernels of one SIMD level serve all calls from now on."""
    if level == "native":
        os.environ.pop("PYREC_SIMD", None)
    else:
        os.environ["PYREC_SIMD"] = level
    _backend.cpu_module_name.cache_clear()
    _backend.cpu.cache_clear()


@pytest.fixture(scope="module", params=LEVELS, autouse=True)
def simd_level(request):
    """The SIMD level in use."""
    before = os.environ.get("PYREC_SIMD")
    use_level(request.param)
    yield request.param
    use_level(before or "native")
