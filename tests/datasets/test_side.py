"""Side data: rows by external ids, aligned with what interactions number."""

import numpy as np
import pytest
import scipy.sparse as sp
from files import write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.datasets import SideData, load_texts


@given(ids=st.lists(st.integers(-5, 20), unique=True), wanted=st.lists(st.integers(-5, 25), unique=True))
def test_align_is_a_lookup(ids, wanted):
    numbers = np.array(ids, np.int64)
    X = sp.csr_array(np.stack([numbers, numbers == 3], axis=1).astype(np.float32))
    columns = {
        "int": numbers.astype(np.uint8),
        "float": numbers / 2,
        "text": numbers.astype(str),
    }
    side = SideData(numbers, columns, {"x": X}, {"x": np.array(["id", "is three"])}).align(np.array(wanted, np.int64))
    known = set(ids)
    assert side.ids.tolist() == wanted
    assert side.columns["int"].tolist() == [w % 256 if w in known else -1 for w in wanted]
    np.testing.assert_array_equal(side.columns["float"], [w / 2 if w in known else np.nan for w in wanted])
    assert side.columns["text"].tolist() == [str(w) if w in known else "" for w in wanted]
    expected = [[w, w == 3] if w in known else [0, 0] for w in wanted]
    np.testing.assert_array_equal(side.matrices["x"].toarray(), np.array(expected, np.float32).reshape(-1, 2))
    assert side.names["x"].tolist() == ["id", "is three"]


def test_align_by_names():
    side = SideData(["b", "a"], {"n": [1, 2]})
    assert side.align(["a", "long", "b"]).columns["n"].tolist() == [2, -1, 1]
    with pytest.raises(TypeError, match="ids must be of the kind of this side data's, <U1, got int64"):
        side.align([1])


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"ids": [1, 2, 1]}, ValueError, "ids must be different, got .*1.* 2 times"),
        ({"ids": [1.0, 2.0]}, TypeError, "ids must hold integers or strings, got float64"),
        ({"columns": {"a": [1]}}, ValueError, r"columns\['a'\] must have shape \(2,\) like ids, got \(1,\)"),
        ({"matrices": {"a": np.eye(3)}}, ValueError, r"matrices\['a'\] must have 2 rows like ids, got shape \(3, 3\)"),
        ({"names": {"a": ["x"]}}, ValueError, r"names\['a'\] must name the columns of a matrix, got 1 names"),
        (
            {"matrices": {"a": np.eye(2)}, "names": {"a": ["x"]}},
            ValueError,
            r"names\['a'\] must name the columns of a matrix, got 1 names",
        ),
    ],
)
def test_side_data_refuses(fields, error, message):
    with pytest.raises(error, match=message):
        SideData(**{"ids": [1, 2], **fields})


def test_texts(tmp_path):
    path = write(tmp_path / "x.json", '{"7": "Beauté", "31": ""}', compress=True)
    assert load_texts(path).ids.tolist() == [7, 31]
    assert load_texts(path).columns["text"].tolist() == ["Beauté", ""]
    assert load_texts(write(tmp_path / "x.json", '{"B7": "x", "31": "y"}')).ids.tolist() == ["B7", "31"]
    assert len(load_texts(write(tmp_path / "x.json", "{}"))) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"7": "a",\n "8" "b"}', "x.json, line 2: must be JSON, got: Expecting ':' delimiter"),
        ('{"7": 1}', "x.json must be a JSON object of strings, got others"),
        ('["a"]', "x.json must be a JSON object, got a list"),
        ("", "x.json, line 1: must be JSON, got: Expecting value"),
    ],
)
def test_garbled_texts_are_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_texts(write(tmp_path / "x.json", text))
