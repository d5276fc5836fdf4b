"""CIN layers equal the sum that defines them, in any blocks; gradients, float64 finite differences."""

import numpy as np
import pytest
from helpers import SIZES, check_gradient, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.cin import cin_backward, cin_forward, cin_pool_backward, cin_pool_forward

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
layers = given(
    sizes=st.tuples(SIZES, *[st.sampled_from([0, 1, 2, 5, 17, 33])] * 3, SIZES),  # B, m, H, O, D
    seed=st.integers(0, 2**32 - 1),
)
# what the blocks of the kernel are cut by: columns, depth, tiles, the slab of weights, and all of them at once
LARGE = [(70, 3, 4, 15, 33), (9, 7, 75, 29, 10), (3, 2, 65, 6, 300), (700, 39, 8, 3, 16), (1, 300, 2, 18, 5)]


def arrays(sizes, seed, dtype="float64"):
    B, m, H, O, D = sizes
    rng = np.random.default_rng(seed)
    shapes = (B, m, D), (B, H, D), (O, H, m), (O,), (B, O, D)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def reference(x0, xk, w, bias=None):
    out = np.einsum("ohi,bhd,bid->bod", *(a.astype("f8") for a in (w, xk, x0)), optimize=False)
    return out if bias is None else out + bias.astype("f8")[:, None]


def backward_reference(d_out, x0, xk, w):
    d, x0, xk, w = (a.astype("f8") for a in (d_out, x0, xk, w))
    return (
        np.einsum("bod,ohi,bhd->bid", d, w, xk, optimize="greedy"),
        np.einsum("bod,ohi,bid->bhd", d, w, x0, optimize="greedy"),
        np.einsum("bod,bhd,bid->ohi", d, xk, x0, optimize="greedy"),
        d.sum(axis=(0, 2)),
    )


def assert_close(got, want, like):
    assert got.dtype == like.dtype
    assert got.shape == want.shape
    tolerance = 2e-5 if got.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(1.0, np.abs(want).max(initial=0.0)))


def check_layer(sizes, seed, dtype):
    x0, xk, w, bias, d_out = arrays(sizes, seed, dtype)
    assert_close(cin_forward(x0, xk, w), reference(x0, xk, w), x0)
    assert_close(cin_forward(x0, xk, w, bias), reference(x0, xk, w, bias), x0)
    for got, want in zip(cin_backward(d_out, x0, xk, w), backward_reference(d_out, x0, xk, w), strict=True):
        assert_close(got, want, x0)


@dtypes
@layers
def test_layer_equals_reference(dtype, sizes, seed):
    check_layer(sizes, seed, dtype)


@dtypes
@pytest.mark.parametrize("sizes", LARGE)
def test_layer_of_many_blocks_equals_reference(dtype, sizes):
    check_layer(sizes, 0, dtype)


@dtypes
def test_gradient_of_weights_over_many_rounds_equals_reference(dtype):
    check_layer((1600, 2, 2, 3, 17), 0, dtype)  # more columns than are kept at a time


@pytest.mark.parametrize(
    "sizes", [(2, 3, 4, 5, 3), (1, 1, 1, 1, 1), (3, 2, 5, 1, 12), (2, 4, 0, 2, 3), (0, 2, 2, 2, 2)]
)
@pytest.mark.parametrize("which", ["x0", "xk", "w", "bias"])
def test_backward_is_the_gradient(sizes, which):
    made = arrays(sizes, 1)[:4]
    at = ["x0", "xk", "w", "bias"].index(which)

    def forward(x):
        return cin_forward(*made[:at], x, *made[at + 1 :])

    def backward(d_out, x):
        return cin_backward(d_out, *[*made[:at], x, *made[at + 1 :]][:3])[at]

    check_gradient(forward, backward, made[at].shape, seed=2)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 17), (3, 1, 2)])
