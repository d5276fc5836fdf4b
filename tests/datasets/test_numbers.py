"""libfm files and lists of ids, against Python's own parser; small blocks, so that every boundary is met."""

from itertools import pairwise

import numpy as np
import pytest
from files import write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.datasets import _tokens, load_libfm
from pyrec_core.datasets._numbers import read_lists

NUMBERS = st.one_of(st.integers(-3, 12), st.floats(-(2.0**100), 2.0**100, width=32))
EXAMPLES = st.lists(
    st.tuples(NUMBERS, st.lists(st.tuples(st.integers(0, 40), NUMBERS), max_size=6, unique_by=lambda pair: pair[0])),
    min_size=1,
)
SPACE = st.sampled_from([" ", "\t", "  "])


@given(examples=EXAMPLES, space=SPACE, end=st.sampled_from(["\n", "\r\n", " \n\n", " # note\n"]), last=st.booleans())
def test_libfm_reads_what_was_written(tmp_path_factory, examples, space, end, last):
    lines = [space.join([str(y), *(f"{f}:{v}" for f, v in features)]) for y, features in examples]
    path = write(tmp_path_factory.mktemp("x") / "x.libfm", end.join(lines) + last * end, compress=last)
    expected = np.zeros((len(examples), 41), np.float32)
    for row, (_, features) in enumerate(examples):
        for feature, value in features:
            expected[row, feature] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tokens, "_BLOCK", 16)
        X, y = load_libfm(path, n_features=41)
    assert X.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(X.toarray(), expected)
    np.testing.assert_array_equal(y, np.array([y for y, _ in examples], np.float32))
    used = [feature for _, features in examples for feature, _ in features]
    assert load_libfm(path)[0].shape == (len(examples), max(used, default=-1) + 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 3", "must hold a target and feature:value pairs, got '3'"),
        ("1 3:", "must hold a target and feature:value pairs, got '3'"),
        ("1 3: 5", "must hold a target and feature:value pairs, got '3'"),
        ("1 3:5:6 4:1", "must hold a target and feature:value pairs, got '3'"),
        ("1 :5 4:1", "must hold a target and feature:value pairs, got '5'"),
        ("1 3::5", "must hold a target and feature:value pairs, got '3'"),
        ("3:5", "must begin with a target, got '3'"),
        ("1 3.5:1", "feature must be an integer, got '3.5'"),
        ("1 qid:7 3:1", "feature must be an integer, got 'qid'"),
        ("1 -3:1", "feature must be in 0..2147483646, got '-3'"),
        ("1 99999999999999999999:1", "feature must be an integer, got '99999999999999999999'"),
        ("1 2147483647:1", "feature must be in 0..2147483646, got '2147483647'"),
        ("1 3:x", "value must be a finite number, got 'x'"),
        ("1 3:nan", "value must be a finite number, got 'nan'"),
        ("1 3:1e39", "value must be a finite number, got '1e39'"),
        (f"1 3:{'1' * 50}", f"value must be a finite number, got '{'1' * 50}'"),
        ("yes 3:1", "target must be a finite number, got 'yes'"),
    ],
)
@pytest.mark.parametrize("block", [8, 2**22])
def test_a_garbled_line_is_named(tmp_path, monkeypatch, line, message, block):
    monkeypatch.setattr(_tokens, "_BLOCK", block)
    path = write(tmp_path / "x.libfm", f"1 0:1 2:0.5\n\n-1 1:1\n{line}\n1 0:1\n")
    with pytest.raises(ValueError, match=f"^x.libfm, line 4: {message}$"):
        load_libfm(path)


def test_repeated_features_are_summed(tmp_path):
    X, _ = load_libfm(write(tmp_path / "x.libfm", "1 2:1 0:3 2:0.5\n"))
    assert X.toarray().tolist() == [[3, 0, 1.5]]
    assert X.nnz == 2


def test_libfm_refuses(tmp_path):
    path = write(tmp_path / "x.libfm", "1 0:1\n1 7:1\n")
    with pytest.raises(ValueError, match=r"^x.libfm, line 2: feature must be in 0..6, got '7'$"):
        load_libfm(path, n_features=7)
    with pytest.raises(ValueError, match="n_features must be >= 1, got 0"):
        load_libfm(path, n_features=0)
    for text in ("", "\n\n", "# nothing\n"):
        with pytest.raises(ValueError, match=r"^x.libfm must hold examples, got an empty file$"):
            load_libfm(write(path, text))
    content = write(path, "1 0:1\n" * 500, compress=True).read_bytes()
    with pytest.raises(ValueError, match=r"^x.libfm must be a whole gzip file, got a damaged one"):
        load_libfm(write(path, content[:-9]))


@given(lists=st.lists(st.lists(st.integers(0, 10**17)), min_size=1), space=SPACE, newline=st.booleans())
def test_lists_are_read(tmp_path_factory, lists, space, newline):
    text = "\n".join(space.join(map(str, [len(ids), *ids])) for ids in lists) + "\n" * newline
    path = write(tmp_path_factory.mktemp("x") / "users.dat", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tokens, "_BLOCK", 16)
        ids, offsets = read_lists(path)
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == lists


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 0 1\n1 5 6\n", "users.dat, line 2: must begin with the number of ids, 2, got '1'"),
        ("2 0 1\n0\n3 5 6", "users.dat, line 3: must begin with the number of ids, 2, got '3'"),
        ("2 0 1\nx 5\n", "users.dat, line 2: number of ids must be an integer, got 'x'"),
        ("2 0 1\n1 5.0\n", "users.dat, line 2: id must be an integer, got '5.0'"),
        ("2 0 1\n\n1 5\n", "users.dat, line 2: must not be blank, got ''"),
        ("", "users.dat must hold lists of ids, got an empty file"),
    ],
)
def test_garbled_lists_are_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_lists(write(tmp_path / "users.dat", text))
