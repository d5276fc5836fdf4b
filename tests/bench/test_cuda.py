"""The bench of a GPU at tiny sizes, on a test double of one: everything runs and is checked. No time is asserted."""

import importlib.util
import json
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from devices import DeviceArray, StandIn, cupyx

from pyrec_core import _backend

pytestmark = pytest.mark.source

FAMILIES = (
    "activations", "norm", "interaction", "cin", "embedding", "optim", "losses of scores", "losses of heads",
    "losses of elements", "recurrent", "random", "topk", "gram", "ease_weights",
    "ncf", "sessions", "ranking", "sparse rows",
)  # fmt: skip
TORCH = importlib.util.find_spec("torch") is not None


def host_seconds(call, times):
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def random_numbers():
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        random=lambda size, dtype=np.float64: DeviceArray(rng.random(size, dtype)),
        randint=lambda low, high, size: DeviceArray(rng.integers(low, high, size)),
    )


@pytest.fixture
def gpu(bench, session, simt, monkeypatch):
    """The module `bench_cuda`, a session of it, and its rows; timed by the clock of the host."""
    session, rows = session
    session.bench, session.limits = "cuda", {"float32": 100.0, "copy": 10.0}
    harness = bench("_gpu")
    monkeypatch.setattr(harness, "seconds", host_seconds)
    monkeypatch.setattr(harness, "SHORTEST", 0.0)  # no repeating of short calls
    monkeypatch.setattr(harness, "tensor", lambda a: importlib.import_module("torch").from_numpy(a._host))
    cupy = StandIn(0)
    cupy.random, cupy.__version__ = random_numbers(), "0.0"
    # not `double`, which would put all modules back that are imported meanwhile: PyTorch can be imported only once
    for name, module in {"cupy": cupy, **cupyx()}.items():
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["cupyx"].scatter_add = lambda a, at, b: np.add.at(a._host, at._host, b._host)
    monkeypatch.setattr(_backend, "cuda", lambda: simt)
    monkeypatch.setattr(_backend, "cuda_problem", str)
    return bench("bench_cuda"), session, rows


def check(rows):
    """Each task has our row first, and no peer is without times but where it is not installed."""
    assert rows
    for row in rows:
        assert row.get("status", "not installed") == "not installed", (row["case"], row["status"])
        assert "status" not in row or (row["name"] == "torch" and not TORCH)
        assert row["ours"] or "ratio_median" in row or "status" in row
        assert row["threads"] == 0
        assert row["versions"]["cupy"] == "0.0"
    ours = [row for row in rows if row["ours"]]
    assert rows[0] is ours[0]
    assert all("gbs_share" in row or "gflops_share" in row for row in ours)
    return ours


@pytest.mark.filterwarnings("ignore")  # of torch, where it is installed
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels(gpu, family):
    module, session, rows = gpu
    assert tuple(module.FAMILIES) == FAMILIES
    module.kernels(session, family, "tiny")
    ours = check(rows)
    assert len({(row["case"], row["shape"]) for row in ours}) == len(ours)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["NFM", "XDeepFM", "GRU4Rec"])
def test_epochs(gpu, model):
    module, session, rows = gpu
    module.epoch(session, model, "tiny")
    check(rows)
    assert [row["name"] for row in rows] == ["pyrec_core", "torch", "pyrec_core on the CPU"]


def test_ease(gpu):
    module, session, rows = gpu
    module.ease(session, "tiny")
    check(rows)
    assert [row["name"] for row in rows] == ["pyrec_core", "pyrec_core on the CPU"]


def test_limits(gpu):
    module, session, rows = gpu
    module.limits(session, False, side=20, copied=1000)
    assert module.rates(rows).keys() == {"float32", "copy"}
    module.limits(session, True, side=20)
    assert [row["case"] for row in rows] == ["matmul", "copy", "matmul, TF32"]
    assert module.rates(rows[:2]) == module.rates(rows)


