"""Losses of sampled scores, beside their definitions in float64."""

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels import losses

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
KINDS = {
    "cross-entropy": (losses.softmax_cross_entropy, [{}, {"label_smoothing": 0.1}, {"divisor": 7}]),
    "bpr": (losses.bpr, [{}, {"reduction": "sum", "elu": 0.5}, {"divisor": 7}]),
    "top1": (losses.top1, [{}, {"reduction": "sum", "elu": 0.5}]),
    "top1-max": (losses.top1_max, [{}, {"elu": 0.5, "divisor": 7}]),
    "bpr-max": (losses.bpr_max, [{}, {"reg": 1.0}, {"reg": 0.5, "reg_form": "plain"}, {"reg": 1.0, "elu": 0.5}]),
}
VARIANTS = [(kind, parameters) for kind, (_, some) in KINDS.items() for parameters in some]
variants = pytest.mark.parametrize(("kind", "parameters"), VARIANTS, ids=str)
every_kind = pytest.mark.parametrize("kind", KINDS)


def sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))


def reference(kind, scores, *, divisor=None, log_q=None, label_smoothing=0.0, reduction="mean", reg=0.0,
              reg_form="weighted", elu=0.0, item_ids=None):  # fmt: skip
    """The loss from its definition, a row at a time."""
    scores = np.asarray(scores, np.float64)
    if elu > 0:
        scores = np.where(scores > 0, scores, elu * np.expm1(np.minimum(scores, 0)))
    if log_q is not None:
        scores = scores - log_q
    total = 0.0
    for b, row in enumerate(scores):
        others = np.arange(len(row)) != b
        n = others.sum()
        if item_ids is not None:
            others &= item_ids != item_ids[b]
        own, neg = row[b], row[others]
        if kind == "cross-entropy":
            log_p = row - np.logaddexp.reduce(np.append(neg, own))
            share = label_smoothing if len(neg) else 0.0
            total -= (1 - share) * log_p[b] + share * (log_p[others].mean() if share else 0.0)
            continue
        if kind in ("bpr", "top1"):
            terms = np.logaddexp(0, neg - own) if kind == "bpr" else sigmoid(neg - own) + sigmoid(neg**2)
            total += terms.sum() / (n if reduction == "mean" else 1)
            continue
        if len(neg) == 0:
            continue
        log_s = neg - np.logaddexp.reduce(neg)
        s = np.exp(log_s)
        if kind == "top1-max":
            total += (s * (sigmoid(neg - own) + sigmoid(neg**2))).sum()
        else:
            total -= np.logaddexp.reduce(log_s - np.logaddexp(0, neg - own))
            total += reg * ((s if reg_form == "weighted" else 1.0) * neg**2).sum()
    return total / (divisor or max(len(scores), 1))


def numeric_gradient(f, x, step=1e-6):
    numeric = np.empty_like(x)
    for at in np.ndindex(*x.shape):
        high, low = x.copy(), x.copy()
        high[at] += step
        low[at] -= step
        numeric[at] = (f(high) - f(low)) / (2 * step)
    return numeric


def relative(got, want):
    return np.abs(got - want).max(initial=0.0) / max(np.abs(want).max(initial=0.0), 1e-300)


shapes = given(
    m=st.integers(0, 20), more=st.sampled_from([0, 1, 2, 5, 14, 16, 33, 100]), seed=st.integers(0, 2**32 - 1)
)


