"""Text loaders on small files that the tests write, on damaged ones, and on real data."""

import csv
import gzip

import numpy as np
import pytest
from files import real, write
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.datasets import load, load_delimited, load_movielens

ROWS = [(1, 1193, 5.0, 978300760), (1, 661, 3.0, 978302109), (7, 661, 3.5, 978301968)]
FORMATS = {
    "ratings.dat": "".join("{}::{}::{:g}::{}\n".format(*row) for row in ROWS),
    "u.data": "".join("{}\t{}\t{:g}\t{}\n".format(*row) for row in ROWS),
    "ratings.csv": "userId,movieId,rating,timestamp\n" + "".join("{},{},{},{}\n".format(*row) for row in ROWS),
}


def assert_rows(data, rows=ROWS):
    user_ids = np.arange(data.n_users) if data.user_ids is None else data.user_ids
    item_ids = np.arange(data.n_items) if data.item_ids is None else data.item_ids
    assert list(zip(user_ids[data.user], item_ids[data.item], data.value, data.time, strict=True)) == rows


# ---- MovieLens


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_movielens_formats(tmp_path, name, compress):
    path = write(tmp_path / (name + ".gz" * compress), FORMATS[name], compress)
    for found in (load_movielens(path), load_movielens(tmp_path), load_movielens(str(tmp_path)), load(path)):
        assert_rows(found)
        assert found.time.dtype == np.int64


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_line_ends_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path, name, compress):
    text = "\ufeff" + FORMATS[name].replace("\n", "\r\n\r\n").removesuffix("\r\n\r\n")
    assert_rows(load_movielens(write(tmp_path / "x", text, compress)))


def test_compression_is_seen_by_content_not_by_name(tmp_path):
    assert_rows(load_movielens(write(tmp_path / "u1.base", FORMATS["u.data"], compress=True)))


def test_movielens_folder_with_an_archive(tmp_path):
    user, item, rating, timestamp = map(np.array, zip(*ROWS, strict=True))
    folder = tmp_path / "ml-tiny"
    folder.mkdir()
    np.savez(folder / "ml-tiny.npz", user=user, item=item, rating=rating, timestamp=timestamp, other=[1])
    assert_rows(load_movielens(folder))
    assert_rows(load(folder))


def test_folder_without_ratings_says_what_it_has(tmp_path):
    (tmp_path / "movies.dat").touch()
    with pytest.raises(ValueError, match=r"path must be a folder with one of ratings.dat, .*, got .* with movies.dat"):
        load_movielens(tmp_path)


LINE_2 = [
    ("1::661::3", "must have 4 fields, got 3"),
    ("1::661::3::978302109::5", "must have 4 fields, got 5"),
    ("1::6", "must have 4 fields, got 2"),
    ("1::x::3::978302109", "item must be an integer, got 'x'"),
    ("1::::3::978302109", "item must be an integer, got ''"),
    ("1.5::661::3::978302109", "user must be an integer, got '1.5'"),
    ("99999999999999999999::661::3::97", "user must be an integer, got '99999999999999999999'"),
    ("1::661::good::978302109", "value must be a finite number, got 'good'"),
    ("1::661::nan::978302109", "value must be a finite number, got 'nan'"),
    ("1::661::1e999::978302109", "value must be a finite number, got '1e999'"),
    ("1::661::3::inf", "time must be a finite number, got 'inf'"),
    ("1::661::3::", "time must be a finite number, got ''"),
    ("\0\0\0\0", "must have 4 fields, got 1"),
]


@pytest.mark.parametrize(("line", "message"), LINE_2)
def test_a_garbled_line_is_named(tmp_path, line, message):
    first, _, third = FORMATS["ratings.dat"].splitlines()
    path = write(tmp_path / "ratings.dat", f"{first}\n\n{line}\n{third}\n")
    with pytest.raises(ValueError, match=f"^ratings.dat, line 3: {message}$"):
        load_movielens(path)


def test_a_garbled_line_of_a_csv_is_counted_from_the_header(tmp_path):
    path = write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,2,3,4\n1,2,3\n")
    with pytest.raises(ValueError, match=r"^ratings.csv, line 3: must have 4 fields, got 3$"):
        load_movielens(path)


@given(cut=st.integers(1, 200))
def test_a_truncated_gzip_is_an_error(tmp_path_factory, cut):
    rows = np.random.default_rng(0).integers(1, 1000, (200, 4))
    content = gzip.compress("".join("{}::{}::{}::{}\n".format(*row) for row in rows).encode())
    path = write(tmp_path_factory.mktemp("x") / "ratings.dat.gz", content[:-cut])
    with pytest.raises(ValueError, match=r"^ratings.dat.gz must be a whole gzip file, got a damaged one"):
        load_movielens(path)


def test_a_damaged_gzip_is_an_error(tmp_path):
    rows = np.random.default_rng(0).integers(1, 1000, (2000, 4))
    content = bytearray(gzip.compress("".join("{}::{}::{}::{}\n".format(*row) for row in rows).encode()))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match=r"ratings.dat.gz"):
        load_movielens(write(tmp_path / "ratings.dat.gz", bytes(content)))


