"""Sessions from files: the layouts that the publishers chose, pairs of one catalogue, damage, real data."""

import numpy as np
import pytest
from files import real, write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.datasets import load_retailrocket, load_session_split, load_sessions

EVENTS = [(3, "2014-04-07T10:51:09.277Z", 31), (1, "2014-04-07T10:00:00.5Z", 7), (3, "2014-04-07T10:50:00Z", 7)]
SECONDS = [1396867869.277, 1396864800.5, 1396867800.0]
DIGINETICA = (
    "session_id;user_id;item_id;timeframe;eventdate\n"
    "3;NA;31;69277;2014-04-07\n1;5;7;500;2014-04-06\n3;NA;7;0;2014-04-07\n"
)


def rows(sep, header="", values=tuple(SECONDS), order=(0, 1, 2)):
    lines = [(session, item, value) for (session, _, item), value in zip(EVENTS, values, strict=True)]
    return header + "".join(sep.join(str(line[at]) for at in order) + "\n" for line in lines)


LAYOUTS = {
    "yoochoose-clicks.dat": "".join(f"{session},{time},{item},S\n" for session, time, item in EVENTS),
    "headed yoochoose": "session_id,timestamp,item_id,category\n" + "".join("{},{},{},0\n".format(*e) for e in EVENTS),
    "rsc15_train_full.txt": rows("\t", "SessionId\tItemId\tTime\n"),
    "train-item-views.csv": DIGINETICA,
    "sessionId": DIGINETICA.replace("session_id;user_id;item_id", "sessionId;userId;itemId"),
    "atomic": rows("\t", "session_id:token\titem_id:token\ttimestamp:float\n"),
    "log": rows(",", "user_id,cat_id,item_id,time_stamp\n", order=(0, 2, 1, 2)),
    "ratings.csv": "".join(f"{u},{i},5.0,{t}\n" for (u, _, i), t in zip(EVENTS, SECONDS, strict=True)),
}
DAY = 1396828800


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name, compress):
    found = load_sessions(write(tmp_path / "log", LAYOUTS[name], compress))
    assert found.session_ids.tolist() == [1, 3]
    assert found.item_ids.tolist() == [7, 31]
    assert found.offsets.tolist() == [0, 1, 3]
    assert found.items.tolist() == [0, 0, 1]  # in order of time, not of lines
    expected = [SECONDS[1], SECONDS[2], SECONDS[0]]
    if LAYOUTS[name] in (LAYOUTS["train-item-views.csv"], LAYOUTS["sessionId"]):
        expected = [DAY - 86_400 + 0.5, DAY, DAY + 69.277]
    assert found.time.tolist() == expected


@pytest.mark.parametrize("sep", [" ", "\t", ","])
def test_lines_of_user_and_item_stay_in_order(tmp_path, sep):
    found = load_sessions(write(tmp_path / "Beauty.txt", rows(sep, order=(0, 1))))
    assert found.session_ids.tolist() == [1, 3]
    assert found.item_ids[found.items].tolist() == [7, 31, 7]
    assert found.time is None


def test_ids_may_be_strings(tmp_path):
    found = load_sessions(write(tmp_path / "ratings_Beauty.csv", "A3,B02,5.0,20\nA1,B01,1.0,30\nA3,B01,5.0,10\n"))
    assert found.session_ids.tolist() == ["A1", "A3"]
    assert found.item_ids[found.items].tolist() == ["B01", "B01", "B02"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LAYOUTS["yoochoose-clicks.dat"] + "3,2014-04-07,3",
            "line 4: must have 4 fields, got 3 at the end of the file",
        ),
        (LAYOUTS["yoochoose-clicks.dat"] + "3,2014\n", "line 4: must have at least 3 fields, got 2"),
        (
            LAYOUTS["yoochoose-clicks.dat"] + "3,yesterday,31,0\n",
            "line 4: time must be a date such as .*got 'yesterday'",
        ),
        (LAYOUTS["yoochoose-clicks.dat"] + ",2014-04-07,31,0\n", "line 4: session must not be empty, got ',2014"),
        (LAYOUTS["rsc15_train_full.txt"] + "3\t31\tx\n", "line 5: time must be a finite number, got 'x'"),
        (DIGINETICA + "3;NA;31;;2014-04-07\n", "line 5: milliseconds must be a finite number, got ''"),
        ("", " must hold interactions, got an empty file"),
        ("SessionId\tItemId\tTime\n", " must hold interactions, got an empty file"),
        ("hello\n", " must start with a header that names session or user, and item, .*got 'hello'"),
        ("1,2,3\n", " must start with a header that names session or user, and item, .*got '1,2,3'"),
    ],
)
def test_garbled_files_are_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"^log,? ?{message.removeprefix(' ')}"):
        load_sessions(write(tmp_path / "log", text))


