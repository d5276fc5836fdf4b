import json
import os
import sys
import zipfile
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core import _persist
from pyrec_core._persist import load, save

HEADER = {
    "class": "M",
    "parameters": {"hidden": (64, (2,)), "l2": 0.1, "name": "ä", "none": None, "list": [1, True]},
}
ARRAYS = {
    "weights_": np.arange(12, dtype="f4").reshape(3, 4),
    "empty_": np.zeros((0, 5)),
    "scalar_": np.array(3, "i8"),
    "names_": np.array(["x", "yz"]),
    "flags_": np.array([True, False]),
    "x.indptr": np.array([0, 2**40]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def rewrite(path, **changed):
    """Copy the container with some members replaced (bytes) or left out (None)."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | changed).items():
            if content is not None:
                archive.writestr(name, content)


def change_header(path, **changed):
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("header.json"))
    rewrite(path, **{"header.json": json.dumps(header | changed).encode()})


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("given_as", [str, os.fspath, lambda path: path])
def test_load_gives_back_what_was_saved(path, mmap, given_as):
    save(given_as(path), HEADER, ARRAYS)
    header, arrays = load(given_as(path), mmap)
    assert header | HEADER == header
    assert header["format"] == "pyrec_core"
    assert header["format_version"] == 1
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


def test_save_writes_exactly_the_path_and_numpy_reads_it(path):
    save(path, HEADER, ARRAYS)
    assert os.listdir(path.parent) == ["model"]
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["weights_"], ARRAYS["weights_"])
        assert json.loads(archive["header.json"])["class"] == "M"


def test_save_to_a_bare_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("model.npz", HEADER, ARRAYS)
    assert os.listdir(tmp_path) == ["model.npz"]


def test_save_gives_the_same_bytes_again_and_respects_the_umask(path, tmp_path):
    save(path, HEADER, ARRAYS)
    first = path.read_bytes()
    save(path, HEADER, ARRAYS)
    assert path.read_bytes() == first
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_save_converts_numpy_scalars_and_memory_order(path):
    turned = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save(path, {"l2": np.float32(0.5), "n": np.int64(3), "yes": np.True_}, {"a": turned, "b": turned[:, ::2]})
    header, arrays = load(path)
    assert (header["l2"], header["n"], header["yes"]) == (0.5, 3, True)
    np.testing.assert_array_equal(arrays["a"], turned)
    np.testing.assert_array_equal(arrays["b"], turned[:, ::2])


def test_mapped_arrays_are_aligned_and_read_only(path):
    arrays = {f"{'n' * n}_": np.arange(n, dtype="f8") for n in range(1, 80)}
    save(path, {}, arrays)
    for name, array in load(path, mmap=True)[1].items():
        assert isinstance(array, np.memmap)
        assert array.ctypes.data % 64 == 0
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("wrong", [{"f": print}, {"a": np.ones(2)}, {"z": 1j}])
def test_save_refuses_headers_that_json_cannot_hold(path, wrong):
    with pytest.raises(TypeError, match="header must hold JSON values"):
        save(path, wrong, {})
    assert os.listdir(path.parent) == []


def test_save_refuses_object_arrays(path):
    with pytest.raises(TypeError, match="a must have a plain dtype to be saved, got object"):
        save(path, {}, {"a": np.array([{}])})
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("strings", [[], [""], ["a", "", "é", "x" * 70, "日本"]])
def test_strings_of_variable_width_come_back(path, strings):
    array = np.array(strings, np.dtypes.StringDType())
    for mmap in (False, True):
        save(path, {"n": 1}, {"ids_": array, "a_": np.ones(2)})
        header, arrays = load(path, mmap)
        assert arrays.keys() == {"ids_", "a_"}
        assert arrays["ids_"].dtype == array.dtype
        assert arrays["ids_"].tolist() == strings
        assert "texts" not in header


@pytest.mark.parametrize("array", [np.array([["a"]], "T"), np.array([None], np.dtypes.StringDType(na_object=None))])
def test_save_refuses_other_strings_of_variable_width(path, array):
    with pytest.raises(TypeError, match=r"ids_ must be 1-D without missing strings to be saved, got shape"):
        save(path, {}, {"ids_": array})
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("ends", [[2, 1, 3], [1, 2, 2], [1, 2, 4], [-1, 2, 3], []])
def test_load_refuses_strings_that_end_elsewhere(path, ends):
    utf8, ends = np.frombuffer(b"abc", np.uint8), np.array(ends, np.int64)
    save(path, {"texts": ["ids_"]}, {"ids_.utf8": utf8, "ids_.ends": ends})
    with pytest.raises(ValueError, match="truncated or damaged: strings do not end where they should"):
        load(path)


def test_load_refuses_strings_that_are_no_text_or_not_there(path):
    parts = {"ids_.utf8": np.array([0xFF], np.uint8), "ids_.ends": np.array([1])}
    for arrays in (parts, {"ids_.utf8": parts["ids_.utf8"]}):
        save(path, {"texts": ["ids_"]}, arrays)
        with pytest.raises(ValueError, match="truncated or damaged"):
            load(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("step", ["_write_array", "os.fsync", "os.replace"])
def test_an_interrupted_save_keeps_the_old_file(path, monkeypatch, error, step):
    save(path, {"n": 1}, ARRAYS)

    def fail(*args):
        raise error

    monkeypatch.setattr(f"pyrec_core._persist.{step}", fail)
    with pytest.raises(error):
        save(path, {"n": 2}, ARRAYS)
    monkeypatch.undo()
    assert os.listdir(path.parent) == ["model"]
    assert load(path)[0]["n"] == 1


def test_load_lets_missing_files_be_missing(path):
    with pytest.raises(FileNotFoundError):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x80\x04N."])
def test_load_refuses_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"path must name a pyrec_core file, got '.*model', which is not a zip"):
        load(path)


def test_load_refuses_other_containers(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(3))
    with pytest.raises(ValueError, match="a zip container of another program"):
        load(path)
    save(path, HEADER, ARRAYS)
    for content in (b"[]", b'{"format": "other"}'):
        rewrite(path, **{"header.json": content})
        with pytest.raises(ValueError, match="a zip container of another program"):
            load(path)


def test_load_refuses_a_newer_format_and_names_both_versions(path):
    save(path, HEADER, ARRAYS)
    change_header(path, format_version=2, package_version="9.9.9")
    with pytest.raises(ValueError, match=r"format version <= 1 .* of format version 2, written by pyrec_core 9\.9\.9"):
        load(path)


def test_load_refuses_missing_arrays(path):
    save(path, HEADER, ARRAYS)
    rewrite(path, **{"weights_.npy": None, "flags_.npy": None})
    with pytest.raises(ValueError, match=r"got '.*model', which lacks flags_, weights_"):
        load(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_load_refuses_every_truncation(path, mmap):
    save(path, HEADER, {"a_": np.arange(3.0)})
    content = path.read_bytes()
    for size in [*range(4, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"path must name a whole file, got .* truncated or damaged"):
            load(path, mmap)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_load_survives_any_damage(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "model"
    save(path, HEADER, ARRAYS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        _, arrays = load(path)
    except ValueError:
        return
    for name in arrays:  # what gets through is whole: every byte that counts is under a checksum
        np.testing.assert_array_equal(arrays[name], ARRAYS[name])


@pytest.mark.parametrize("mmap", [False, True])
def test_load_never_unpickles(path, mmap):
    save(path, {}, {"a": np.arange(3.0)})
    with zipfile.ZipFile(path) as archive:
        member = archive.read("a.npy")
    rewrite(path, **{"a.npy": member.replace(b"'<f8'", b"'|O' ")})
    with pytest.raises(ValueError, match="truncated or damaged"):
        load(path, mmap)


@pytest.mark.parametrize("mmap", [False, True])
def test_load_refuses_an_array_header_that_promises_too_much(path, mmap):
    save(path, {}, {"a": np.arange(3.0)})
    with zipfile.ZipFile(path) as archive:
        member = archive.read("a.npy")
    rewrite(path, **{"a.npy": member.replace(b"(3,), }       ", b"(3" + b"0" * 7 + b",), }")})
    with pytest.raises(ValueError, match="a header that does not fit its data"):
        load(path, mmap)


def test_import_of_persist_needs_no_pickle():
    source = Path(_persist.__file__).read_text()
    assert "import pickle" not in source
    assert "allow_pickle=True" not in source


def test_a_killed_save_leaves_the_old_file(path):
    save(path, {"n": 1}, {})
    code = (
        "import os, sys, numpy as np; from pyrec_core import _persist; "
        "_persist.os.replace = lambda *args: os._exit(9); "
        "_persist.save(sys.argv[1], {'n': 2}, {'a': np.ones(3)})"
    )
    assert run([sys.executable, "-c", code, path]).returncode == 9
    assert load(path)[0]["n"] == 1
