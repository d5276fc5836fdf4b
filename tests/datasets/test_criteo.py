"""Criteo's lines: counts in buckets or logarithms, hashed categories, missing fields, vocabularies that are kept."""

import math

import numpy as np
import pytest
from files import real, write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import Features
from pyrec_core.datasets import _tokens, load_criteo
from pyrec_core.datasets._criteo import _bucket

COUNTS = st.lists(st.one_of(st.none(), st.integers(-3, 10**6)), min_size=13, max_size=13)
CATEGORIES = st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=26, max_size=26)
ROWS = st.lists(st.tuples(st.integers(0, 1), COUNTS, CATEGORIES), min_size=1, max_size=20)


def name(category):
    return f"{category * 0x01F3A2B1 % 2**32:08x}"


def text_of(rows, labels=True):
    def line(label, counts, categories):
        fields = ["" if x is None else str(x) for x in counts]
        fields += ["" if x is None else name(x) for x in categories]
        return "\t".join([str(label)] * labels + fields)

    return "".join(line(*row) + "\n" for row in rows)


@given(rows=ROWS, labels=st.booleans(), min_count=st.integers(1, 3), blank=st.sampled_from(["", "\n" * 999]))
def test_fields(tmp_path_factory, rows, labels, min_count, blank):
    path = write(tmp_path_factory.mktemp("x") / "day", text_of(rows, labels) + blank, compress=labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tokens, "_BLOCK", 500)
        data = load_criteo(path, min_count=min_count)
        logs = load_criteo(path, counts="log", n_hashes=7)
    assert data.shape == logs.shape == (len(rows), 39)
    if labels:
        assert data.target.tolist() == logs.target.tolist() == [row[0] for row in rows]
    else:
        assert data.target is logs.target is None
    for at in range(13):
        column = [row[1][at] for row in rows]
        expected = [None if x is None else x if x < 0 else math.floor(math.log2(1 + x) ** 2 + 1e-9) for x in column]
        ids, vocabulary = data.ids[:, at], data.vocabularies[at]
        assert [None if i < 0 else vocabulary[i] for i in ids] == expected
        assert logs.ids[:, at].tolist() == [-1 if x is None else 0 for x in column]
        values = [0 if x is None else math.copysign(math.log1p(abs(x)), x) for x in column]
        np.testing.assert_allclose(logs.values[:, at], values, rtol=1e-6)
    for at in range(26):
        column = [row[2][at] for row in rows]
        ids, vocabulary = data.ids[:, 13 + at], data.vocabularies[13 + at]
        kept = [None if x is None or column.count(x) < min_count else name(x) for x in column]
        assert [None if i < 0 else vocabulary[i] for i in ids] == kept
        assert logs.ids[:, 13 + at].tolist() == [-1 if x is None else int(name(x), 16) % 7 for x in column]
        assert (logs.values[:, 13 + at] == 1).all()
    assert logs.field_sizes.tolist() == [1] * 13 + [7] * 26


def test_buckets_are_exact():
    counts = np.arange(1 << 20)
    buckets = _bucket(counts)
    assert (np.diff(buckets) >= 0).all()
    assert buckets[:9].tolist() == [0, 1, 2, 4, 5, 6, 7, 9, 10]
    powers = np.arange(59)
    np.testing.assert_array_equal(_bucket(2**powers - 1), powers**2)  # just where a rounded logarithm may fall below
    np.testing.assert_array_equal(_bucket(2 ** powers[4:] - 2), powers[4:] ** 2 - 1)
    assert _bucket(np.array([-2, -1])).tolist() == [-2, -1]


def test_like_keeps_the_vocabularies(tmp_path):
    train = load_criteo(write(tmp_path / "a", text_of([(1, [5] * 13, [1] * 26), (0, [9] * 13, [2] * 26)])))
    test = load_criteo(write(tmp_path / "b", text_of([(1, [9] * 13, [2] * 26), (0, [0] * 13, [3] * 26)])), like=train)
    assert (test.ids[0] == train.ids[1]).all()
    assert (test.ids[1] == -1).all()
    for mine, theirs in zip(train.vocabularies, test.vocabularies, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="like must be made with the same counts and n_hashes, got others"):
        load_criteo(tmp_path / "b", like=train, n_hashes=5)
    with pytest.raises(ValueError, match="like must be made with the same counts and n_hashes, got others"):
        load_criteo(tmp_path / "b", like=train, counts="log")
    hashed = load_criteo(tmp_path / "a", n_hashes=5)
    with pytest.raises(ValueError, match="like must be made with the same counts and n_hashes, got others"):
        load_criteo(tmp_path / "b", like=hashed, n_hashes=6)
    assert load_criteo(tmp_path / "b", like=hashed, n_hashes=5).field_sizes[13:].tolist() == [5] * 26


GOOD = text_of([(1, [5] * 13, [1] * 26)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("1\t5", "2\t5", 1), "label must be 0 or 1, got '2'"),
        (GOOD.replace("\t5", "\t5.5", 1), "count must be an integer, got '5.5'"),
        (GOOD.replace(name(1), "1f3a2bx1", 1), "category must be 8 hexadecimal digits, got '1f3a2bx1'"),
        (GOOD.replace(name(1), "1f3a2b", 1), "category must be 8 hexadecimal digits, got '1f3a2b'"),
        (GOOD.rpartition("\t")[0] + "\n", "must have 40 fields, got 39"),
        (GOOD.strip() + "\t\n", "must have 40 fields, got 41"),
    ],
)
def test_a_garbled_line_is_named(tmp_path, line, message):
    path = write(tmp_path / "train.txt", GOOD + "\n" + line + GOOD)
    with pytest.raises(ValueError, match=f"^train.txt, line 3: {message}$"):
        load_criteo(path)


def test_criteo_refuses(tmp_path, monkeypatch):
    path = write(tmp_path / "train.txt", "\n")
    with pytest.raises(ValueError, match=r"^train.txt must hold examples, got an empty file$"):
        load_criteo(path)
    write(path, GOOD)
    with pytest.raises(ValueError, match="counts must be one of 'bucket', 'log', got 'none'"):
        load_criteo(path, counts="none")
    with pytest.raises(ValueError, match="min_count must be >= 1, got 0"):
        load_criteo(path, min_count=0)
    with pytest.raises(TypeError, match="like must be Features of load_criteo, got Features"):
        load_criteo(path, like=Features([[0]]))
    monkeypatch.setattr(_tokens, "_BLOCK", 8)
    with pytest.raises(ValueError, match=r"^train.txt must have labels in all lines or in none, got both$"):
        load_criteo(write(path, GOOD + GOOD.partition("\t")[2]))


def test_real_slice(data_dir):
    path = real(data_dir, "criteo-10k/criteo-10k.txt.gz")
    data = load_criteo(path)
    assert data.shape == (10_000, 39)
    assert data.target.sum() == 2_182
    assert data.vocabularies[13][data.ids[0, 13]] == "68fd1e64"
    assert (data.ids[3] == -1).sum() == 7 + 5  # its missing counts and categories
    again = load_criteo(path, like=data)
    np.testing.assert_array_equal(again.ids, data.ids)
    assert load_criteo(path, min_count=10).field_sizes.sum() < data.field_sizes.sum()