def test_what_differs_from_the_cpu_fails_after_the_others(gpu, monkeypatch):
    module, session, rows = gpu
    task = next(module.FAMILIES["topk"]("tiny"))
    wrong = replace(
        task, case="wrong", ours=lambda scores: (scores[:, :10], scores[:, :10] + isinstance(scores, DeviceArray))
    )
    monkeypatch.setitem(module.FAMILIES, "topk", lambda size: [wrong, task])
    with pytest.raises(ExceptionGroup) as caught:
        module.kernels(session, "topk", "tiny")
    assert "wrong, 20 x 300, k = 10" in caught.value.exceptions[0].__notes__
    assert {row["case"] for row in rows} == {task.case}
    assert json.dumps(rows)


def test_results_of_a_gpu_have_a_file_and_tables_of_their_own(bench, monkeypatch, tmp_path):
    properties = {"name": b"ACME G100 80GB", "totalGlobalMem": 80 * 2**30, "multiProcessorCount": 132} | {
        "major": 9, "minor": 0,
    }  # fmt: skip
    runtime = SimpleNamespace(
        getDevice=lambda: 0, getDeviceProperties=lambda i: properties, runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 12080,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    results, tables, module = bench("_results"), bench("tables"), bench("bench_cuda")
    for place in (results, tables):
        monkeypatch.setattr(place, "FOLDER", tmp_path / "results")
    page = tmp_path / "README.md"
    monkeypatch.setattr(tables, "README", page)
    about = module.machine()
    path = results.results_path(about)
    assert path.name == "acme-g100-80gb.json"
    plain = {
        "bench": "cuda", "case": "gather", "name": "pyrec_core", "ours": True, "library": "pyrec_core",
        "shape": "9 x 9", "dtype": "float32", "threads": 0, "quick": False, "date": "2026-01-02", "commit": "abc1234",
        "versions": {"cupy": "14.2"}, "min_ms": 0.5, "median_ms": 1.0, "max_ms": 2.0, "rounds": 7,
        "gbs": 2000.0, "gbs_share": 0.8, "gflops": 30_000.0, "gflops_share": 0.5,
    }  # fmt: skip
    slower = {"name": "torch", "ours": False, "median_ms": 3.0, "ratio_median": 3.0, "ratio_min": 2.5}
    absent = {key: plain[key] for key in results.KEY} | {
        "name": "CuPy", "ours": False, "status": "not installed", "quick": False, "date": "2026-01-02", "commit": "",
        "versions": {},
    }  # fmt: skip
    results.save(path, {"machine": about, "rows": [plain, plain | slower, absent]})
    page.write_text(f"{tables.BEGIN}\n{tables.END}\n{tables.GPU_BEGIN}\nold\n{tables.GPU_END}\n")
    tables.main()
    text = page.read_text()
    assert text.startswith(
        f"{tables.BEGIN}\nNo results yet.\n{tables.END}\n{tables.GPU_BEGIN}\n### ACME G100 80GB, 80.0 GB\n"
    )
    assert "132 multiprocessors of compute capability 9.0, driver " in text
    assert "CUDA 13.0, of the driver 12.8. Measured 2026-01-02, commit abc1234. cupy 14.2." in text
    assert (
        "| gather | **pyrec_core** | 9 x 9 | 1 | 0.5..2 | 7 | 2000 (80%) | 30 (50%) |  | 2026-01-02 abc1234 |" in text
    )
    assert (
        "| gather | torch | 9 x 9 | 3 | 0.5..2 | 7 | 2000 (80%) | 30 (50%) | 3.00 (2.50) | 2026-01-02 abc1234 |" in text
    )
    assert "| gather | CuPy | 9 x 9 | not installed |" in text


def test_without_a_gpu_the_bench_says_why(bench, monkeypatch, capsys):
    module = bench("bench_cuda")
    monkeypatch.setattr(module, "cuda_problem", lambda: "no driver was found")
    assert module.main([]) == 0
    assert capsys.readouterr().out == "Nothing was timed on a GPU: no driver was found\n"
    assert module.main(["--list"]) == 0
    with pytest.raises(SystemExit):
        module.main(["--only", "no such case"])
