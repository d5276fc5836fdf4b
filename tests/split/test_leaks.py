"""What every split must keep, whatever it holds out: nothing leaks, nothing is lost, and one seed decides."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from split_data import SEED

from pyrec_core import Interactions
from pyrec_core.split import (
    Filtered,
    by_mask,
    filter_interactions,
    global_time,
    k_fold,
    leave_one_out,
    per_user,
    random,
    strong_generalisation,
    temporal_fold_in,
)

N_USERS, N_ITEMS, T0, T1 = 24, 14, 6, 4


def tiny(seed):
    """Distinct pairs in any order: users with no, one and many items, items nobody has, and many equal times."""
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([[0, 1, 1, 2, 3], rng.integers(5, 10, N_USERS - 6), [0]])
    item = np.concatenate([rng.permutation(N_ITEMS - 1)[:n] for n in lengths])
    user = np.repeat(np.arange(N_USERS), lengths)
    order = rng.permutation(len(user))
    value, time = rng.integers(1, 6, len(user)), rng.integers(0, 9, len(user))
    return Interactions(user[order], item[order], value, time[order], n_users=N_USERS, n_items=N_ITEMS)


def masked(data):
    """Published folds: here a hash of the ids."""
    events = data.data if isinstance(data, Filtered) else data
    hashed = (events.user * 7 + events.item * 3) % 5
    return by_mask(data, hashed == 0, validation=hashed == 1)


def ratings(data):
    if isinstance(data, Filtered):
        return data._replace(data=data.data.matrix(binary=False))
    return data.matrix(binary=False)


# ---- what may change in the test data without an effect on the training data


def new_values(data, split, rng):
    """The pairs themselves decide where they go: only their values are the test data's own."""
    user, item = split.test.nonzero()
    hit = np.isin(data.user * N_ITEMS + data.item, user * N_ITEMS + item)
    return replace(data, value=np.where(hit, rng.integers(10, 20, len(data)), data.value))


def new_latest(data, split, rng):
    """Other items take the place of the latest ones."""
    user, item = split.test.nonzero()
    chosen = [rng.choice(np.setdiff1d(np.arange(N_ITEMS), data.item[data.user == u])) for u in user]
    rest = ~np.isin(data.user * N_ITEMS + data.item, user * N_ITEMS + item)
    return replace(
        data,
        user=np.append(data.user[rest], user),
        item=np.append(data.item[rest], chosen),
        value=np.append(data.value[rest], rng.integers(1, 6, len(user))),
        time=np.append(data.time[rest], np.full(len(user), 50)),
    )


def new_users(data, split, rng):
    """Other items, an unseen one among them, for all users who are held out for the test."""
    rest = np.isin(data.user, split.test_users, invert=True)
    item = np.concatenate([np.append(rng.permutation(N_ITEMS - 1)[:6], N_ITEMS - 1) for _ in split.test_users])
    user = np.repeat(split.test_users, 7)
    return replace(
        data,
        user=np.append(data.user[rest], user),
        item=np.append(data.item[rest], item),
        value=np.append(data.value[rest], np.ones(len(user))),
        time=np.append(data.time[rest], rng.integers(0, 9, len(user))),
    )


def new_future(data, split, rng):
    """Other users, items, values and times for all that comes later."""
    late = data.time > T0
    n = len(data)
    return replace(
        data,
        user=np.where(late, rng.integers(0, N_USERS, n), data.user),
        item=np.where(late, rng.integers(0, N_ITEMS, n), data.item),
        value=np.where(late, 9, data.value),
        time=np.where(late, rng.integers(T0 + 1, 30, n), data.time),
    )


@dataclass
class Case:
    make: object
    tamper: object
    draws: bool = True
    binary: bool = True


CASES = {
    "random": Case(
        lambda data, seed: random(data, test_size=0.3, validation_size=0.2, random_state=seed),
        new_values,
        binary=False,
    ),
    "k_fold": Case(
        lambda data, seed: list(k_fold(data, 3, validation=True, random_state=seed))[1], new_values, binary=False
    ),
    "by_mask": Case(
        lambda data, seed: masked(data),
        new_values,
        draws=False,
        binary=False,
    ),
    "per_user": Case(
        lambda data, seed: per_user(ratings(data), validation_size=0.2, random_state=seed), new_values, binary=False
    ),
    "leave_one_out": Case(lambda data, seed: leave_one_out(data, validation=True), new_latest, draws=False),
    "leave_one_out of ratings": Case(
        lambda data, seed: leave_one_out(data, validation=True, binary=False), new_latest, draws=False, binary=False
    ),
    "strong_generalisation": Case(
        lambda data, seed: strong_generalisation(data, n_test=4, n_validation=4, random_state=seed), new_users
    ),
    "temporal_fold_in": Case(
        lambda data, seed: temporal_fold_in(data, n_test=4, n_validation=4, random_state=seed), new_users
    ),
    "global_time": Case(
        lambda data, seed: global_time(data, test_after=T0, validation_after=T1), new_future, draws=False
    ),
    "global_time of ratings": Case(
        lambda data, seed: global_time(data, test_after=T0, validation_after=T1, binary=False),
        new_future,
        draws=False,
        binary=False,
    ),
}
ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def entries(X, users=None):
    """(user, item) keys in the ids of the data, and values."""
    X = sp.coo_array(X)
    user = X.row if users is None else users[X.row]
    return dict(zip((user * N_ITEMS + X.col).tolist(), X.data.tolist(), strict=True))


