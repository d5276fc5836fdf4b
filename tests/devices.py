"""Where kernels run in tests: on a GPU, where there is one, and anywhere on a test double of it.

The double is two things: the module ``_simt``, which runs the CUDA kernels on memory of the CPU, and `StandIn`, which
takes the place of CuPy and is as strict: its arrays never become NumPy arrays, nor mix with them, unless asked to.
"""

import importlib.machinery
import importlib.util
import os
import sys
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import numpy as np
import scipy.linalg
from helpers import same_bits

from pyrec_core import _backend

ORDERS = ("natural", "reversed")  # of the lanes of a block


def _host(value, where):
    """What NumPy works on, for an argument of a function of the stand-in."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"Unsupported type {type(value)} for {where}")
    if isinstance(value, (tuple, list)):
        return type(value)(_host(v, where) for v in value)
    if isinstance(value, dict):
        return {k: _host(v, where) for k, v in value.items()}
    return value


def _device(value):
    """What a function of the stand-in returns, for what NumPy made."""
    if isinstance(value, (np.ndarray, np.generic)):
        return DeviceArray(np.asarray(value))
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(map(_device, value))
    return value


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """As ``cupy.ndarray``: what NumPy can do, on arrays of this kind only."""

    waits = 0  # how often the host has had to wait for the device so far, to look at a value

    def __init__(self, host):
        self._host = host

    def _seen(self):
        DeviceArray.waits += 1
        return self._host

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        inputs = _host(inputs, ufunc)
        if out is not None:
            options["out"] = _host(out, ufunc)
        result = _device(getattr(ufunc, method)(*inputs, **options))
        return out[0] if out is not None else result

    def __array_function__(self, function, types, args, kwargs):
        if function is np.repeat:
            return StandIn.repeat(*args, **kwargs)
        return _device(function(*_host(args, function), **_host(kwargs, function)))

    @property
    def __cuda_array_interface__(self):
        interface = {key: value for key, value in self._host.__array_interface__.items() if key != "descr"}
        return interface | {"version": 3, "stream": 1}

    def get(self):
        return self._seen().copy()

    def __getitem__(self, key):
        if isinstance(key, DeviceArray) and key.dtype == bool:
            key._seen()  # how many there are
        return _device(self._host[_host(key, "an index")])

    def __setitem__(self, key, value):
        self._host[_host(key, "an index")] = _host(value, "__setitem__")

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._host, name)
        if not callable(value) or name in ("dtype", "flags"):
            return _device(value)

        def method(*args, **kwargs):
            if name in ("item", "tolist", "nonzero"):
                self._seen()
            result = value(*_host(args, name), **_host(kwargs, name))
            return result if name in ("item", "tolist") else _device(result)

        return method

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self._seen())

    def __int__(self):
        return int(self._seen())

    def __index__(self):
        return self._seen().__index__()

    def __float__(self):
        return float(self._seen())

    def __repr__(self):
        return f"on device: {self._host!r}"


class _View:
    """An array of another library "on the device", as NumPy reads it."""

    def __init__(self, a):
        self._a = a  # kept alive
        if hasattr(a, "__cuda_array_interface__"):
            self.__array_interface__ = a.__cuda_array_interface__

    def __dlpack__(self, **options):
        return self._a.__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0  # the CPU


class StandIn(ModuleType):
    """In the place of the module ``cupy``."""

    ndarray = DeviceArray
    makers = ("concatenate", "empty", "empty_like", "full", "matmul", "ones", "zeros", "zeros_like")

    def __init__(self, stream):
        super().__init__("cupy")
        self.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
        self.limit = 2**34  # bytes of one array
        self.cuda = SimpleNamespace(
            get_current_stream=lambda: SimpleNamespace(ptr=stream, synchronize=lambda: None),
            runtime=SimpleNamespace(memGetInfo=lambda: (self.limit, 2**34)),  # free and all
        )

    @staticmethod
    def get_default_memory_pool():
        return SimpleNamespace(
            free_bytes=lambda: 0, used_bytes=lambda: 0, get_limit=lambda: 0, free_all_blocks=lambda: None
        )

    def _taken(self, a):
        """Return an array with memory of its own; with CuPy's error if it is too large."""
        if a.nbytes > self.limit:
            limit = f"(allocated so far: 0 bytes, limit set to: {self.limit:,} bytes)"
            raise MemoryError(f"Out of memory allocating {a.nbytes:,} bytes {limit}.")
        return a

    def asarray(self, a, dtype=None, order=None):
        if isinstance(a, DeviceArray):
            return DeviceArray(np.asarray(a._host, dtype, order))
        if hasattr(a, "__cuda_array_interface__"):
            return DeviceArray(np.asarray(_View(a), dtype, order))
        return self._taken(DeviceArray(np.array(a, dtype, order=order or "C")))  # never shares memory with the host

    def array(self, a, dtype=None, copy=True, order="K"):
        return self._taken(DeviceArray(np.array(self.asarray(a)._host, dtype, copy=copy, order=order)))

    @staticmethod
    def from_dlpack(a):
        return DeviceArray(np.from_dlpack(_View(a)))

    @staticmethod
    def repeat(a, repeats, axis=None):
        if isinstance(repeats, DeviceArray):
            raise ValueError("repeats must be a number, or a list or tuple of them, not an array on the device")
        return _device(np.repeat(_host(a, "repeat"), repeats, axis))

    @staticmethod
    def asnumpy(a):
        return a.get() if isinstance(a, DeviceArray) else np.asarray(a)

    def __getattr__(self, name):
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value
        if name in ("flatnonzero", "nonzero", "unique"):
            DeviceArray.waits += 1
        taken = self._taken if name in self.makers else lambda a: a
        return lambda *args, **kwargs: taken(_device(value(*_host(args, name), **_host(kwargs, name))))


