import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core._backend import cpu
from pyrec_core.kernels.random import PURPOSES, integers, uniform, uniform_at

# Known answers of Philox4x32-10, published with Random123: counter, key, result.
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, want):
    assert list(cpu().philox(*key, counter)) == want


def test_streams_are_pinned():
    # what a seed means must never change: values of the definition, computed once in Python integers
    def element(i, seed, purpose, epoch):
        words = cpu().philox(seed % 2**32, seed >> 32, [0, (i // 2) % 2**32, i // 2 >> 32, purpose << 24 | epoch])
        return words[2 * (i % 2)] | words[2 * (i % 2) + 1] << 32

    seed, epoch = 2**40 + 17, 5
    bits = [element(i, seed, PURPOSES.index("negatives"), epoch) for i in range(50)]
    where = {"seed": seed, "purpose": "negatives", "epoch": epoch}
    assert uniform(50, **where).tolist() == [(b >> 11) * 2.0**-53 for b in bits]
    assert uniform(50, dtype="float32", **where).tolist() == [(b >> 40) * 2.0**-24 for b in bits]
    assert integers(50, 1000, **where).tolist() == [b * 1000 >> 64 for b in bits]


@given(first=st.integers(0, 2**62), cut=st.integers(0, 40), n_threads=st.integers(1, 4))
def test_streams_can_be_taken_in_pieces(first, cut, n_threads):
    whole = uniform(40, seed=3, purpose="noise", first=first)
    head = uniform(cut, seed=3, purpose="noise", first=first, n_threads=n_threads)
    tail = uniform(40 - cut, seed=3, purpose="noise", first=first + cut)
    assert same_bits(whole, np.concatenate([head, tail]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(first=st.integers(0, 2**62), n_threads=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_draws_at_positions_are_those_of_the_stream(dtype, first, n_threads, seed):
    at = np.random.default_rng(seed).integers(0, 40, 60)
    whole = uniform(40, seed=seed, purpose="split", epoch=3, first=first, dtype=dtype)
    drawn = uniform_at(first + at, seed=seed, purpose="split", epoch=3, dtype=dtype, n_threads=n_threads)
    assert same_bits(drawn, whole[at])


def test_many_draws_at_positions_do_not_depend_on_the_number_of_threads():
    at = np.arange(100_000)[::-3]
    drawn = [uniform_at(at, seed=1, purpose="split", n_threads=n_threads) for n_threads in (1, 2, 3, 8)]
    assert all(same_bits(drawn[0], other) for other in drawn[1:])
    assert same_bits(drawn[0], uniform(100_000, seed=1, purpose="split")[at])


@pytest.mark.parametrize(
    ("positions", "error", "message"),
    [
        ([0.5], TypeError, "positions must be integers, got float64"),
        ([[1]], ValueError, r"positions must be 1-D, got shape \(1, 1\)"),
        ([3, -1], ValueError, r"positions must be in 0..2\*\*63 - 1, got -1 to 3"),
        (np.array([2**63], np.uint64), ValueError, "positions must be in 0"),
    ],
)
def test_bad_positions_are_refused(positions, error, message):
    with pytest.raises(error, match=message):
        uniform_at(positions, seed=0, purpose="split")


def test_seed_purpose_and_epoch_make_different_streams():
    streams = [
        uniform(100, seed=seed, purpose=purpose, epoch=epoch)
        for seed in (0, 1, 2**63)
        for purpose in PURPOSES
        for epoch in (0, 1)
    ]
    assert len(np.unique(np.concatenate(streams))) == 100 * len(streams)


def test_draws_are_uniform():
    u = uniform(1_000_000, seed=1, purpose="data")
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.bincount((u * 100).astype(int), minlength=100)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 160  # chi-square, 99 degrees of freedom: p about 1e-4
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.004
    counts = np.bincount(integers(1_000_000, 7, seed=1, purpose="data"), minlength=7)
    assert ((counts - 1e6 / 7) ** 2 / (1e6 / 7)).sum() < 28  # 6 degrees of freedom


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"purpose": "other"}, ValueError, "purpose must be one of 'init'"),
        ({"seed": -1}, ValueError, "seed must be >= 0, got -1"),
        ({"seed": 2**64}, ValueError, "seed must be <="),
        ({"epoch": 2**24}, ValueError, "epoch must be <="),
        ({"n": -1}, ValueError, "n must be >= 0, got -1"),
        ({"dtype": "int32"}, TypeError, "dtype must be float32 or float64, got int32"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        uniform(**({"n": 3, "seed": 0, "purpose": "init"} | arguments))
