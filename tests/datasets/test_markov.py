"""Markov sessions: the process is what it says, and its predictions are the best there are."""

from itertools import pairwise, product

import numpy as np
import pytest

from pyrec_core import Sessions
from pyrec_core.datasets import MarkovProcess, make_markov_sessions

TINY = MarkovProcess([[1, 2, 3, 0], [1, 0, 3, 2], [0, 3, 2, 1]], class_probabilities=[0.5, 0.3, 0.2], follow=0.7)
RAGGED = Sessions([0, 1, 2, 3, 1, 1, 2, 3, 2, 2, 0, 1, 0, 1, 0, 3], [0, 0, 5, 6, 8, 8, 15, 16, 16], n_items=4)


def step_probability(process, c, i, j):
    """The definition: along the permutation, else anywhere."""
    n_items = process.shape[1]
    return process.follow * (process.permutations[c, i] == j) + (1 - process.follow) / n_items


def joint(process, items):
    """Probability of each class together with these items."""
    first = 1 / process.shape[1]
    return np.array(
        [
            weight * first * np.prod([step_probability(process, c, i, j) for i, j in pairwise(items)])
            for c, weight in enumerate(process.class_probabilities)
        ]
    )


def transitions(sessions):
    """The items that a next item follows, with those before them, and the next item."""
    for start, stop in pairwise(sessions.offsets):
        for at in range(start + 1, stop):
            yield sessions.items[start:at].tolist(), int(sessions.items[at])


# ---- against the definition


def test_optimal_scores_equal_an_enumeration():
    scores, posteriors = TINY.optimal_scores(RAGGED), TINY.class_posteriors(RAGGED)
    rows = list(transitions(RAGGED))
    assert scores.shape == (len(rows), 4) == (11, 4)
    for row, (before, _) in enumerate(rows):
        seen = joint(TINY, before)
        np.testing.assert_allclose(posteriors[row], seen / seen.sum(), rtol=1e-12)
        expected = [joint(TINY, [*before, j]).sum() / seen.sum() for j in range(4)]
        np.testing.assert_allclose(scores[row], expected, rtol=1e-12)


def test_first_order_scores_equal_an_enumeration():
    pairs = np.zeros((4, 4))
    for items in product(range(4), repeat=4):
        for i, j in pairwise(items):
            pairs[i, j] += joint(TINY, items).sum()
    conditional = pairs / pairs.sum(axis=1, keepdims=True)
    expected = [conditional[before[-1]] for before, _ in transitions(RAGGED)]
    np.testing.assert_allclose(TINY.first_order_scores(RAGGED), expected, rtol=1e-12)


@pytest.mark.parametrize("follow", [0.0, 0.4, 1.0])
def test_scores_are_probabilities(follow):
    process = MarkovProcess(TINY.permutations, follow=follow)
    sessions = process.sample(50, length=6)
    for scores in (process.optimal_scores(sessions), process.first_order_scores(sessions)):
        np.testing.assert_allclose(scores.sum(axis=1), 1)
        assert scores.min() >= 0


def test_beliefs_of_long_sessions_do_not_get_stuck():
    def walk(c, start, n):
        items = [start]
        for _ in range(n):
            items.append(int(process.permutations[c, items[-1]]))
        return items

    process = make_markov_sessions(1, 0).process
    one = walk(0, 0, 3000)
    sessions = Sessions([*one, *walk(1, one[-1], 3500)[1:]], [0, 6501], n_items=100)
    posteriors = process.class_posteriors(sessions)
    assert posteriors[2999, 0] > 0.999
    assert posteriors[-1, 1] > 0.999  # 500 steps more; their probability in class 0 is below the smallest float


def test_no_transitions_no_rows():
    for sessions in (Sessions([], [0], n_items=4), Sessions([2, 3], [0, 1, 1, 2], n_items=4)):
        assert TINY.optimal_scores(sessions).shape == TINY.first_order_scores(sessions).shape == (0, 4)
        assert TINY.class_posteriors(sessions).shape == (0, 3)


def test_an_impossible_session_is_named():
    process = MarkovProcess(TINY.permutations, follow=1.0)
    sessions = Sessions([0, 1, 2, 0, 2, 1], [0, 2, 2, 6], n_items=4)
    with pytest.raises(ValueError, match="sessions must be possible for the process, got the impossible session 2"):
        process.optimal_scores(sessions)


# ---- what is drawn


def test_classes_and_steps_have_their_probabilities():
    process = MarkovProcess(np.array([[1, 2, 3, 4, 0], [2, 3, 4, 0, 1]]), [0.3, 0.7], follow=0.6)
    items = process.sample(20_000, length=5).items.reshape(20_000, 5)
    for i in range(5):  # each item as likely as any other, at each step
        assert (np.abs((items == i).mean(axis=0) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 20_000)).all()
    gap = (items[:, 1:] - items[:, :-1]) % 5
    for step, probability in ((1, 0.3 * 0.6 + 0.08), (2, 0.7 * 0.6 + 0.08), (0, 0.08), (3, 0.08), (4, 0.08)):
        error = np.sqrt(probability * (1 - probability) / 20_000)
        assert (np.abs((gap == step).mean(axis=0) - probability) < 4 * error).all()
    always = MarkovProcess(process.permutations, [0.3, 0.7], follow=1.0).sample(20_000, length=5)
    gap = np.diff(always.items.reshape(20_000, 5), axis=1) % 5
    assert (gap == gap[:, :1]).all()  # one class a session
    assert abs((gap[:, 0] == 1).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 20_000)