def cupyx():
    """In the place of the parts of ``cupyx`` that are used."""

    def solve_triangular(a, b, **options):
        return DeviceArray(scipy.linalg.solve_triangular(_host(a, "a"), _host(b, "b"), **options))

    @contextmanager
    def errstate(*, linalg):
        assert linalg == "raise"  # as NumPy does always
        yield

    return {
        "cupyx": SimpleNamespace(errstate=errstate),
        "cupyx.scipy.linalg": SimpleNamespace(solve_triangular=solve_triangular),
    }


def simt():
    """The module with the CUDA kernels on the test double: this build's, or the one that PYREC_SIMT names."""
    path = os.environ.get("PYREC_SIMT")
    if path is None:
        return importlib.import_module("pyrec_core._simt")
    if "pyrec_core._simt" not in sys.modules:
        spec = importlib.util.spec_from_file_location("pyrec_core._simt", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["pyrec_core._simt"] = module
    return sys.modules["pyrec_core._simt"]


class Device:
    """A device: a module that is, or takes the place of, CuPy."""

    def __init__(self, name, cupy):
        self.name, self.cupy = name, cupy

    def put(self, value):
        """Return ``value`` with all arrays in it on the device."""
        if isinstance(value, np.ndarray):
            return self.cupy.asarray(value)
        if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
            return type(value)(map(self.put, value))
        if isinstance(value, tuple):
            return type(value)(*map(self.put, value))
        return {k: self.put(v) for k, v in value.items()} if isinstance(value, dict) else value

    def get(self, value):
        """Return ``value`` with all arrays in it on the host. There must be none already."""
        assert not isinstance(value, np.ndarray), "an array on the host, where one on the device was expected"
        if isinstance(value, self.cupy.ndarray):
            return value.get()
        if isinstance(value, (tuple, list)):
            parts = map(self.get, value)
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return {k: self.get(v) for k, v in value.items()} if isinstance(value, dict) else value

    def __call__(self, function, *args, **kwargs):
        """Call ``function`` with all arrays on the device; return its result and its arguments, then, on the host."""
        args = self.put(args)
        return self.get(function(*args, **self.put(kwargs))), self.get(args)


@contextmanager
def double(order):
    """Put the test double in the place of a GPU."""
    module, stand_in = simt(), StandIn(ORDERS.index(order))
    with ExitStack() as stack:
        stack.enter_context(patch.dict(sys.modules, {"cupy": stand_in, **cupyx()}))
        stack.enter_context(patch.object(_backend, "cuda", lambda: module))
        stack.enter_context(patch.object(_backend, "cuda_problem", str))  # none
        yield Device(order, stand_in)


def check_equals_cpu(devices, function, *args, rtol=None, **kwargs):
    """Compare ``function`` on each device with the CPU: what it returns, and what it makes of arrays in its arguments.

    Floats agree to 1e-12 relative to the largest element or 1, float32 to 1e-5 (or ``rtol``); all else, and the two
    orders of the double, exactly.
    """
    ours = _copied(args)
    want = function(*ours, **kwargs), ours
    seen = {}
    for device in devices:
        with device as where:
            seen[where.name] = where(function, *_copied(args), **kwargs)
            _check(seen[where.name], want, rtol)
    if {"natural", "reversed"} <= set(seen):
        assert _identical(seen["natural"], seen["reversed"]), "results depend on the order of lanes"


def _copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        parts = map(_copied, value)
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _check(got, want, rtol):
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            _check(g, w, rtol)
    elif isinstance(want, dict):
        assert set(got) == set(want)
        for name in want:
            _check(got[name], want[name], rtol)
    elif isinstance(want, np.ndarray) and want.dtype.kind == "f":
        assert got.dtype == want.dtype
        tolerance = rtol or (1e-5 if want.dtype == np.float32 else 1e-12)
        finite = np.abs(want[np.isfinite(want)])
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * finite.max(initial=1.0))
    elif isinstance(want, np.ndarray):
        assert same_bits(got, want)
    elif isinstance(want, float):
        np.testing.assert_allclose(got, want, rtol=rtol or 1e-5)
    else:
        assert got == want or want is None


def _identical(a, b):
    if isinstance(a, np.ndarray):
        return same_bits(a, b)
    if isinstance(a, (tuple, list)):
        return all(map(_identical, a, b))
    if isinstance(a, dict):
        return all(_identical(a[k], b[k]) for k in a)
    return a == b or (a != a and b != b)
