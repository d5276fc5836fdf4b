"""External ids of fitted models: what goes in comes out, in every method, through files and pickles."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import EASE, Interactions, Popularity, Sessions, load
from pyrec_core._vocabulary import Vocabulary

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
LOG = {
    "user": ["ann", "ann", "bob", "bob", "bob", "cyd", "dan", "dan"],
    "item": ["x", "y", "x", "y", "z", "z", "x", "w"],
}
TEXT = np.dtypes.StringDType()


@pytest.fixture(params=TABLES)
def data(request):
    return Interactions.from_frame(TABLES[request.param](LOG), user="user", item="item")


@pytest.fixture
def model(data):
    return EASE(l2=1.0).fit(data)


def test_ids_of_a_table_come_back(model):
    assert model.user_ids_.tolist() == ["ann", "bob", "cyd", "dan"]
    assert model.item_ids_.tolist() == ["w", "x", "y", "z"]
    items, scores = model.recommend(["cyd", "ann"], k=2)
    assert items.dtype == model.item_ids_.dtype
    dense, wanted = EASE(l2=1.0).fit(model.interactions_).recommend([2, 0], k=2)
    assert items.tolist() == model.item_ids_[dense].tolist()
    np.testing.assert_array_equal(scores, wanted)


def test_one_user_gets_one_list(model):
    items, scores = model.recommend("cyd", k=2)
    assert items.shape == scores.shape == (2,)
    np.testing.assert_array_equal(items, model.recommend(["cyd"], k=2)[0][0])
    np.testing.assert_array_equal(items, model.recommend(np.str_("cyd"), k=2)[0])


def test_short_lists_end_in_none(model):
    items, scores = model.recommend(["bob", "cyd"], k=3)
    assert items.dtype == object
    assert items[0].tolist() == ["w", None, None]
    assert all(type(item) is str for item in items[1])
    assert scores[0, 1:].tolist() == [-np.inf, -np.inf]


def test_integers_come_back_as_integers():
    data = Interactions.from_arrays([70, 70, 50], [9, 4, 9])
    model = Popularity().fit(data)
    items, _ = model.recommend([50, 70], k=1)
    assert items.tolist() == [[4], [None]]
    assert type(items[0, 0]) is int
    items, _ = model.recommend(50, k=1)
    assert (items.dtype, items.tolist()) == (data.item_ids.dtype, [4])
    assert Popularity().fit(Interactions.from_arrays([70, 50], [0, 1])).recommend([50])[0].dtype == np.int32


@pytest.mark.parametrize("users", [["bob", "ann"], ("bob", "ann"), np.array(["bob", "ann"], object),
                                   np.array(["bob", "ann"], TEXT), pd.Series(["bob", "ann"]),
                                   pl.Series(["bob", "ann"])])  # fmt: skip
def test_ids_may_come_in_any_array(model, users):
    np.testing.assert_array_equal(model.recommend(users)[0], model.recommend(["bob", "ann"])[0])
    np.testing.assert_array_equal(model.predict(users, "x"), model.predict(["bob", "ann"], "x"))


def test_predict_and_similar_items_take_ids(model):
    plain = EASE(l2=1.0).fit(model.interactions_)
    table = model.predict(model.user_ids_[:, None], model.item_ids_)
    np.testing.assert_array_equal(table, plain.predict(np.arange(4)[:, None], np.arange(4)))
    assert model.predict("dan", "z") == table[3, 3]
    items, scores = model.similar_items(["x", "z"], k=4)
    dense, wanted = plain.similar_items([1, 3], k=4)
    assert items.tolist() == [[None if at < 0 else "wxyz"[at] for at in row] for row in dense]
    np.testing.assert_array_equal(scores, wanted)
    assert model.similar_items("x", k=3)[0].dtype == model.item_ids_.dtype


def test_candidates_are_ids_or_a_matrix_of_columns(model):
    assert model.recommend("cyd", k=2, candidates=["y", "w"])[0].tolist() in (["w", "y"], ["y", "w"])
    assert model.recommend("cyd", candidates=[])[0].tolist() == [None] * 10
    per_user = sp.csr_array(np.array([[1.0, 0, 0, 0]]))
    assert model.recommend(["cyd"], k=1, candidates=per_user)[0].tolist() == [["w"]]
    with pytest.raises(ValueError, match=r"candidates must be 1-D, got shape \(1, 1\)"):
        model.recommend("cyd", candidates=[["w"]])


def test_unknown_ids_are_counted_and_named(model):
    message = "users must hold known user ids, got 4 unknown: 'eve', 'fay', 'gus'"
    for call in (model.recommend, lambda users: model.predict(users, "x")):
        with pytest.raises(ValueError, match=message):
            call(["gus", "ann", "eve", "hal", "fay", "eve"])
    with pytest.raises(ValueError, match="users must hold known user ids, got 1 unknown: 'annabel'"):
        model.recommend("annabel")  # longer than any known id
    with pytest.raises(ValueError, match="items must hold known item ids, got 1 unknown: 'q'"):
        model.predict("ann", [["x", "q"]])
    with pytest.raises(ValueError, match="items must hold known item ids, got 1 unknown: 'q'"):
        model.similar_items("q")
    with pytest.raises(ValueError, match="candidates must hold known item ids, got 1 unknown: 'q'"):
        model.recommend("ann", candidates=["q", "x"])


@pytest.mark.parametrize("wrong", [0, [0, 1], 0.5, [True], None, [None, "ann"], ["ann", 3], b"ann"])
def test_ids_of_another_kind_are_a_type_error(model, wrong):
    for call in (model.recommend, lambda users: model.predict(users, "x")):
        with pytest.raises(TypeError, match=r"users must hold (strings|integers or strings)"):
            call(wrong)
    numbered = Popularity().fit(Interactions.from_arrays([5, 7], [3, 9]))
    with pytest.raises(TypeError, match="users must hold integers like the known user ids, got <U1"):
        numbered.recommend(["5"])


def test_new_users_are_found_by_their_items(model):
    rows = Interactions.from_arrays(["new", "newer", "new"], ["z", "w", "x"])
    wanted = model.recommend(sp.csr_array([[0.0, 1, 0, 1], [1, 0, 0, 0]]), k=2)
    found = model.recommend(rows, k=2)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    sessions = Sessions.from_arrays([0, 0, 1], ["z", "x", "w"])
    np.testing.assert_array_equal(model.recommend(sessions, k=2)[0], wanted[0])


def test_unknown_items_of_new_users_are_refused(model):
    rows = Interactions.from_arrays([0] * 6, ["q", "x", "r", "t", "s", "q"])
    for call, name in ((model.recommend, "users"), (model.score, "X")):
        with pytest.raises(ValueError, match=f"{name} must hold known item ids, got 4 unknown: 'q', 'r', 's'"):
            call(rows)
    unused = Interactions([0], [1], item_ids=["q", "x"])  # a name in a vocabulary is no event
    assert model.recommend(unused, k=1)[0].shape == (1, 1)
    with pytest.raises(TypeError, match="users must hold strings like the known item ids, got int64"):
        model.recommend(Interactions.from_arrays([0], [5]))


def test_dense_ids_of_new_users_are_ids():
    some = Interactions.from_arrays([0, 0, 1, 1], [0, 1, 1, 5])  # 0, 1, 5: with a vocabulary
    model = EASE(l2=1.0).fit(some)
    rows = Interactions.from_arrays([0, 0], [0, 1])  # 0, 1: without one
    np.testing.assert_array_equal(model.recommend(rows, k=1)[0], [[5]])
    every = EASE(l2=1.0).fit(np.ones((3, 6)))
    assert every.recommend(some, k=6)[0].tolist()[0][4:] == [-1, -1]
    with pytest.raises(ValueError, match=r"users must hold item ids in 0\.\.5, got 2 unknown: 6, 8"):
        every.recommend(Interactions.from_arrays([0, 0], [8, 6]))


def test_score_aligns_columns():
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((40, 12)) < 0.4)
    names = np.array([f"i{at:02d}" for at in rng.permutation(12)])
    whole = Interactions.from_arrays(user, names[item])
    model = EASE(l2=5.0).fit(whole)
    turned = Interactions(user, item, item_ids=names)
    assert not np.array_equal(turned.item_ids, model.item_ids_)
    assert model.score(turned) == model.score(whole) == model.score(model.interactions_)


def test_sessions_are_users():
    sessions = Sessions.from_arrays(LOG["user"], LOG["item"])
    model = Popularity().fit(sessions)
    assert model.user_ids_.tolist() == ["ann", "bob", "cyd", "dan"]
    np.testing.assert_array_equal(model.interactions_.toarray(), sessions.matrix().toarray())
    with pytest.raises(ValueError, match="user_ids must be distinct, got 1 more than once: 'ann'"):
        Popularity().fit(sessions.take([0, 0]))


@pytest.mark.parametrize("dtype", [str, TEXT, np.int64, np.uint8])
@pytest.mark.parametrize("mmap", [False, True])
def test_ids_survive_files_and_pickles(tmp_path, dtype, mmap):
    ids = np.array([30, 4, 200, 7]).astype(str).astype(dtype)
    data = Interactions([0, 1, 2, 3, 0], [0, 1, 2, 3, 3], user_ids=ids, item_ids=ids[::-1])
    model = Popularity().fit(data)
    model.save(tmp_path / "model")
    for other in (load(tmp_path / "model", mmap=mmap), pickle.loads(pickle.dumps(model))):
        assert other.user_ids_.dtype == ids.dtype
        np.testing.assert_array_equal(other.item_ids_, ids[::-1])
        for k in (1, 4):
            found, wanted = other.recommend(ids, k=k), model.recommend(ids, k=k)
            assert found[0].dtype == wanted[0].dtype
            np.testing.assert_array_equal(found[0], wanted[0])
            np.testing.assert_array_equal(found[1], wanted[1])


def test_without_interactions_there_are_no_user_ids(tmp_path, model):
    model.save(tmp_path / "whole")
    model.save(tmp_path / "model", include_interactions=False)
    whole, without = ((tmp_path / name).read_bytes().replace(b"\0", b"") for name in ("whole", "model"))
    assert b"cyd" in whole
    assert b"cyd" not in without
    bare = load(tmp_path / "model")
    assert bare.user_ids_ is None
    rows = Interactions.from_arrays([0], ["z"])
    np.testing.assert_array_equal(bare.recommend(rows, k=2)[0], model.recommend(rows, k=2)[0])
    for users in ("cyd", ["cyd"]):
        with pytest.raises(ValueError, match="this model was saved without its interactions"):
            bare.recommend(users)


def test_a_second_fit_forgets_the_ids(model):
    model.fit(np.eye(3))
    assert (model.user_ids_, model.item_ids_) == (None, None)
    assert model.recommend([0], k=2)[0].tolist() == [[1, 2]]
    assert not {name for name in vars(model) if "order" in name or "ids" in name}


def test_a_model_keeps_its_own_ids():
    ids = np.array(["b", "a"])
    model = Popularity().fit(Interactions([0, 1], [0, 1], item_ids=ids))
    ids[:] = "?"
    assert model.recommend([0, 1], k=1)[0].tolist() == [["a"], ["b"]]


def test_dense_verbs_ignore_the_ids(model):
    plain = EASE(l2=1.0).fit(model.interactions_)
    for users in ([2, 0], np.array([3]), model.interactions_[:2], model.interactions_[:2].toarray()):
        for candidates in (None, [0, 2]):
            found = model._recommend_dense(users, 3, candidates=candidates)
            wanted = plain.recommend(users, 3, candidates=candidates)
            assert found[0].dtype == np.int32
            np.testing.assert_array_equal(found[0], wanted[0])
            np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_array_equal(model._predict_dense([[0], [1]], [2, 3]), plain.predict([[0], [1]], [2, 3]))
    with pytest.raises(ValueError, match=r"users must hold user ids in 0\.\.3, got 1 unknown: 4"):
        model._recommend_dense([4])
    with pytest.raises(ValueError, match=r"items must hold item ids in 0\.\.3, got 1 unknown: 4"):
        model._predict_dense(0, 4)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_tables_are_refused_by_name(make, model):
    df = make(LOG)
    for call, name in ((Popularity().fit, "X"), (model.recommend, "users"), (model.score, "X")):
        with pytest.raises(TypeError, match=rf"{name} must be .*, got a \w+ \w+: make Interactions.from_frame\(df"):
            call(df)


def test_a_transposed_matrix_is_recognised():
    X = sp.random_array((30, 12), density=0.3, rng=np.random.default_rng(0), format="csr")
    model = Popularity().fit(X)
    message = (
        r"must have 12 columns \(items\), got shape \(12, 30\) for a model of shape \(30, 12\): it looks transposed"
    )
    for call, name in ((model.recommend, "users"), (model.score, "X"), (model._recommend_dense, "users")):
        with pytest.raises(ValueError, match=f"{name} {message}"):
            call(X.T)
    with pytest.raises(ValueError, match=r"got shape \(30, 11\) for a model of shape \(30, 12\)$"):
        model.recommend(X[:, :11])
    weights = r"sample_weight must have shape \(30,\), got \(12,\), one an item: X of shape \(30, 12\) looks transposed"
    for call in (model.fit, model.score):
        with pytest.raises(ValueError, match=weights):
            call(X, sample_weight=np.ones(12))


IDS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=20) | st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5), unique=True, max_size=20
)


@pytest.mark.parametrize("text", [str, TEXT])
@given(ids=IDS, others=IDS)
def test_a_vocabulary_finds_what_it_holds_and_nothing_else(text, ids, others):
    array = np.array(ids, text if ids and isinstance(ids[0], str) else np.int64)
    words = Vocabulary.of("item", array)
    assert words.find("items", array).tolist() == list(range(len(ids)))
    assert words.external(np.arange(len(ids))).tolist() == ids
    if ids and others and type(ids[0]) is type(others[0]):
        wanted = [ids.index(other) if other in ids else -1 for other in others]
        found = words.find("items", others)
        assert found.tolist() == wanted
        assert words.external(found).tolist() == [other if other in ids else None for other in others]


def test_a_vocabulary_is_not_fooled_by_wrapping_or_cutting():
    small = Vocabulary.of("item", np.array([3, 255], np.uint8))
    assert small.find("items", [259, -1, 255, 2**40 + 3]).tolist() == [-1, -1, 1, -1]
    assert Vocabulary.of("item", np.array([2**63 + 1], np.uint64)).find("items", [-(2**63) + 1, 1]).tolist() == [-1, -1]
    short = Vocabulary.of("item", ["ab", "cd"])
    assert short.find("items", ["abc", "ab", "a", "cde"]).tolist() == [-1, 0, -1, -1]
