"""Every bench at a tiny size: it runs and checks its results. No time is asserted."""

import pytest

pytestmark = pytest.mark.source


@pytest.mark.filterwarnings("ignore")  # of the peers, where they are installed
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["gram_matrix", "inverse", "whole_fit"])
def test_ease(bench, session, function, dtype):
    session, rows = session
    session.quick = function != "inverse"  # quick leaves peers out
    getattr(bench("bench_ease"), function)(session, "tiny", dtype)
    assert any(r["ours"] for r in rows)
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")  # of the peers, where they are installed
@pytest.mark.parametrize(("function", "arguments"), [("fit", {"l1_ratio": 0.1}), ("neighbours", {})])
def test_slim(bench, session, function, arguments):
    session, rows = session
    getattr(bench("bench_slim"), function)(session, "tiny", **arguments)
    assert any(r["ours"] for r in rows)
    assert all(r.get("status", "not installed") == "not installed" for r in rows)
    installed = [r for r in rows if "status" not in r]
    assert all("objective" in r for r in installed if function == "fit" and len(installed) > 1)


@pytest.mark.parametrize("function", ["products", "solvers"])
def test_linalg(bench, session, function):
    session, rows = session
    getattr(bench("bench_linalg"), function)(session, 50, "float64")
    assert [r["ours"] for r in rows] == [True, False, True, False]


@pytest.mark.filterwarnings("ignore")  # of the peers, where they are installed
@pytest.mark.parametrize(
    "function", ["factor_implicit", "factor_torch", "factor_default_malloc", "factor_everyone", "sparse", "dense"]
)
def test_topk(bench, session, monkeypatch, function):
    session, rows = session
    topk = bench("bench_topk")
    monkeypatch.setattr(topk, "BLOCK", 64)  # several blocks, the last one not full
    session.quick = False
    getattr(topk, function)(session, "tiny")
    assert rows
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")  # of the peers, where they are installed
@pytest.mark.parametrize(
    ("function", "arguments"),
    [("lists", {}), ("scores", {"skilled": False}), ("scores", {"skilled": True}), ("targets", {})],
)
def test_metrics(bench, session, monkeypatch, function, arguments):
    session, rows = session
    metrics = bench("bench_metrics")
    monkeypatch.setattr(metrics, "BLOCK", 64)  # several blocks, the last one not full
    monkeypatch.setattr(metrics, "FEW", 100)
    getattr(metrics, function)(session, "tiny", **arguments)
    assert rows
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")  # of torch, where it is installed
@pytest.mark.parametrize("rule", ["adagrad", "adam"])
@pytest.mark.parametrize("function", ["rows", "dense"])
def test_optim(bench, session, function, rule):
    session, rows = session
    getattr(bench("bench_optim"), function)(session, "tiny", rule)
    assert rows
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", ["cross-entropy", "bpr", "top1", "top1-max", "bpr-max", "bpr-max, linear"])
def test_losses(bench, session, loss):
    session, rows = session
    bench("bench_losses").sampled_scores(session, loss, "tiny", compiled=False)
    assert [r["ours"] for r in rows] == [True, True, False]
    assert rows[-1].get("status", "not installed") == "not installed"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", ["head", "head_default_malloc", "sampled_head"])
def test_heads(bench, session, function):
    session, rows = session
    getattr(bench("bench_losses"), function)(session, "tiny")
    assert not rows[-1]["ours"]
    assert rows[-1].get("status", "not installed") == "not installed"


@pytest.mark.filterwarnings("ignore")
def test_activations(bench, session):
    session, rows = session
    activations = bench("bench_activations")
    for name in activations.NAMES:
        activations.there_and_back(session, name, "tiny")
    activations.stack(session, "tiny")
    assert [r["ours"] for r in rows] == [True, False] * (len(activations.NAMES) + 1)


@pytest.mark.parametrize("function", ["network", "network_default_malloc", "products"])
def test_cin(bench, session, monkeypatch, function):
    session, rows = session
    cin = bench("bench_cin")
    monkeypatch.setattr(cin, "COLUMNS", 7)  # several blocks, the last one not full
    getattr(cin, function)(session, "tiny")
    assert not rows[-1]["ours"]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")  # of torch, where it is installed
@pytest.mark.parametrize("function", ["sums", "factorization", "inner", "inner_default_malloc", "attention"])
def test_interaction(bench, session, function):
    session, rows = session
    getattr(bench("bench_interaction"), function)(session, "tiny")
    assert not rows[-1]["ours"]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")  # of torch, where it is installed
@pytest.mark.parametrize("cell", ["gru before", "gru after", "lstm"])
@pytest.mark.parametrize("function", ["step", "packed"])
def test_recurrent(bench, session, function, cell):
    session, rows = session
    getattr(bench("bench_recurrent"), function)(session, "tiny", cell)
    assert [r["ours"] for r in rows] == [True, False]
    assert rows[-1].get("status", "not installed") == "not installed"


@pytest.mark.filterwarnings("ignore")  # of torch, where it is installed
@pytest.mark.parametrize("model", ["DeepFM", "NFM", "XDeepFM"])
@pytest.mark.parametrize("function", ["train", "train_default_malloc"])
def test_feature(bench, session, function, model):
    session, rows = session
    getattr(bench("bench_feature"), function)(session, model, "tiny")
    assert [r["ours"] for r in rows] == [True, False, False]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_gru4rec(bench, session, monkeypatch, loss):
    session, rows = session
    gru4rec = bench("bench_gru4rec")
    monkeypatch.setattr(gru4rec, "SAMPLES", 16)
    gru4rec.train(session, loss, 8, items=50, steps=3)
    assert [r["ours"] for r in rows] == [True, False]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")
def test_gru4rec_ranks(bench, session):
    session, rows = session
    bench("bench_gru4rec").rank(session, 60, items=50)
    assert [r["ours"] for r in rows] == [True, False]


@pytest.mark.filterwarnings("ignore")
def test_ncf(bench, session):
    session, rows = session
    bench("bench_ncf").train(session, users=40, items=30, size=16, steps=3)
    assert [r["ours"] for r in rows] == [True, False, False]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", ["pairs", "pairs_default_malloc", "bags"])
def test_embedding(bench, session, function):
    session, rows = session
    getattr(bench("bench_embedding"), function)(session, "tiny")
    assert rows[0]["ours"]
    assert all(r.get("status", "not installed") == "not installed" for r in rows)
