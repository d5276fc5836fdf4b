"""The rules."""

from dataclasses import dataclass, replace
from typing import Any

from .._validation import check_choice
from ._base import Optimizer
from ._schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent: ``w -= learning_rate * g``; with momentum ``v = momentum v - learning_rate g``.

    Parameters
    ----------
    momentum : float in [0, 1)
    nesterov : bool
        Move by ``momentum v - learning_rate g`` instead of ``v`` (Nesterov 1983).
    learning_rate, l2, weight_decay, clip_norm, clip_value, rows
        See `Optimizer`.
    """

    momentum: float = 0.0
    nesterov: bool = False
    rule = "sgd"

    def _options(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): ``w -= learning_rate * g / sqrt(G + eps)``, G the sum of the squares so far.

    Parameters
    ----------
    eps : float >= 0
        Inside the root.
    momentum : float in [0, 1)
        On top: ``v = momentum v + step``, ``w += v``, as GRU4Rec does.
    learning_rate, l2, weight_decay, clip_norm, clip_value, rows
        See `Optimizer`.
    """

    learning_rate: float | Schedule = 0.05
    eps: float = 1e-6
    momentum: float = 0.0
    rule = "adagrad"

    def _options(self) -> dict[str, Any]:
        return {"eps": self.eps, "momentum": self.momentum}


@dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """RMSProp (Hinton 2012): Adagrad with a decaying mean ``G = decay G + (1 - decay) g^2``.

    Parameters
    ----------
    decay : float in [0, 1)
    eps : float >= 0
        Inside the root.
    momentum : float in [0, 1)
    learning_rate, l2, weight_decay, clip_norm, clip_value, rows
        See `Optimizer`.
    """

    learning_rate: float | Schedule = 0.001
    decay: float = 0.9
    eps: float = 1e-6
    momentum: float = 0.0
    rule = "rmsprop"

    def _options(self) -> dict[str, Any]:
        return {"beta1": self.decay, "eps": self.eps, "momentum": self.momentum}


@dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, arXiv:1212.5701): steps whose scale is the mean of earlier steps.

    Parameters
    ----------
    learning_rate : float or callable
        A factor of the step, 1 in the paper.
    decay : float in [0, 1)
    eps : float >= 0
    l2, weight_decay, clip_norm, clip_value, rows
        See `Optimizer`.
    """

    learning_rate: float | Schedule = 1.0
    decay: float = 0.95
    eps: float = 1e-6
    rule = "adadelta"

    def _options(self) -> dict[str, Any]:
        return {"beta1": self.decay, "eps": self.eps}


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980); with ``weight_decay`` AdamW (Loshchilov & Hutter 2019).

    Parameters
    ----------
    beta1, beta2 : float in [0, 1)
        Decay of the means of g and of g^2.
    eps : float >= 0
    eps_inside : bool
        Whether ``eps`` is added inside the root; the paper adds it outside.
    rows : {"lazy", "dense", "exact"}
        See `Optimizer`. "exact" is lazy, but the moments of a row first decay by the steps that it missed: they
        are then those of the dense step, though the moves that it missed are not made up for.
    learning_rate, l2, weight_decay, clip_norm, clip_value
        See `Optimizer`.

    Notes
    -----
    The correction of the bias goes by the steps of the whole parameter, also in a row that was rarely touched.
    """

    learning_rate: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    eps_inside: bool = False
    rule = "adam"
    row_modes = ("lazy", "dense", "exact")

    def _options(self) -> dict[str, Any]:
        return {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps, "eps_inside": self.eps_inside}


@dataclass(frozen=True, kw_only=True)
class FTRL(Optimizer):
    """FTRL-proximal (McMahan et al., KDD 2013): sparse weights under an L1 penalty.

    Parameters
    ----------
    learning_rate : float or callable
        "alpha" of the paper.
    beta : float >= 0
    l1, l2 : float >= 0
        Penalties of the proximal step.
    weight_decay, clip_norm, clip_value, rows
        See `Optimizer`; a decay has no effect, since the weights are a function of the state.
    """

    learning_rate: float | Schedule = 0.1
    beta: float = 1.0
    l1: float = 0.0
    rule = "ftrl"

    def _options(self) -> dict[str, Any]:
        return {"beta1": self.beta, "l1": self.l1}


_BY_NAME = {cls.rule: cls for cls in (SGD, Adagrad, RMSProp, Adadelta, Adam, FTRL)}


def resolve(
    optimizer: str | Optimizer, learning_rate: float | Schedule | None = None, *, name: str = "optimizer"
) -> Optimizer:
    """Return the optimizer that an estimator's parameters mean.

    Parameters
    ----------
    optimizer : {"sgd", "adagrad", "rmsprop", "adadelta", "adam", "ftrl"} or Optimizer
    learning_rate : float or callable, optional
        Instead of the optimizer's own.
    name : str
        The argument's name, for messages.

    Examples
    --------
    >>> from pyrec_core.optim import resolve
    >>> resolve("adagrad", 0.1).learning_rate
    0.1
    """
    if isinstance(optimizer, Optimizer):
        found = optimizer
    else:
        found = _BY_NAME[check_choice(name, optimizer, tuple(_BY_NAME))]()
    return found if learning_rate is None else replace(found, learning_rate=learning_rate)
