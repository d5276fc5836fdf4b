"""Inner products of pairs of fields, and pairs pooled with attention."""

from itertools import combinations

import numpy as np
import pytest
from helpers import cases, check_gradient, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.interaction import (
    attention_pooling_backward,
    attention_pooling_forward,
    fm_forward,
    inner_products_backward,
    inner_products_forward,
)

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
# examples, fields, dimensions, units
SHAPES = [
    (0, 3, 2, 2), (3, 0, 2, 2), (3, 1, 2, 2), (3, 3, 0, 2), (3, 3, 2, 0), (1, 2, 1, 1), (2, 5, 3, 4), (17, 3, 2, 5)
]  # fmt: skip


def inner_reference(emb):
    pairs = list(combinations(range(emb.shape[1]), 2))
    return np.array([[np.sum(e[i] * e[j]) for i, j in pairs] for e in emb]).reshape(len(emb), len(pairs))


def attention_reference(emb, w, b, h):
    """Pooled products and logarithms of sums, example by example, in float64."""
    emb, w, b, h = (a.astype("f8") for a in (emb, w, b, h))
    pooled, log_sums = np.zeros(emb.shape[::2]), np.full(len(emb), -np.inf)
    for n, e in enumerate(emb):
        products = [e[i] * e[j] for i, j in combinations(range(len(e)), 2)]
        scores = np.array([h @ np.maximum(w @ p + b, 0) for p in products])
        if products:
            log_sums[n] = scores.max() + np.log(np.exp(scores - scores.max()).sum())
            pooled[n] = sum(np.exp(s - log_sums[n]) * p for s, p in zip(scores, products, strict=True))
    return pooled, log_sums


def draw(shape, seed, dtype="float64"):
    """Embeddings, w, b and h, and a gradient of the output."""
    rng = np.random.default_rng(seed)
    B, F, D, A = shape
    arrays = (rng.normal(size=s).astype(dtype) for s in ((B, F, D), (A, D), A, A, (B, D)))
    emb, w, b, h, d_pooled = arrays
    return emb, w / max(1, D) ** 0.5, b, h / max(1, A) ** 0.5, d_pooled


def close(got, want, dtype):
    assert got.dtype == dtype
    tolerance = TOLERANCE[dtype] * max(1.0, np.abs(want).max(initial=0.0))
    np.testing.assert_allclose(got, want, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    B=st.sampled_from([0, 1, 2, 17, 33]),
    F=st.sampled_from([0, 1, 2, 3, 7, 13]),
    D=st.sampled_from([0, 1, 3, 16, 21]),
    seed=st.integers(0, 2**32 - 1),
)
def test_inner_products_equal_reference(dtype, B, F, D, seed):
    emb = np.random.default_rng(seed).normal(size=(B, F, D)).astype(dtype)
    close(inner_products_forward(emb), inner_reference(emb.astype("f8")), dtype)


@cases(ndim=3)
def test_inner_products_add_up_to_those_of_a_factorization_machine(shape, seed):
    emb = np.random.default_rng(seed).normal(size=shape)
    close(inner_products_forward(emb).sum(axis=1), fm_forward(emb), "float64")


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 1, 2), (3, 2, 0), (1, 2, 1), (2, 5, 3), (18, 4, 6)])
def test_inner_products_backward_is_the_gradient(shape):
    check_gradient(inner_products_forward, inner_products_backward, shape, seed=1)


