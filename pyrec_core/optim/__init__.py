"""Optimizers: what turns the gradients of a batch into new parameters.

An optimizer is a frozen description of a rule; all that changes lies in the `Param`: its value, its gradient of the
current batch, and what the rule keeps beside it. Parameters of one model may so be saved, copied and resumed as plain
arrays. The formulas stand in `pyrec_core.kernels.optim`.
"""

from ._base import Optimizer
from ._divided import Divided
from ._param import Param
from ._plain import from_plain, to_plain
from ._rules import FTRL, SGD, Adadelta, Adagrad, Adam, RMSProp, resolve
from ._schedule import ExponentialDecay

__all__ = [
    "FTRL",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "Divided",
    "ExponentialDecay",
    "Optimizer",
    "Param",
    "RMSProp",
    "from_plain",
    "resolve",
    "to_plain",
]