def test_gradients_add_up_where_x0_is_both_factors(shape):
    w = np.random.default_rng(3).normal(size=(4, shape[1], shape[1]))

    def backward(d_out, x):
        d_x0, d_xk, _, _ = cin_backward(d_out, x, x, w)
        return d_x0 + d_xk

    check_gradient(lambda x: cin_forward(x, x, w), backward, shape, seed=4)


# one field, rows of pairs that end anywhere in a tile and in a block of depth, and several blocks of columns
@dtypes
@pytest.mark.parametrize("sizes", [(2, 1, 3, 4), (5, 2, 1, 7), (70, 9, 15, 33), (700, 39, 6, 10), (3, 41, 29, 5)])
def test_a_first_layer_works_on_each_pair_once(dtype, sizes):
    B, m, O, D = sizes
    x, _, w, bias, d_out = arrays((B, m, m, O, D), 10, dtype)
    assert_close(cin_forward(x, x, w, bias), reference(x, x, w, bias), x)
    d_x0, d_xk, d_w, d_bias = cin_backward(d_out, x, x, w)
    want_x0, want_xk, want_w, want_bias = backward_reference(d_out, x, x, w)
    for got, want in ((d_x0 + d_xk, want_x0 + want_xk), (d_w, want_w), (d_bias, want_bias)):
        assert_close(got, want, x)
    assert same_bits(d_w, np.ascontiguousarray(d_w.transpose(0, 2, 1)))
    for n in (1, 2, 3, 8):
        assert same_bits(cin_forward(x, x, w, bias, n_threads=n), cin_forward(x, x, w, bias))
        assert all(map(same_bits, cin_backward(d_out, x, x, w, n_threads=n), (d_x0, d_xk, d_w, d_bias)))


def test_maps_that_begin_where_the_fields_do_are_no_first_layer():
    x, _, w, _, d_out = arrays((1, 5, 3, 4, 6), 11)
    xk = x[:, :3]  # of a single example: contiguous
    assert_close(cin_forward(x, xk, w), reference(x, xk, w), x)
    for got, want in zip(cin_backward(d_out, x, xk, w), backward_reference(d_out, x, xk, w), strict=True):
        assert_close(got, want, x)


def test_two_layers_with_relu_pass_gradients_on():
    rng = np.random.default_rng(5)
    w1, w2 = rng.normal(size=(5, 3, 3)), rng.normal(size=(2, 5, 3))

    def forward(x):
        return cin_forward(x, np.maximum(cin_forward(x, x, w1), 0), w2)

    def backward(d_out, x):
        a = cin_forward(x, x, w1)
        d_x0, d_map, _, _ = cin_backward(d_out, x, np.maximum(a, 0), w2)
        return d_x0 + sum(cin_backward(d_map * (a > 0), x, x, w1)[:2])

    check_gradient(forward, backward, (2, 3, 4), seed=6)


@dtypes
@pytest.mark.parametrize("sizes", [(5, 3, 4, 2, 7), (300, 5, 9, 31, 10), (1300, 2, 3, 4, 17)])
def test_same_bits_for_any_number_of_threads(dtype, sizes):
    x0, xk, w, bias, d_out = arrays(sizes, 7, dtype)

    def run(n):
        return [cin_forward(x0, xk, w, bias, n_threads=n), *cin_backward(d_out, x0, xk, w, n_threads=n)]

    want = run(1)
    for n in (2, 3, 8):
        assert all(map(same_bits, run(n), want))


@dtypes
def test_an_example_has_its_bits_in_any_batch(dtype):
    x0, xk, w, bias, d_out = arrays((40, 6, 7, 20, 10), 8, dtype)
    out, d_x0 = cin_forward(x0, xk, w, bias), cin_backward(d_out, x0, xk, w)[0]
    for part in (slice(0, 1), slice(13, 29), slice(39, 40)):
        assert same_bits(cin_forward(x0[part], xk[part], w, bias), out[part])
        assert same_bits(cin_backward(d_out[part], x0[part], xk[part], w)[0], d_x0[part])


