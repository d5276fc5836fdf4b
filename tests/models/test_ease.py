import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core import EASE, NotEnoughMemoryError, load
from pyrec_core.models.interaction import _linear
from pyrec_core.models.interaction import ease as module


def random_matrix(n_users, n_items, density=0.2, seed=0, signed=False):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n_users, n_items)) < density) * (rng.normal(size=(n_users, n_items)) if signed else 1.0)
    return dense.astype(np.float32)


def reference(X, l2, weights=None):
    """Column j by its definition: ridge regression of item j on all other items."""
    X = X.astype(np.float64)
    w = np.ones(len(X)) if weights is None else weights
    B = np.zeros((X.shape[1], X.shape[1]))
    for j in range(X.shape[1]):
        others = np.arange(X.shape[1]) != j
        A = X[:, others]
        B[others, j] = np.linalg.solve((A.T * w) @ A + l2 * np.eye(A.shape[1]), (A.T * w) @ X[:, j])
    return B


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 99), st.booleans(), st.sampled_from([0.5, 7.0]))
@settings(max_examples=40, deadline=None)
def test_weights_are_the_ridge_regressions_of_each_item(n_users, n_items, seed, signed, l2):
    X = random_matrix(n_users, n_items, 0.5, seed, signed)
    expected = reference(X, l2)
    np.testing.assert_allclose(EASE(l2=l2, dtype="float64").fit(X).item_weights_, expected, atol=1e-12)
    np.testing.assert_allclose(EASE(l2=l2).fit(X).item_weights_, expected, atol=2e-5)


def test_sample_weight_weights_the_users():
    X = random_matrix(40, 12, signed=True)
    weights = np.random.default_rng(1).random(40)
    fitted = EASE(l2=2.0, dtype="float64").fit(X, sample_weight=weights)
    np.testing.assert_allclose(fitted.item_weights_, reference(X, 2.0, weights), atol=1e-12)


def test_scores_are_rows_times_weights():
    X = sp.csr_array(random_matrix(50, 30, signed=True))
    for model in (EASE(l2=3.0), EASE(l2=3.0, dtype="float64"), EASE(l2=3.0, max_weights_per_item=4)):
        model.fit(X)
        weights = model.item_weights_.toarray() if sp.issparse(model.item_weights_) else model.item_weights_
        expected = X.toarray().astype(np.float64) @ weights
        found = model.predict(np.arange(50)[:, None], np.arange(30))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        items, scores = model.recommend(np.arange(50), k=30, exclude_seen=False)
        np.testing.assert_allclose(scores, np.take_along_axis(expected, items, axis=1), atol=1e-5)


def test_predict_reads_the_rows_of_its_users_only(monkeypatch):
    model = EASE(l2=3.0).fit(random_matrix(500, 30))
    asked = []

    def record(rows, weights, row_of, items, **kwargs):
        asked.append((rows.shape[0], len(items)))
        return np.zeros(len(items), np.float32)

    monkeypatch.setattr(_linear, "sparse_pair_scores", record)
    assert model.predict([[400], [7], [400]], [1, 2]).shape == (3, 2)
    assert asked == [(2, 6)]


def test_unseen_items_have_zero_weights():
    X = random_matrix(60, 20)
    X[:, [0, 7, 19]] = 0
    for dtype in ("float32", "float64"):
        weights = EASE(l2=1.0, dtype=dtype).fit(X).item_weights_
        for item in (0, 7, 19):
            assert not weights[item].any()
            assert not weights[:, item].any()
        assert not np.diag(weights).any()
        assert weights[1].any()


@pytest.fixture
def factor_dtypes(monkeypatch):
    """Record the dtype in which EASE computes."""
    seen = []

    def record(X, weights=None, dtype=None, **kwargs):
        seen.append(np.dtype(dtype).name)
        return gram(X, weights, dtype, **kwargs)

    gram = module.gram
    monkeypatch.setattr(module, "gram", record)
    return seen


