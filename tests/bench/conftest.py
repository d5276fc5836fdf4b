"""What the tests of the benches share."""

import importlib
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch):
    """Import a module of the bench folder by name."""
    monkeypatch.syspath_prepend(BENCH)
    yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(BENCH)):
            del sys.modules[name]


@pytest.fixture
def session(bench, monkeypatch):
    """A quick session of one thread, and the rows that it has emitted."""
    rows = []
    harness = bench("_harness")
    monkeypatch.setattr(harness, "SHORTEST", 0.0)  # no repeating of short calls
    limits = {"float32": 100.0, "copy": 10.0}
    with threadpool_limits(1):  # a case has a process of its own for that, a test has not
        yield harness.Session("ease", 1, rows.append, quick=True, limits=limits), rows
