"""Losses of elements, pairs and distributions, beside their definitions in float64."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels import losses

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
sizes = given(
    n=st.sampled_from([0, 1, 2, 15, 16, 17, 100, 8191, 8192, 20_000]),
    weighted=st.booleans(),
    divisor=st.sampled_from([None, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)


def tolerance(dtype):
    return {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}


def huber(e, delta):
    return np.where(np.abs(e) <= delta, e**2 / 2, delta * (np.abs(e) - delta / 2))


# name: (function, loss of an element, its derivative by the prediction)
POINTWISE = {
    "squared": (losses.squared_error, lambda y, t: (y - t) ** 2, lambda y, t: 2 * (y - t)),
    "logistic": (
        losses.binary_cross_entropy,
        lambda x, t: np.logaddexp(0, x) - x * t,
        lambda x, t: np.exp(-np.logaddexp(0, -x)) - t,
    ),
    "huber": (
        lambda *a, **k: losses.huber(*a, delta=0.7, **k),
        lambda y, t: huber(y - t, 0.7),
        lambda y, t: np.clip(y - t, -0.7, 0.7),
    ),
}
PAIRWISE = {
    "bpr": (losses.bpr_pairs, lambda d: np.logaddexp(0, -d), lambda d: -np.exp(-np.logaddexp(0, d))),
    "hinge": (
        lambda *a, **k: losses.hinge_pairs(*a, margin=0.5, **k),
        lambda d: np.maximum(0, 0.5 - d),
        lambda d: -(0.5 - d > 0).astype(float),
    ),
}


def weights(rng, shape, dtype, weighted):
    return rng.choice([0.0, 0.5, 1.0, 4.0], shape).astype(dtype) if weighted else None


@dtypes
@pytest.mark.parametrize("name", POINTWISE)
@sizes
def test_pointwise_loss_equals_its_definition(name, dtype, n, weighted, divisor, seed):
    f, value, slope = POINTWISE[name]
    rng = np.random.default_rng(seed)
    y, t = (3 * rng.normal(size=n)).astype(dtype), rng.random(n).astype(dtype)
    w = weights(rng, n, dtype, weighted)
    loss, d_y = f(y, t, w, divisor=divisor)
    exact = np.ones(n) if w is None else w.astype("f8")
    total = divisor or exact.sum()
    scale = 1.0 / total if total > 0 else 0.0
    assert loss == pytest.approx(
        scale * (exact * value(y.astype("f8"), t)).sum(), rel=1e-5 if dtype == "float32" else 1e-11
    )
    assert d_y.dtype == dtype
    np.testing.assert_allclose(d_y, scale * exact * slope(y.astype("f8"), t), **tolerance(dtype))


@dtypes
@pytest.mark.parametrize("name", PAIRWISE)
@sizes
def test_pairwise_loss_equals_its_definition(name, dtype, n, weighted, divisor, seed):
    f, value, slope = PAIRWISE[name]
    rng = np.random.default_rng(seed)
    pos, neg = (3 * rng.normal(size=(2, n))).astype(dtype)
    w = weights(rng, n, dtype, weighted)
    loss, d_pos, d_neg = f(pos, neg, w, divisor=divisor)
    exact = np.ones(n) if w is None else w.astype("f8")
    total = divisor or exact.sum()
    scale = 1.0 / total if total > 0 else 0.0
    d = pos.astype("f8") - neg
    assert loss == pytest.approx(scale * (exact * value(d)).sum(), rel=1e-5 if dtype == "float32" else 1e-11, abs=1e-12)
    np.testing.assert_allclose(d_pos, scale * exact * slope(d), **tolerance(dtype))
    assert same_bits(d_neg, -d_pos) or (d_neg == -d_pos).all()


def test_masked_elements_do_not_count():
    y, t = np.array([[3.0, 5.0], [1.0, -2.0]]), np.array([[1.0, 4.0], [0.0, 0.0]])
    loss, d_y = losses.squared_error(y, t, weight=np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert loss == 2.5  # (4 + 1) / 2: one divisor for the whole batch
    assert d_y.tolist() == [[2.0, 0.0], [1.0, 0.0]]
    loss, d_y = losses.squared_error(y, t, weight=np.zeros((2, 2)))
    assert loss == 0.0
    assert (d_y == 0).all()


@dtypes
def test_logistic_loss_at_large_logits(dtype):
    logits, targets = np.array([800.0, -800.0, 800.0, -800.0, 0.0], dtype), np.array([1, 0, 0, 1, 0.5], dtype)
    loss, d = losses.binary_cross_entropy(logits, targets, divisor=1)
    assert loss == pytest.approx(1600.0 + np.log(2), rel=1e-6)
    np.testing.assert_allclose(d, [0, 0, 1, -1, 0], atol=1e-30)


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_loss_may_overwrite(name):
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(30, 7)).astype("f4"), rng.random((30, 7)).astype("f4")
    want = POINTWISE[name][0](y, t)
    loss, d_y = POINTWISE[name][0](y, t, overwrite=True)
    assert d_y is y
    assert loss == want[0]
    assert same_bits(y, want[1])


@dtypes
def test_warp_weights_count_violations(dtype):
    pos = np.array([1.0, 0.0, 5.0], dtype)
    neg = np.array([[0.5, 0.1, -3.0, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], dtype)
    got = losses.warp_weights(pos, neg, 1001, margin=1.0)
    np.testing.assert_allclose(got, np.log1p([1001 * 3 // 4, 1001, 0]), rtol=1e-6)
    assert losses.warp_weights(pos[:1], neg[:1], 2**40)[0] == pytest.approx(np.log1p(2**40 * 3 // 4), rel=1e-6)


@dtypes
@given(
    n_rows=st.integers(0, 5),
    n_items=st.sampled_from([1, 2, 16, 33, 500]),
    seed=st.integers(0, 2**32 - 1),
)
def test_multinomial_equals_its_definition(dtype, n_rows, n_items, seed):
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(n_rows, n_items))).astype(dtype)
    x = rng.integers(0, 4, (n_rows, n_items)) * (rng.random((n_rows, n_items)) < 0.3)
    if n_rows > 1:
        x[1] = 0  # a user without items contributes nothing
    loss, d_logits = losses.multinomial(logits, sp.csr_array(x))
    log_p = logits.astype("f8") - np.logaddexp.reduce(logits.astype("f8"), axis=1, keepdims=True)
    divisor = max(n_rows, 1)
    assert loss == pytest.approx(-(x * log_p).sum() / divisor, rel=1e-5 if dtype == "float32" else 1e-11, abs=1e-12)
    want = (x.sum(1, keepdims=True) * np.exp(log_p) - x) / divisor
    np.testing.assert_allclose(d_logits, want, **tolerance(dtype))
    mine = logits.copy()
    assert losses.multinomial(mine, x, overwrite=True)[0] == loss
    assert same_bits(mine, d_logits)


@dtypes
@given(n_rows=st.integers(0, 5), n_items=st.sampled_from([1, 2, 16, 33, 500]), seed=st.integers(0, 2**32 - 1))
def test_softmax_kl_equals_its_definition(dtype, n_rows, n_items, seed):
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(n_rows, n_items))).astype(dtype)
    p = (rng.random((n_rows, n_items)) * (rng.random((n_rows, n_items)) < 0.7)).astype(dtype)
    loss, d_logits = losses.softmax_kl(logits, p, divisor=2)
    log_q = logits.astype("f8") - np.logaddexp.reduce(logits.astype("f8"), axis=1, keepdims=True)
    exact = p.astype("f8")
    terms = np.where(exact > 0, exact * (np.log(np.where(exact > 0, exact, 1.0)) - log_q), 0.0)
    assert loss == pytest.approx(
        terms.sum() / 2, rel=1e-4 if dtype == "float32" else 1e-11, abs=1e-5 if dtype == "float32" else 1e-12
    )
    want = (np.exp(log_q) * exact.sum(1, keepdims=True) - exact) / 2
    np.testing.assert_allclose(
        d_logits, want, rtol=1e-4 if dtype == "float32" else 1e-11, atol=tolerance(dtype)["atol"]
    )


@dtypes
@given(n_rows=st.sampled_from([0, 1, 3, 200]), k=st.sampled_from([1, 5, 64]), seed=st.integers(0, 2**32 - 1))
def test_gaussian_kl_equals_its_definition(dtype, n_rows, k, seed):
    rng = np.random.default_rng(seed)
    mu, log_var = rng.normal(size=(2, n_rows, k)).astype(dtype)
    loss, d_mu, d_log_var = losses.gaussian_kl(mu, log_var)
    m, h, divisor = mu.astype("f8"), log_var.astype("f8"), max(n_rows, 1)
    assert loss == pytest.approx(0.5 * (m**2 + np.exp(h) - 1 - h).sum() / divisor, rel=1e-5)
    np.testing.assert_allclose(d_mu, m / divisor, **tolerance(dtype))
    np.testing.assert_allclose(d_log_var, (np.exp(h) - 1) / 2 / divisor, **tolerance(dtype))


def test_gaussian_kl_grows_with_the_mean_and_is_zero_at_the_prior():
    assert losses.gaussian_kl(np.zeros((2, 3)), np.zeros((2, 3)))[0] == 0.0
    values = [losses.gaussian_kl(np.full((2, 3), m), np.zeros((2, 3)))[0] for m in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[-1] > 0


def cosine_reference(u, v, gamma, divisor):
    total = 0.0
    for b in range(len(u)):
        lengths = np.linalg.norm(u[b]) * np.linalg.norm(v[b], axis=1)
        c = gamma * (v[b] @ u[b]) / np.where(lengths < 1e-24, 1.0, lengths)
        total += np.logaddexp.reduce(c) - c[0]
    return total / divisor


@dtypes
@given(
    n_rows=st.integers(0, 4),
    n_candidates=st.sampled_from([1, 2, 5]),
    d=st.sampled_from([3, 17, 64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_cosine_softmax_equals_its_definition(dtype, n_rows, n_candidates, d, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(n_rows, d)).astype(dtype), rng.normal(size=(n_rows, n_candidates, d)).astype(dtype)
    loss, d_u, d_v = losses.cosine_softmax(u, v, gamma=5.0, divisor=3)
    want = cosine_reference(u.astype("f8"), v.astype("f8"), 5.0, 3)
    assert loss == pytest.approx(
        want, rel=1e-4 if dtype == "float32" else 1e-10, abs=1e-5 if dtype == "float32" else 1e-12
    )
    exact = losses.cosine_softmax(u.astype("f8"), v.astype("f8"), gamma=5.0, divisor=3)
    for got, other in zip((d_u, d_v), exact[1:], strict=True):
        scale = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(got, other, rtol=0, atol=1e-4 * scale + 1e-5 if dtype == "float32" else 0)


def test_a_vector_without_direction_has_no_gradient():
    u, v = np.zeros((2, 3)), np.ones((2, 4, 3))
    u[1] = 1.0, 2.0, 3.0
    v[1, 2] = 0.0
    loss, d_u, d_v = losses.cosine_softmax(u, v)
    assert np.isfinite(loss)
    assert (d_u[0] == 0).all()
    assert (d_v[0] == 0).all()
    assert (d_v[1, 2] == 0).all()


def gradient_cases():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 7))
    counts = sp.csr_array(rng.integers(0, 3, (3, 7)))
    p = rng.random((3, 7))
    return {
        "squared": (lambda a: losses.squared_error(a, p), [x]),
        "logistic": (lambda a: losses.binary_cross_entropy(a, p, weight=p), [x]),
        "huber": (lambda a: losses.huber(a, p, delta=0.7), [x]),
        "bpr_pairs": (lambda a, b: losses.bpr_pairs(a, b, p), [x, x[::-1].copy()]),
        "hinge_pairs": (losses.hinge_pairs, [x, x[::-1].copy()]),
        "multinomial": (lambda a: losses.multinomial(a, counts), [x]),
        "softmax_kl": (lambda a: losses.softmax_kl(a, p), [x]),
        "gaussian_kl": (losses.gaussian_kl, [x, p]),
        "cosine_softmax": (losses.cosine_softmax, [x, rng.normal(size=(3, 4, 7))]),
    }


@pytest.mark.parametrize("name", gradient_cases())
def test_gradient_is_that_of_the_loss(name):
    f, arrays = gradient_cases()[name]
    got = f(*arrays)[1:]
    for which, d in enumerate(got):
        numeric = np.empty_like(d)
        for at in np.ndindex(*d.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [a.copy() for a in arrays]
                moved[which][at] += step
                ends.append(f(*moved)[0])
            numeric[at] = (ends[0] - ends[1]) / 2e-6
        assert np.abs(d - numeric).max() < 1e-6 * np.abs(numeric).max()


@dtypes
def test_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(2)
    x, p = rng.normal(size=(40, 1000)).astype(dtype), rng.random((40, 1000)).astype(dtype)
    counts, v = sp.csr_array((p > 0.9).astype(dtype)), rng.normal(size=(40, 9, 1000)).astype(dtype)

    def results(t):
        yield from losses.squared_error(x, p, n_threads=t)
        yield from losses.binary_cross_entropy(x, p, p, n_threads=t)
        yield from losses.huber(x, p, n_threads=t)
        yield from losses.bpr_pairs(x, p, n_threads=t)
        yield from losses.hinge_pairs(x, p, n_threads=t)
        yield from losses.multinomial(x, counts, n_threads=t)
        yield from losses.softmax_kl(x, p, n_threads=t)
        yield from losses.gaussian_kl(x, p, n_threads=t)
        yield from losses.cosine_softmax(x, v, n_threads=t)
        yield losses.warp_weights(x[:, 0].copy(), x, 100, n_threads=t)

    one = [np.asarray(a) for a in results(1)]
    for n_threads in (2, 3, 8):
        assert all(same_bits(a, np.asarray(b)) for a, b in zip(one, results(n_threads), strict=True))


x, p = np.ones((2, 3)), np.full((2, 3), 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.squared_error(x.astype(int), x), TypeError, "predictions must be float32 or float64"),
        (lambda: losses.squared_error(x, x[:1]), ValueError, r"targets must have shape \(2, 3\), got \(1, 3\)"),
        (lambda: losses.squared_error(x, x.astype("f4")), TypeError, "targets must be float64, got float32"),
        (lambda: losses.squared_error(x, x, -x), ValueError, "weight must be >= 0 everywhere, got -1.0"),
        (lambda: losses.squared_error(x, x, x * np.nan), ValueError, "weight must be >= 0 everywhere, got nan"),
        (lambda: losses.squared_error(x, x, divisor=0), ValueError, "divisor must be > 0.0, got 0"),
        (lambda: losses.squared_error(x[:, ::2], x[:, ::2], overwrite=True), ValueError, "predictions must be C-cont"),
        (lambda: losses.binary_cross_entropy(x, 2 * x), ValueError, r"targets must be in \[0, 1\], got 2.0 to 2.0"),
        (lambda: losses.huber(x, x, delta=0), ValueError, "delta must be > 0.0, got 0"),
        (lambda: losses.bpr_pairs(x, x[:, :2]), ValueError, r"neg must have shape \(2, 3\), got \(2, 2\)"),
        (lambda: losses.hinge_pairs(x, x, margin=-1), ValueError, "margin must be >= 0.0, got -1"),
        (lambda: losses.warp_weights(x[0], x, 5), ValueError, r"neg must have shape \(3, U\) with U >= 1"),
        (lambda: losses.warp_weights(x[:, 0], x, 0), ValueError, "n_items must be >= 1, got 0"),
        (lambda: losses.multinomial(x, sp.csr_array((2, 4))), ValueError, "targets must have 3 columns"),
        (lambda: losses.multinomial(x, -x), ValueError, "targets must be >= 0 everywhere, got -1.0"),
        (lambda: losses.softmax_kl(x, -p), ValueError, "targets must be >= 0 everywhere, got -0.5"),
        (lambda: losses.gaussian_kl(x, p[:1]), ValueError, r"log_var must have shape \(2, 3\), got \(1, 3\)"),
        (lambda: losses.cosine_softmax(x, x[:, None, :2]), ValueError, r"candidates must have shape \(2, C, 3\)"),
        (lambda: losses.cosine_softmax(x, x[:, None].astype("f4")), TypeError, "candidates must be float64"),
        (lambda: losses.cosine_softmax(x, x[:, None], gamma=0), ValueError, "gamma must be > 0.0, got 0"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