def held_out(split):
    users = split.test_users
    return [entries(X, users) for X in (split.test, split.fold_in) if X is not None]


def dropped(split):
    return sum(step.events for step in split.dropped)


def flat(split):
    """All arrays of a split, to compare bits."""
    if split is None:
        return []
    matrices = [X for X in (split.train, split.test, split.fold_in) if X is not None]
    arrays = [array for X in matrices for array in (X.indptr, X.indices, X.data)]
    others = [a for a in (split.negatives, split.train_users, split.test_users) if a is not None]
    return [*arrays, *others, *flat(split.validation)]


def training(split):
    train = split.train
    return [train.indptr, train.indices, train.data, *([] if split.train_users is None else [split.train_users])]


def same(a, b):
    return len(a) == len(b) and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@ALL
@given(seed=SEED)
def test_parts_are_disjoint_and_together_the_data(case, seed):
    data = tiny(seed)
    split = case.make(data, seed)
    everything = entries(data.matrix(binary=case.binary))
    train, inner = entries(split.train, split.train_users), split.validation
    parts, lost = [train, *held_out(split)], dropped(split)
    if split.fold_in is None:
        inside = [entries(inner.train), entries(inner.test)]
        assert sum(map(len, inside)) + dropped(inner) == len(train)
        assert inside[0] | inside[1] == {key: train[key] for part in inside for key in part}
        assert not inside[0].keys() & inside[1].keys()
    else:
        assert inner.train is split.train
        parts, lost = parts + held_out(inner), lost + dropped(inner)
    together = {key: value for part in parts for key, value in part.items()}
    assert len(together) == sum(map(len, parts))  # disjoint
    assert len(together) + lost == len(everything)
    assert together == {key: everything[key] for key in together}  # the pairs and values of the data


@ALL
@given(seed=SEED)
def test_training_data_do_not_depend_on_the_test_data(case, seed):
    data, rng = tiny(seed), np.random.default_rng(seed + 1)
    split = case.make(data, seed)
    other = case.make(case.tamper(data, split, rng), seed)
    assert not same(flat(split), flat(other))  # it did change something
    assert same(training(split), training(other))
    assert same(flat(split.validation), flat(other.validation))


@ALL
@given(seed=SEED)
def test_the_order_of_the_rows_does_not_matter(case, seed):
    data = tiny(seed)
    order = np.random.default_rng(seed).permutation(len(data))
    shuffled = replace(
        data, user=data.user[order], item=data.item[order], value=data.value[order], time=data.time[order]
    )
    assert same(flat(case.make(data, seed)), flat(case.make(shuffled, seed)))


@ALL
def test_the_seed_decides_and_nothing_else(case, monkeypatch):
    data = tiny(0)
    split = flat(case.make(data, 7))
    for n_threads in ("1", "3"):
        monkeypatch.setenv("PYREC_NUM_THREADS", n_threads)
        assert same(split, flat(case.make(data, 7)))
    assert same(split, flat(case.make(data, 8))) != case.draws


@ALL
def test_a_split_of_filtered_data_remembers_the_filter(case):
    filtered = filter_interactions(tiny(3), min_value=2, min_user=2)
    assert len(filtered.dropped) == 2
    split, bare = case.make(filtered, 3), case.make(filtered.data, 3)
    assert same(flat(split), flat(bare))
    assert split.dropped == filtered.dropped + bare.dropped


def test_nothing_after_the_instant_is_in_training():
    data = tiny(1)
    split = global_time(data, test_after=T0, validation_after=T1)
    when = dict(zip((data.user * N_ITEMS + data.item).tolist(), data.time.tolist(), strict=True))
    inner = split.validation
    times = [[when[key] for key in entries(X)] for X in (inner.train, inner.test, split.train, split.test)]
    assert max(times[0]) == T1 < min(times[1]) <= max(times[1]) == max(times[2]) == T0 < min(times[3])
