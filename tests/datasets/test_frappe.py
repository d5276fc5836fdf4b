"""Frappe in its published forms and as an archive, and the negatives that complete it."""

import json

import numpy as np
import pytest
from files import real, write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Features
from pyrec_core.datasets import add_negatives, load_frappe, load_frappe_log

NAMES = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
SIZES = np.array([957, 4082, 7, 7, 2, 3, 2, 9, 80, 233])
FIRST = np.cumsum(SIZES) - SIZES
ROWS = {"train": [SIZES - 1, 0 * SIZES], "validation": [SIZES // 2], "test": [SIZES // 3, SIZES - 1]}


def libfm(rows):
    lines = (" ".join([f"{1 - 2 * (at % 2)}", *(f"{f}:1" for f in row + FIRST)]) for at, row in enumerate(rows))
    return "".join(line + "\n" for line in lines)


# ---- negatives


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12),
    more=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=3),
    n=st.integers(1, 4),
    seed=st.integers(0, 100),
)
def test_negatives_are_what_the_user_never_had(pairs, more, n, seed):
    had = {user: {i for u, i in pairs + more if u == user} for user in range(4)}
    rows = [[7, u, i, at % 3] for at, (u, i) in enumerate(pairs)]
    positives = Features(
        rows, np.ones((len(rows), 4)), field_sizes=[8, 4, 6, 3], names=("day", "user", "item", "cost"), target=None
    )
    seen = Features([[0, u, i, 0] for u, i in more] or np.zeros((0, 4), int), field_sizes=[8, 4, 6, 3])
    found = add_negatives(positives, n, seen=seen, random_state=seed)
    assert found.target.tolist() == [1] * len(rows) + [0] * len(rows) * n
    assert found.values.shape == found.ids.shape
    np.testing.assert_array_equal(found.ids[: len(rows)], rows)
    negatives = found.ids[len(rows) :]
    np.testing.assert_array_equal(negatives[:, [0, 1, 3]], np.repeat(np.array(rows)[:, [0, 1, 3]], n, axis=0))
    assert not any(item in had[user] for user, item in negatives[:, [1, 2]])
    again = add_negatives(positives, n, seen=seen, random_state=seed)
    np.testing.assert_array_equal(found.ids, again.ids)


def test_negatives_are_uniform():
    positives = Features([[0, 0], [0, 1], [1, 4]], field_sizes=[2, 6], names=("user", "item"))
    ids = add_negatives(positives, 10_000).ids
    counts = np.bincount(ids[3:20_003, 1], minlength=6)  # of user 0, who has items 0 and 1
    assert counts[:2].tolist() == [0, 0]
    chi2 = ((counts[2:] - 5_000) ** 2 / 5_000).sum()
    assert chi2 < 16.3  # 3 degrees of freedom: exceeded once in 1,000 seeds


def test_negatives_are_refused():
    full = Features([[0, 0], [0, 1], [1, 0]], field_sizes=[2, 2], names=("user", "item"))
    with pytest.raises(ValueError, match="positives must leave each user an item, got user 0 with all 2"):
        add_negatives(full)
    with pytest.raises(ValueError, match=r"positives must have the fields user and app, got user, item"):
        add_negatives(full, item="app")
    with pytest.raises(ValueError, match="n must be >= 1, got 0"):
        add_negatives(full, 0)
    missing = Features([[0, -1]], field_sizes=[2, 2], names=("user", "item"))
    with pytest.raises(ValueError, match=r"positives.item must hold item ids in 0..1, got 1 unknown: -1"):
        add_negatives(missing)
    with pytest.raises(ValueError, match=r"seen.item must hold item ids in 0..1, got 1 unknown: 5"):
        add_negatives(full, seen=Features([[0, 5]]))
    with pytest.raises(ValueError, match="seen must have the 2 fields of positives, got 1"):
        add_negatives(full, seen=Features([[0]]))


# ---- published files


@pytest.mark.parametrize("compress", [False, True])
def test_published_split(tmp_path, compress):
    for part, rows in ROWS.items():
        write(tmp_path / f"frappe.{part}.libfm{'.gz' * compress}", libfm(rows), compress)
    split = load_frappe(tmp_path)
    for part, rows in ROWS.items():
        data = getattr(split, part)
        np.testing.assert_array_equal(data.ids, rows)
        assert data.target.tolist() == [1, 0][: len(rows)]
        assert data.names == NAMES
        assert data.field_sizes.tolist() == SIZES.tolist()


