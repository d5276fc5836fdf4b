"""Mistakes that published re-implementations of GRU4Rec make, one test each: none of them is made here."""

import numpy as np
import pytest
from helpers import dense_gradient, same_bits

from pyrec_core import GRU4Rec, Sessions, load
from pyrec_core._random import Source
from pyrec_core.models.sequence._gru4rec_network import Network
from pyrec_core.models.sequence._gru4rec_training import Lanes, Prefixes
from pyrec_core.optim import Adagrad

N_ITEMS, D = 40, 4
INPUTS, TARGETS = np.array([7, 3, 7], np.int32), np.array([3, 9, 12], np.int32)
SAMPLES = np.array([9, 20, 20, 31, 7], np.int32)


def make(data=None, seed=0, kind=Lanes, **params):
    """A training in float64 that nobody has started, with biases that are not 0."""
    data = data or Sessions(np.arange(N_ITEMS, dtype=np.int32), np.array([0, N_ITEMS]))
    model = GRU4Rec(**{"hidden": (D,), "n_sample": 5, "batch_size": 3, **params})
    source = Source(seed)
    network = Network(model, data.n_items, source, dtype=np.float64)
    network.bias.value[:] = np.random.default_rng(seed).normal(size=data.n_items)
    return kind(model, network, data, source)


def first_step(training):
    yes = np.ones(len(INPUTS), bool)
    return training.step(((INPUTS, TARGETS, yes, yes), SAMPLES))[0]


def scores_of(training, scale=1.0):
    """The scores of three sessions after one click, for all items."""
    network = training.network
    network.items.value *= scale
    (state, *_), _ = network.step(INPUTS, network.zero_states(len(INPUTS)))
    return state, state @ network.items.value.T + network.bias.value


