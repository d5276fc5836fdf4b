import io
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from pyrec_core import _progress
from pyrec_core._progress import progress


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_progress, "monotonic", clock)
    return clock


@pytest.fixture
def without_tqdm(monkeypatch):
    monkeypatch.setattr(_progress, "find_spec", lambda name: None)


@pytest.fixture
def terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=terminal))  # pytest owns sys.stderr itself
    return terminal


def run(verbose, clock, seconds, steps=10):
    with progress(steps, "work", verbose) as bar:
        for _ in range(steps):
            clock.now += seconds / steps
            bar.update(1)


@pytest.mark.usefixtures("without_tqdm")
def test_default_is_silent_for_a_second(clock, terminal):
    run(None, clock, 0.9)
    assert terminal.getvalue() == ""
    run(None, clock, 2)
    lines = terminal.getvalue().split("\r")
    assert lines[1] == "work: 5/10 (50 %), 1 s"
    assert lines[-1] == "work: 10/10 (100 %), 2 s\n"


@pytest.mark.usefixtures("without_tqdm")
def test_default_is_silent_without_a_terminal(clock, capsys):
    run(None, clock, 100)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("without_tqdm")
def test_false_is_silent_and_true_is_not(clock, terminal, capsys):
    run(False, clock, 100)
    assert terminal.getvalue() == ""
    run(True, clock, 0.01)
    assert terminal.getvalue().endswith("work: 10/10 (100 %), 0 s\n")


@pytest.mark.usefixtures("without_tqdm")
def test_true_prints_without_a_terminal(clock, capsys):
    run(True, clock, 0.01)
    assert capsys.readouterr().err.startswith("\rwork: 0/10 (0 %), 0 s")


@pytest.mark.usefixtures("without_tqdm")
def test_the_line_is_refreshed_at_most_twice_a_second(clock, terminal):
    run(True, clock, 10, steps=1000)
    n_lines = terminal.getvalue().count("\r")
    assert 18 <= n_lines <= 22


@pytest.mark.usefixtures("without_tqdm")
def test_an_error_passes_and_the_line_ends(clock, terminal):
    def interrupted():
        with progress(3, "work", True) as bar:
            bar.update(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().endswith("work: 1/3 (33 %), 0 s\n")


@pytest.mark.usefixtures("without_tqdm")
def test_nothing_to_do_is_no_division_by_zero(clock, terminal):
    with progress(0, "work", True):
        pass
    assert terminal.getvalue().endswith("work: 0/0, 0 s\n")


def test_a_process_without_standard_error_is_silent(monkeypatch):
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=None))
    with progress(1, "work", None) as bar:
        bar.update(1)


@pytest.mark.skipif(find_spec("tqdm") is None, reason="tqdm is not installed")
def test_tqdm_is_used_where_it_is_installed(clock, terminal):
    run(None, clock, 0.5)
    assert terminal.getvalue() == ""
    run(None, clock, 4)
    text = terminal.getvalue()
    assert "work: 100%|" in text
    assert "10/10" in text
