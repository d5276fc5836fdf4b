"""Splits into training and test data: reproducible from one seed, and without leaks.

======================= ============================================================ ==========================
split                   what is held out                                             used by
======================= ============================================================ ==========================
`random`, `k_fold`      each interaction with a probability, or in folds             rating models
`by_mask`               what a mask says: published folds                            rating models, NCF
`per_user`              a random share of each user's items                          ranking
`leave_one_out`         each user's latest item                                      NCF, BERT4Rec
`strong_generalisation` users, and of their items a random part                      Mult-VAE, EASE
`temporal_fold_in`      users, and of their history the last part                    SVAE
`global_time`           all events after one instant                                 RRN
`session_time`          the sessions that end last                                   GRU4Rec
`last_sessions`         the last sessions of a file in order of time                 files of SR-GNN
======================= ============================================================ ==========================

``data`` are `Interactions` or a users x items matrix, sparse or dense, and the result is a `Split` of CSR matrices; the
last two take `Sessions` and give a `SessionSplit`. A `Filtered`, from `filter_interactions` or `filter_sessions`, may
stand for data everywhere.

All of them keep these rules:

- Training and test part are disjoint. Together they are the data, except for what ``dropped`` lists with its reason.
- What is dropped from test data for being unknown is judged by the training data alone, and training data do not depend
  on the contents of the test data. Filters that come before a split see both: that is what published preparations do.
- Validation data are cut from training data by the same rule, and the test data do not depend on them.
- Ids keep their meaning: items are never renumbered, and users only where held-out ones are rows of their own.
- The same data in another order, or with another number of threads, give the same split, to the bit.
- A matrix keeps its values. `random`, `k_fold` and `by_mask` keep those of `Interactions` too; elsewhere each pair
  counts 1, unless there is a ``binary=False``. Binarise at a threshold with ``data.matrix(min_value=4)``, or leave out
  small values with `filter_interactions`.

`sample_negatives` and `with_negatives` add candidates for sampled metrics.
"""

from ._filters import filter_interactions, filter_sessions
from ._global_time import global_time
from ._held_out_users import strong_generalisation, temporal_fold_in
from ._leave_one_out import leave_one_out
from ._negatives import sample_negatives, with_negatives
from ._per_user import per_user
from ._ratings import by_mask, k_fold, random
from ._result import Dropped, Filtered, SessionSplit, Split
from ._session_time import last_sessions, session_time

__all__ = [
    "Dropped",
    "Filtered",
    "SessionSplit",
    "Split",
    "by_mask",
    "filter_interactions",
    "filter_sessions",
    "global_time",
    "k_fold",
    "last_sessions",
    "leave_one_out",
    "per_user",
    "random",
    "sample_negatives",
    "session_time",
    "strong_generalisation",
    "temporal_fold_in",
    "with_negatives",
]
