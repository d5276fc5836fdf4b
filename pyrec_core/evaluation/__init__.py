"""Quality of a fitted model on a `Split`: every item ranked for every test user, in bounded memory."""

from ._evaluate import evaluate
from ._report import Evaluation

__all__ = ["Evaluation", "evaluate"]
