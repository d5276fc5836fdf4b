"""How benches are timed, run, kept and shown. No time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.source

BENCH = Path(__file__).parent.parent.parent / "bench"


def row(**changes):
    plain = {
        "bench": "ease",
        "case": "gram",
        "name": "kernels.gram.gram",
        "ours": True,
        "library": "pyrec_core",
        "shape": "60 x 40",
        "dtype": "float32",
        "threads": 2,
        "quick": False,
        "date": "2026-01-02",
        "commit": "abc1234",
        "versions": {"numpy": "2.4.6", "pyrec_core": "0.1.0"},
        "min_ms": 9.0,
        "median_ms": 10.0,
        "max_ms": 123.4,
        "rounds": 7,
        "gflops": 50.0,
        "share": 0.5,
        "peak_mb": 12.5,
        "others_cpu": 0.02,
    }
    return plain | changes


def peer_row(**changes):
    ratio = {"ratio_median": 3.0, "ratio_min": 2.5, "ratio_to": "kernels.gram.gram"}
    return row(name="scipy", ours=False, library="scipy", median_ms=30.0, **ratio) | changes


def without_time(**changes):
    found = row(**changes)
    for name in ("min_ms", "median_ms", "max_ms", "rounds", "gflops", "share", "peak_mb", "others_cpu"):
        del found[name]
    return found


def test_contest_emits_a_row_for_every_contender(bench, session):
    session, rows = session
    Entry, peer = bench("_harness").Entry, bench("_harness").peer
    checked = []
    entries = [
        Entry("ours", lambda: 1),
        Entry("theirs", lambda: 2, "numpy", lambda ours, theirs: checked.append((ours, theirs)), units=2.0),
        peer("absent", "no_such_module", lambda: None, None),
        peer("broken", "scipy", lambda: 1 / 0, None),
    ]
    session.contest("task", "1 x 1", "float32", entries, gflop=1e-3, gbyte=1e-3, unit="things/s", rounds=4)
    ours, theirs, absent, broken = rows
    assert checked == [(1, 2)]
    assert ours["ours"]
    assert not theirs["ours"]
    assert ours["rounds"] == theirs["rounds"] == 4
    assert ours["min_ms"] <= ours["median_ms"] <= ours["max_ms"]
    assert ours["share"] == pytest.approx(ours["gbs"] / 10)
    assert theirs["rate"] == pytest.approx(2 * 1e3 / theirs["median_ms"])
    assert theirs["gflops"] == pytest.approx(theirs["rate"] * 1e-3)
    assert theirs["ratio_to"] == "ours"
    assert 0 < theirs["ratio_min"] <= theirs["ratio_median"]
    assert absent["status"] == "not installed"
    assert broken["status"].startswith("failed: ZeroDivisionError")
    assert all("median_ms" not in r for r in (absent, broken))
    assert theirs["versions"]["numpy"] == np.__version__


def test_contest_fails_when_a_result_differs(bench, session):
    session, rows = session
    Entry = bench("_harness").Entry
    entries = [Entry("ours", lambda: 1), Entry("theirs", lambda: 2, "numpy", np.testing.assert_equal)]
    with pytest.raises(AssertionError):
        session.contest("task", "1 x 1", "float32", entries)
    assert rows == []


def test_contest_sets_up_before_each_call_and_counts_a_cold_first_call(bench, session):
    session, rows = session
    Entry = bench("_harness").Entry
    state = []
    entry = Entry("ours", lambda: state.append("call"), setup=lambda: state.append("setup"))
    session.contest("task", "1 x 1", "float32", [entry], rounds=1, warm=False)
    assert state == ["setup", "call"]
    assert rows[0]["rounds"] == 1


def test_contest_can_leave_our_row_to_another_process(bench, session):
    session, rows = session
    Entry = bench("_harness").Entry
    entries = [Entry("ours", lambda: 1), Entry("theirs", lambda: 1, "numpy")]
    session.contest("task", "1 x 1", "float32", entries, record_ours=False, tag="tuned")
    assert [r["name"] for r in rows] == ["theirs [tuned]"]


def test_child_has_its_threads_set_and_nothing_pinned(bench, monkeypatch):
    harness = bench("_harness")
    for name in harness.PINS:
        monkeypatch.setenv(name, "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    env = harness.environment(3, {"OPENBLAS_NUM_THREADS": "1"})
    assert not set(harness.PINS) & set(env)
    assert env["OMP_NUM_THREADS"] == "3"
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    assert "GLIBC_TUNABLES" in harness.environment(1, harness.TUNED_MALLOC)


def test_case_runs_in_a_process_of_its_own(bench):
    harness = bench("_harness")
    case = harness.Case("limits", {"side": 64}, 1)
    rows, problem = harness.run_case("bench_limits", case, quick=False, limits={}, commit="abc1234")
    assert problem == ""
    assert [(r["bench"], r["dtype"], r["commit"]) for r in rows] == [
        ("limits", "float32", "abc1234"),
        ("limits", "float64", "abc1234"),
        ("limits", "float32", "abc1234"),
    ]
    assert set(bench("bench_limits").rates(rows)) == {"float32", "float64", "copy"}


def test_case_that_fails_says_why(bench):
    harness = bench("_harness")
    case = harness.Case("limits", {"side": -1}, 1)
    rows, problem = harness.run_case("bench_limits", case, quick=True, limits={}, commit="")
    assert rows == []
    assert "negative dimensions" in problem


def test_every_case_names_a_function(bench):
    run, harness = bench("run"), bench("_harness")
    for options in (harness.Options(quick=True, threads=(2,)), harness.Options(large=True, threads=(1, 2))):
        for name in run.BENCHES:
            module = bench(name)
            cases = module.cases(options)
            assert cases
            assert all(callable(getattr(module, case.function)) for case in cases)
            assert {case.threads for case in cases} <= set(options.threads)


def test_run_waits_no_longer_than_its_patience(bench, monkeypatch):
    run = bench("run")
    slept = []
    monkeypatch.setattr(run.time, "sleep", slept.append)
    monkeypatch.setattr(run.Load, "others", lambda self: 1.5 if len(slept) < 3 else 0.0)
    run.wait_for_quiet(run.time.perf_counter() - 1)
    assert slept == []
    run.wait_for_quiet(run.time.perf_counter() + 60)
    assert len(slept) == 3
    assert run.disturbance([row(), row(others_cpu=0.7), without_time()]) == 0.7


def test_installed_size_counts_what_is_required(bench):
    imports = bench("bench_import")
    own, whole, required = imports.installed_mb("scipy")
    assert 0 < own < whole
    assert required >= 1
    assert imports.installed_mb("no-such-distribution") == (None, None, None)


def test_interactions_have_the_size_and_skew_that_were_asked_for(bench, monkeypatch, tmp_path):
    data = bench("_data")
    monkeypatch.setattr(data.tempfile, "gettempdir", lambda: str(tmp_path))
    X = data.interactions(300, 120, 3000)
    assert X.shape == (300, 120)
    assert X.nnz == 3000
    assert X.dtype == np.float32
    assert (X.data == 1).all()
    assert X.has_canonical_format
    counts = np.sort(np.bincount(X.indices, minlength=120))
    assert counts[-12:].sum() > 3 * counts[:12].sum()
    again = data.interactions(300, 120, 3000)  # from the cache
    assert (again != X).nnz == 0
    with pytest.raises(ValueError, match="nnz must be at most half"):
        data.interactions(3, 3, 8)


def test_merge_replaces_by_key_but_never_with_less(bench):
    merge = bench("_results").merge
    old = [row(date="2026-01-01"), peer_row()]
    assert len(merge(old, [row(threads=1)])) == 3
    assert {r["date"] for r in merge(old, [row(date="2026-01-03")]) if r["ours"]} == {"2026-01-03"}
    assert {r["date"] for r in merge(old, [row(date="2026-01-03", quick=True)]) if r["ours"]} == {"2026-01-01"}
    absent = without_time(name="scipy", status="not installed")
    assert all("status" not in r for r in merge(old, [absent]))
    assert merge([absent], [peer_row()]) == [peer_row()]


def test_results_are_written_whole_and_named_by_machine(bench, monkeypatch, tmp_path):
    results = bench("_results")
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    path = results.results_path({"cpu": "ACME Fast(TM) 9 (family 1, model 2)", "cores": 4})
    assert path.name == "acme-fast-tm-9-family-1-model-2-4cores.json"
    assert results.load(path)["rows"] == []
    results.save(path, {"machine": results.machine(), "rows": [row()]})
    assert results.load(path)["rows"] == [row()]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_tables_show_every_row(bench, monkeypatch, tmp_path):
    tables = bench("tables")
    rows = [
        row(),
        peer_row(),
        peer_row(name="slow", ratio_median=9.0, ratio_min=8.0),
        without_time(name="absent", ours=False, status="not installed", library="absent"),
        row(case="gemm", bench="linalg", name="ours", dtype="float64", share=0.9),
        peer_row(case="gemm", bench="linalg", name="BLAS", dtype="float64", ratio_median=0.8, ratio_min=0.7,
                 others_cpu=0.4, quick=True, ratio_to="ours"),
        row(bench="import", case="import", name="import pyrec_core", shape="", dtype="", installed_mb=1.5,
            installed_with_required_mb=200.0, required=3),
    ]  # fmt: skip
    about = {"cpu": "ACME", "cores": 2, "simd": "avx2", "cache": "1 MB", "memory_gb": 8.0, "system": "Linux"}
    folder, page = tmp_path / "results", tmp_path / "README.md"
    folder.mkdir()
    (folder / "acme-2cores.json").write_text(json.dumps({"machine": about, "rows": rows}))
    gpus = f"{tables.GPU_BEGIN}\nold\n{tables.GPU_END}\n"
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n{gpus}")
    monkeypatch.setattr(tables, "FOLDER", folder)
    monkeypatch.setattr(tables, "README", page)
    tables.main()
    text = page.read_text()
    assert text.startswith(f"before\n{tables.BEGIN}\n## ACME, 2 cores\n")
    assert text.endswith(f"{tables.END}\nafter\n{tables.GPU_BEGIN}\nNo results yet.\n{tables.GPU_END}\n")
    assert "old" not in text
    assert "Measured 2026-01-02, commit abc1234. numpy 2.4.6, pyrec_core 0.1.0." in text
    assert "| gram | 60 x 40 | float32 | 2 | 10 | scipy | 3.00 (2.50) | slow | 9.00 (8.00) |" in text
    assert "| gemm | 60 x 40 | float64 | 2 | 10 | BLAS | 0.80 (0.70), disturbed |  |  |" in text  # a loss stays in
    assert "| **kernels.gram.gram** | 60 x 40 | float32 | 2 | 10 | 9..123 | 7 |  | 50 GFLOP/s (50%) | 12.5 |" in text
    assert "| absent | 60 x 40 | float32 | 2 | not installed |" in text
    assert "2026-01-02 abc1234, quick, others took 0.4 cores |" in text
    assert "| `import pyrec_core` | pyrec_core 0.1.0 | 10 | 9..123 | 7 | 1.5 | 200 (3 more) |" in text
    once = text
    tables.main()
    assert page.read_text() == once


def test_tables_refuse_a_page_without_its_markers(bench, tmp_path):
    page = tmp_path / "README.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match=r"README\.md must have one line"):
        bench("tables").write_between(page, "text")


def test_parity_reads_published_files_and_fills_its_page(bench, monkeypatch, tmp_path):
    parity = bench("parity")
    rng = np.random.default_rng(0)
    n_users, n_items = 60, 400
    user, item = np.nonzero(rng.random((n_users, n_items)) < 0.15)
    (tmp_path / "ml-100k").mkdir()
    columns = [user + 1, item + 1, np.full(len(user), 4), rng.permutation(len(user))]
    np.savetxt(tmp_path / "ml-100k" / "u.data", np.column_stack(columns), "%d", "\t")
    page = tmp_path / "parity.md"
    page.write_text("".join(f"<!-- {p.name}: begin -->\nnothing\n<!-- {p.name}: end -->\n" for p in parity.PROTOCOLS))
    monkeypatch.setattr(parity, "PAGE", page)
    monkeypatch.setenv("PYREC_DATA", str(tmp_path))
    off = parity.main()
    text = page.read_text()
    assert off == text.count("**OFF**") > 0  # these are not the data of the reference numbers
    assert text.count("nothing") == 1  # NCF: no data
    assert "| `EASE(l2=500)` | 0." in text
    monkeypatch.delenv("PYREC_DATA")
    with pytest.raises(SystemExit, match="PYREC_DATA must name a folder"):
        parity.main()
