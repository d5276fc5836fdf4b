"""Arrays of other libraries: on a GPU they are read where they lie, on the CPU by NumPy, and nowhere mistaken."""

import numpy as np
import pytest
from devices import ORDERS

from pyrec_core import FM
from pyrec_core._backend import backend_of, is_cuda
from pyrec_core._validation import as_array, check_float_array, check_inplace
from pyrec_core.kernels.activations import activation_forward
from pyrec_core.kernels.embedding import gather

X = np.random.default_rng(0).normal(size=(3, 4))


class Tensor:
    """An array that only tells DLPack about itself."""

    def __init__(self, array, device):
        self._array, self._device = array, device

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device, 0


class Interface:
    """An array that only has the interface for CUDA."""

    def __init__(self, array):
        self._array = array
        interface = {key: value for key, value in array.__array_interface__.items() if key != "descr"}
        self.__cuda_array_interface__ = interface | {"version": 3}


OTHERS = {
    "interface": Interface,
    "dlpack": lambda array: Tensor(array, 2),
    "dlpack, managed": lambda array: Tensor(array, 13),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_arrays_on_a_gpu_are_read_where_they_lie(devices, kind):
    for device in devices:
        with device as on:
            if on.name not in ORDERS:
                continue  # these arrays are on the CPU
            theirs = OTHERS[kind](X)
            assert is_cuda(theirs)
            np.testing.assert_allclose(on.get(activation_forward(theirs, "tanh")), np.tanh(X), rtol=1e-12)
            ids = OTHERS[kind](np.array([2, 0], np.int32))
            np.testing.assert_array_equal(on.get(gather(theirs, ids)), X[[2, 0]])
            written = X.copy()
            check_inplace("a", OTHERS[kind](written), 2)[0] = 7.0
            assert (written[0] == 7.0).all(), "a copy was written to"


def test_cupy_reads_what_dlpack_tells(cupy):
    class Theirs:
        """An array of CuPy that only tells DLPack about itself."""

        def __init__(self, array):
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    y = activation_forward(Theirs(cupy.asarray(X)), "tanh")
    np.testing.assert_allclose(y.get(), np.tanh(X), rtol=1e-12)


def test_arrays_on_the_cpu_are_numpys():
    theirs = Tensor(X, 1)
    assert not is_cuda(theirs)
    assert as_array("a", theirs).ctypes.data == X.ctypes.data
    np.testing.assert_array_equal(check_float_array("a", theirs, 2), X)
    assert backend_of(theirs)[0] is np


@pytest.mark.parametrize("kind", OTHERS)
def test_what_needs_arrays_on_the_cpu_says_so(kind):
    with pytest.raises(TypeError, match=r"X must be an array on the CPU, got .*\.(Tensor|Interface) on a GPU"):
        FM().fit(OTHERS[kind](np.zeros((4, 2), np.int64)), [0, 1, 0, 1])