@pytest.mark.parametrize("text", ["", "\n\n", "userId,movieId,rating,timestamp\n"])
def test_an_empty_file_is_an_error(tmp_path, text):
    with pytest.raises(ValueError, match=r"^ratings.csv must hold interactions, got an empty file$"):
        load_movielens(write(tmp_path / "ratings.csv", text))


def test_what_is_no_movielens_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"x.txt must start with a header that names user and item, .*got 'hello'"):
        load_movielens(write(tmp_path / "x.txt", "hello\n"))
    with pytest.raises(ValueError, match=r"x.txt must be UTF-8 text, got a byte 0xff"):
        load_movielens(write(tmp_path / "x.txt", b"\xff\xfe1\x00"))
    with pytest.raises(ValueError, match=r"x.txt must have user, item and rating, got no rating"):
        load_movielens(write(tmp_path / "x.txt", "1\t2\n"))
    with pytest.raises(FileNotFoundError, match=r"path must name a file or folder, got .*nowhere.*not exist"):
        load_movielens(tmp_path / "nowhere")


# ---- any text


IDS = st.one_of(st.integers(-(2**62), 2**62), st.text("abcxyz_-,\"' é0", min_size=1).map(str.strip).filter(bool))


@given(
    rows=st.lists(st.tuples(IDS, IDS, st.floats(-1e6, 1e6, width=32), st.integers(0, 2**40)), min_size=1),
    order=st.permutations(range(5)),
    compress=st.booleans(),
    sep=st.sampled_from([",", ";"]),
)
def test_delimited_reads_what_csv_wrote(tmp_path_factory, rows, order, compress, sep):
    path = tmp_path_factory.mktemp("x") / "log"
    names = ["who", "what", "how much", "when", "note, free"]
    with (gzip.open if compress else open)(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=sep)
        writer.writerow([names[at] for at in order])
        writer.writerows([(*row, 'a "quoted", note')[at] for at in order] for row in rows)
    found = load_delimited(path, user="who", item="what", value="how much", time="when", sep=sep)
    expected = list(zip(*rows, strict=True))
    for ids, dense, given_ids in (
        (found.user_ids, found.user, expected[0]),
        (found.item_ids, found.item, expected[1]),
    ):
        column = list(given_ids)
        if not all(is_integer_text(entry) for entry in column):
            column = [str(entry) for entry in column]
        else:
            column = [int(entry) for entry in column]
        assert (np.arange(len(column)) if ids is None else ids)[dense].tolist() == column
    np.testing.assert_array_equal(found.value, np.array(expected[2], np.float32))
    np.testing.assert_array_equal(found.time, expected[3])


def is_integer_text(entry):
    try:
        return int(entry) is not None and "_" not in str(entry)
    except ValueError:
        return False


@pytest.mark.parametrize("sep", ["|", "::", " ", "\t", "<=>"])
def test_delimited_by_position_and_any_separator(tmp_path, sep):
    text = "".join(sep.join(["x", str(row[1]), str(row[0]), str(row[3]), str(row[2])]) + "\n" for row in ROWS)
    path = write(tmp_path / "log", text)
    assert_rows(load_delimited(path, user=2, item=1, value=4, time=3, sep=sep, header=False))
    only_ids = load_delimited(path, user=2, item=1, sep=sep, header=False)
    assert only_ids.time is None
    np.testing.assert_array_equal(only_ids.value, 1)


def test_ids_are_strings_if_one_is_not_an_integer(tmp_path):
    path = write(tmp_path / "log", "user,item\n7,0042\n9,0042\n7,B007\n")
    found = load_delimited(path, user="user", item="item")
    assert found.item_ids.tolist() == ["0042", "B007"]  # zeros kept
    assert found.user_ids.tolist() == [7, 9]


def test_ids_that_only_python_takes_for_integers_stay_strings(tmp_path):
    path = write(tmp_path / "log", "user,item\n1_0,٣\n10,3\n")
    found = load_delimited(path, user="user", item="item")
    assert found.user_ids.tolist() == ["10", "1_0"]
    assert found.item_ids.tolist() == ["3", "٣"]


def test_times_are_floats_if_one_is_not_an_integer(tmp_path):
    path = write(tmp_path / "log", "user,item,time\n7,1,1600000000\n9,2,1600000000.25\n")
    found = load_delimited(path, user="user", item="item", time="time")
    assert found.time.tolist() == [1600000000, 1600000000.25]


