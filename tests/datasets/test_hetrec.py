"""HetRec Last.fm 2K: published files, the archive, real data."""

import numpy as np
import pytest
from files import real, write

from pyrec_core.datasets import load, load_hetrec_lastfm, load_hetrec_lastfm_artists, load_hetrec_lastfm_friends

FILES = {
    "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t60\t11\n4\t51\t7\n",
    "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\n"
    "2\t60\t13\t1\t4\t2009\n4\t60\t13\t1\t5\t2009\n4\t51\t15\t1\t5\t2009\n",
    "tags.dat": "tagID\ttagValue\n13\tchillout\n14\tnone\n15\tdécada\n",
    "artists.dat": "id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\thttp://y\n9\tRöyksopp\thttp://z\n60\tUnited\t\t\n",
    "user_friends.dat": "userID\tfriendID\n2\t4\n4\t2\n4\t9\n4\t2\n",
}


@pytest.fixture(params=[False, True], ids=["plain", "gz"])
def folder(tmp_path, request):
    for name, text in FILES.items():
        encoding = "latin-1" if name == "tags.dat" else "utf-8"
        write(tmp_path / f"{name}{'.gz' * request.param}", text.replace("\n", "\r\n").encode(encoding), request.param)
    return tmp_path


def test_listening(folder):
    data = load_hetrec_lastfm(folder)
    assert data.user_ids[data.user].tolist() == [2, 2, 4]
    assert data.item_ids[data.item].tolist() == [51, 60, 51]
    assert data.value.tolist() == [13883, 11, 7]
    again = load(next(folder.glob("user_artists.dat*")))
    assert (again.item.tolist(), again.value.tolist()) == (data.item.tolist(), data.value.tolist())


def test_artists(folder):
    artists = load_hetrec_lastfm_artists(folder)
    assert artists.ids.tolist() == [51, 9, 60]
    assert artists.columns["name"].tolist() == ["Duran Duran", "Röyksopp", "United"]
    assert artists.names["tags"].tolist() == ["chillout", "década"]
    assert artists.matrices["tags"].toarray().tolist() == [[0, 1], [0, 0], [2, 0]]


def test_tags_without_names(tmp_path):
    path = write(tmp_path / "user_taggedartists.dat", FILES["user_taggedartists.dat"])
    artists = load_hetrec_lastfm_artists(path)
    assert (artists.ids.tolist(), artists.names["tags"].tolist(), artists.columns) == ([51, 60], [13, 15], {})


def test_friends(folder):
    X = load_hetrec_lastfm_friends(folder, [4, 3, 2])
    assert X.toarray().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_archive(tmp_path):
    folder = tmp_path / "hetrec"
    folder.mkdir()
    arrays = {
        "user": np.array([1, 1, 2], np.uint16),
        "artist": np.array([1, 2, 1], np.uint16),
        "weight": [13883, 11, 7],
        "user_orig": [2, 4],
        "artist_orig": [51, 60],
        "assign_artist": np.array([2, 2, 1], np.uint16),
        "assign_tag": [13, 13, 15],
        "friend_a": [1, 2],
        "friend_b": [2, 1],
    }
    np.savez(folder / "hetrec.npz", **arrays)
    data = load_hetrec_lastfm(folder)
    assert (data.user_ids[data.user].tolist(), data.item_ids[data.item].tolist()) == ([2, 2, 4], [51, 60, 51])
    artists = load_hetrec_lastfm_artists(folder).align(data.item_ids)
    assert artists.matrices["tags"].toarray().tolist() == [[0, 1], [2, 0]]
    assert load_hetrec_lastfm_friends(folder, data.user_ids).toarray().tolist() == [[0, 1], [1, 0]]
    np.savez(folder / "hetrec.npz", **{**arrays, "user": [1, 1, 3]})
    with pytest.raises(ValueError, match=r"^hetrec.npz: ids must hold published ids in 0..1, got 1 unknown: 2$"):
        load_hetrec_lastfm(folder)


@pytest.mark.parametrize(
    ("loader", "name", "text", "message"),
    [
        (
            load_hetrec_lastfm,
            "user_artists.dat",
            "userID\tartistID\tweight\n2\tx\t3\n",
            "line 2: artistID must be an integer",
        ),
        (
            load_hetrec_lastfm,
            "user_artists.dat",
            "userID\tartistID\tweight\n2\t5\n",
            "line 2: must have 3 fields, got 2",
        ),
        (
            load_hetrec_lastfm,
            "user_artists.dat",
            "2\t5\t7\n",
            "must have columns userID, artistID, weight, separated by tabs",
        ),
        (load_hetrec_lastfm_artists, "tags.dat", "tagID\ttagValue\n13\tx\ty\n", "line 2: must have 2 fields, got 3"),
        (
            load_hetrec_lastfm_artists,
            "artists.dat",
            "id\tname\turl\n13\n",
            "line 2: must have at least 2 fields, got 1",
        ),
    ],
)
def test_damage_is_named(tmp_path, loader, name, text, message):
    for other, content in FILES.items():
        write(tmp_path / other, text if other == name else content)
    with pytest.raises(ValueError, match=rf"^{name},? {message}"):
        loader(tmp_path)


def test_real_lastfm(data_dir):
    real(data_dir, "hetrec-lastfm/hetrec-lastfm.npz")
    folder = data_dir / "hetrec-lastfm"
    data = load_hetrec_lastfm(folder)
    assert (len(data), *data.shape) == (92_834, 1_892, 17_632)
    assert (data.user_ids[0], data.user_ids[-1], data.item_ids[-1]) == (2, 2_100, 18_745)
    artists = load_hetrec_lastfm_artists(folder)
    tags = artists.matrices["tags"]
    assert (*tags.shape, tags.nnz, tags.sum()) == (12_133, 9_718, 108_437, 184_941)
    assert np.isin(artists.ids, data.item_ids).all()
    friends = load_hetrec_lastfm_friends(folder, data.user_ids)
    assert (friends.shape, friends.nnz) == ((1_892, 1_892), 2 * 12_717)
    assert abs(friends - friends.T).sum() == 0