@cases(ndim=3)
def test_inner_products_backward_float32_equals_float64(shape, seed):
    rng = np.random.default_rng(seed)
    emb = rng.normal(size=shape)
    d_out = rng.normal(size=(shape[0], shape[1] * (shape[1] - 1) // 2))
    close(inner_products_backward(d_out.astype("f4"), emb.astype("f4")), inner_products_backward(d_out, emb), "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    B=st.sampled_from([0, 1, 2, 17, 33]),
    F=st.sampled_from([0, 1, 2, 3, 7, 13]),
    D=st.sampled_from([0, 1, 3, 16, 21]),
    A=st.sampled_from([0, 1, 3, 14, 16, 29]),
    seed=st.integers(0, 2**32 - 1),
)
def test_attention_pooling_equals_reference(dtype, B, F, D, A, seed):
    *arrays, _ = draw((B, F, D, A), seed, dtype)
    pooled, log_sum = attention_pooling_forward(*arrays)
    wanted, wanted_log = attention_reference(*arrays)
    close(pooled, wanted, dtype)
    finite = np.isfinite(wanted_log)
    close(log_sum[finite], wanted_log[finite], dtype)
    assert np.all(log_sum[~finite] == -np.inf)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("which", range(4), ids=["emb", "w", "b", "h"])
def test_attention_pooling_backward_is_the_gradient(which, shape):
    *arrays, _ = draw(shape, seed=2)

    def inputs(x):
        return [x if at == which else array for at, array in enumerate(arrays)]

    def forward(x):
        return attention_pooling_forward(*inputs(x))[0]

    def backward(d_pooled, x):
        return attention_pooling_backward(d_pooled, *attention_pooling_forward(*inputs(x)), *inputs(x))[which]

    check_gradient(forward, backward, arrays[which].shape, seed=3)


@pytest.mark.parametrize("shape", [*SHAPES, (2500, 3, 2, 3), (5, 12, 33, 20)])
def test_attention_pooling_backward_float32_equals_float64(shape):
    runs = {}
    for dtype in DTYPES:
        *arrays, d_pooled = (a.astype(dtype) for a in draw(shape, 4, "float32"))
        runs[dtype] = attention_pooling_backward(d_pooled, *attention_pooling_forward(*arrays), *arrays)
    for got, want in zip(runs["float32"], runs["float64"], strict=True):
        close(got, want, "float32")


def test_large_scores_are_harmless():
    emb = np.array([[[3e4], [1.0], [2.0]]], "f4")  # products 30000, 60000, 2; h makes them scores of +- 60000
    for sign, best in ((1, 6e4), (-1, 2.0)):
        pooled, log_sum = attention_pooling_forward(
            emb, np.eye(1, dtype="f4"), np.zeros(1, "f4"), np.full(1, sign, "f4")
        )
        np.testing.assert_array_equal(pooled, [[best]])
        np.testing.assert_array_equal(log_sum, [sign * best])


@pytest.mark.parametrize("dtype", DTYPES)
def test_examples_do_not_touch_one_another(dtype):
    *arrays, d_pooled = draw((9, 4, 3, 5), 5, dtype)
    emb, *weights = arrays
    spoilt, spoilt_d = emb.copy(), d_pooled.copy()
    spoilt[4], spoilt_d[4] = np.nan, np.nan
    d_out = np.ones((9, 6), dtype)
    others = np.arange(9) != 4
    pooled, log_sum = attention_pooling_forward(emb, *weights)
    seen = attention_pooling_forward(spoilt, *weights)
    assert np.isnan(seen[0][4]).all() and np.isnan(seen[1][4])  # noqa: PT018
    assert same_bits(seen[0][others], pooled[others])
    d_emb = attention_pooling_backward(spoilt_d, *seen, spoilt, *weights)[0]
    wanted = attention_pooling_backward(d_pooled, pooled, log_sum, emb, *weights)[0]
    assert np.isnan(d_emb[4]).all()
    assert same_bits(d_emb[others], wanted[others])
    assert same_bits(inner_products_forward(spoilt)[others], inner_products_forward(emb)[others])
    spoilt_d_emb = inner_products_backward(d_out, spoilt)
    assert np.isnan(spoilt_d_emb[4]).all()
    assert same_bits(spoilt_d_emb[others], inner_products_backward(d_out, emb)[others])


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_for_any_number_of_threads(dtype):
    *arrays, d_pooled = draw((2500, 6, 5, 7), 6, dtype)
    emb = arrays[0]
    d_out = np.random.default_rng(7).normal(size=(2500, 15)).astype(dtype)

    def run(n):
        kept = attention_pooling_forward(*arrays, n_threads=n)
        yield from kept
        yield from attention_pooling_backward(d_pooled, *kept, *arrays, n_threads=n)
        yield inner_products_forward(emb, n_threads=n)
        yield inner_products_backward(d_out, emb, n_threads=n)

    first = list(run(1))
    for n in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(run(n), first, strict=True))


EMB, W, B, H = np.zeros((2, 3, 4)), np.zeros((5, 4)), np.zeros(5), np.zeros(5)
POOLED, LOG_SUM = np.zeros((2, 4)), np.zeros(2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: inner_products_forward(EMB.astype(int)), TypeError, "emb must be float32 or float64, got int64"),
        (lambda: inner_products_forward(W), ValueError, r"emb must be 3-D, got shape \(5, 4\)"),
        (lambda: inner_products_backward(POOLED, EMB), ValueError, r"d_out must have shape \(2, 3\), got \(2, 4\)"),
        (
            lambda: inner_products_backward(np.zeros((2, 3), "f4"), EMB),
            TypeError, "d_out must be float64, got float32",
        ),
        (lambda: attention_pooling_forward(W, W, B, H), ValueError, r"emb must be 3-D, got shape \(5, 4\)"),
        (lambda: attention_pooling_forward(EMB, B, B, H), ValueError, r"w must be 2-D, got shape \(5,\)"),
        (
            lambda: attention_pooling_forward(EMB, W[:, :3], B, H),
            ValueError, r"w must have shape \(5, 4\), got \(5, 3\)",
        ),
        (lambda: attention_pooling_forward(EMB, W.astype("f4"), B, H), TypeError, "w must be float64, got float32"),
        (lambda: attention_pooling_forward(EMB, W, B[:4], H), ValueError, r"b must have shape \(5,\), got \(4,\)"),
        (lambda: attention_pooling_forward(EMB, W, B, W), ValueError, r"h must have shape \(5,\), got \(5, 4\)"),
        (
            lambda: attention_pooling_backward(LOG_SUM, POOLED, LOG_SUM, EMB, W, B, H),
            ValueError, r"d_pooled must have shape \(2, 4\), got \(2,\)",
        ),
        (
            lambda: attention_pooling_backward(POOLED, EMB, LOG_SUM, EMB, W, B, H),
            ValueError, r"pooled must have shape \(2, 4\), got \(2, 3, 4\)",
        ),
        (
            lambda: attention_pooling_backward(POOLED, POOLED, POOLED, EMB, W, B, H),
            ValueError, r"log_sum must have shape \(2,\), got \(2, 4\)",
        ),
        (
            lambda: attention_pooling_backward(POOLED, POOLED, LOG_SUM, EMB, W, B.astype("f4"), H),
            TypeError, "b must be float64, got float32",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
