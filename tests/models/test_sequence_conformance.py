"""Every sequence model passes the conformance suite, and the suite notices broken models."""

import warnings

import numpy as np
import pytest

import pyrec_core.models.sequence as door
from pyrec_core import GRU4Rec, MarkovChain
from pyrec_core.models.sequence import LiveSession, SequenceModel
from pyrec_core.testing import _sequence as suite
from pyrec_core.testing import check_estimator, estimator_checks

SMALL = {"hidden": (6,), "n_sample": 8, "batch_size": 5, "n_epochs": 2}
MODELS = [
    MarkovChain(),
    MarkovChain(prior=0.0),
    GRU4Rec(**SMALL),
    GRU4Rec(**SMALL, embedding="separate", embedding_dim=4, dropout_embed=0.2, dropout_hidden=0.2, momentum=0.3),
    GRU4Rec(**SMALL, embedding="none", reset="after", logq=1.0, optimizer="adam", learning_rate=0.01),
    GRU4Rec(**{**SMALL, "hidden": (5, 7)}, loss="bpr-max", elu=0.5, bpreg=1.5),
    GRU4Rec(**{**SMALL, "n_sample": 0}),
    GRU4Rec(**SMALL, batches="prefixes", item_dropout=0.2, max_length=4),
]
CASES = [pytest.param(check, id=f"{model!r}-{name}") for model in MODELS for name, check in estimator_checks(model)]


def test_every_model_is_listed():
    exported = {getattr(door, name) for name in door.__all__} - {SequenceModel, LiveSession}
    assert exported == {type(model) for model in MODELS}


@pytest.mark.parametrize("check", CASES)
def test_model_conforms(check):
    check()


def test_the_suite_leaves_the_model_alone():
    model = MarkovChain(prior=3.0)
    check_estimator(model)
    assert vars(model) == MarkovChain(prior=3.0).get_params()


def test_all_checks_are_in_the_suite():
    written = {name for name in vars(suite) if name.startswith("check_")}
    assert written == {check.__name__ for check in suite.CHECKS}
    assert [check.__name__ for check in suite.CHECKS] == [name for name, _ in estimator_checks(MarkovChain())]


def broken(check, **methods):
    """Return a copy of MarkovChain with other methods, and the check that has to notice."""
    return pytest.param(check, type("Broken", (MarkovChain,), methods), id=f"{check}-{'-'.join(methods)}")


def with_lists(change):
    """Make a ``recommend_next`` that changes what MarkovChain answers."""

    def recommend_next(self, prefixes, k=20, exclude_seen=False):
        return change(*MarkovChain.recommend_next(self, prefixes, k, exclude_seen))

    return recommend_next


def with_scores(change):
    return {"_scores": lambda self, states: change(self, MarkovChain._scores(self, states))}


def fit_with(change):
    """Make a ``_fit`` that changes the counts that MarkovChain learns."""

    def _fit(self, data, validation, state, **options):
        return {"transitions_": change(self, data, MarkovChain._fit(self, data, validation, state)["transitions_"])}

    return _fit


def init_computes(self, **params):
    MarkovChain.__init__(self, **params)
    self.prior = float(self.prior) if isinstance(self.prior, int) else 0.5


def fit_keeps_the_data(self, data, validation, state, **options):
    return MarkovChain._fit(self, data, validation, state) | {"sessions_": data.items}


def scores_of_the_data(self, scores):
    return scores + self.sessions_[:1]


def fit_sets_early(self, sessions, validation_data=None):
    self.n_features_in_, self.n_items_ = 25, 25
    return MarkovChain.fit(self, sessions, validation_data)


def fit_takes_lists(self, sessions, validation_data=None):
    if isinstance(sessions, list):
        sessions = (np.concatenate(sessions), np.cumsum([0, *map(len, sessions)]))
    return MarkovChain.fit(self, sessions, validation_data)


def adds_up(self, data, counts):
    before = getattr(self, "transitions_", None)
    return counts if before is None else counts + before[: counts.shape[0], : counts.shape[0]]


def keeps_ids(self, state):
    old = getattr(self, "item_ids_", None)
    SequenceModel._set_fitted(self, state if old is None else {**state, "item_ids_": old[: state["n_items_"]]})


def alone_or_not(self, states):
    return MarkovChain._scores(self, states) * (1 if len(states) > 1 else 2)


def forgets_seen(self, scores, items, bounds, k, exclude_seen):
    return MarkovChain._best(self, scores, items, bounds, k, False)


def excludes_the_last(self, scores, items, bounds, k, exclude_seen):
    last = bounds[1:][np.diff(bounds) > 0] - 1
    cut = np.concatenate([[0], np.cumsum(np.diff(bounds) > 0)])
    return MarkovChain._best(self, scores, items[last], cut, k, exclude_seen)


def keeps_notes(self, prefixes):
    self.last_ = prefixes
    return MarkovChain.predict_next(self, prefixes)


def ranks_by(ties):
    return lambda self, states, targets, _: MarkovChain._ranks(self, states, targets, ties)


def ranks_of_the_last(self, sessions, ties="conservative"):
    data, _ = self._prefixes("sessions", sessions)
    ranks, ends = MarkovChain.next_ranks(self, sessions, ties), np.cumsum(np.maximum(np.diff(data[1]) - 1, 0))
    return ranks[np.unique(ends) - 1] if len(ranks) else ranks


