"""Randomness: one integer seed per estimator, and independent streams derived from it.

A stream is named by (seed, purpose, epoch, example). Each name has its own counter range of the Philox
4x64-10 generator (Salmon et al., SC 2011), so a draw depends on its name only: neither on the draws that were
made before, nor on the number of threads.
"""

from hashlib import blake2b
from typing import Any

import numpy as np

from ._validation import check_int

MAX_SEED = 2**64 - 1
RandomState = int | np.integer | np.random.Generator | np.random.RandomState | None


def seed_of(random_state: RandomState) -> int:
    """Return the integer seed, 0 <= seed < 2**64, that ``random_state`` stands for.

    Parameters
    ----------
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        None: fresh entropy of the operating system. int: itself. A generator: one draw from it, which
        advances it.

    Raises
    ------
    TypeError
        Another type.
    ValueError
        A negative or too large integer.

    Examples
    --------
    >>> from pyrec_core._random import seed_of
    >>> seed_of(7)
    7
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, MAX_SEED, dtype=np.uint64, endpoint=True))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**63, dtype=np.uint64))
    return check_int("random_state", random_state, low=0, high=MAX_SEED)


def stream(seed: int, purpose: str, epoch: int = 0, example: int = 0) -> np.random.Generator:
    """Return the generator named by (seed, purpose, epoch, example).

    The Philox key is (seed, blake2b-64 of the purpose), the 256-bit counter starts at
    ``example * 2**128 + epoch * 2**192``: streams of one seed and purpose cannot overlap before 2**130 draws.
    The raw 64-bit words are the same on every machine and NumPy version; what NumPy makes of them
    (``permutation``, ``normal``) may change with the NumPy version.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64, as from `seed_of`.
    purpose : str
        What the draws are for: "init", "shuffle", "negatives", "dropout", ...
    epoch, example : int
        0 <= value < 2**64.

    Examples
    --------
    >>> from pyrec_core._random import stream
    >>> bool((stream(0, "init").random(3) == stream(0, "init").random(3)).all())
    True
    """
    seed = check_int("seed", seed, low=0, high=MAX_SEED)
    epoch = check_int("epoch", epoch, low=0, high=MAX_SEED)
    example = check_int("example", example, low=0, high=MAX_SEED)
    purpose_key = int.from_bytes(blake2b(purpose.encode(), digest_size=8).digest(), "little")
    counter = np.array([0, 0, example, epoch], np.uint64)
    key = np.array([seed, purpose_key], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Source:
    """Where a network in training takes its random numbers from: a seed, the epoch, and how many were taken in it.

    What `take` returns are the keywords that name a piece of a stream to the functions of
    `pyrec_core.kernels.random` and to other kernels that draw. An epoch begun again takes the same numbers again:
    training that resumes at an epoch needs no other state.

    Examples
    --------
    >>> from pyrec_core._random import Source
    >>> source = Source(7)
    >>> source.take("dropout", 100)
    {'seed': 7, 'purpose': 'dropout', 'epoch': 0, 'first': 0}
    >>> source.take("dropout", 100)["first"]
    100
    >>> source.begin(epoch=1)
    >>> source.take("dropout", 100)["first"]
    0
    """

    def __init__(self, seed: int) -> None:
        self.seed = check_int("seed", seed, low=0, high=MAX_SEED)
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Go to the start of an epoch."""
        self.epoch = check_int("epoch", epoch, low=0, high=2**24 - 1)
        self._taken: dict[str, int] = {}

    def take(self, purpose: str, n: int) -> dict[str, Any]:
        """Return the address of the next ``n`` numbers for ``purpose``."""
        first = self._taken.get(purpose, 0)
        self._taken[purpose] = first + n
        return {"seed": self.seed, "purpose": purpose, "epoch": self.epoch, "first": first}