def test_nan_stays_in_its_example():
    x0, xk, w, bias, d_out = arrays((6, 3, 4, 5, 10), 9)
    want, d_want = cin_forward(x0, xk, w, bias), cin_backward(d_out, x0, xk, w)[1]
    x0[2, 1, 4] = np.nan
    out, d_xk = cin_forward(x0, xk, w, bias), cin_backward(d_out, x0, xk, w)[1]
    for got, clean in ((out, want), (d_xk, d_want)):
        assert np.isnan(got[2, :, 4]).all()
        got[2, :, 4] = clean[2, :, 4]
        assert same_bits(got, clean)


def test_arrays_of_any_layout_are_taken():
    x0, xk, w, bias, d_out = arrays((4, 3, 5, 6, 7), 10)
    turned = [np.asfortranarray(a) for a in (d_out, x0, xk, w)]
    assert same_bits(cin_forward(*turned[1:], bias), cin_forward(x0, xk, w, bias))
    assert all(map(same_bits, cin_backward(*turned), cin_backward(d_out, x0, xk, w)))


def test_refuses_other_dtypes():
    x0, xk, w, bias, d_out = arrays((2, 3, 4, 5, 6), 0)
    with pytest.raises(TypeError, match="x0 must be float32 or float64, got int64"):
        cin_forward(x0.astype("i8"), xk, w)
    with pytest.raises(TypeError, match="w must be float32 or float64, got float16"):
        cin_forward(x0, xk, w.astype("f2"))
    with pytest.raises(TypeError, match="w must be float32, got float64"):
        cin_forward(x0.astype("f4"), xk.astype("f4"), w)
    with pytest.raises(TypeError, match="xk must be float64, got float32"):
        cin_forward(x0, xk.astype("f4"), w)
    with pytest.raises(TypeError, match="bias must be float64, got float32"):
        cin_forward(x0, xk, w, bias.astype("f4"))
    with pytest.raises(TypeError, match="d_out must be float64, got float32"):
        cin_backward(d_out.astype("f4"), x0, xk, w)


def test_refuses_sizes_that_do_not_fit():
    x0, xk, w, bias, d_out = arrays((2, 3, 4, 5, 6), 0)
    with pytest.raises(ValueError, match=r"x0 must be 3-D, got shape \(2, 3\)"):
        cin_forward(x0[:, :, 0], xk, w)
    with pytest.raises(ValueError, match=r"w must be 3-D, got shape \(5, 12\)"):
        cin_forward(x0, xk, w.reshape(5, 12))
    with pytest.raises(ValueError, match=r"w must have shape \(5, 4, 3\), got \(5, 4, 2\)"):
        cin_forward(x0, xk, w[:, :, :2])
    with pytest.raises(ValueError, match=r"xk must have shape \(2, 4, 6\), got \(2, 3, 6\)"):
        cin_forward(x0, xk[:, :3], w)
    with pytest.raises(ValueError, match=r"bias must have shape \(5,\), got \(4,\)"):
        cin_forward(x0, xk, w, bias[:4])
    with pytest.raises(ValueError, match=r"d_out must have shape \(2, 5, 6\), got \(2, 5, 5\)"):
        cin_backward(d_out[:, :, :5], x0, xk, w)
    with pytest.raises(ValueError, match=r"n_threads must be"):
        cin_forward(x0, xk, w, n_threads=0)


activations = pytest.mark.parametrize("activation", ["identity", "relu"])


