"""Items with words: topics decide both who takes an item and what its text says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._interactions import Interactions
from .._random import RandomState, seed_of, stream
from .._validation import MAX_ID, check_float, check_int
from ._draws import activity, blocks, categories, log_popularity, take_largest, times

_MIXTURE = 0.5  # concentration of all topics together, of an item and of a user: mostly one or two count
_VOCABULARY = 100.0  # concentration of a topic's words around their frequency in all text


@dataclass(frozen=True, eq=False, repr=False)
class TopicData:
    """What `make_topics` makes.

    Attributes
    ----------
    interactions : Interactions
    words : scipy.sparse.csr_array, float32 (n_items, n_words)
        How often each word is in the text of each item.
    user_topics : float64 (n_users, n_topics)
        How much each user likes each topic; rows sum to 1.
    item_topics : float64 (n_items, n_topics)
        How much each item is about each topic; rows sum to 1.
    topic_words : float64 (n_topics, n_words)
        Probability of each word in each topic; rows sum to 1.
    """

    interactions: Interactions
    words: Any
    user_topics: NDArray[np.float64]
    item_topics: NDArray[np.float64]
    topic_words: NDArray[np.float64]

    def __repr__(self) -> str:
        n_topics, n_words = self.topic_words.shape
        return f"{type(self).__name__}({self.interactions!r}, {n_topics} topics, {n_words} words)"


def make_topics(
    n_users: int = 2000,
    n_items: int = 1000,
    n_topics: int = 10,
    n_words: int = 2000,
    interactions_per_user: float = 30.0,
    words_per_item: float = 50.0,
    random_state: RandomState = 0,
) -> TopicData:
    """Make implicit feedback on items with words, for content models and for items that nobody has taken yet.

    User u likes topics in shares ``a_u``, item i is about topics in shares ``b_i``; both are from a Dirichlet
    distribution that favours few topics. User u takes items one after the other, without repetition, with
    probabilities proportional to ``popularity_i * a_u . b_i``. Each word of item i is drawn from one of its topics,
    taken in shares ``b_i``. So who takes an item can be told from its words. Items differ in popularity and users in
    activity as in `make_implicit`; some words are frequent in all topics.

    Parameters
    ----------
    n_users, n_items, n_topics, n_words : int >= 1
    interactions_per_user : float >= 1
        Mean number of items of a user, before it is rounded and limited to 2..n_items.
    words_per_item : float >= 1
        Mean number of words of an item, with repetitions. Each has at least one.
    random_state : int, numpy Generator or None

    Returns
    -------
    TopicData
        With attributes ``interactions`` and ``words``, and the true shares. Each user's items are in the order in
        which they were taken, with times in seconds.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong type or out of range.

    Examples
    --------
    >>> from pyrec_core.datasets import make_topics
    >>> data = make_topics(n_users=100, n_items=50, n_words=300, interactions_per_user=10)
    >>> data.interactions.shape, data.words.shape
    ((100, 50), (50, 300))
    """
    n_users = check_int("n_users", n_users, low=1, high=MAX_ID)
    n_items = check_int("n_items", n_items, low=1, high=MAX_ID)
    n_topics = check_int("n_topics", n_topics, low=1)
    n_words = check_int("n_words", n_words, low=1, high=MAX_ID)
    mean_taken = check_float("interactions_per_user", interactions_per_user, low=1.0)
    mean_words = check_float("words_per_item", words_per_item, low=1.0, high=MAX_ID)
    seed = seed_of(random_state)

    rng = stream(seed, "make-topics-items")
    popularity = log_popularity(rng, n_items)
    item_topics = rng.dirichlet(np.full(n_topics, _MIXTURE / n_topics), n_items)
    rng = stream(seed, "make-topics-users")
    user_topics = rng.dirichlet(np.full(n_topics, _MIXTURE / n_topics), n_users)
    n_taken = activity(rng, mean_taken, n_users, n_items)
    rng = stream(seed, "make-topics-words")
    frequency = np.exp(log_popularity(rng, n_words))
    topic_words = rng.dirichlet(_VOCABULARY * frequency / frequency.sum(), n_topics)

    rng = stream(seed, "make-topics-choices")
    taken = []
    for first, last in blocks(n_users, n_items):
        weight = np.zeros((last - first, n_items))
        for a, b in zip(user_topics[first:last].T, item_topics.T, strict=True):
            weight += a[:, None] * b  # no BLAS product: other threads, other bits
        utility = popularity + np.log(np.maximum(weight, np.finfo(float).tiny))
        taken.append(take_largest(utility + rng.gumbel(size=utility.shape), n_taken[first:last]))
    user = np.repeat(np.arange(n_users, dtype=np.int32), n_taken)
    time = times(seed, "make-topics-times", n_taken)
    interactions = Interactions(user, np.concatenate(taken), time=time, n_users=n_users, n_items=n_items)
    words = _texts(seed, item_topics, topic_words, mean_words)
    return TopicData(interactions, words, user_topics, item_topics, topic_words)


def _texts(seed: int, item_topics: NDArray[np.float64], topic_words: NDArray[np.float64], mean: float) -> Any:
    """Return the items x words matrix of counts."""
    n_items, n_topics = item_topics.shape
    lengths = np.asarray(stream(seed, "make-topics-lengths").poisson(mean - 1, n_items)) + 1
    rng_topic, rng_word = stream(seed, "make-topics-text-topics"), stream(seed, "make-topics-text-words")
    parts = []
    for first, last in blocks(n_items, max(n_topics, int(mean))):
        row = np.repeat(np.arange(last - first), lengths[first:last])
        word = categories(rng_word, topic_words, categories(rng_topic, item_topics[first:last], row))
        place = (row.astype(np.int32), word.astype(np.int32))
        shape = (last - first, topic_words.shape[1])
        parts.append(sp.coo_array((np.ones(len(row), np.float32), place), shape).tocsr())
    words = sp.csr_array(sp.vstack(parts, format="csr"))
    words.sum_duplicates()
    return words
