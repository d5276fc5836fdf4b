"""Losses with their gradients, ready to be passed back: ``loss, d_scores = bpr_max(scores)``.

Each is one pass over memory where the mathematics allow, with the loss accumulated in float64. The divisor is part of
the definition: by default the mean over rows, or over elements. NaN among the scores makes the loss NaN
and spoils the gradient of its own row only; +inf goes as the formulas say, in its row.

The arrays of a call are NumPy's, or all CuPy's: then gradients stay on the device, and the loss is read back.

Sampled scores (M, N): row b's positive is column b, every other column is a negative of it. A negative whose score is
-inf is not there: it adds nothing to the loss and gets no gradient.
"""

from ._losses_elements import (
    binary_cross_entropy,
    bpr_pairs,
    cosine_softmax,
    gaussian_kl,
    hinge_pairs,
    huber,
    multinomial,
    softmax_kl,
    squared_error,
    warp_weights,
)
from ._losses_heads import full_softmax, sampled_softmax
from ._losses_sampled import bpr, bpr_max, softmax_cross_entropy, top1, top1_max

__all__ = [
    "binary_cross_entropy",
    "bpr",
    "bpr_max",
    "bpr_pairs",
    "cosine_softmax",
    "full_softmax",
    "gaussian_kl",
    "hinge_pairs",
    "huber",
    "multinomial",
    "sampled_softmax",
    "softmax_cross_entropy",
    "softmax_kl",
    "squared_error",
    "top1",
    "top1_max",
    "warp_weights",
]