# ---- archives


@given(sessions=st.lists(st.lists(st.integers(1, 9)), min_size=1), n_test=st.integers(0, 3))
def test_ragged_archives(tmp_path_factory, sessions, n_test):
    folder = tmp_path_factory.mktemp("tiny")
    parts = {"train": sessions[n_test:], "test": sessions[:n_test]}
    arrays = {}
    for part, lists in parts.items():
        arrays[f"{part}_items"] = np.array([item for session in lists for item in session], np.uint16)
        arrays[f"{part}_ptr"] = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    np.savez(folder / f"{folder.name}.npz", **arrays, items=arrays["train_items"], ptr=arrays["train_ptr"])
    train, test = load_session_split(folder)
    distinct = sorted({item for session in sessions for item in session})
    for found, part in ((train, "train"), (test, "test")):
        assert found.n_items == len(distinct)
        ids = np.array(distinct or [0])
        assert ids[found.items].tolist() == arrays[f"{part}_items"].tolist()
        assert found.offsets.tolist() == arrays[f"{part}_ptr"].tolist()
        np.testing.assert_array_equal(np.arange(len(distinct)) if found.item_ids is None else found.item_ids, distinct)
    alone = load_sessions(folder)
    assert len(alone) == len(train)
    assert alone.n_items == len({item for session in parts["train"] for item in session})


def test_archives_of_columns(tmp_path):
    session, _, item = map(np.array, zip(*EVENTS, strict=True))
    train = {"train_session": session, "train_item": item, "train_time": SECONDS}
    np.savez(tmp_path / "x.npz", **train, test_session=[1], test_item=[9], test_time=[5.0], valid_sessions=[3])
    train, test = load_session_split(tmp_path / "x.npz")
    assert train.items.tolist() == [0, 0, 2]
    assert train.session_ids.tolist() == [1, 3]
    assert (test.items.tolist(), test.item_ids.tolist(), test.n_items) == ([1], [7, 9, 31], 3)
    with pytest.raises(ValueError, match=r"x.npz must hold one set of sessions, got train and test"):
        load_sessions(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", user=session, item=item, timestamp=SECONDS)
    assert load_sessions(tmp_path / "y.npz").time.tolist() == [SECONDS[1], SECONDS[2], SECONDS[0]]


def test_two_files_share_a_catalogue(tmp_path):
    train = write(tmp_path / "train.txt", rows("\t", "SessionId\tItemId\tTime\n"))
    test = write(tmp_path / "test.txt", "SessionId\tItemId\tTime\n5\t8\t1\n5\t31\t2\n")
    found = load_session_split(train, test)
    assert [part.item_ids.tolist() for part in found] == [[7, 8, 31]] * 2
    assert [part.items.tolist() for part in found] == [[0, 0, 2], [1, 2]]
    assert [part.session_ids.tolist() for part in found] == [[1, 3], [5]]
    with pytest.raises(ValueError, match=r"test must be given, since train.txt is no archive of both, got None"):
        load_session_split(train)


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, items=[1, 2], ptr=[0, 3])
    with pytest.raises(ValueError, match=r"^x.npz: offsets must rise from 0 to the 2 items, got 0 to 3$"):
        load_sessions(path)
    np.savez(path, items=[1.0, 2.0], ptr=[0, 2])
    with pytest.raises(TypeError, match=r"^x.npz: items must hold integers or strings, got float64$"):
        load_sessions(path)
    np.savez(path, train_items=[1], train_ptr=[0, 1], test_items=[1])
    with pytest.raises(ValueError, match=r"^x.npz must hold arrays test_items and test_ptr, got train_items, "):
        load_session_split(path)
    with pytest.raises(ValueError, match=r"path must be a folder with one of .*npz, got .* with x.npz"):
        load_sessions(tmp_path)


# ---- RetailRocket