@dtypes
@variants
@shapes
def test_loss_equals_its_definition(kind, parameters, dtype, m, more, seed):
    n = max(m + more, 2)
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=(m, n)) * rng.choice([0.1, 1.0, 10.0])).astype(dtype)
    optional = {}
    if rng.random() < 0.5:
        optional["item_ids"] = rng.integers(0, max(2 * n // 3, 1), n)
    if kind == "cross-entropy" and rng.random() < 0.5:
        optional["log_q"] = rng.normal(size=n).astype(dtype)
    before = scores.copy()
    loss, d_scores = KINDS[kind][0](scores, **parameters, **optional)
    assert same_bits(scores, before)
    assert isinstance(loss, float)
    assert d_scores.dtype == dtype
    assert d_scores.shape == scores.shape
    want = reference(kind, scores, **parameters, **optional)
    assert loss == pytest.approx(want, rel=1e-4 if dtype == "float32" else 1e-11, abs=1e-6 if dtype == "float32" else 0)


@variants
@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (3, 5), (5, 21)])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_gradient_is_that_of_the_loss(kind, parameters, shape, scale):
    rng = np.random.default_rng(shape[1])
    scores = rng.normal(size=shape) * scale
    optional = {"item_ids": rng.integers(0, 4, shape[1])} if shape[1] > 4 else {}
    f = KINDS[kind][0]
    _, got = f(scores, **parameters, **optional)
    want = numeric_gradient(lambda x: f(x, **parameters, **optional)[0], scores)
    assert relative(got, want) < 1e-6


def test_gradient_of_cross_entropy_with_log_q():
    rng = np.random.default_rng(0)
    scores, log_q = rng.normal(size=(4, 9)), rng.normal(size=9)
    _, got = losses.softmax_cross_entropy(scores, log_q=log_q)
    want = numeric_gradient(lambda x: losses.softmax_cross_entropy(x, log_q=log_q)[0], scores)
    assert relative(got, want) < 1e-6


@variants
@pytest.mark.parametrize("gap", [-90.0, -30.0, 0.0, 30.0, 59.0, 61.0, 90.0])
def test_gradient_is_that_of_the_loss_when_scores_lie_apart(kind, parameters, gap):
    scores = np.random.default_rng(1).normal(size=(3, 8))
    scores[0, 1:4] += gap  # some of the negatives of one row
    f = KINDS[kind][0]
    _, got = f(scores, **parameters)
    want = numeric_gradient(lambda x: f(x, **parameters)[0], scores, step=1e-5)
    assert relative(got, want) < 1e-6


@variants
@shapes
def test_float32_gradient_equals_float64(kind, parameters, m, more, seed):
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=(m, max(m + more, 2))) * rng.choice([0.1, 1.0, 10.0])).astype("f4")
    _, got = KINDS[kind][0](scores, **parameters)
    _, want = KINDS[kind][0](scores.astype("f8"), **parameters)
    assert relative(got, want) < 1e-4


@every_kind
def test_float32_keeps_what_is_small(kind):
    """A well separated row: nothing is lost against 1 in the loss or in the gradient."""
    scores = np.full((1, 50), -6.0, "f4") + np.random.default_rng(0).normal(size=50).astype("f4")
    scores[0, 0] = 14.0
    loss, got = KINDS[kind][0](scores)
    want_loss, want = KINDS[kind][0](scores.astype("f8"))
    if kind in ("cross-entropy", "bpr", "bpr-max"):  # TOP1's regulariser does not vanish
        assert 0 < loss < 1e-6
        assert loss == pytest.approx(want_loss, rel=1e-5)
        np.testing.assert_allclose(got, want, rtol=2e-5)


@dtypes
@pytest.mark.parametrize("kind", ["cross-entropy", "bpr"])
def test_gradient_rows_sum_to_zero(kind, dtype):
    scores = np.random.default_rng(2).normal(size=(30, 2000)).astype(dtype)
    _, d_scores = KINDS[kind][0](scores, divisor=1)
    np.testing.assert_allclose(d_scores.sum(1, dtype="f8"), 0, atol=1e-6 if dtype == "float32" else 1e-14)


@dtypes
def test_gradient_vanishes_for_bpr_but_not_for_bpr_max(dtype):
    scores = np.full((1, 2049), -12.0, dtype)
    scores[0, :2] = 2.0, 3.0
    assert abs(losses.bpr(scores)[1][0, 0]) == pytest.approx(3.58e-4, rel=2e-3)
    assert abs(losses.bpr_max(scores)[1][0, 0]) == pytest.approx(0.729, abs=5e-4)


