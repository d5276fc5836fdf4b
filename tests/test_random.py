from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core._random import MAX_SEED, seed_of, stream

SEEDS = st.integers(0, MAX_SEED)


@given(SEEDS)
def test_seed_of_an_integer_is_itself(seed):
    assert seed_of(seed) == seed


def test_seed_of_none_is_fresh():
    assert len({seed_of(None) for _ in range(20)}) == 20


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_seed_of_a_generator_draws_from_it(make):
    rng = make(0)
    first, second = seed_of(rng), seed_of(rng)
    assert first != second
    assert seed_of(make(0)) == first
    assert 0 <= first <= MAX_SEED


@pytest.mark.parametrize("wrong", [True, 1.0, "1", [1]])
def test_seed_of_refuses_other_types(wrong):
    with pytest.raises(TypeError, match="random_state must be an integer, got "):
        seed_of(wrong)


@pytest.mark.parametrize("wrong", [-1, MAX_SEED + 1])
def test_seed_of_refuses_other_values(wrong):
    with pytest.raises(ValueError, match="random_state must be "):
        seed_of(wrong)


@given(SEEDS, st.text(max_size=5), SEEDS, SEEDS)
def test_stream_depends_on_its_name_only(seed, purpose, epoch, example):
    def draw():
        return stream(seed, purpose, epoch, example).integers(0, MAX_SEED, 4, dtype=np.uint64)

    np.testing.assert_array_equal(draw(), draw())


def test_streams_of_different_names_differ():
    names = list(product((0, 1, MAX_SEED), ("", "init", "shuffle"), (0, 1), (0, 1)))
    draws = np.array([stream(*name).random(50) for name in names])
    assert len(np.unique(draws)) == draws.size
    assert np.abs(np.corrcoef(draws) - np.eye(len(names))).max() < 0.7  # 36 x 35 / 2 pairs of 50 values


def test_stream_words_never_change():
    """Philox 4x64-10: the same words on every machine and with every NumPy."""
    words = stream(42, "init", epoch=3, example=5).bit_generator.random_raw(3)
    assert words.tolist() == [14030039059927315749, 16836548648552314423, 13901730122936891002]


def test_stream_is_philox_with_the_documented_key_and_counter():
    from hashlib import blake2b

    key = (7 | int.from_bytes(blake2b(b"init", digest_size=8).digest(), "little") << 64)  # fmt: skip
    counter = (5 << 128) + (3 << 192)
    words = np.random.Philox(key=key, counter=counter).random_raw(8)
    np.testing.assert_array_equal(stream(7, "init", 3, 5).bit_generator.random_raw(8), words)


@pytest.mark.parametrize("name", ["seed", "epoch", "example"])
def test_stream_checks_its_name(name):
    arguments = {"seed": 0, "purpose": "init", name: -1}
    with pytest.raises(ValueError, match=f"{name} must be >= 0, got -1"):
        stream(**arguments)