@pytest.mark.parametrize(("dtype", "storage"), [("auto", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_dtype_of_the_weights(dtype, storage):
    assert EASE(l2=1e-3, dtype=dtype).fit(random_matrix(50, 20)).item_weights_.dtype == storage
    assert EASE(l2=1e3, dtype=dtype).fit(random_matrix(50, 20)).item_weights_.dtype == storage


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_auto_computes_in_float64_from_a_condition_of_ten_thousand(factor_dtypes, factor):
    X = np.ones((30, 20))  # one eigenvalue that is not zero: 600, which the cheap bound gives exactly
    EASE(l2=600 / 1e4 * factor).fit(X)
    assert factor_dtypes == ["float32" if factor > 1 else "float64"]


def test_auto_takes_no_power_iterations_where_the_bound_suffices(monkeypatch, factor_dtypes):
    def fail(*args):
        raise AssertionError

    monkeypatch.setattr(module, "_largest_eigenvalue", fail)
    EASE(l2=1.0).fit(np.ones((30, 20)))
    assert factor_dtypes == ["float32"]


def test_auto_estimates_where_the_bound_is_too_large(factor_dtypes):
    hadamard = np.array([[1.0]])
    for _ in range(6):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    # all eigenvalues are 64, the row sums of |X|^T |X| are 4096
    EASE(l2=0.1).fit(hadamard)
    EASE(l2=0.009).fit(hadamard)  # 64 / 0.009 = 7111, but with the margin of the estimate 10667
    EASE(l2=0.0063).fit(hadamard)
    assert factor_dtypes == ["float32", "float64", "float64"]


def test_auto_counts_user_weights(factor_dtypes):
    X = np.ones((30, 20))
    EASE(l2=0.1).fit(X, sample_weight=np.full(30, 2.0))
    EASE(l2=0.1).fit(X, sample_weight=np.full(30, 0.5))
    assert factor_dtypes == ["float64", "float32"]


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_power_iterations_with_margin_do_not_underestimate(seed):
    X = random_matrix(60, 40, 0.3, seed, signed=True)
    exact = np.linalg.norm(X.astype(np.float64), 2) ** 2
    estimate = module._largest_eigenvalue(sp.csr_array(X), np.ones(60))
    assert exact / module.POWER_MARGIN <= estimate <= exact * (1 + 1e-9)


def test_auto_is_accurate_where_float32_is_not():
    X = random_matrix(400, 60, 0.3)
    X[:, 1] = X[:, 0]
    X[0, 1] = 1 - X[0, 1]  # two items that differ in one user
    l2 = 1e-3
    exact = EASE(l2=l2, dtype="float64").fit(X).item_weights_
    error = {d: np.abs(EASE(l2=l2, dtype=d).fit(X).item_weights_ - exact).max() for d in ("auto", "float32")}
    assert error["auto"] < 1e-7
    assert error["float32"] > 5 * error["auto"]


def test_zero_l2_needs_independent_items():
    X = random_matrix(100, 10, 0.5)
    np.testing.assert_allclose(EASE(l2=0, dtype="float64").fit(X).item_weights_, reference(X, 0), atol=1e-10)
    for dependent in (np.c_[X, X[:, 0]], np.c_[X, np.zeros(100)]):
        for dtype in ("auto", "float32", "float64"):
            with pytest.raises(ValueError, match=r"^l2 must be .* got l2=0"):
                EASE(l2=0, dtype=dtype).fit(dependent)


def test_positive_zeroes_negative_weights():
    X = random_matrix(80, 25)
    free = EASE(l2=5.0).fit(X).item_weights_
    positive = EASE(l2=5.0, positive=True).fit(X).item_weights_
    assert (free < 0).any()
    np.testing.assert_array_equal(positive, np.where(free > 0, free, 0))


@pytest.mark.parametrize("block_bytes", [1, 500, 2**25])
@pytest.mark.parametrize("keep", [1, 3, 24, 25, 1000])
def test_max_weights_per_item_keeps_the_largest_of_each_column(monkeypatch, block_bytes, keep):
    monkeypatch.setattr(_linear, "BLOCK_BYTES", block_bytes)
    X = random_matrix(80, 25, signed=True)
    X[:, 4] = 0
    dense = EASE(l2=5.0).fit(X).item_weights_
    weights = EASE(l2=5.0, max_weights_per_item=keep).fit(X).item_weights_
    assert isinstance(weights, sp.csr_array)
    assert weights.indices.dtype == np.int32
    expected = np.zeros_like(dense)
    for j in range(25):
        best = np.argsort(-np.abs(dense[:, j]), kind="stable")[:keep]
        expected[best, j] = dense[best, j]
    np.testing.assert_array_equal(weights.toarray(), expected)
    assert weights.nnz == np.count_nonzero(expected)


def test_similar_items_ranks_by_the_row_of_the_item():
    model = EASE(l2=5.0).fit(random_matrix(80, 25))
    items, scores = model.similar_items([3, 8], k=24)
    for row, item in enumerate((3, 8)):
        others = np.delete(np.arange(25), item)
        order = others[np.argsort(-model.item_weights_[item, others], kind="stable")]
        np.testing.assert_array_equal(items[row], order)
        np.testing.assert_array_equal(scores[row], model.item_weights_[item, order])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_do_not_depend_on_the_threads(dtype):
    X = sp.random_array((900, 700), density=0.05, rng=np.random.default_rng(0), format="csr", dtype=np.float32)
    weights = np.random.default_rng(1).random(900)
    one, two, three = (
        EASE(l2=1.0, dtype=dtype, n_threads=n).fit(X, sample_weight=weights).item_weights_ for n in (1, 2, 3)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("step", ["gram", "ease_weights", "largest_per_item"])
def test_an_interrupted_fit_keeps_the_fitted_model(monkeypatch, step):
    X = random_matrix(60, 20)
    model = EASE(l2=5.0, max_weights_per_item=3).fit(X)
    wanted = model.recommend(np.arange(60))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(random_matrix(70, 30))
    monkeypatch.undo()
    assert model.n_items_ == 20
    for found, expected in zip(model.recommend(np.arange(60)), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_mapped_model_gives_the_same_bits(tmp_path):
    X = random_matrix(60, 20)
    for model in (EASE(l2=5.0), EASE(l2=5.0, max_weights_per_item=3)):
        model.fit(X).save(tmp_path / "model")
        mapped = load(tmp_path / "model", mmap=True)
        for found, expected in zip(mapped.recommend(np.arange(60)), model.recommend(np.arange(60)), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert isinstance(load(tmp_path / "model").item_weights_, sp.csr_array)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"l2": -1.0}, ValueError, r"l2 must be >= 0, got -1\.0"),
        ({"l2": np.nan}, ValueError, "l2 must be finite, got nan"),
        ({"l2": True}, TypeError, "l2 must be a number, got True"),
        ({"l2": "5"}, TypeError, "l2 must be a number, got '5'"),
        (
            {"dtype": "float16"},
            ValueError,
            "dtype must be one of 'auto', 'float32', 'float64', got 'float16'",
        ),
        ({"dtype": np.float32}, TypeError, "dtype must be one of "),
        ({"positive": 1}, TypeError, "positive must be True or False, got 1"),
        ({"max_weights_per_item": 0}, ValueError, "max_weights_per_item must be >= 1, got 0"),
        ({"max_weights_per_item": 2.0}, TypeError, r"max_weights_per_item must be an integer, got 2\.0"),
        ({"n_threads": 0}, ValueError, "n_threads must be >= 1, got 0"),
        ({"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
        ({"verbose": 1}, TypeError, "verbose must be True or False, got 1"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, error, message):
    model = EASE(**parameters)
    with pytest.raises(error, match=message):
        model.fit(np.eye(3))


def test_fit_refuses_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr("pyrec_core._memory.available_memory", lambda: 2**30)
    monkeypatch.setattr(module, "gram", None)  # must not be reached
    X = sp.csr_array((np.ones(3, np.float32), ([0, 0, 1], [0, 49_999, 7])), shape=(2, 50_000))
    with pytest.raises(NotEnoughMemoryError) as caught:
        EASE().fit(X)
    message = str(caught.value)
    for part in ("EASE with 50000 items", "10000000000 bytes", "1073741824 bytes", "Drop rare items"):
        assert part in message
    with pytest.raises(NotEnoughMemoryError, match="20000000000 bytes"):
        EASE(dtype="float64").fit(X)
    with pytest.raises(NotEnoughMemoryError, match="30000000000 bytes"):  # float64, and a copy in float32
        EASE(l2=1e-9).fit(X)


def test_memory_is_counted_beyond_64_bits(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "require_memory", lambda needed, *args: asked.append(needed))
    n_items = 2**31 - 1
    module._require_memory(n_items, "float64", "float32", None)
    assert asked == [12 * n_items * n_items]
    assert asked[0] > 2**63


def test_verbose_shows_progress(capsys):
    EASE(verbose=True).fit(random_matrix(60, 20))
    assert "EASE" in capsys.readouterr().err
    EASE(verbose=False).fit(random_matrix(60, 20))
    EASE().fit(random_matrix(60, 20))  # no terminal here
    assert capsys.readouterr().err == ""