@dtypes
@activations
@given(sizes=st.tuples(*[SIZES] * 3), shares=st.tuples(*[st.floats(0, 1)] * 2), seed=st.integers(0, 2**32 - 1))
def test_pool_equals_reference(dtype, activation, sizes, shares, seed):
    B, O, D = sizes
    n_pooled, n_hidden = (int(share * O) for share in shares)
    rng = np.random.default_rng(seed)
    a, d_pooled, d_hidden = (rng.normal(size=s).astype(dtype) for s in (sizes, (B, n_pooled), (B, n_hidden, D)))
    pooled, hidden = cin_pool_forward(a, n_pooled, n_hidden, activation=activation)
    act = np.maximum(a, 0) if activation == "relu" else a
    assert_close(pooled, act[:, :n_pooled].astype("f8").sum(axis=2), a)
    assert same_bits(hidden, act[:, O - n_hidden :].copy())
    d_a = np.zeros_like(a)
    d_a[:, :n_pooled] += d_pooled[:, :, None]
    d_a[:, O - n_hidden :] += d_hidden
    if activation == "relu":
        d_a *= a > 0
    np.testing.assert_array_equal(cin_pool_backward(d_pooled, d_hidden, a, activation=activation), d_a)


@activations
@pytest.mark.parametrize("n_pooled", [0, 2, 5])
@pytest.mark.parametrize("n_hidden", [0, 2, 5])
def test_pool_backward_is_the_gradient(activation, n_pooled, n_hidden):
    def forward(a):
        pooled, hidden = cin_pool_forward(a, n_pooled, n_hidden, activation=activation)
        return np.concatenate([pooled.ravel(), hidden.ravel()])

    def backward(d_out, a):
        d_pooled, d_hidden = np.split(d_out, [2 * n_pooled])
        d_hidden = d_hidden.reshape(2, n_hidden, 3)
        return cin_pool_backward(d_pooled.reshape(2, n_pooled), d_hidden, a, activation=activation)

    check_gradient(forward, backward, (2, 5, 3), seed=11)


@dtypes
def test_pool_has_same_bits_for_any_number_of_threads(dtype):
    a = np.random.default_rng(12).normal(size=(700, 9, 10)).astype(dtype)

    def run(n):
        pooled, hidden = cin_pool_forward(a, 5, 6, activation="relu", n_threads=n)
        return pooled, hidden, cin_pool_backward(pooled, hidden, a, activation="relu", n_threads=n)

    for n in (2, 3, 8):
        assert all(map(same_bits, run(n), run(1)))


def test_pool_keeps_nan():
    a = np.array([[[np.nan, -1.0]], [[2.0, -1.0]]])
    pooled, hidden = cin_pool_forward(a, 1, 1, activation="relu")
    np.testing.assert_array_equal(pooled, [[np.nan], [2.0]])
    np.testing.assert_array_equal(hidden, [[[np.nan, 0.0]], [[2.0, 0.0]]])


def test_pool_refuses_what_does_not_fit():
    a = np.zeros((2, 3, 4))
    with pytest.raises(TypeError, match="a must be float32 or float64, got int64"):
        cin_pool_forward(a.astype("i8"), 1, 1)
    with pytest.raises(ValueError, match=r"n_pooled must be <= 3, got 4"):
        cin_pool_forward(a, 4, 1)
    with pytest.raises(TypeError, match=r"n_hidden must be an integer, got 1\.5"):
        cin_pool_forward(a, 1, 1.5)
    with pytest.raises(ValueError, match="activation must be one of 'identity', 'relu', got 'tanh'"):
        cin_pool_forward(a, 1, 1, activation="tanh")
    with pytest.raises(ValueError, match=r"d_pooled must have shape \(2, 3\), got \(2, 4\)"):
        cin_pool_backward(np.zeros((2, 4)), np.zeros((2, 1, 4)), a)
    with pytest.raises(ValueError, match=r"d_hidden must have shape \(2, 1, 4\), got \(2, 1, 5\)"):
        cin_pool_backward(np.zeros((2, 1)), np.zeros((2, 1, 5)), a)
    with pytest.raises(TypeError, match="d_hidden must be float64, got float32"):
        cin_pool_backward(np.zeros((2, 1)), np.zeros((2, 1, 4), "f4"), a)
