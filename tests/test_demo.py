"""The demo and the command line, at a size that takes no time."""

import struct
import sys

import numpy as np
import pytest

from pyrec_core import Interactions, demo
from pyrec_core.__main__ import main as command
from pyrec_core.datasets import make_implicit
from pyrec_core.split import strong_generalisation


@pytest.fixture(scope="module")
def tiny():
    return make_implicit(300, 60, interactions_per_user=15)


def write_ratings(path, data, seed=0):
    stars = np.random.default_rng(seed).integers(1, 6, len(data))
    rows = zip(data.user + 100, data.item + 1000, stars, strict=True)
    path.write_text("userId,movieId,rating\n" + "".join(f"{user},{item},{star}\n" for user, item, star in rows))
    return stars


def png_size(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_demo_fits_chooses_reports_and_draws(tiny, tmp_path, capsys):
    results = demo.main(tiny, out=tmp_path / "x.png", l2=20.0, k=4)
    assert [result.name for result in results] == [
        "Popularity", "EASE l2=2", "EASE l2=6", "EASE l2=20", "EASE l2=60", "EASE l2=200",
    ]  # fmt: skip
    split = strong_generalisation(tiny, n_test=0.1, n_validation=0.1)
    for result in results:
        assert list(result.test) == ["precision@10", "recall@20", "recall_trunc@50", "ndcg@100"]
        assert result.test.n_users == split.test.shape[0]
        assert result.validation.n_users == split.validation.test.shape[0]
        assert result.fit_seconds > 0
        assert result.users_per_second > 0
    assert results[3].test["ndcg@100"] > results[0].test["ndcg@100"]

    width, height = png_size(tmp_path / "x.png")
    assert width >= 1800
    assert height >= 750
    image = pytest.importorskip("matplotlib.image").imread(tmp_path / "x.png")
    assert 0.5 < (image[..., :3] == 1).mean() < 0.98  # mostly white paper, but something is drawn

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Data: 300 users, 60 items, {len(tiny):,} positives"
    n_users = [part.shape[0] for part in (split.train, split.validation.test, split.test)]
    assert lines[1] == (
        f"Users: {n_users[0]} train, {n_users[1]} choose l2, {n_users[2]} test the choice; "
        f"{300 - sum(n_users)} with too few items are left out."
    )
    best = max(results[1:], key=lambda result: result.validation["ndcg@100"])
    marked = [line for line in lines if line.startswith("* EASE")]
    assert len(marked) == 1
    assert marked[0].split()[2] == best.name.split()[1]
    for result in results:
        row = next(line for line in lines if line[2:].startswith(result.name + " "))
        for value in (result.validation["ndcg@100"], *result.test.values(), *result.test.standard_error.values()):
            assert f"{value:.4f}" in row
    assert sum(line.startswith("  user ") for line in lines) == 3
    assert lines[-1] == f"{tmp_path / 'x.png'} shows it."


def test_lists_mark_what_was_hidden_and_never_name_what_was_shown(tiny, tmp_path, capsys):
    demo.main(tiny, out=tmp_path / "x.png", l2=20.0, k=60)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  user ")]
    split = strong_generalisation(tiny, n_test=0.1, n_validation=0.1)
    for row, line in enumerate(lines):
        shown, _, listed = line.partition(": ")
        names = listed.split(", ")
        hidden = {int(name[1:-1]) for name in names if name.startswith("[")}
        assert hidden == set(split.test[[row]].indices)
        known = set(split.fold_in[[row]].indices)
        assert {int(name.strip("[]")) for name in names} == set(range(60)) - known
        assert shown.startswith(f"  user {split.test_users[row]}, who has ")


def test_ratings_from_a_file_become_positives_from_4_on(tiny, tmp_path, capsys):
    stars = write_ratings(tmp_path / "ratings.csv", tiny)
    demo.main(tmp_path / "ratings.csv", out=tmp_path / "x.png")
    out = capsys.readouterr().out
    assert out.startswith("ratings.csv: 300 users, 60 items, ")
    assert f"{(stars >= 4).sum():,} ratings of 4 and more, as positives" in out
    users = [int(line.split()[1].rstrip(",")) for line in out.splitlines() if line.startswith("  user ")]
    assert min(users) >= 100  # as the file calls them


@pytest.mark.parametrize("values", [[1, 1, 1], [1, 30, 7], [1, 2, 3], [0.5, 5, 11]])
def test_counts_are_not_taken_for_ratings(values):
    X, rule = demo._positives(Interactions([0, 1, 2], [0, 1, 2], values))
    assert rule == "positives"
    assert X.nnz == 3


def test_without_matplotlib_the_demo_says_how_to_get_it(tiny, tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"] + ["matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert len(demo.main(tiny, out=tmp_path / "x.png")) == 6
    assert "matplotlib is missing. pip install 'pyrec_core[plot]' adds it." in capsys.readouterr().out
    assert not (tmp_path / "x.png").exists()


def test_the_command_runs_the_demo(tiny, tmp_path, capsys):
    write_ratings(tmp_path / "ratings.csv", tiny)
    options = ["--data", str(tmp_path / "ratings.csv"), "--out", str(tmp_path / "x.png"), "--l2", "7", "--k", "3"]
    assert command(["demo", *options]) == 0
    out = capsys.readouterr().out
    assert "EASE l2=7 " in out
    assert all(len(line.partition(": ")[2].split(", ")) == 3 for line in out.splitlines() if line.startswith("  user"))
    assert png_size(tmp_path / "x.png")[0] >= 1800


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "demo: path must name a file or folder, got 'nowhere', which does not exist"),
        (["--l2", "0"], "demo: l2 must be > 0.0, got 0.0"),
        (["--k", "0"], "demo: k must be >= 1, got 0"),
    ],
)
def test_mistakes_on_the_command_line_get_one_line(options, message, capsys):
    assert command(["demo", *options]) == 1
    assert capsys.readouterr().err.strip() == message


def test_the_command_runs_the_doctor(capsys):
    assert command(["doctor"]) in (0, 1)
    assert capsys.readouterr().out.startswith("pyrec_core ")


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stopped:
        command([])
    assert stopped.value.code == 2
    assert "command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234, "1.23 s"), (0.1337, "134 ms"), (0.0101, "10 ms"), (0.0012, "1.2 ms")]
)
def test_durations_are_short(seconds, text):
    assert demo._duration(seconds) == text