def unlike_each_other(lengths=(4, 1, 6, 2, 0, 3, 2, 5)):
    """Sessions of these lengths, in which each item is clicked once: a click tells where it is."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = np.random.default_rng(0).permutation(offsets[-1]).astype(np.int32)
    return Sessions(items, offsets)


def test_no_private_negatives_per_row():
    """All rows share M + S columns: the targets of the others, and all samples."""
    training = make()
    first_step(training)
    ((ids, d_bias, _),) = training.network.bias.rows
    assert ids.tolist() == [*TARGETS, *SAMPLES]
    _, scores = scores_of(training)
    odds = np.exp(scores[:, ids])
    odds /= odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(d_bias, (odds - np.eye(3, 8)).sum(axis=0) / 3, rtol=1e-9)


def test_training_never_scores_the_whole_catalogue():
    training = make()
    first_step(training)
    network = training.network
    assert network.items.grad is None
    assert network.bias.grad is None
    touched = {int(i) for p in (network.items, network.bias) for ids, *_ in p.rows for i in ids}
    assert touched == {*INPUTS.tolist(), *TARGETS.tolist(), *SAMPLES.tolist()}


def test_state_is_reset_for_the_right_lane():
    """Lanes end at different times and others move up: each state is that of its session alone, from zero."""
    data = unlike_each_other()
    training = make(data, hidden=(3, D))
    network, seen = training.network, []
    for batch in training.batches(0):
        (inputs, *_), _ = batch
        training.step(batch)  # without a step of the optimizer: the network stays the same
        for lane, item in enumerate(inputs):
            at = int(np.flatnonzero(data.items == item)[0])
            begin = data.offsets[np.searchsorted(data.offsets, at, side="right") - 1]
            so_far = data.items[begin : at + 1]
            alone, _ = network.forward(so_far, steps=np.ones(len(so_far), np.int64))
            np.testing.assert_allclose(training._states[-1][lane], alone[-1], rtol=1e-9)
            seen.append(at)
    assert len(seen) == 16


@pytest.mark.parametrize("kind", [Lanes, Prefixes])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 100])
def test_no_incomplete_batch_is_dropped(kind, batch_size):
    data = unlike_each_other()
    training, targets = make(data, kind=kind, batch_size=batch_size), []
    for batch in training.batches(0):
        found = batch[0][1] if kind is Lanes else data.items[batch[0]]
        _, weight = training.step(batch)
        assert weight == len(found)
        targets += found.tolist()
    assert sorted(targets) == sorted(data.items[np.setdiff1d(np.arange(len(data.items)), data.offsets)].tolist())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(loss, scores, row, reg=0.0):
    """The loss of a row of raw scores, whose positive stands in column ``row``."""
    positive, negative = scores[row], np.delete(scores, row)
    soft = np.exp(negative) / np.exp(negative).sum()
    return {
        "cross-entropy": lambda: np.log(np.exp(scores - positive).sum()),
        "bpr": lambda: -np.log(sigmoid(positive - negative)).mean(),
        "top1": lambda: (sigmoid(negative - positive) + sigmoid(negative**2)).mean(),
        "top1-max": lambda: (soft * (sigmoid(negative - positive) + sigmoid(negative**2))).sum(),
        "bpr-max": lambda: -np.log((soft * sigmoid(positive - negative)).sum()) + reg * (soft * negative**2).sum(),
    }[loss]()


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr", "top1", "top1-max", "bpr-max"])
def test_losses_take_raw_scores(loss):
    """No softmax or tanh before a loss that has its own: also for scores far beyond -1..1."""
    training = make(loss=loss, bpreg=0.0)
    _, scores = scores_of(training, scale=20.0)
    columns = scores[:, [*TARGETS, *SAMPLES]]
    assert np.abs(columns).max() > 3
    wanted = sum(by_hand(loss, row, b) for b, row in enumerate(columns)) / 3
    assert first_step(training) == pytest.approx(wanted, rel=1e-9)


def test_elu_is_for_the_losses_that_know_it():
    training = make(loss="bpr-max", elu=0.5)
    _, scores = scores_of(training, scale=20.0)
    columns = scores[:, [*TARGETS, *SAMPLES]]
    bent = np.where(columns > 0, columns, 0.5 * np.expm1(np.minimum(columns, 0)))
    wanted = sum(by_hand("bpr-max", row, b, reg=1.0) for b, row in enumerate(bent)) / 3
    assert first_step(training) == pytest.approx(wanted, rel=1e-9)
    with pytest.raises(ValueError, match="elu must be 0 for the cross-entropy"):
        GRU4Rec(elu=0.5).fit(unlike_each_other())


def test_bpr_max_weighs_negatives_only_and_its_regulariser_too():
    training = make(loss="bpr-max", bpreg=0.7)
    _, scores = scores_of(training, scale=5.0)
    columns = scores[:, [*TARGETS, *SAMPLES]]
    right, positive_too, plain = (np.empty(3) for _ in range(3))
    for b, row in enumerate(columns):
        negative = np.delete(row, b)
        soft, all_soft = (np.exp(part) / np.exp(part).sum() for part in (negative, row))
        bpr = -np.log((soft * sigmoid(row[b] - negative)).sum())
        right[b] = bpr + 0.7 * (soft * negative**2).sum()
        positive_too[b] = -np.log((all_soft * sigmoid(row[b] - row)).sum()) + 0.7 * (all_soft * row**2).sum()
        plain[b] = bpr + 0.7 * (negative**2).sum()
    found = first_step(training)
    assert found == pytest.approx(right.mean(), rel=1e-9)
    assert abs(found - positive_too.mean()) > 1e-2
    assert abs(found - plain.mean()) > 1e-2


def test_negatives_follow_the_support_in_training():
    """With replacement, shared by the rows, by ``support ** sample_alpha`` of what is trained on, nothing else."""
    items = np.array([0, 1] * 30 + [0, 2] * 10 + [3, 4] * 5, np.int32)
    data = Sessions(items, np.arange(0, 91, 2), time=np.arange(90))
    params = {"hidden": (D,), "n_sample": 64, "batch_size": 4, "n_epochs": 1, "random_state": 0, "sample_alpha": 0.5}
    held_out = {"early_stopping": True, "validation_fraction": 0.12}  # the sessions of items 3 and 4, which begin last
    model = GRU4Rec(**params, **held_out).fit(data)
    fresh = Network(model, 5, Source(0)).items.value
    assert same_bits(model.embeddings_[3:], fresh[3:])  # never drawn
    assert not (model.embeddings_[:3] == fresh[:3]).any()
    training = make(data, n_sample=6000, sample_alpha=0.5)
    counts = np.bincount(next(training.negatives.draws(Source(1))), minlength=5)
    share = np.sqrt([40, 30, 10, 5, 5])
    np.testing.assert_allclose(counts / 6000, share / share.sum(), atol=0.03)


@pytest.mark.parametrize("embedding", ["constrained", "separate", "none"])
def test_dropouts_are_where_they_belong(embedding):
    options = {"hidden": (64, 64), "embedding": embedding}
    states = np.random.default_rng(0).normal(size=(2, 3, 64))

    def after(train=True, **rates):
        training = make(**options, **rates)
        return training.network.step(INPUTS, list(states.copy()), train=train)[0]

    plain = after()
    hidden, embed = after(dropout_hidden=0.5), after(dropout_embed=0.5)
    # the state itself is dropped, in each layer, and what is left is carried on doubled
    for state in hidden:
        assert 0.3 < (state == 0).mean() < 0.7
    kept = hidden[0] != 0
    np.testing.assert_allclose(hidden[0][kept], 2 * plain[0][kept], rtol=1e-12)
    # the input is dropped before the first layer, and nothing of the state is
    assert all((state != 0).all() for state in embed)
    moved = any(not np.allclose(a, b) for a, b in zip(embed, plain, strict=True))
    assert moved == (embedding != "none")  # which has no embedding to drop


def test_dropout_is_off_in_scoring():
    data = unlike_each_other()
    params = {"hidden": (8,), "n_sample": 5, "n_epochs": 1, "random_state": 0}
    model = GRU4Rec(**params, dropout_embed=0.5, dropout_hidden=0.5).fit(data)
    assert same_bits(model.predict_next(data), model.predict_next(data))
    network = Network(GRU4Rec(**params), model.n_items_, Source(0), weights=model.weights_)  # without any
    states, _ = network.forward(data.items[:4], steps=np.ones(4, np.int64))
    np.testing.assert_allclose(model.session_representations([data.items[:4]])[0], states[-1], rtol=1e-5)


def test_an_item_that_stands_twice_gets_the_sum_of_its_gradients():
    """Items 7, 9 and 20 are in a batch several times: one Adagrad step with the square of the sum."""
    training = make()
    first_step(training)
    items = training.network.items
    before, gradient = items.value.copy(), dense_gradient(items)
    Adagrad(learning_rate=0.1).step([items])
    wanted = before - 0.1 * gradient / np.sqrt(gradient**2 + 1e-6)
    np.testing.assert_allclose(items.value, wanted, rtol=1e-9)
    touched = np.unique([*INPUTS, *TARGETS, *SAMPLES])
    (accumulated,) = items.state.values()
    assert np.flatnonzero(accumulated.any(axis=1)).tolist() == touched.tolist()
    others = np.setdiff1d(np.arange(N_ITEMS), touched)
    assert same_bits(items.value[others], before[others])


def test_the_constrained_embedding_is_the_output_layer():
    training = make()
    assert set(training.network.named_params()) == {"items", "bias", "cells.0.w", "cells.0.b", "cells.0.u"}
    first_step(training)
    inputs, outputs = sorted((ids.tolist() for ids, *_ in training.network.items.rows), key=len)
    assert (inputs, outputs) == (INPUTS.tolist(), [*TARGETS, *SAMPLES])
    assert set(make(embedding="separate").network.named_params()) > {"items", "inputs"}


def test_biases_are_not_mixed_up():
    """The items' bias is added to their scores alone, that of the gates to the states."""
    training = make()
    state, scores = scores_of(training)
    training.network.bias.value[:] += 1.5
    same_state, higher = scores_of(training)
    np.testing.assert_array_equal(same_state, state)
    np.testing.assert_allclose(higher, scores + 1.5, rtol=1e-12)
    training.network.cells[0].b.value[:] += 0.5
    assert not np.isclose(scores_of(training)[0], state).any()


