"""Parts that networks of this door have in common."""

from dataclasses import replace
from typing import Any

from ..._random import Source
from ..._validation import check_float
from ...layers import Add, CrossWeights, Dense, FieldEmbedding, FieldPairs, FirstOrder, Layer, mlp
from ...optim import FTRL, Optimizer, Param
from ._inputs import Layout


def table(options: Any, layout: Layout, source: Source) -> Layer:
    """Return the embeddings of ``options.embedding_dim`` columns; rows for what is unknown are zero."""
    return FieldEmbedding(layout.n_rows, options.embedding_dim, source, zero_rows=layout.unknown)


def pairs_of(options: Any, layout: Layout, source: Source) -> Layer:
    """Return the sum of the products of all pairs of these embeddings."""
    return FieldPairs(layout.n_rows, options.embedding_dim, source, zero_rows=layout.unknown)


def first_order(layout: Layout) -> Layer:
    """Return a weight of each feature, and of each cross, and the constant."""
    weights = FirstOrder(layout.n_rows)
    return Add(weights, CrossWeights(layout.n_cross_rows)) if layout.n_cross_rows else weights


def with_l1(optimizer: Optimizer, l1: float, argument: str) -> Optimizer:
    """Return the optimizer with this penalty; 0 leaves it as it is."""
    if check_float("l1", l1, low=0.0) == 0.0:
        return optimizer
    if not isinstance(optimizer, FTRL):
        raise ValueError(f"l1 must be 0 unless {argument} is FTRL, got {l1}")
    return replace(optimizer, l1=l1)


def linear_parts(optimizer: Optimizer, linear: Layer) -> list[tuple[Optimizer, list[Param]]]:
    """Return an optimizer with the parameters of a linear part; the constant has no part in the penalty l1."""
    params = linear.named_params()
    if not isinstance(optimizer, FTRL) or optimizer.l1 == 0.0:
        return [(optimizer, list(params.values()))]
    constants = [p for name, p in params.items() if name.rpartition(".")[2] == "b"]
    weights = [p for name, p in params.items() if name.rpartition(".")[2] != "b"]
    return [(optimizer, weights), (replace(optimizer, l1=0.0), constants)]


def tower(options: Any, n_in: int, source: Source) -> Layer:
    """Return the hidden layers."""
    return mlp(
        n_in, options.hidden, source,
        activation=options.activation, dropout=options.dropout, batch_norm=options.batch_norm,
    )  # fmt: skip


def head(options: Any, n_in: int, source: Source) -> tuple[Layer, Layer]:
    """Return the hidden layers and the output."""
    n_out = options.hidden[-1] if options.hidden else n_in
    return tower(options, n_in, source), Dense(n_out, 1, source)
