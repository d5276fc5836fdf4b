"""MovieLens beside its ratings: folds, movies, users, tags, and the archive whose times are not all known."""

import numpy as np
import pytest
from files import real, write

from pyrec_core.datasets import (
    load_movielens,
    load_movielens_fold,
    load_movielens_items,
    load_movielens_tags,
    load_movielens_users,
    load_npz,
    load_texts,
)

# ---- folds

BASE, TEST = "2\t31\t5\t10\n1\t31\t3\t11\n", "1\t7\t4\t12\n"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("fold", [1, 5, "a"])
def test_fold_files(tmp_path, fold, compress):
    for part, text in (("base", BASE), ("test", TEST)):
        write(tmp_path / f"u{fold}.{part}{'.gz' * compress}", text, compress)
    train, test = load_movielens_fold(tmp_path, fold)
    for part in (train, test):
        assert (part.user_ids.tolist(), part.item_ids.tolist(), part.shape) == ([1, 2], [7, 31], (2, 2))
    assert (train.user.tolist(), train.item.tolist(), train.time.tolist()) == ([1, 0], [1, 1], [10, 11])
    assert (test.user.tolist(), test.item.tolist(), test.value.tolist()) == ([0], [0], [4])


def test_folds_of_the_whole_file_are_fifths_of_its_rows(tmp_path):
    rows = np.arange(100_000)
    np.savetxt(tmp_path / "u.data", np.stack([rows % 943, rows // 943, rows % 5 + 1, rows], axis=1), "%d", "\t")
    for fold in range(1, 6):
        train, test = load_movielens_fold(tmp_path, fold)
        np.testing.assert_array_equal(test.time, rows[20_000 * (fold - 1) : 20_000 * fold])
        assert np.union1d(train.time, test.time).tolist() == rows.tolist()
        assert train.shape == test.shape == (943, 107)


def test_folds_are_refused(tmp_path):
    write(tmp_path / "u.data", BASE)
    with pytest.raises(ValueError, match="path must hold the 100000 ratings of MovieLens 100K, got 2"):
        load_movielens_fold(tmp_path, 1)
    with pytest.raises(ValueError, match=r"path must be a folder with ua.base and ua.test, got"):
        load_movielens_fold(tmp_path, "a")
    with pytest.raises(ValueError, match="fold must be one of 1, 2, 3, 4, 5, got 6"):
        load_movielens_fold(tmp_path, 6)
    with pytest.raises(ValueError, match="path must be a folder, got the file"):
        load_movielens_fold(tmp_path / "u.data", 1)
    write(tmp_path / "u1.base", BASE)
    write(tmp_path / "u1.test", "1\t7\tx\t12\n")
    with pytest.raises(ValueError, match=r"^u1.test must start with|^u1.test, line 1: value must be a finite number"):
        load_movielens_fold(tmp_path, 1)


# ---- times that are not known


def test_unknown_timestamps_are_no_times(tmp_path):
    rows = {"user": [1, 1, 2], "item": [5, 6, 5], "rating": [1, 2, 3], "timestamp": [10, -1, -1]}
    np.savez(tmp_path / "x.npz", **rows)
    assert load_npz(tmp_path / "x.npz").time is None
    np.savez(tmp_path / "x.npz", **rows, order=[1, 0, 0])
    assert load_npz(tmp_path / "x.npz").time.tolist() == [1, 0, 0]
    np.savez(tmp_path / "x.npz", **{**rows, "timestamp": [10, 9, 8]}, order=[1, 0, 0])
    assert load_npz(tmp_path / "x.npz").time.tolist() == [10, 9, 8]


# ---- movies

GENRES = ["Adventure", "Comedy", "Drama"]
MOVIES = {
    "movies.dat": "7::Café (1995)::Comedy|Drama\n31::Stories: the best::Adventure\n"
    "40::Nothing (2001)::(no genres listed)\n",
    "movies.csv": 'movieId,title,genres\n7,Café (1995),Comedy|Drama\n31,"Stories, the best",Adventure\n'
    "40,Nothing (2001-2003),(no genres listed)\n",
    "items.tsv": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "7\tCafé\t1995\tComedy Drama\n31\tStories\t\tAdventure\n40\tNothing\t2001\t\n",
}


def u_item():
    flags = {7: (5, 8), 31: (2,), 40: ()}
    dates = {7: "01-Jan-1995", 31: "", 40: "4-Feb-2001"}
    names = {7: "Café (1995)", 31: "Stories", 40: "Nothing (2001)"}
    return "".join(
        "|".join(
            [str(movie), names[movie], dates[movie], "", "http://x", *("01"[at in flags[movie]] for at in range(19))]
        )
        + "\n"
        for movie in flags
    )


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("name", [*MOVIES, "u.item"])
def test_movies(tmp_path, name, encoding):
    text = MOVIES.get(name) or u_item()
    write(tmp_path / name, text.replace("\n", "\r\n\r\n").encode(encoding), compress=encoding == "utf-8")
    for movies in (load_movielens_items(tmp_path), load_movielens_items(tmp_path / name)):
        assert movies.ids.tolist() == [7, 31, 40]
        assert movies.columns["title"][0].startswith("Café")
        assert movies.columns["year"].tolist() == [1995, -1, 2001]
        genres = movies.matrices["genres"].toarray().astype(bool)
        found = [movies.names["genres"][row].tolist() for row in genres]
        assert found == [["Comedy", "Drama"], ["Adventure"], []]
        assert len(movies.names["genres"]) == (19 if name == "u.item" else 3)


def test_links(tmp_path):
    write(tmp_path / "movies.csv", MOVIES["movies.csv"])
    write(tmp_path / "links.csv", "movieId,imdbId,tmdbId\n40,0000040,\n7,0114709,862\n")
    columns = load_movielens_items(tmp_path).columns
    assert columns["imdb"].tolist() == ["0114709", "", "0000040"]
    assert columns["tmdb"].tolist() == ["862", "", ""]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("movies.dat", "7::A (1995)::Comedy\n31::B\n", "movies.dat, line 2: must have 3 fields, got 2"),
        ("movies.dat", "7::A (1995)::Comedy\n\nx::B::C\n", "movies.dat, line 3: movie must be an integer, got 'x'"),
        ("movies.dat", "7::A::B\n7::B::C\n", "movies.dat: ids must be different, got .*7.* 2 times"),
        ("movies.csv", "movieId,title,genres\n7,A,B,C\n", "movies.csv, line 2: must have 3 fields, got 4"),
        ("movies.csv", "movieId,title,genres\n", "movies.csv must hold rows, got an empty file"),
        ("movies.csv", 'movieId,title,genres\n7,"A' + 200_000 * "x", "movies.csv, line 2: must be CSV, got: .*limit"),
        ("u.item", u_item().replace("|1|", "|yes|", 1), "u.item, line 1: Comedy must be an integer, got 'yes'"),
        ("u.item", u_item() + "50|C\n", "u.item, line 4: must have 24 fields, got 2"),
        ("items.tsv", "hello\n", "items.tsv must be movies.dat, movies.csv, u.item or items.tsv, got 'hello'"),
    ],
)
def test_garbled_movies_are_named(tmp_path, name, text, message):
    write(tmp_path / name, text)
    with pytest.raises(ValueError, match=f"^{message}"):
        load_movielens_items(tmp_path)


# ---- users and tags

USERS = {
    "users.dat": ("2::F::56::16::01970\n1::M::1::10::48067\n", [16, 10]),
    "u.user": ("2|56|F|writer|01970\n1|1|M|student|48067\n", ["writer", "student"]),
    "users.tsv": (
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n2\t56\tF\twriter\t01970\n"
        "1\t1\tM\tstudent\t48067\n",
        ["writer", "student"],
    ),
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", USERS)
def test_users(tmp_path, name, compress):
    text, occupations = USERS[name]
    write(tmp_path / (name + ".gz" * compress), text, compress)
    users = load_movielens_users(tmp_path)
    assert users.ids.tolist() == [2, 1]
    found = {name: column.tolist() for name, column in users.columns.items()}
    assert found == {"gender": ["F", "M"], "age": [56, 1], "occupation": occupations, "zip": ["01970", "48067"]}


def test_garbled_users_are_named(tmp_path):
    write(tmp_path / "users.dat", "2::F::56::16::01970\n1::M::old::10::48067\n")
    with pytest.raises(ValueError, match=r"^users.dat, line 2: age must be an integer, got 'old'$"):
        load_movielens_users(tmp_path)
    with pytest.raises(ValueError, match=r"^users.dat must be users.dat, u.user or users.tsv, got 'hello'$"):
        load_movielens_users(write(tmp_path / "users.dat", "hello\n"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tags.csv", 'userId,movieId,tag,timestamp\n3,7,"a, b",1\n3,31,dark,2\n4,7,"a, b",3\n4,7,Dark,3\n'),
        ("tags.dat", "3::7::a, b::1\n3::31::dark::2\n4::7::a, b::3\n4::7::Dark::3\n"),
    ],
)
def test_tags(tmp_path, name, text):
    write(tmp_path / name, text)
    tags = load_movielens_tags(tmp_path)
    assert tags.ids.tolist() == [7, 31]
    assert tags.names["tags"].tolist() == ["Dark", "a, b", "dark"]
    assert tags.matrices["tags"].toarray().tolist() == [[1, 2, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match=f"^{name}, line {7 if name == 'tags.csv' else 6}: must have 4 fields, got 1"):
        load_movielens_tags(write(tmp_path / name, text + "\noops\n"))


# ---- real data


def test_real_ml100k(data_dir):
    data = load_movielens(real(data_dir, "ml-100k/ml-100k.npz"))
    assert (len(data), *data.shape) == (100_000, 943, 1682)
    assert round(float(data.value.mean(dtype=np.float64)), 5) == 3.52986
    train, test = load_movielens_fold(data_dir / "ml-100k", 1)
    assert (len(train), len(test)) == (80_000, 20_000)
    assert (len(np.unique(test.user)), train.user_ids[test.user].max()) == (459, 462)
    mean = train.value.mean(dtype=np.float64)
    assert round(float(np.sqrt(((test.value - mean) ** 2).mean())), 4) == 1.1537
    users = load_movielens_users(real(data_dir, "ml-100k/users.tsv.gz"))
    movies = load_movielens_items(real(data_dir, "ml-100k/items.tsv.gz"))
    assert (len(users), len(movies), movies.matrices["genres"].shape[1]) == (943, 1682, 19)
    assert set(users.ids) == set(data.user_ids)
    assert set(movies.ids) == set(data.item_ids)


def test_real_ml1m(data_dir):
    data = load_movielens(real(data_dir, "ml-1m/ml-1m.npz"))
    assert (len(data), *data.shape) == (1_000_209, 6_040, 3_706)
    assert np.bincount(data.value.astype(int)).tolist() == [0, 56_174, 107_557, 261_197, 348_971, 226_310]
    # the ranks in each user's time order, since half of the timestamps are unknown
    lengths = np.bincount(data.user)
    np.testing.assert_array_equal(np.sort(data.time[data.user == 17]), np.arange(lengths[17]))
    assert data.time.max() == lengths.max() - 1
    users = load_movielens_users(real(data_dir, "ml-1m/users.dat.gz")).align(data.user_ids)
    assert set(users.columns["gender"]) == {"F", "M"}
    assert sorted(set(users.columns["age"])) == [1, 18, 25, 35, 45, 50, 56]
    assert sorted(set(users.columns["occupation"])) == list(range(21))
    movies = load_movielens_items(real(data_dir, "ml-1m/movies.dat.gz"))
    assert (len(movies), movies.matrices["genres"].shape[1], movies.columns["year"].min()) == (3_883, 18, 1919)
    rated = movies.align(data.item_ids)
    assert (rated.matrices["genres"].sum(axis=1) > 0).all()  # none of the 3,706 is missing
    texts = load_texts(real(data_dir, "ml-1m/dbpedia_abstracts.json.gz"))
    assert len(texts) == 3_301
    assert (texts.align(data.item_ids).columns["text"] != "").sum() == 3_228


def test_real_latest_small(data_dir):
    movies = load_movielens_items(real(data_dir, "ml-latest-small/movies.csv.gz"))
    assert len(movies) == 9_125
    assert (movies.columns["imdb"] != "").all()
    assert movies.columns["tmdb"][0] == "862"
    tags = load_movielens_tags(real(data_dir, "ml-latest-small/tags.csv.gz"))
    assert tags.matrices["tags"].sum() == 1_296
