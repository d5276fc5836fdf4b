"""citeulike-a: lists of ids as published, the archive, real data."""

import numpy as np
import pytest
from files import real, write

from pyrec_core.datasets import load_citeulike, load_citeulike_items, load_citeulike_split

USERS = "3 4 0 2\n0\n1 2\n"


@pytest.mark.parametrize("compress", [False, True])
def test_users(tmp_path, compress):
    write(tmp_path / f"users.dat{'.gz' * compress}", USERS, compress)
    data = load_citeulike(tmp_path)
    assert data.user.tolist() == [0, 0, 0, 2]
    assert data.item.tolist() == [4, 0, 2, 2]
    assert (data.shape, data.item_ids) == ((3, 5), None)
    np.savez(tmp_path / "x.npz", user_items=np.array([4, 0, 2, 2], np.uint16), user_ptr=[0, 3, 3, 4])
    again = load_citeulike(tmp_path / "x.npz")
    assert (again.user.tolist(), again.item.tolist(), again.shape) == (data.user.tolist(), data.item.tolist(), (3, 5))


def test_splits(tmp_path):
    for p, train, test in ((1, "1 4\n1 0\n", "2 0 2\n0\n"), (10, "2 4 0\n1 0\n", "0\n1 5\n")):
        write(tmp_path / f"cf-train-{p}-users.dat", train)
        write(tmp_path / f"cf-test-{p}-users.dat", test, compress=True).rename(tmp_path / f"cf-test-{p}-users.dat.gz")
    split = load_citeulike_split(tmp_path, 1)
    assert split.train.toarray().tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]
    assert split.test.toarray().tolist() == [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert load_citeulike_split(tmp_path, 10).train.shape == (2, 6)
    with pytest.raises(ValueError, match="p must be one of 1, 10, got 2"):
        load_citeulike_split(tmp_path, 2)
    write(tmp_path / "cf-test-10-users.dat", "0\n")
    with pytest.raises(ValueError, match=r"cf-train-10-users.dat must have as many users as the test, 1, got 2"):
        load_citeulike_split(tmp_path, 10)
    (tmp_path / "cf-test-1-users.dat.gz").unlink()
    with pytest.raises(ValueError, match=r"path must be a folder with one of cf-test-1-users.dat, got"):
        load_citeulike_split(tmp_path, 1)


def test_items(tmp_path):
    write(tmp_path / "item-tag.dat", "2 0 1\n0\n1 1\n")
    only_tags = load_citeulike_items(tmp_path)
    assert only_tags.matrices["tags"].toarray().tolist() == [[1, 1], [0, 0], [0, 1]]
    assert only_tags.names == {}
    write(tmp_path / "tags.dat", "café\nweb 2\nunused\r\n", compress=True)
    write(tmp_path / "citations.dat", "1 1\n1 0\n0\n")
    write(tmp_path / "mult.dat", "2 0:3 2:1\n0\n1 1:1\n")
    write(tmp_path / "vocabulary.dat", "graph\nitem\nword\nnone\n")
    items = load_citeulike_items(tmp_path)
    assert items.ids.tolist() == [0, 1, 2]
    assert items.names["tags"].tolist() == ["café", "web 2", "unused"]
    assert items.matrices["tags"].shape == (3, 3)
    assert items.matrices["citations"].toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert items.matrices["words"].toarray().tolist() == [[3, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert items.names["words"].tolist() == ["graph", "item", "word", "none"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("item-tag.dat", "2 0 1\n0\n2 1\n", "item-tag.dat, line 3: must begin with the number of ids, 1, got '2'"),
        ("item-tag.dat", "2 0 5\n0\n1 1\n", "item-tag.dat must hold ids below 2, the number of columns, got 5"),
        ("item-tag.dat", "2 0 -1\n0\n1 1\n", "item-tag.dat: items must hold ids in 0..2147483646, got -1 to 1"),
        ("citations.dat", "1 3\n0\n0\n", "citations.dat must hold ids below 3, the number of columns, got 3"),
        ("citations.dat", "0\n", "path must hold files of as many articles each, got "),
        (
            "mult.dat",
            "2 0:3\n0\n0\n",
            "mult.dat must have the number of words at the beginning of each line, got others",
        ),
        ("mult.dat", "1 0:3\n0\n1 1\n", "mult.dat, line 3: must hold a target and feature:value pairs, got '1'"),
    ],
)
def test_damage_is_named(tmp_path, name, text, message):
    for other, content in (("item-tag.dat", "1 0\n0\n1 1\n"), ("tags.dat", "a\nb\n"), (name, text)):
        write(tmp_path / other, content)
    with pytest.raises(ValueError, match=f"^{message}"):
        load_citeulike_items(tmp_path)


def test_real_citeulike(data_dir):
    real(data_dir, "citeulike-a/citeulike-a.npz")
    folder = data_dir / "citeulike-a"
    data = load_citeulike(folder)
    assert (len(data), *data.shape) == (204_986, 5_551, 16_980)
    everything = data.matrix()
    for p in (1, 10):
        split = load_citeulike_split(folder, p)
        assert (np.diff(split.train.indptr) == p).all()
        assert abs(split.train + split.test - everything).sum() == 0
    items = load_citeulike_items(folder)
    assert (items.matrices["tags"].shape, items.matrices["tags"].nnz) == ((16_980, 46_391), 239_253)
    citations = items.matrices["citations"]
    assert (citations.shape, citations.nnz) == ((16_980, 16_980), 2 * 44_709)
    assert abs(citations - citations.T).sum() == 0
    if (folder / "tags.dat.gz").exists():
        assert items.names["tags"][0] == "ucsc-browser"