def first_click(self, memory, item):
    return item if memory is None else memory


def save_with_suffix(self, path):
    MarkovChain.save(self, f"{path}.npz")


def saves_half(self, path):
    other = MarkovChain(prior=self.prior * 2)
    other._set_fitted(self._fitted_attributes())
    self._save(path, other._fitted_attributes() | {"transitions_": self.transitions_ * 2})


def vocabulary_by_place(self):
    vocabulary = MarkovChain._vocabulary(self)
    return vocabulary if vocabulary is None else type(vocabulary)("item", vocabulary.ids, None)


def one_for_all(self):
    return vars(self).setdefault("_one", LiveSession(self))


def counts_sessions(self, sessions, validation_data=None):
    MarkovChain.fit(self, sessions)
    self.item_counts_ = np.minimum(self.item_counts_, 1)
    return self


def nothing_is_zero(self, items, offsets):
    for rows, scores in MarkovChain._scored(self, items, offsets):
        yield rows, np.where((np.diff(offsets)[rows] > 0)[:, None], scores, 0.0)


def silently(self, name, given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MarkovChain._prefixes(self, name, given)


def as_zero(self, name, given):
    if isinstance(given, list) and given and np.ndim(given[0]) == 0:
        given = [min(int(item), self.n_items_ - 1) if isinstance(item, int) else item for item in given]
    return MarkovChain._prefixes(self, name, given)


BROKEN = [
    broken("check_parameters", __init__=init_computes),
    broken("check_not_fitted", check_fitted=lambda self: None),
    broken("check_fit", fit=lambda self, sessions: None),
    broken("check_fit", _fit=fit_keeps_the_data, **with_scores(scores_of_the_data)),
    broken("check_fit_refuses", fit=fit_sets_early),
    broken("check_fit_refuses", fit=fit_takes_lists),
    broken("check_input_formats", _fit=fit_with(lambda self, data, counts: counts * (data.time is None))),
    broken("check_recommend_shapes", recommend_next=with_lists(lambda i, s: (i.astype(np.int64), s))),
    broken("check_recommend_shapes", recommend_next=with_lists(lambda i, s: (np.atleast_2d(i), np.atleast_2d(s)))),
    broken("check_recommend_shapes", recommend_next=with_lists(lambda i, s: (i, s.astype(np.float32)))),
    broken("check_recommend_refuses", _check_ready=lambda self: None, _prefixes=lambda self, name, given: None),
    broken("check_recommend_order", recommend_next=with_lists(lambda i, s: (i[..., ::-1], s[..., ::-1]))),
    broken("check_recommend_order", recommend_next=with_lists(lambda i, s: (i, np.zeros_like(s)))),
    broken("check_recommend_order", recommend_next=with_lists(lambda i, s: (np.maximum(i, 0), s))),
    broken("check_empty_prefix", fit=counts_sessions),
    broken("check_empty_prefix", _scored=nothing_is_zero),
    broken("check_unknown_items", _prefixes=silently),
    broken("check_unknown_items", _prefixes=as_zero),
    broken("check_exclude_seen", _best=forgets_seen),
    broken("check_exclude_seen", _best=excludes_the_last),
    broken("check_predict", predict_next=lambda self, prefixes: MarkovChain.predict_next(self, prefixes) + 1),
    broken("check_predict", _scores=alone_or_not),
    broken("check_unseen_item", **with_scores(lambda self, scores: np.where(self.item_counts_ > 0, scores, np.inf))),
    broken("check_live_session", _advance=first_click),
    broken("check_live_session", session=one_for_all),
    broken("check_next_ranks", _ranks=ranks_by("standard")),
    broken("check_next_ranks", next_ranks=ranks_of_the_last),
    broken("check_score", score=lambda self, sessions: MarkovChain.score(self, sessions) / 2),
    broken("check_score", score=lambda self, sessions: float(np.mean(1 / self.next_ranks(sessions, "standard")))),
    broken("check_deterministic", _fit=fit_with(lambda self, data, counts: counts * (self.n_threads or 4))),
    broken("check_deterministic", **with_scores(lambda self, scores: scores * (self.n_threads or 4))),
    broken("check_refit", _fit=fit_with(adds_up)),
    broken("check_refit", _set_fitted=keeps_ids),
    broken("check_threads_share_model", predict_next=keeps_notes),
    broken("check_save_and_load", save=save_with_suffix),
    broken("check_save_and_load", save=saves_half),
    broken("check_ids", _vocabulary=lambda self: None),
    broken("check_ids", _vocabulary=vocabulary_by_place),
]


@pytest.mark.parametrize(("name", "cls"), BROKEN)
def test_the_suite_notices_a_broken_model(name, cls):
    check = dict(estimator_checks(cls()))[name]
    with pytest.raises(AssertionError, match=f"^{name}: Broken: "):
        check()


def test_every_check_has_a_broken_model():
    assert {param.values[0] for param in BROKEN} == {check.__name__ for check in suite.CHECKS}


class LastAgain(SequenceModel):
    """A model from outside the package: the last item again, then the smallest ids."""

    def _fit(self, data, validation, state, **options):
        return {}

    def _states(self, items, offsets):
        return items

    def _scores(self, states):
        return (np.arange(self.n_items_) == states[:, None]) * 9.0 - np.arange(self.n_items_)


def test_a_foreign_model_can_be_checked():
    check_estimator(LastAgain())