@dtypes
@pytest.mark.parametrize(("plain", "weighted"), [(losses.bpr, losses.bpr_max), (losses.top1, losses.top1_max)])
def test_max_losses_of_one_negative_are_the_plain_ones(plain, weighted, dtype):
    scores = (np.random.default_rng(3).normal(size=(200, 1, 2)) * 6).astype(dtype)
    tolerance = 2e-6 if dtype == "float32" else 1e-12
    for row in scores:
        (loss, d), (loss_max, d_max) = plain(row), weighted(row)
        assert loss_max == pytest.approx(loss, rel=tolerance)
        np.testing.assert_allclose(d_max, d, rtol=tolerance, atol=tolerance * 0.1)


@dtypes
@variants
@pytest.mark.parametrize("gap", [0.0, 800.0, -800.0, 1e4])
def test_nothing_overflows(kind, parameters, dtype, gap):
    scores = np.zeros((2, 40), dtype)
    scores[0, 20:] = gap
    scores[1, 1] = gap
    loss, d_scores = KINDS[kind][0](scores, **parameters)
    assert np.isfinite(loss)
    assert np.isfinite(d_scores).all()
    assert loss == pytest.approx(reference(kind, scores, **parameters), rel=1e-5, abs=1e-6)


@every_kind
def test_a_negative_at_minus_infinity_is_not_there(kind):
    scores = np.random.default_rng(4).normal(size=(3, 12))
    kept = np.r_[:3, 5, 8:12]
    absent = np.setdiff1d(np.arange(12), kept)
    padded = scores.copy()
    padded[:, absent] = -np.inf
    parameters = {"reduction": "sum"} if kind in ("bpr", "top1") else {}
    if kind == "bpr-max":
        parameters["reg"] = 0.7
    loss, d_scores = KINDS[kind][0](padded, **parameters)
    want, d_kept = KINDS[kind][0](np.ascontiguousarray(scores[:, kept]), **parameters)
    assert loss == pytest.approx(want, rel=1e-13)
    np.testing.assert_allclose(d_scores[:, kept], d_kept, rtol=1e-12, atol=1e-15)
    assert (d_scores[:, absent] == 0).all()


@every_kind
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [1, 5])
def test_what_is_not_finite_stays_in_its_row(kind, value, column):
    clean = np.random.default_rng(5).normal(size=(4, 9))
    scores = clean.copy()
    scores[1, column] = value
    loss, d_scores = KINDS[kind][0](scores)
    _, want = KINDS[kind][0](clean)
    rest = [0, 2, 3]
    assert same_bits(d_scores[rest], want[rest])
    if np.isnan(value):
        assert np.isnan(loss)
        assert np.isnan(d_scores[1]).any()


@every_kind
def test_a_row_whose_negatives_are_all_its_own_item_has_no_gradient(kind):
    scores = np.random.default_rng(6).normal(size=(1, 5)).astype("f4")
    loss, d_scores = KINDS[kind][0](scores, item_ids=np.full(5, 3))
    assert loss == 0.0
    assert (d_scores == 0).all()


@every_kind
def test_collisions_are_masked_only_when_asked(kind):
    scores = np.random.default_rng(7).normal(size=(3, 8))
    ids = np.array([4, 9, 4, 9, 1, 4, 0, 2])
    _, plain = KINDS[kind][0](scores)
    _, masked = KINDS[kind][0](scores, item_ids=ids)
    same = (ids[None, :] == ids[:3, None]) & ~np.eye(3, 8, dtype=bool)
    assert (masked[same] == 0).all()
    assert (masked[~same] != 0).all()
    assert (plain != 0).all()


@dtypes
@variants
def test_overwriting_gives_the_same(kind, parameters, dtype):
    scores = np.random.default_rng(8).normal(size=(20, 75)).astype(dtype)
    f = KINDS[kind][0]
    want = f(scores, **parameters)
    mine = scores.copy()
    loss, d_scores = f(mine, overwrite=True, **parameters)
    assert d_scores is mine
    assert loss == want[0]
    assert same_bits(d_scores, want[1])


