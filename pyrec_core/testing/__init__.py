"""The conformance suite: what every model of a door promises, as small checks.

It is part of the package so that models written elsewhere can be tested by it too.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..models.feature import FeatureModel
from ..models.sequence import SequenceModel
from . import _feature, _sequence
from ._fitting import (
    check_deterministic,
    check_fit,
    check_fit_refuses,
    check_input_formats,
    check_not_fitted,
    check_parameters,
    check_refit,
    check_sample_weight,
    check_save_and_load,
    check_score,
    check_threads_share_model,
)
from ._naming import check_ids
from ._ranking import (
    check_candidates,
    check_exclude_seen,
    check_predict,
    check_recommend_order,
    check_recommend_refuses,
    check_recommend_shapes,
    check_rows_are_users,
    check_similar_items,
    check_unseen_item,
)
from ._tools import copy

__all__ = ["check_estimator", "estimator_checks"]

Check = Callable[[Any], None]

CHECKS: tuple[Check, ...] = (
    check_parameters, check_not_fitted, check_fit, check_fit_refuses, check_input_formats,
    check_recommend_shapes, check_recommend_refuses, check_recommend_order, check_exclude_seen,
    check_candidates, check_rows_are_users, check_predict, check_similar_items, check_unseen_item,
    check_sample_weight, check_deterministic, check_refit, check_threads_share_model,
    check_save_and_load, check_score, check_ids,
)  # fmt: skip


def check_estimator(model: Any) -> None:
    """Run all conformance checks of its door on a model.

    Parameters
    ----------
    model : interaction, sequence or feature model
        An instance whose ``fit`` takes a moment; it is left as it is, the checks work on copies with its parameters.

    Raises
    ------
    AssertionError
        A promise is broken; the message starts with the name of the check.

    Examples
    --------
    >>> from pyrec_core import Popularity
    >>> from pyrec_core.testing import check_estimator
    >>> check_estimator(Popularity())
    """
    for _, check in estimator_checks(model):
        check()


def estimator_checks(model: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the name of each conformance check and a function without arguments that runs it on ``model``.

    Examples
    --------
    Under pytest: ``@pytest.mark.parametrize("name, check", estimator_checks(MyModel()))``.

    >>> from pyrec_core import Popularity
    >>> from pyrec_core.testing import estimator_checks
    >>> next(estimator_checks(Popularity()))[0]
    'check_parameters'
    """
    for check in _checks_of(model):
        yield check.__name__, partial(_run, check, model)


def _checks_of(model: Any) -> tuple[Check, ...]:
    if isinstance(model, SequenceModel):
        return _sequence.CHECKS
    return _feature.CHECKS if isinstance(model, FeatureModel) else CHECKS


def _run(check: Check, model: Any) -> None:
    try:
        check(copy(model))
    except Exception as error:
        detail = f"{error}" if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        raise AssertionError(f"{check.__name__}: {type(model).__name__}: {detail.strip()}") from error
