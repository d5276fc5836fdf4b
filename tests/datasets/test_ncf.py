"""The leave-one-out files of NCF: published form, archive, damage, real data."""

import numpy as np
import pytest
from files import real, write

from pyrec_core.datasets import load_ncf

FILES = {
    "train.rating": "0\t1\t5\t10\n0\t4\t3\t11\n1\t0\t4\t12\n2\t1\t4\t13\n2\t1\t4\t14\n",
    "test.rating": "0\t2\t5\t20\n1\t3\t4\t21\n2\t0\t1\t22\n",
    "test.negative": "(0,2)\t3\t2\t0\n(1,3)\t1\t2\t6\n(2,0)\t5\t4\t3\n",
}


def write_set(folder, name="tiny", compress=False, **changes):
    for ending, text in FILES.items():
        write(folder / f"{name}.{ending}{'.gz' * compress}", changes.get(ending.replace(".", "_"), text), compress)


@pytest.mark.parametrize("compress", [False, True])
def test_published_files(tmp_path, compress):
    write_set(tmp_path, compress=compress)
    for split in (load_ncf(tmp_path), load_ncf(tmp_path / "tiny"), load_ncf(str(tmp_path / "tiny"))):
        assert split.train.shape == split.test.shape == (3, 7)
        assert split.train.toarray().tolist() == [[0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]]
        assert split.test.toarray().argmax(axis=1).tolist() == [2, 3, 0]
        assert split.test.sum() == 3
        assert split.negatives.tolist() == [[3, 0, -1], [1, 2, 6], [5, 4, 3]]  # 2 is the test item of user 0
        assert split.negatives.dtype == np.int32


def test_several_sets_need_a_name(tmp_path):
    write_set(tmp_path, "a")
    write_set(tmp_path, "b")
    with pytest.raises(ValueError, match=r"path must name one set, as .*a, got a folder with a, b$"):
        load_ncf(tmp_path)
    assert load_ncf(tmp_path / "b").train.nnz == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_rating": "0\tx\t5\t10\n"}, "tiny.train.rating, line 1: item must be an integer, got 'x'"),
        (
            {"train_rating": "0\t1\t5\t10\n3\t1\t5\t10\n"},
            r"tiny.train.rating: user must hold user ids in 0..2, got 1 .*: 3",
        ),
        ({"train_rating": "0\t-1\t5\t10\n"}, r"tiny.train.rating: item must hold item ids in 0..6, got 1 unknown: -1"),
        (
            {"train_rating": "0\t1\t5\t10\n0\t1"},
            "tiny.train.rating, line 2: must have 4 fields, got 2 at the end of the file",
        ),
        ({"test_rating": "0\t2\t5\t20\n2\t3\t4\t21\n"}, "tiny.test.rating, line 2: user must be 1, got 2"),
        (
            {"test_negative": "(0,2)\t3\t2\t0\n(1,3)\t1\t2\n"},
            "tiny.test.negative, line 2: must have user, item and 3 neg.* 4 n",
        ),
        (
            {"test_negative": "(0,2)\t3\n(1,4)\t1\n(2,0)\t5\n"},
            "tiny.test.negative, line 2: must begin with (1,3), got (1,4)",
        ),
        (
            {"test_negative": "(0,2)\t3\n(1,3)\t1\n"},
            "tiny.test.negative must have 3 lines like tiny.test.rating, got 2",
        ),
        (
            {"test_negative": "(0,2)\t3\n(1,3)\tx\n(2,0)\t5\n"},
            "tiny.test.negative, line 2: item must be an integer, got 'x'",
        ),
        ({"test_negative": "(0,2)\n"}, "tiny.test.negative must hold .* negatives in each line, got 2 numbers"),
        ({"test_negative": "\n"}, "tiny.test.negative must hold .* negatives in each line, got 0 numbers"),
        ({"test_negative": ""}, "tiny.test.negative must hold .* negatives in each line, got 0 numbers"),
    ],
)
def test_damage_is_named(tmp_path, changes, message):
    write_set(tmp_path, **changes)
    pattern = message if "\\" in message or ".*" in message else message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=f"^{pattern}"):
        load_ncf(tmp_path)


def test_missing_files_are_named(tmp_path):
    write_set(tmp_path)
    (tmp_path / "tiny.test.rating").unlink()
    with pytest.raises(ValueError, match=r"path must hold .*, got only tiny.train.rating, tiny.test.negative$"):
        load_ncf(tmp_path)
    (tmp_path / "tiny.test.negative").unlink()
    with pytest.raises(ValueError, match=r"path must be a folder with one of .*npz, got .* with tiny.train.rating"):
        load_ncf(tmp_path)
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        load_ncf(tmp_path / "other")


def archive(folder, **changes):
    arrays = {
        "user": [5, 5, 5, 9, 9],
        "item": [70, 10, 30, 10, 20],
        "ncf_item_ids": [10, 70, 30, 20],
        "ncf_test_item": [30, 10],
        "ncf_test_negatives": [[20, 10], [10, 70]],
    }
    np.savez(folder / f"{folder.name}.npz", **{**arrays, **changes})


def test_archive(tmp_path):
    archive(tmp_path)
    split = load_ncf(tmp_path)
    assert split.train.toarray().tolist() == [[1, 1, 0, 0], [0, 0, 0, 1]]
    assert split.test.toarray().tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert split.negatives.tolist() == [[3, 0], [1, -1]]
    archive(tmp_path, item=[70, 10, 30, 10, 99])
    with pytest.raises(ValueError, match="npz must have all items in ncf_item_ids, got others"):
        load_ncf(tmp_path)
    archive(tmp_path, ncf_test_item=[30])
    with pytest.raises(ValueError, match="npz must have a test item and negatives for 2 users, got 1"):
        load_ncf(tmp_path)


def test_real_ncf(data_dir):
    real(data_dir, "ml-1m/ml-1m.npz")
    split = load_ncf(data_dir / "ml-1m")
    assert split.train.shape == split.test.shape == (6_040, 3_706)
    assert split.train.nnz == 1_000_209 - 6_040
    assert split.negatives.shape == (6_040, 99)
    assert (split.negatives[:, -1] == -1).sum() == (split.negatives == -1).sum() == 156
    # what Rendle et al. (RecSys 2020) report for popularity
    popularity = split.train.sum(axis=0)
    held_out = popularity[split.test.indices]
    others = np.where(split.negatives < 0, -1, popularity[split.negatives])
    rank = (others >= held_out[:, None]).sum(axis=1)
    assert abs((rank < 10).mean() - 0.4535) < 5e-4
    assert abs(np.where(rank < 10, 1 / np.log2(rank + 2), 0).mean() - 0.2543) < 5e-4
