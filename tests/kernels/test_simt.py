"""The test double of a GPU itself, on planted bugs; and the arrays that its module takes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import devices
import numpy as np
import pytest

from pyrec_core.kernels.interaction import bi_interaction_forward

ROOT = Path(__file__).parents[2]
STREAMS = devices.ORDERS


@pytest.fixture(scope="module", autouse=True)
def simd_level():
    """Hides the fixture of this name: one CPU level is enough to compare with."""


class Described:
    """An object with nothing but an array interface, for NumPy and for CUDA."""

    def __init__(self, array, **changes):
        self.array = array  # kept alive
        # NumPy gives a type on top for structured arrays
        interface = {key: value for key, value in array.__array_interface__.items() if key != "descr"}
        self.__array_interface__ = self.__cuda_array_interface__ = interface | changes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strides": (48, 16, 4)},
        {"shape": (1, 3, 4), "strides": (7, 16, 4)},  # the stride of a single element means nothing
        {"shape": (0, 3, 4), "strides": (1, 1, 1), "data": (0, False)},
        {"data": (np.ones(0).ctypes.data, True), "shape": (0, 3, 4)},  # read-only, but only read
    ],
)
def test_array_interface_is_read(simt, changes):
    emb = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("f4")
    B = changes.get("shape", emb.shape)[0]
    out = np.empty((B, 4), "f4")
    simt.bi_interaction_forward(simt.natural, Described(out), Described(emb, **changes))
    np.testing.assert_allclose(out, bi_interaction_forward(emb[:B]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", ["_simt", "_cuda"])
def test_other_arrays_are_refused(module):
    native = pytest.importorskip(f"pyrec_core.{module}", reason=f"{module} was not built")
    emb, out = np.ones((2, 3, 4), "f4"), np.ones((2, 4), "f4")
    good = Described(emb), Described(out)
    for changes in (
        {"typestr": "<f8"},
        {"typestr": ">f4"},
        {"typestr": "<i4"},
        {"strides": (48, 16, 8)},
        {"strides": (48, 16)},
        {"shape": (1,) * 5},
        {"shape": 3},
        {"shape": (-2, 3, -4)},
        {"mask": good[0]},
        {"data": (0, False)},
        {"data": (emb.ctypes.data + 1, False)},
        {"data": None},
    ):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            native.bi_interaction_forward(0, good[1], Described(emb, **changes))
    for bad in ([1.0], None, object()):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            native.bi_interaction_forward(0, good[1], bad)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        native.bi_interaction_forward(0, Described(out, data=(out.ctypes.data, True)), good[0])
    for stream in (-1, 0.0, "0", None):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            native.bi_interaction_forward(stream, good[1], good[0])
    with pytest.raises(ValueError, match=r"out has the wrong shape: \(3, 4\)"):
        native.bi_interaction_forward(0, Described(np.ones((3, 4), "f4")), good[0])


class Planted:
    """planted.cu, compiled with a sanitizer."""

    def __init__(self, folder, sanitizer, *flags):
        if not (ROOT / "src").exists():
            pytest.skip("reads the source tree, which is not here")
        self.binary = folder / "planted"
        # of this process itself, where a sanitizer looks at it; the program has its own
        self.env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        self.env["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=1"
        self.env["TSAN_OPTIONS"] = "halt_on_error=1"
        compiler = os.environ.get("CXX") or shutil.which("g++")
        if not compiler:
            pytest.skip("no g++ to compile planted.cu with")
        options = [
            compiler,
            "-std=c++20",
            "-O1",
            "-g",
            f"-fsanitize={sanitizer}",
            "-pthread",
            "-o",
            self.binary,
        ]
        (folder / "empty.cpp").write_text("int main() {}")
        empty = self.call(*options, folder / "empty.cpp")
        if empty.returncode == 0:
            empty = self.call(self.binary)
        if empty.returncode != 0:
            pytest.skip(f"-fsanitize={sanitizer} does not work here: {empty.stderr.strip()[:200]}")
        defines = ["-DPYREC_CUDA", "-DPYREC_SIMT", "-DPYREC_BACKEND=cuda", *flags]
        includes = [f"-I{ROOT / 'src' / d}" for d in ("cpp/kernels", "cuda/kernels", "cuda/simt")]
        done = self.call(
            *options,
            "-Wall",
            "-Wextra",
            "-Werror",
            *defines,
            *includes,
            "-x",
            "c++",
            Path(__file__).parent / "planted.cu",
        )
        assert done.returncode == 0, done.stderr

    def call(self, *command):
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=300)

    def fails(self, kernel, stream="natural"):
        """Run a kernel that must fail; return what it says."""
        done = self.call(self.binary, kernel, str(STREAMS.index(stream)))
        assert done.returncode != 0, done.stdout
        return done.stderr

    def __call__(self, kernel, stream="natural"):
        """Run a kernel; return its results."""
        done = self.call(self.binary, kernel, str(STREAMS.index(stream)))
        assert done.returncode == 0, done.stderr
        return np.array(done.stdout.split(), float)


@pytest.fixture(scope="module")
def fibres(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("fibres"), "address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def threads(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("threads"), "thread", "-DPYREC_SIMT_THREADS")


X = np.arange(192.0)
NEIGHBOUR = np.where(X % 64 == 0, 0.0, X - 1)
WARPS = X.reshape(6, 32)


@pytest.mark.parametrize("variant", ["fibres", "threads"])
@pytest.mark.parametrize("stream", STREAMS)
def test_right_kernels_are_right(request, variant, stream):
    planted = request.getfixturevalue(variant)
    np.testing.assert_array_equal(planted("neighbour", stream), NEIGHBOUR)
    np.testing.assert_array_equal(planted("doubled", stream), 2 * X)
    np.testing.assert_array_equal(planted("empty_grid", stream), -np.ones(192))
    want = np.stack([WARPS.sum(1), WARPS.sum(1), WARPS[:, 31]], axis=1)
    np.testing.assert_array_equal(planted("warp_sums", stream), [*want.ravel(), 192])


def test_missing_barrier_gives_a_wrong_result_in_one_order(fibres):
    np.testing.assert_array_equal(fibres("missing_barrier", "natural"), NEIGHBOUR)  # right by luck
    wrong = fibres("missing_barrier", "reversed")
    assert np.isnan(wrong[X % 64 != 0]).all()  # shared memory holds NaN until written


def test_missing_barrier_is_named_by_thread_sanitizer(threads):
    message = threads.fails("missing_barrier")
    assert "data race" in message
    assert "planted.cu:" in message


def test_race_between_blocks_is_named_by_thread_sanitizer(threads):
    for _ in range(5):  # whichever of them comes first
        message = threads.fails("blocks_race")
        assert "data race" in message
        assert "planted.cu:" in message


def test_kernels_have_no_data_race(threads):
    # of ones: each of 40 * 21 outputs is 3 pairs, each gradient 3 * (3 - 1); each of 40 * 3 inner products 21, each
    # gradient 21 * 2; and each of 5 * 21 means 1, each gradient 1 * 2 / 3
    outputs, counts = [3, 6, 21, 42, 1, 2 / 3], [40 * 21, 40 * 3 * 21, 40 * 3, 40 * 3 * 21, 5 * 21, 5 * 3 * 21]
    found, wanted, whole = threads("families"), np.repeat(outputs, counts), sum(counts[:4])
    np.testing.assert_array_equal(found[:whole], wanted[:whole])
    np.testing.assert_allclose(found[whole:], wanted[whole:], rtol=1e-5)


@pytest.mark.parametrize("kernel", ["out_of_shared_bounds", "out_of_global_bounds"])
@pytest.mark.parametrize("stream", STREAMS)
def test_out_of_bounds_is_found(fibres, kernel, stream):
    message = fibres.fails(kernel, stream)
    assert "heap-buffer-overflow" in message
    assert "planted.cu:" in message


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            "early_return",
            r"divergent barrier in block 0 of 64 threads: 57 done, 7 waiting at .*planted.cu:\d+",
        ),
        (
            "two_places",
            r"divergent barrier .*: 32 waiting at .*planted.cu:\d+, 32 waiting at .*planted.cu:\d+",
        ),
        ("half_a_warp", r"divergent barrier .*: 32 done, 32 waiting at .*planted.cu:\d+"),
        ("half_a_mask", "shuffles must have the full mask"),
        ("odd_block", "a block has a multiple of 32 threads, at most 1024"),
    ],
)
def test_broken_rules_are_reported(fibres, kernel, message, stream):
    said = fibres.fails(kernel, stream)
    assert re.search(message, said), said
