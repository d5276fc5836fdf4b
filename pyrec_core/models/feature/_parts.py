"""Parts that networks of this door have in common."""

from typing import Any

from ..._random import Source
from ...layers import Dense, FieldEmbedding, FieldPairs, FirstOrder, Layer, mlp
from ._inputs import Layout


def table(options: Any, layout: Layout, source: Source) -> Layer:
    """Return the embeddings of ``options.embedding_dim`` columns; rows for what is unknown are zero."""
    return FieldEmbedding(layout.n_rows, options.embedding_dim, source, zero_rows=layout.unknown)


def pairs_of(options: Any, layout: Layout, source: Source) -> Layer:
    """Return the sum of the products of all pairs of these embeddings."""
    return FieldPairs(layout.n_rows, options.embedding_dim, source, zero_rows=layout.unknown)


def first_order(layout: Layout) -> Layer:
    """Return a weight of each feature, and the constant."""
    return FirstOrder(layout.n_rows)


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
