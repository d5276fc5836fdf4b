"""Published splits and preparations of real data, which PYREC_DATA must have."""

import movielens
import numpy as np
import pytest
from split_data import same

from pyrec_core import Interactions, Sessions
from pyrec_core.datasets import load_movielens
from pyrec_core.split import (
    by_mask,
    filter_interactions,
    last_sessions,
    leave_one_out,
    session_time,
    strong_generalisation,
    temporal_fold_in,
    with_negatives,
)


def arrays(name):
    with np.load(movielens.folder_of(name) / f"{name}.npz") as archive:
        return dict(archive)


def ml100k():
    return load_movielens(movielens.folder_of("ml-100k"))


def ml1m():
    """ML-1M with the rank in each user's own order as the time, which is complete."""
    z = arrays("ml-1m")
    return z, Interactions.from_arrays(z["user"], z["item"], z["rating"], z["order"])


def test_hash_split_of_ml100k():
    data = ml100k()
    key = 65536 * (data.user.astype(np.int64) + 1) + data.item + 1  # their ids are 1, 2, ... without a gap
    h = movielens.splitmix64(key) % np.uint64(10)
    ratings = by_mask(data, h == 0, validation=h == 1)
    assert (ratings.train.nnz, ratings.test.nnz, ratings.validation.test.nnz) == (90_049, 9_951, 10_088)
    assert (ratings.train + ratings.test).sum() == 352_986  # values are kept
    ranking = by_mask(data, h < 2, binary=True)
    train, test = movielens.ml100k_hash_split()
    assert ranking.test.nnz == 20_039
    assert same(ranking.train, train)
    assert same(ranking.test, test)


def test_first_published_fold_of_ml100k():
    data = ml100k()
    split = by_mask(data, np.arange(100_000) < 20_000)
    n_test = np.diff(split.test.indptr)
    assert (split.test.nnz, np.count_nonzero(n_test), np.flatnonzero(n_test).max() + 1) == (20_000, 459, 462)
    error = split.test.data - split.train.data.mean(dtype=np.float64)
    assert np.sqrt((error**2).mean()) == pytest.approx(1.1537, abs=5e-5)  # global mean


def test_leave_one_out_of_ml100k():
    train, item, negatives = movielens.ml100k_leave_one_out()
    split = leave_one_out(ml100k())
    assert same(split.train, train)
    np.testing.assert_array_equal(split.test.indices, item)
    np.testing.assert_array_equal(with_negatives(split, negatives).negatives, negatives)


def test_published_leave_one_out_of_ml1m():
    z, data = ml1m()
    published = z["ncf_test_item"]
    split = by_mask(data, data.item_ids[data.item] == published[data.user], binary=True)
    assert (split.train.nnz, split.test.nnz) == (994_169, 6_040)
    negatives = np.searchsorted(data.item_ids, z["ncf_test_negatives"])
    np.testing.assert_array_equal(data.item_ids[negatives], z["ncf_test_negatives"])
    split = with_negatives(split, negatives)
    assert (split.negatives == split.test.indices[:, None]).any(axis=1).sum() == 156

    # by order another item is the last for 1,667 users: where times are known, both are of the user's last second
    found = data.item_ids[leave_one_out(data).test.indices]
    others = np.flatnonzero(found != published)
    assert len(others) == 1_667
    when = {(u, i): t for u, i, t in zip(z["user"].tolist(), z["item"].tolist(), z["timestamp"].tolist(), strict=True)}
    known = [user for user in others.tolist() if user < 2_998]
    assert len(known) == 838
    for user in known:
        times = {when[user + 1, int(item)] for item in (found[user], published[user])}
        assert times == {int(z["ncf_test_timestamp"][user])}


def test_published_counts_of_ml1m():
    _, data = ml1m()
    liked = filter_interactions(data, min_value=4)
    assert (len(liked.data), len(liked.users), len(liked.items)) == (575_281, 6_038, 3_533)
    core = filter_interactions(data, min_user=5, min_item=5, iterate=True)
    assert (len(core.data), len(core.users), len(core.items)) == (999_611, 6_040, 3_416)  # SASRec


@pytest.mark.parametrize("make", [strong_generalisation, temporal_fold_in])
def test_held_out_users_of_ml1m(make):
    _, data = ml1m()
    split = make(filter_interactions(data, min_value=4), n_test=750, n_validation=750, random_state=1)
    assert [step.users for step in split.dropped[:2]] == [2, 4]  # without a rating of 4, with fewer than 5 of them
    groups = [split.train_users, split.test_users, split.validation.test_users]
    assert [len(group) for group in groups] == [4_534, 750, 750]
    lost = sum(step.events for step in (*split.dropped, *split.validation.dropped))
    parts = [split.train, split.fold_in, split.test, split.validation.fold_in, split.validation.test]
    assert sum(X.nnz for X in parts) + lost == 1_000_209


def test_last_day_of_rsc15():
    z = arrays("rsc15-100k")
    columns = [np.concatenate([z[f"train_{name}"], z[f"test_{name}"]]) for name in ("session", "item", "time")]
    sessions = Sessions.from_arrays(*columns)
    split = session_time(sessions, duration=86_400, min_item=1, validation=True)
    for part, name in ((split.train, "train"), (split.test, "test")):
        np.testing.assert_array_equal(part.session_ids, np.unique(z[f"{name}_session"]))
        assert len(part.items) == len(z[f"{name}_item"])
    assert split.dropped == ()
    np.testing.assert_array_equal(split.validation.test.session_ids, np.sort(z["valid_sessions"]))


def test_last_sessions_of_diginetica():
    z = arrays("diginetica")
    items = np.concatenate([z["train_items"], z["test_items"]])
    offsets = np.concatenate([z["train_ptr"], z["train_ptr"][-1] + z["test_ptr"][1:]])
    split = last_sessions(Sessions(items, offsets), n_test=15_963, validation=True)
    np.testing.assert_array_equal(split.train.items, z["train_items"])
    np.testing.assert_array_equal(split.test.items, z["test_items"])
    assert split.dropped == ()  # the published files were filtered
    tenth = last_sessions(split.train, n_test=0.1)
    assert (len(tenth.train), len(tenth.test)) == (168_003, 18_667 - 73)