@pytest.mark.parametrize(
    ("dates", "times"),
    [
        (["2014-04-07T10:51:09.277Z", "2014-04-07T10:51:10Z"], [1396867869.277, 1396867870]),
        (["2014-04-07T10:51:09", "1969-12-31T23:59:59"], [1396867869, -1]),
        (["2014-04-07 10:51", " 2014-04-07 "], [1396867860, 1396828800]),
        (["2014-04-07T10:51:09.123456789Z"], [1396867869.123456]),
    ],
)
def test_dates_become_seconds(tmp_path, dates, times):
    path = write(tmp_path / "log", "user,item,time\n" + "".join(f"7,1,{date}\n" for date in dates))
    found = load_delimited(path, user="user", item="item", time="time").time
    assert found.tolist() == times
    assert found.dtype == (np.int64 if all(time == int(time) for time in times) else np.float64)


@pytest.mark.parametrize(
    "date",
    [
        "2014-13-07",
        "2014-04-07T10:51:09+02:00",
        "2014-04-07T10:51:09-02:00",
        "2014",
        "NaT",
        "",
        "12",
        "2014-04-07T10:51:09." + "0" * 30,
    ],
)
def test_what_is_no_date_is_named(tmp_path, date):
    path = write(tmp_path / "log", f"user,item,time\n7,1,2014-04-07\n7,1,{date}\n")
    with pytest.raises(ValueError, match=r"^log, line 3: time must be a date such as 2014-04-07T10:51:09.277Z, got '"):
        load(path)


def test_large_times_stay_exact(tmp_path):
    path = write(tmp_path / "log", "user,item,time\n7,1,1600000000123456789\n")
    assert load_delimited(path, user="user", item="item", time="time").time[0] == 1600000000123456789


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"user": "uid"}, ValueError, "user must be one of the columns user, item, n of log, got 'uid'"),
        ({"value": 3}, ValueError, "value must be < 3, the number of columns of log, got 3"),
        ({"item": -1}, ValueError, "item must be >= 0, got -1"),
        ({"item": 1.0}, TypeError, "item must be an integer, got 1.0"),
        ({"header": False}, ValueError, "user must be a position if header=False, got 'user'"),
        ({"header": 1}, TypeError, "header must be True or False, got 1"),
        ({"sep": ""}, ValueError, "sep must be one or more characters, no quotes or line ends, got ''"),
        ({"sep": None}, TypeError, "sep must be a string, got None"),
        ({"value": "n"}, ValueError, "^log, line 3: value must be a finite number, got ''$"),
        ({"value": "item"}, ValueError, "^log, line 2: value must be a finite number, got 'a'$"),
    ],
)
def test_delimited_refuses_bad_arguments(tmp_path, options, error, message):
    path = write(tmp_path / "log", "user,item,n\n1,a,2\n1,b,\n")
    with pytest.raises(error, match=message):
        load_delimited(path, **{"user": "user", "item": "item", **options})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item\n1,a\n1\n", "log, line 3: must have 2 fields, got 1"),
        ("user,item\n1,a\n,b\n", "log, line 3: user must not be empty, got ',b'"),
        ("user,item,x\n1,a,0\n1\n", "log, line 3: must have at least 2 fields, got 1"),
        ("user,item\n", "log must hold interactions, got an empty file"),
    ],
)
def test_delimited_names_the_bad_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_delimited(write(tmp_path / "log", text), user="user", item="item")


def test_delimited_wants_a_file(tmp_path):
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        load_delimited(tmp_path, user=0, item=1)


# ---- load


@pytest.mark.parametrize(
    ("text", "n", "has_time"),
    [
        (
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti1\t3\t4\nu2\ti1\t4\t4.5\n",
            2,
            True,
        ),
        ("timestamp;Item ID;extra;USER_ID\n5;a;-;b\n", 1, True),
        ("1,2\n3,2\n", 2, False),
        ("ann\tx1\t3\nbob\tx1\t4\n", 2, False),
        ("A1::B2::5.0::1400000000\n", 1, True),
    ],
)
def test_load_recognises_common_layouts(tmp_path, text, n, has_time):
    found = load(write(tmp_path / "log", text))
    assert len(found) == found.n_users == n
    assert found.n_items == 1
    assert (found.time is not None) == has_time


@pytest.mark.parametrize("text", ["user,thing\n1,2\n", "ann,x1\nbob,x1\n", "1,2,three\n", "1,2,3,4,5\n", "hello\n"])
def test_load_does_not_guess(tmp_path, text):
    with pytest.raises(ValueError, match=r"log must start with a header .*\. load_delimited reads any columns"):
        load(write(tmp_path / "log", text))


# ---- real data


def test_real_csv(data_dir):
    path = real(data_dir, "ml-latest-small/ratings.csv.gz")
    found = load_movielens(path)
    assert (len(found), found.n_users, found.n_items) == (100_004, 671, 9_066)
    assert (found.value.min(), found.value.max()) == (0.5, 5.0)
    assert (found.user_ids[found.user[0]], found.item_ids[found.item[0]], found.time[0]) == (
        1,
        31,
        1260759144,
    )
    named = load_delimited(path, user="userId", item="movieId", value="rating", time="timestamp")
    for field in ("user", "item", "value", "time"):
        np.testing.assert_array_equal(getattr(named, field), getattr(found, field))