RETAIL = "timestamp,visitorid,event,itemid,transactionid\n"
VISITS = [
    (9000, 5, "view", 31),
    (2000, 2, "view", 7),
    (1000, 5, "view", 7),
    (2500, 2, "addtocart", 7),
    (9500, 5, "view", 9),
]


@pytest.mark.parametrize("compress", [False, True])
def test_retailrocket(tmp_path, compress):
    text = RETAIL + "".join("{},{},{},{},\n".format(*visit) for visit in VISITS)
    write(tmp_path / ("events.csv" + ".gz" * compress), text, compress)
    found = load_retailrocket(tmp_path)
    assert found.session_ids.tolist() == [2, 5]
    assert found.item_ids[found.items].tolist() == [7, 7, 31, 9]
    assert found.time.tolist() == [2, 1, 9, 9.5]
    assert load_retailrocket(tmp_path, event=None).offsets.tolist() == [0, 2, 5]
    assert load_retailrocket(tmp_path, event="addtocart").items.tolist() == [0]
    assert len(load_retailrocket(tmp_path, event="transaction")) == 0
    split = load_retailrocket(tmp_path, max_gap=7.9)
    assert split.offsets.tolist() == [0, 1, 2, 4]
    assert split.item_ids[split.items].tolist() == [7, 7, 31, 9]
    assert load_retailrocket(tmp_path, max_gap=8).offsets.tolist() == [0, 1, 4]


def test_retailrocket_refuses(tmp_path):
    write(tmp_path / "events.csv", RETAIL + "1000,5,view,7,\n1000,x,view,7,\n")
    with pytest.raises(ValueError, match=r"^events.csv, line 3: visitorid must be an integer, got 'x'$"):
        load_retailrocket(tmp_path)
    with pytest.raises(ValueError, match="event must be one of 'view', 'addtocart', 'transaction', got 'buy'"):
        load_retailrocket(tmp_path, event="buy")
    with pytest.raises(ValueError, match="max_gap must be > 0"):
        load_retailrocket(write(tmp_path / "events.csv", RETAIL + "1000,5,view,7,\n"), max_gap=0)
    with pytest.raises(ValueError, match=r"events.csv must have columns timestamp, visitorid, event, itemid, got a, b"):
        load_retailrocket(write(tmp_path / "events.csv", "a,b\n1,2\n"))


# ---- real data


@pytest.mark.parametrize(
    ("name", "n_sessions", "n_items", "n_prefixes"),
    [
        ("diginetica", (186_670, 15_963), 43_097, (719_470, 60_858)),
        ("tmall", (65_286, 1_027), 40_727, (351_268, 25_898)),
    ],
)
def test_real_session_splits(data_dir, name, n_sessions, n_items, n_prefixes):
    real(data_dir, f"{name}/{name}.npz")
    train, test = load_session_split(data_dir / name)
    assert (len(train), len(test)) == n_sessions
    assert train.n_items == test.n_items == n_items
    assert tuple(len(part.items) - len(part) for part in (train, test)) == n_prefixes
    assert train.item_ids.tolist() == list(range(1, n_items + 1))
    assert set(test.items) <= set(train.items)


def test_real_rsc15(data_dir):
    train, test = load_session_split(real(data_dir, "rsc15-100k/rsc15-100k.npz"))
    assert (len(train), len(test), len(train.items), len(test.items)) == (17_794, 3_416, 70_278, 13_568)
    assert train.n_items == test.n_items == 2_933
    days = (np.array([train.time.min(), test.time.max()]) * 1000).astype("datetime64[ms]").astype("datetime64[D]")
    assert days.astype(str).tolist() == ["2014-04-01", "2014-04-08"]
    assert set(test.items) <= set(train.items)


@pytest.mark.parametrize(
    ("name", "n_users", "n_items", "n_events", "short"),
    [("amazon-beauty", 40_226, 54_542, 353_962, 0), ("amazon-video-games", 31_013, 23_715, 287_107, 1_672)],
)
def test_real_sequences(data_dir, name, n_users, n_items, n_events, short):
    real(data_dir, f"{name}/{name}.npz")
    found = load_sessions(data_dir / name)
    assert (len(found), found.n_items, len(found.items)) == (n_users, n_items, n_events)
    assert (np.diff(found.offsets) < 5).sum() == short
