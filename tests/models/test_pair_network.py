"""The network of GMF, NCFMLP and NeuMF: its formula, its tables of all pairs, and its gradients."""

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core._random import Source
from pyrec_core.kernels.losses import binary_cross_entropy
from pyrec_core.models.interaction._pair_network import PAIRS_AT_ONCE, PairNetwork

SHAPES = [(3, ()), (0, (8, 5, 4)), (3, (8, 6)), (3, (4, 4, 2))]
each_shape = pytest.mark.parametrize(("n_multiplied", "hidden"), SHAPES)


def network(n_multiplied, hidden, dtype=np.float64, scale=30.0):
    """Weights of a size at which no logit is almost 0."""
    made = PairNetwork.new((7, 9), n_multiplied, hidden, Source(1), dtype=dtype)
    for p in (made.users, made.items):
        p.value *= scale
    return made


def by_hand(net, user, item):
    """The logit of a pair, from the formulas of the paper."""
    p, q, g = net.users.value[user], net.items.value[item], net.n_multiplied
    z = np.concatenate([p[g:], q[g:]])
    for dense in net.tower:
        z = np.maximum(0, (z[:, None] * dense.w.value).sum(axis=0) + dense.b.value)
    return (np.concatenate([p[:g] * q[:g], z]) * net.head.w.value[:, 0]).sum() + net.head.b.value[0]


@each_shape
def test_the_network_is_the_formula_of_the_paper(n_multiplied, hidden):
    net = network(n_multiplied, hidden)
    users, items = np.arange(7).repeat(9), np.tile(np.arange(9), 7)
    expected = [by_hand(net, *pair) for pair in zip(users, items, strict=True)]
    np.testing.assert_allclose(net((users, items))[:, 0], expected, rtol=1e-10)
    if hidden:
        some_users, some_items = np.array([6, 0, 3]), np.array([8, 1])
        table = net.table(some_users, some_items)
        np.testing.assert_allclose(table, np.reshape(expected, (7, 9))[np.ix_(some_users, some_items)], rtol=1e-10)
    else:
        p, q = net.factors(np.array([6, 0]))
        np.testing.assert_allclose((p[:, None] * q).sum(axis=2), np.reshape(expected, (7, 9))[[6, 0]], rtol=1e-10)


def test_tables_of_many_pairs_come_in_blocks(monkeypatch):
    net = network(3, (8, 5, 4))
    users, items = np.arange(7), np.arange(9)
    whole = net.table(users, items)
    for size in (1, 4, 20):  # less than a row, and more
        monkeypatch.setitem(PAIRS_AT_ONCE, "cpu", size)
        assert same_bits(net.table(users, items), whole)


@each_shape
def test_gradients_of_the_whole_network_are_those_of_its_loss(n_multiplied, hidden):
    net = network(n_multiplied, hidden)
    users, items = np.array([0, 1, 0, 6, 1]), np.array([2, 2, 2, 8, 0])  # rows and a pair come twice
    targets = np.array([[1.0], [0.0], [0.0], [1.0], [0.0]])

    def loss():
        return binary_cross_entropy(net((users, items)), targets)[0]

    outputs, backprop = net.forward((users, items), train=True)
    backprop(binary_cross_entropy(outputs, targets)[1])
    for name, p in net.named_params().items():
        found = np.zeros_like(p.value) if p.grad is None else p.grad
        for ids, rows, _ in p.rows:
            np.add.at(found, ids, rows)
        numeric = np.empty_like(p.value)
        for at in np.ndindex(p.value.shape):
            before = p.value[at]
            p.value[at] = before + 1e-6
            above = loss()
            p.value[at] = before - 1e-6
            numeric[at] = (above - loss()) / 2e-6
            p.value[at] = before
        scale = np.abs(numeric).max()
        assert scale > 1e-5, name
        assert np.abs(found - numeric).max() <= 1e-6 * scale, name
