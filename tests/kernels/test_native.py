"""The native modules themselves: threads, fork, Ctrl-C, memory safety of the bindings."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import random_sparse, same_bits

from pyrec_core import _backend, _detect
from pyrec_core.kernels.gram import ease_weights, gram
from pyrec_core.kernels.linalg import cholesky_
from pyrec_core.kernels.topk import factor_top_k


def python(code, **env):
    """Run code in a fresh interpreter; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_levels_agree_in_one_process():
    """Elementwise results are the same up to fused rounding; the level is chosen once, but all may be loaded."""
    level = _detect.simd_level()
    names = [f"_cpu_v{v}" for v in range(2, level + 1)] if level else ["_cpu"]
    modules = [importlib.import_module(f"pyrec_core.{name}") for name in names]
    emb = np.random.default_rng(0).normal(size=(50, 7, 33))
    results = []
    for native in modules:
        out = np.empty((50, 33))
        native.bi_interaction_forward(2, out, emb)
        results.append(out)
    for out in results:
        np.testing.assert_allclose(out, results[0], rtol=1e-12, atol=1e-12)


def test_environment_forces_a_level(simd_level):
    code = "from pyrec_core import _backend; print(_backend.cpu().__name__)"
    name = "_cpu" if simd_level == "native" else f"_cpu_{simd_level}"
    assert python(code, PYREC_SIMD="" if simd_level == "native" else simd_level) == f"pyrec_core.{name}"


@pytest.mark.skipif(_detect.simd_level() == 0, reason="not an x86-64 processor")
@pytest.mark.parametrize(
    ("value", "message"), [("v9", "PYREC_SIMD must be v2, v3 or v4, got 'v9'"), ("4", "must be v2, v3 or v4")]
)
def test_unknown_simd_level_is_refused(value, message):
    code = f"""
from pyrec_core import _backend
try:
    _backend.cpu()
except ImportError as error:
    assert {message!r} in str(error), error
    print("refused")
"""
    assert python(code, PYREC_SIMD=value) == "refused"


def test_number_of_threads_from_environment():
    code = "from pyrec_core import _backend; print(_backend.default_threads())"
    assert python(code, PYREC_NUM_THREADS="3") == "3"
    assert 1 <= int(python(code, PYREC_NUM_THREADS="")) <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 and later: threads and fork
def test_a_forked_child_can_compute_again():
    G = gram(random_sparse(np.random.default_rng(0), 900, 500), dtype="float64")
    want = ease_weights(G, 3.0, n_threads=2)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if same_bits(ease_weights(G, 3.0, n_threads=2), want) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 and later: threads and fork
def test_fork_while_another_thread_computes():
    G = gram(random_sparse(np.random.default_rng(0), 900, 700), dtype="float64")
    stop = threading.Event()

    def work():
        while not stop.is_set():
            ease_weights(G, 3.0, n_threads=2)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        time.sleep(0.05)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            ease_weights(G, 3.0, n_threads=2)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    finally:
        stop.set()
        worker.join()
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs pthread_kill")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_a_long_kernel_within_a_second(n_threads):
    # about 2.7e11 multiply-adds: seconds on any machine
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(60_000, 64)).astype("f4"), rng.normal(size=(70_000, 64)).astype("f4")
    main = threading.main_thread().ident
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        factor_top_k(users, items, 10, n_threads=n_threads)
    assert time.perf_counter() - sent[0] < 1.0
    # everything works afterwards
    assert factor_top_k(users[:3], items[:50], 5, n_threads=n_threads)[0].shape == (3, 5)


def test_threads_may_call_at_the_same_time():
    rng = np.random.default_rng(1)
    spd = np.cov(rng.normal(size=(300, 900))) + np.eye(300)
    want = np.tril(cholesky_(spd.copy()))
    results = [None] * 6

    def work(t):
        for _ in range(5):
            results[t] = np.tril(cholesky_(spd.copy(), n_threads=2))

    threads = [threading.Thread(target=work, args=(t,)) for t in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(same_bits(r, want) for r in results)


def test_bindings_refuse_what_would_lead_out_of_bounds():
    native = _backend.cpu()
    indptr, ids, data = np.array([0, 1]), np.array([5], np.int32), np.ones(1, np.float32)
    out = np.empty((3, 3), np.float32)
    with pytest.raises(ValueError, match=r"X: ids must be in \[0, 3\)"):
        native.gram(1, out, indptr, ids, data, None)
    with pytest.raises(ValueError, match="X: indptr must ascend from 0"):
        native.gram(1, out, np.array([0, 7]), np.zeros(1, np.int32), data, None)
    with pytest.raises(TypeError):  # float64 data for float32 output
        native.gram(1, out, indptr, np.zeros(1, np.int32), np.ones(1), None)
    with pytest.raises(TypeError):  # not contiguous
        native.gram(1, np.empty((3, 6), np.float32)[:, ::2], indptr, np.zeros(1, np.int32), data, None)
    frozen = np.empty((3, 3), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        native.gram(1, frozen, indptr, np.zeros(1, np.int32), data, None)
    with pytest.raises(TypeError):  # a number of threads that is none
        native.gram(0, out, indptr, np.zeros(1, np.int32), data, None)


def test_import_takes_no_extra():
    code = """
import sys
import pyrec_core
pyrec_core.EASE
print(sorted({"sklearn", "tqdm", "matplotlib", "cupy", "pandas", "narwhals"} & set(sys.modules)))
"""
    assert python(code) == "[]"