def test_evaluation_ranks_all_items_at_all_positions_against_ties():
    model = GRU4Rec(hidden=(D,), n_sample=5, n_epochs=1, random_state=0).fit(
        Sessions(np.arange(N_ITEMS), np.array([0, N_ITEMS]))
    )
    sessions = [[1, 1, 1], [2], [3, 4, 3, 5]]  # repeated clicks count
    ranks = model.next_ranks(sessions)
    assert ranks.shape == (2 + 0 + 3,)
    scores = model.predict_next([[1], [1, 1], [3], [3, 4], [3, 4, 3]])
    assert ranks.tolist() == [
        (row >= row[target]).sum() for row, target in zip(scores, [1, 1, 4, 3, 5], strict=True)
    ]  # of all 40 items, what was clicked before included
    for weights in model.weights_.values():
        weights[...] = 0.0  # a network that has collapsed
    assert (model.next_ranks(sessions) == N_ITEMS).all()
    assert model.score(sessions) == 0.0


def test_gradients_go_back_one_step_without_padding():
    """A step gives gradients to the inputs of that step only, and has rows for sessions that are under way only."""
    data = unlike_each_other()
    training = make(data)
    widths = []
    for batch in training.batches(0):
        (inputs, *_), _ = batch
        training.step(batch)
        (looked_up,) = (ids for ids, *_ in training.network.items.rows if len(ids) == len(inputs))
        np.testing.assert_array_equal(looked_up, inputs)
        widths.append(len(inputs))
        for p in training.network.params():
            p.clear()
    assert sum(widths) == 16
    assert widths == sorted(widths, reverse=True)


def test_the_order_of_the_items_is_part_of_the_model_file(tmp_path):
    """Test data that number the same items otherwise are understood by their ids."""
    data = unlike_each_other()
    ids = np.array([f"item {n}" for n in np.random.default_rng(1).permutation(data.n_items)])
    model = GRU4Rec(hidden=(D,), n_sample=5, n_epochs=1, random_state=0)
    model.fit(Sessions(data.items, data.offsets, item_ids=ids)).save(tmp_path / "model")
    test = Sessions.from_arrays([0, 0, 0, 1, 1], ids[[5, 2, 9, 4, 5]])  # numbers them anew, by their names
    assert test.items.tolist() != [5, 2, 9, 4, 5]
    loaded = load(tmp_path / "model")
    plain = GRU4Rec(hidden=(D,), n_sample=5, n_epochs=1, random_state=0).fit(data)
    wanted = plain.next_ranks(([5, 2, 9, 4, 5], [0, 3, 5]))
    assert loaded.next_ranks(test).tolist() == wanted.tolist()
    best = plain.recommend_next([[5, 2]], k=4)[0]
    assert loaded.recommend_next([ids[[5, 2]]], k=4)[0].tolist() == ids[best].tolist()