@dtypes
@variants
def test_bits_do_not_depend_on_threads(kind, parameters, dtype):
    rng = np.random.default_rng(9)
    scores, ids = rng.normal(size=(150, 1001)).astype(dtype), rng.integers(0, 500, 1001)
    f = KINDS[kind][0]
    one = f(scores, item_ids=ids, n_threads=1, **parameters)
    for n_threads in (2, 3, 8):
        loss, d_scores = f(scores, item_ids=ids, n_threads=n_threads, **parameters)
        assert loss == one[0]
        assert same_bits(d_scores, one[1])


@every_kind
def test_no_rows(kind):
    loss, d_scores = KINDS[kind][0](np.empty((0, 0), "f4"), item_ids=[])
    assert loss == 0.0
    assert d_scores.shape == (0, 0)
    assert d_scores.dtype == np.float32


def test_one_row_without_negatives_has_a_cross_entropy():
    loss, d_scores = losses.softmax_cross_entropy(np.ones((1, 1)))
    assert loss == 0.0
    assert d_scores.tolist() == [[0.0]]


def test_log_q_is_subtracted_as_given():
    scores = np.random.default_rng(10).normal(size=(3, 6))
    log_q = np.log(np.arange(1.0, 7.0))
    got = losses.softmax_cross_entropy(scores, log_q=log_q)
    want = losses.softmax_cross_entropy(scores - log_q)
    assert got[0] == want[0]
    assert same_bits(got[1], want[1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.bpr(np.eye(3, dtype=int)), TypeError, "scores must be float32 or float64, got int64"),
        (lambda: losses.bpr(np.ones(3)), ValueError, r"scores must be 2-D, got shape \(3,\)"),
        (lambda: losses.bpr(np.ones((3, 2))), ValueError, "scores must have a column for each of 3 rows, got 2"),
        (lambda: losses.bpr(np.ones((1, 1))), ValueError, "scores must have at least 2 columns"),
        (lambda: losses.top1_max(np.ones((1, 1))), ValueError, "scores must have at least 2 columns"),
        (
            lambda: losses.softmax_cross_entropy(np.ones((1, 1)), label_smoothing=0.1),
            ValueError,
            "scores must have at least 2 columns",
        ),
        (lambda: losses.bpr(np.eye(3), divisor=0), ValueError, "divisor must be > 0.0, got 0"),
        (lambda: losses.bpr(np.eye(3), reduction="max"), ValueError, "reduction must be one of 'mean', 'sum'"),
        (lambda: losses.bpr(np.eye(3), elu=-1), ValueError, "elu must be >= 0.0, got -1"),
        (lambda: losses.bpr_max(np.eye(3), reg=-1), ValueError, "reg must be >= 0.0, got -1"),
        (lambda: losses.bpr_max(np.eye(3), reg_form="none"), ValueError, "reg_form must be one of 'weighted', 'plain'"),
        (lambda: losses.bpr(np.eye(3), item_ids=[1, 2]), ValueError, r"item_ids must have shape \(3,\)"),
        (lambda: losses.bpr(np.eye(3), item_ids=[1, 2, -1]), ValueError, "item_ids must be in 0..2"),
        (lambda: losses.bpr(np.eye(3), item_ids=[1.0, 2, 3]), TypeError, "item_ids must be integers, got float64"),
        (
            lambda: losses.softmax_cross_entropy(np.eye(3), log_q=np.zeros(2)),
            ValueError,
            r"log_q must have shape \(3,\), got \(2,\)",
        ),
        (
            lambda: losses.softmax_cross_entropy(np.eye(3), log_q=np.log([1.0, 1.0, np.inf])),
            ValueError,
            "log_q must be finite",
        ),
        (
            lambda: losses.softmax_cross_entropy(np.eye(3), log_q=np.zeros(3, "f4")),
            TypeError,
            "log_q must be float64, got float32",
        ),
        (
            lambda: losses.softmax_cross_entropy(np.eye(3), label_smoothing=1.5),
            ValueError,
            "label_smoothing must be <= 1.0",
        ),
        (lambda: losses.bpr([[1.0, 2.0]], overwrite=True), TypeError, "scores must be a NumPy or CuPy array, got list"),
        (
            lambda: losses.bpr(np.ones((4, 4)).T[::2], overwrite=True),
            ValueError,
            "scores must be C-contiguous and writeable",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