@pytest.mark.parametrize(
    "line",
    [
        libfm([SIZES // 2]).rpartition(" ")[0],
        libfm([SIZES // 2]).strip() + " 5380:1",
        libfm([SIZES // 2]).replace(":1", ":2", 1).strip(),
        "1 " + " ".join(f"{f}:1" for f in range(10)),
    ],
)
def test_published_split_with_other_fields(tmp_path, line):
    for part, rows in ROWS.items():
        write(tmp_path / f"frappe.{part}.libfm", libfm(rows))
    write(tmp_path / "frappe.test.libfm", libfm([SIZES - 1]) + line + "\n")
    with pytest.raises(
        ValueError, match=r"^frappe.test.libfm must have one feature of each of the 10 fields, .* example 2$"
    ):
        load_frappe(tmp_path)
    (tmp_path / "frappe.test.libfm").unlink()
    with pytest.raises(
        ValueError, match=r"path must hold .*test.libfm, got only frappe.train.libfm, frappe.validation"
    ):
        load_frappe(tmp_path)


LOG = "user\titem\tcnt\tdaytime\tweekday\tisweekend\thomework\tcost\tweather\tcountry\tcity\n"


def test_log(tmp_path):
    first = "31\t5\t2\tmorning\tsunday\tweekend\tunknown\tfree\tsunny\tSpain\t0\n"
    write(tmp_path / "frappe.csv", LOG + first + first.replace("31", "9").replace("\t2\t", "\t7\t"))
    data = load_frappe_log(tmp_path)
    assert data.ids.tolist() == [[1] + [0] * 9, [0] * 10]
    assert data.target.tolist() == [2, 7]
    assert data.names == NAMES
    assert data.vocabularies[0].tolist() == [9, 31]
    assert data.vocabularies[8].tolist() == ["Spain"]
    with pytest.raises(ValueError, match=r"^frappe.csv, line 3: must have 11 fields, got 3$"):
        load_frappe_log(write(tmp_path / "frappe.csv", LOG + first + "1\t2\t3\n"))
    with pytest.raises(ValueError, match=r"^frappe.csv, line 2: cnt must be an integer, got 'two'$"):
        load_frappe_log(write(tmp_path / "frappe.csv", LOG + first.replace("\t2\t", "\ttwo\t")))
    with pytest.raises(ValueError, match=r"^frappe.csv must have columns user, .* and cnt, got user, item$"):
        load_frappe_log(write(tmp_path / "frappe.csv", "user\titem\n1\t2\n"))


# ---- archive


def archive(folder, **changes):
    X = np.array([SIZES - 1, 0 * SIZES, SIZES // 2], np.uint16)
    arrays = {"X": X, "field_sizes": SIZES, "nfm_split": [0, 1, 2], "cfm_split": [0, 0, 1]}
    arrays |= {f"nfm_{part}_X": X[[at, 0]] for at, part in ((1, "valid"), (2, "test"))}
    arrays |= {f"nfm_{part}_y": [1, 0] for part in ("valid", "test")}
    np.savez(folder / "frappe.npz", **{**arrays, **changes})


def test_archive(tmp_path):
    archive(tmp_path)
    split = load_frappe(tmp_path)
    assert split.train.target.tolist() == [1, 0, 0]
    np.testing.assert_array_equal(split.train.ids[0], SIZES - 1)
    assert split.validation.ids[0].tolist() == [0] * 10
    assert split.test.target.tolist() == [1, 0]
    assert split.train.vocabularies == (None,) * 10
    other = load_frappe(tmp_path, random_state=1)
    assert (split.train.ids[1:, 1] != other.train.ids[1:, 1]).any()
    write(tmp_path / "vocab.json", json.dumps({"cost": {"0": "free"}, "city_raw_id": {"0": 0, "1": 369}}))
    named = load_frappe(tmp_path / "frappe.npz", split="cfm")
    assert (len(named.train), named.validation, len(named.test)) == (2, None, 1)
    assert named.train.vocabularies[6].tolist() == ["free", "id 1"]
    assert named.train.vocabularies[9][:3].tolist() == ["0", "369", "id 2"]


def test_damaged_archives_are_named(tmp_path):
    archive(tmp_path, nfm_split=[0, 1])
    with pytest.raises(ValueError, match=r"^frappe.npz: nfm_split must have shape \(3,\) like X, got \(2,\)$"):
        load_frappe(tmp_path)
    archive(tmp_path, nfm_test_X=[[9999] * 10])
    with pytest.raises(ValueError, match=r"^frappe.npz: field_sizes must be >= 10000 for field 'user', got 957$"):
        load_frappe(tmp_path)
    archive(tmp_path)
    with pytest.raises(ValueError, match=r"^vocab.json must hold a JSON object for each field, got others$"):
        load_frappe(write(tmp_path / "vocab.json", '{"cost": ["free"]}').parent)
    np.savez(tmp_path / "frappe.npz", x=[1])
    with pytest.raises(ValueError, match=r"^frappe.npz must hold arrays X, field_sizes and cfm_split, got x$"):
        load_frappe(tmp_path, split="cfm")
    with pytest.raises(ValueError, match="split must be one of 'nfm', 'cfm', got 'afm'"):
        load_frappe(tmp_path, split="afm")


def test_real_frappe(data_dir):
    path = real(data_dir, "frappe/frappe.npz")
    split = load_frappe(path)
    assert [len(part) for part in split] == [3 * 67_598, 57_722, 28_860]
    assert all(part.field_sizes.sum() == 5_382 for part in split)
    assert split.train.target.sum() == 67_598
    assert (
        split.validation.target.sum() + split.test.target.sum() == 28_599
    )  # 2 of them were published as negatives too
    cfm = load_frappe(path, split="cfm")
    assert (len(cfm.train), len(cfm.test), len(cfm.train) + len(cfm.test)) == (92_808, 3_387, 96_195)
    pairs = np.concatenate([part.ids[:, :2] for part in (cfm.train, cfm.test)]).astype(np.int64)
    had = np.unique(pairs[:, 0] * 4082 + pairs[:, 1])
    assert len(had) == 18_842
    negatives = split.train.ids[split.train.target == 0].astype(np.int64)
    assert not np.isin(negatives[:, 0] * 4082 + negatives[:, 1], had).any()
    # the published negatives keep the cost of the positive row, as these do: wrong in as many of them
    cost = np.zeros(4082, int)
    everything = np.concatenate([cfm.train.ids, cfm.test.ids])
    cost[everything[:, 1]] = everything[:, 6]
    published = split.validation.ids[split.validation.target == 0]
    shares = [(cost[rows[:, 1]] != rows[:, 6]).mean() for rows in (negatives, published)]
    np.testing.assert_allclose(shares, 0.125, atol=0.003)
    if (path.parent / "vocab.json").exists():
        assert split.train.vocabularies[5].tolist() == ["unknown", "home", "work"]
