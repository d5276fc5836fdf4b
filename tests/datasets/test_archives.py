"""Archives of NumPy and SciPy: what goes in comes out, and damage is named."""

import zipfile

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core.datasets import load, load_npz


@pytest.mark.parametrize(("value", "time"), [("rating", "timestamp"), ("value", "time"), (None, None)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays(tmp_path, value, time, save):
    arrays = {
        "user": np.array([3, 3, 1], np.uint16),
        "item": np.array(["b", "a", "b"]),
        "unrelated": np.eye(2),
    }
    if value:
        arrays |= {value: np.array([1, 5, 2], np.uint8), time: np.array([30, 10, 20])}
    save(tmp_path / "x.npz", **arrays)
    for found in (load_npz(tmp_path / "x.npz"), load(str(tmp_path / "x.npz"))):
        assert found.user_ids.tolist() == [1, 3]
        assert found.item_ids.tolist() == ["a", "b"]
        np.testing.assert_array_equal(found.user, [1, 1, 0])
        np.testing.assert_array_equal(found.value, [1, 5, 2] if value else [1, 1, 1])
        assert found.time is None if time is None else found.time.tolist() == [30, 10, 20]


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_matrix(tmp_path, kind, container):
    dense = np.array([[0, 2.5, 0, 0], [1, 0, 3, 0], [0, 0, 0, 0]], np.float32)
    sp.save_npz(tmp_path / "x.npz", container(dense).asformat(kind))
    found = load_npz(tmp_path / "x.npz")
    assert found.shape == (3, 4)  # the empty row and column are kept
    assert len(found) == 3  # no stored zeros
    np.testing.assert_array_equal(found.matrix(binary=False).toarray(), dense)


def test_stored_zeros_are_no_interactions(tmp_path):
    sp.save_npz(tmp_path / "x.npz", sp.csr_array((np.array([2.0, 0.0]), ([0, 0], [1, 2])), shape=(1, 3)))
    assert load_npz(tmp_path / "x.npz").item.tolist() == [1]


def test_the_name_does_not_matter(tmp_path):
    np.savez(tmp_path / "x.npz", user=[1], item=[2])
    (tmp_path / "x.npz").rename(tmp_path / "interactions")
    assert len(load(tmp_path / "interactions")) == 1


def test_missing_arrays_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", users=[1], item=[2])
    with pytest.raises(ValueError, match=r"^x.npz must hold arrays user and item, got users, item$"):
        load_npz(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    with pytest.raises(ValueError, match=r"^x.zip must hold arrays user and item, got none$"):
        load_npz(tmp_path / "x.zip")


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", user=np.array([{}], object), item=[1])
    with pytest.raises(
        ValueError, match=r"x.npz must be an undamaged .npz archive without objects, got: .*allow_pickle"
    ):
        load_npz(tmp_path / "x.npz")


def test_damage_is_an_error(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, user=np.arange(5000), item=np.arange(5000))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"^x.npz must be an .npz archive, got another or a truncated file$"):
        load_npz(path)
    damaged = bytearray(content)
    damaged[3000] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(ValueError, match=r"^x.npz must be an undamaged .npz archive without objects, got: .*CRC"):
        load_npz(path)
    path.write_text("user,item\n1,2\n")
    with pytest.raises(ValueError, match=r"^x.npz must be an .npz archive"):
        load_npz(path)


def test_wrong_contents_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", user=[1.5], item=[1])
    with pytest.raises(TypeError, match="user must hold integers or strings, got float64"):
        load_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", user=[1, 2], item=[1])
    with pytest.raises(ValueError, match=r"item must have shape \(2,\) like user, got \(1,\)"):
        load_npz(tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError, match="path must name a file or folder"):
        load_npz(tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("name", "expected"), [("ml-100k", (100_000, 943, 1_682)), ("ml-1m", (1_000_209, 6_040, 3_706))]
)
def test_real_archives(data_dir, name, expected):
    if not (data_dir / name / f"{name}.npz").exists():
        pytest.skip(f"PYREC_DATA has no {name}/{name}.npz")
    found = load(data_dir / name)
    assert (len(found), *found.shape) == expected
    assert found.user_ids[0] == 1
    np.testing.assert_allclose(found.value.mean(dtype=float), {"ml-100k": 3.52986, "ml-1m": 3.5816}[name], atol=5e-5)
    assert found.matrix(duplicates="error").nnz == len(found)