def test_train_and_test_share_the_process_and_nothing_else():
    data = make_markov_sessions(300, 200, random_state=3)
    assert (data.train.shape, data.test.shape, data.process.shape) == ((300, 100), (200, 100), (4, 100))
    more = make_markov_sessions(300, 500, random_state=3)
    np.testing.assert_array_equal(data.train.items, more.train.items)
    np.testing.assert_array_equal(data.process.permutations, more.process.permutations)
    assert (data.train.items[:2000] != data.test.items).any()
    assert (make_markov_sessions(300, 200, random_state=4).train.items != data.train.items).any()


# ---- the published figures


def ranking(scores, target, ties="random"):
    """Recall@1, recall@5, MRR@5; for ties at random their expectation, else the target comes first among equals."""
    own = scores[np.arange(len(target)), target][:, None]
    above, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    if ties == "target first":
        equal = np.ones_like(equal)
    place = above[:, None] + 1 <= np.arange(1, 6)
    place &= np.arange(1, 6) <= (above + equal)[:, None]  # the places where the target may be, of the first five
    chance = place / equal[:, None]
    return np.array([chance[:, 0].mean(), chance.sum(axis=1).mean(), (chance / np.arange(1, 6)).sum(axis=1).mean()])


@pytest.fixture(scope="module", params=[0, 1])
def measured(request):
    data = make_markov_sessions(random_state=request.param)
    train, test = (sessions.items.reshape(-1, 10) for sessions in (data.train, data.test))
    current, target = test[:, :-1].ravel(), test[:, 1:].ravel()
    counts = np.bincount(train[:, :-1].ravel() * 100 + train[:, 1:].ravel(), minlength=100 * 100).reshape(100, 100)
    first_order = data.process.first_order_scores(data.test)
    return {
        "optimal": ranking(data.process.optimal_scores(data.test), target),
        "first order": ranking(first_order, target),
        "first order, target first": ranking(first_order, target, ties="target first"),
        "item-to-item counts": ranking(counts[current], target),
    }


# The last column is the standard deviation over 24 seeds, which have other permutations and other sessions. How often
# classes agree on the next item decides what one item tells: that varies more than the optimum.
@pytest.mark.parametrize(
    ("name", "reference", "deviation"),
    [
        ("optimal", [0.8157, 0.9036, 0.8480], [0.0018, 0.0017, 0.0017]),
        ("first order", [0.2437, 0.9037, 0.4835], [0.0042, 0.0017, 0.0032]),
        ("first order, target first", [0.8805, 1.0000, 0.9115], [0.0085, 0.0, 0.0042]),
        ("item-to-item counts", [0.2368, 0.9040, 0.4796], [0.0046, 0.0017, 0.0033]),
    ],
)
def test_reference_values(measured, name, reference, deviation):
    difference = np.abs(measured[name] - reference)
    assert (difference <= 4 * np.array(deviation)).all(), (measured[name], reference)


def test_only_a_memory_finds_the_next_item(measured):
    assert measured["optimal"][0] > 3 * measured["first order"][0]
    assert measured["optimal"][2] > measured["item-to-item counts"][2] + 0.3


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"permutations": [0, 1]}, ValueError, r"permutations must be 2-D .*, got shape \(2,\)"),
        ({"permutations": np.zeros((0, 3), int)}, ValueError, r"permutations must be 2-D .*, got shape \(0, 3\)"),
        ({"permutations": [[0.0, 1.0]]}, TypeError, "permutations must be integers, got float64"),
        ({"permutations": [[1, 0], [1, 1]]}, ValueError, r"must hold each of 0..1 once a row, got another row 1"),
        ({"class_probabilities": [1.0]}, ValueError, r"class_probabilities must have shape \(2,\), .*, got \(1,\)"),
        ({"class_probabilities": [0.5, 0.6]}, ValueError, r">= 0 and sum to 1, got \[0.5, 0.6\]"),
        ({"class_probabilities": [1.5, -0.5]}, ValueError, r">= 0 and sum to 1, got \[1.5, -0.5\]"),
        ({"class_probabilities": [np.nan, 1.0]}, ValueError, r">= 0 and sum to 1, got \[nan, 1.0\]"),
        ({"class_probabilities": ["a", "b"]}, TypeError, "class_probabilities must be numbers, got <U1"),
        ({"follow": 1.1}, ValueError, "follow must be <= 1.0, got 1.1"),
    ],
)
def test_bad_processes_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        MarkovProcess(**{"permutations": [[0, 1], [1, 0]], **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_train": 0}, ValueError, "n_train must be >= 1, got 0"),
        ({"n_test": -1}, ValueError, "n_test must be >= 0, got -1"),
        ({"n_items": 2**31}, ValueError, "n_items must be <= 2147483647, got 2147483648"),
        ({"n_classes": 0}, ValueError, "n_classes must be >= 1, got 0"),
        ({"length": 0}, ValueError, "length must be >= 1, got 0"),
        ({"length": 2.5}, TypeError, "length must be an integer, got 2.5"),
        ({"follow": "x"}, TypeError, "follow must be a number, got 'x'"),
    ],
)
def test_bad_sizes_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_markov_sessions(**options)


def test_bad_sessions_are_refused():
    with pytest.raises(TypeError, match="sessions must be Sessions, got list"):
        TINY.optimal_scores([[0, 1]])
    with pytest.raises(ValueError, match="sessions must hold the 4 items of the process, got item 4"):
        TINY.first_order_scores(Sessions([0, 4], [0, 2]))
