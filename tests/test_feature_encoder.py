"""FeatureEncoder: what it learns of columns, and what becomes of what it has not seen."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import same_bits

from pyrec_core import FeatureEncoder, NotFittedError, load

COLUMNS = {
    "city": ["Rome", "Bonn", None, "Rome", "Oslo", ""],
    "device": [3, 1, 3, 3, 1, 2],
    "age": [20.0, 30.0, np.nan, 50.0, 60.0, 40.0],
    "clicks": [0, 10, 100, 1000, 0, 10],
    "genres": ["action|crime", "crime", None, "", "drama||crime", "action"],
}
LISTS = [["action", "crime"], ["crime"], None, [], ["drama", "crime"], ["action"]]
NAMES = list(COLUMNS)
ALL = {"categorical": ["city", "device"], "numerical": ["age", "clicks"], "multi": "genres"}


def as_array(columns):
    array = np.empty((6, len(columns)), object)
    for at, column in enumerate(columns.values()):
        array[:, at] = [*column, None][:-1]
    return array


def polars(columns):
    return pl.DataFrame(columns, strict=False).with_columns(pl.col("age").fill_nan(None))


TABLES = {
    "mapping": lambda columns: columns,
    "pandas": pd.DataFrame,
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "polars": polars,
    "polars lazy": lambda columns: polars(columns).lazy(),
    "arrow": lambda columns: polars(columns).to_arrow(),
    "pandas of arrow": lambda columns: polars(columns).to_pandas(use_pyarrow_extension_array=True),
    "array": as_array,
    "lists": lambda columns: as_array(columns).tolist(),
}
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def lists_of(features, at=0):
    lists = features.lists[at]
    return [lists.ids[a:b].tolist() for a, b in zip(lists.offsets, lists.offsets[1:], strict=False)]


def encoder_for(table, **options):
    """The encoder of all columns, by number for arrays."""
    given = {**ALL, **options}
    if table in (TABLES["array"], TABLES["lists"]):
        number = {name: at for at, name in enumerate(NAMES)}
        for kind in ALL:
            names = given[kind]
            given[kind] = number[names] if isinstance(names, str) else [number[name] for name in names]
        given["crosses"] = [tuple(number[name] for name in names) for names in given.get("crosses", ())]
    return FeatureEncoder(**given)


@each_table
@pytest.mark.parametrize("cells", [COLUMNS["genres"], LISTS], ids=["strings", "lists"])
def test_every_kind_of_table_gives_the_same_features(table, cells):
    X = table({**COLUMNS, "genres": cells})
    encoder = encoder_for(table, crosses=[("city", "device")])
    features = encoder.fit_transform(X)
    assert features.ids.tolist() == [
        [2, 2, 0, 0],
        [0, 0, 0, 0],
        [-1, 2, -1, 0],
        [2, 2, 0, 0],
        [1, 0, 0, 0],
        [-1, 1, 0, 0],
    ]
    assert lists_of(features) == [[0, 1], [1], [], [], [2, 1], [0]]
    assert features.field_sizes.tolist() == [3, 3, 1, 1, 3]
    z = (np.array([20, 30, 0, 50, 60, 40]) - 40) / np.sqrt(200)
    z[2] = 1.0  # the number that is missing
    np.testing.assert_allclose(features.values[:, 2], z, rtol=1e-6)
    assert features.values[:, :2].tolist() == [[1, 1]] * 6
    again = encoder.transform(X)
    assert same_bits(again.ids, features.ids)
    assert same_bits(again.values, features.values)
    assert same_bits(again.crosses, features.crosses)
    assert same_bits(again.lists[0].ids, features.lists[0].ids)
    assert [categories.tolist() for categories in encoder.categories_.values()] == [
        ["Bonn", "Oslo", "Rome"], [1, 2, 3], ["action", "crime", "drama"],
    ]  # fmt: skip
    fitted_alone = encoder_for(table, crosses=[("city", "device")]).fit(X)
    assert same_bits(fitted_alone.transform(X).crosses, features.crosses)


def test_what_training_did_not_have_is_unknown():
    encoder = FeatureEncoder(categorical=["city", "device"], multi="genres").fit(COLUMNS)
    new = {"genres": ["war|crime", None], "city": ["Paris", "Rome"], "more": [0, 0], "device": [9, 2]}
    features = encoder.transform(new)
    assert features.ids.tolist() == [[-1, -1], [2, 1]]
    assert lists_of(features) == [[-1, 1], []]
    assert encoder.transform({**new, "city": [None, None]}).ids[:, 0].tolist() == [-1, -1]
    with pytest.raises(TypeError, match="field 'city' must hold strings like the known category ids, got int64"):
        encoder.transform({**new, "city": [1, 2]})


def test_rare_categories_are_unknown():
    encoder = FeatureEncoder(categorical=["city", "device"], multi="genres", min_count=2)
    features = encoder.fit_transform(COLUMNS)
    assert features.ids.tolist() == [[0, 1], [-1, 0], [-1, 1], [0, 1], [-1, 0], [-1, -1]]
    assert lists_of(features) == [[0, 1], [1], [], [], [-1, 1], [0]]
    assert FeatureEncoder(categorical="city", min_count=9).fit_transform(COLUMNS).field_sizes.tolist() == [0]


@pytest.mark.parametrize(
    ("column", "categories", "ids"),
    [
        ([True, False, True], [0, 1], [1, 0, 1]),
        ([2.0, np.nan, 5.0], [2, 5], [0, -1, 1]),
        (np.array(["b", "a", "b"], np.dtypes.StringDType()), ["a", "b"], [1, 0, 1]),
        (np.array([7, -7, 7], np.int8), [-7, 7], [1, 0, 1]),
        ([None, None, None], [], [-1, -1, -1]),
        (np.array([2**63, 5, 2**63], np.uint64), [5, 2**63], [1, 0, 1]),
        ([2**60 + 1, None, 2**60], [2**60, 2**60 + 1], [1, -1, 0]),
        ([True, None, np.nan], [1], [0, -1, -1]),
    ],
)
def test_categories_of_all_kinds(column, categories, ids):
    encoder = FeatureEncoder(categorical="a")
    assert encoder.fit_transform({"a": column}).ids[:, 0].tolist() == ids
    assert encoder.categories_["a"].tolist() == categories


def test_a_categorical_column_of_a_frame():
    frame = pd.DataFrame({"a": pd.Categorical(["b", None, "a", "b"])})
    assert FeatureEncoder(categorical="a").fit_transform(frame).ids[:, 0].tolist() == [1, -1, 0, 1]


def test_numbers_are_scaled_as_asked():
    x = np.array([0.0, 1.0, 3.0, 1000.0, -5.0])
    options = {"numerical": ["a", "b", "c", "same"], "scaling": {"b": "log", "c": None}}
    features = FeatureEncoder(**options).fit_transform({"a": x, "b": x, "c": x, "same": np.full(5, 0.7)})
    logarithm = np.sign(x) * np.log1p(np.abs(x))
    np.testing.assert_allclose(features.values[:, 0], (x - x.mean()) / x.std(), rtol=1e-6)
    np.testing.assert_allclose(features.values[:, 1], (logarithm - logarithm.mean()) / logarithm.std(), rtol=1e-5)
    np.testing.assert_array_equal(features.values[:, 2], x)
    assert np.abs(features.values[:, 3]).max() < 1e-15
    assert features.numeric == (True,) * 4


def test_bins_hold_about_as_many_numbers_each():
    x = np.random.default_rng(0).exponential(size=1000)
    encoder = FeatureEncoder(numerical=["a", "b"], bins={"a": 10})
    features = encoder.fit_transform({"a": x, "b": x})
    assert np.bincount(features.ids[:, 0]).tolist() == [100] * 10
    assert features.field_sizes.tolist() == [10, 1]
    order = np.argsort(x)
    assert (np.diff(features.ids[order, 0]) >= 0).all()
    outside = encoder.transform({"a": [-1.0, 1e9, np.nan], "b": [0, 0, 0]})
    assert outside.ids[:, 0].tolist() == [0, 9, -1]
    assert features.values[:, 0].tolist() == [1.0] * 1000
    assert FeatureEncoder(numerical="a", bins=4).fit_transform({"a": x}).values is None


def test_equal_numbers_share_a_bin_and_no_bin_is_empty():
    x = np.array([0, 0, 0, 0, 0, 0, 1, 2])
    features = FeatureEncoder(numerical="a", bins=4).fit_transform({"a": x})
    assert features.field_sizes[0] == len(np.unique(features.ids)) == 2
    assert FeatureEncoder(numerical="a", bins=4).fit_transform({"a": np.zeros(5)}).field_sizes.tolist() == [1]
    assert FeatureEncoder(numerical="a", bins=4).fit_transform({"a": [None, np.nan]}).ids[:, 0].tolist() == [-1, -1]


def test_crosses_are_rows_of_their_own():
    rng = np.random.default_rng(0)
    table = {"a": rng.integers(0, 50, 3000), "b": rng.integers(0, 50, 3000), "n": rng.normal(size=3000)}
    options = {"categorical": ["a", "b"], "numerical": "n", "bins": 5}
    encoder = FeatureEncoder(**options, crosses=[("a", "b"), ("b", "a"), ("a", "b", "n")])
    crosses = encoder.fit_transform(table).crosses
    assert crosses.shape == (3000, 3)
    assert crosses.min() >= 0
    assert crosses.max() < 2**18
    pairs = table["a"] * 50 + table["b"]
    for row in np.unique(crosses[:, 0])[:200]:
        assert len(np.unique(pairs[crosses[:, 0] == row])) <= 2
    assert (crosses[:, 0] != crosses[:, 1]).mean() > 0.9
    n_pairs = len(np.unique(pairs))
    expected = 1 - np.exp(-n_pairs / 2**18)
    assert encoder.collision_rates_[0] == pytest.approx(expected, abs=0.01)
    # Each of the distinct pairs is alone in its row with probability (1 - 1/size)^(n - 1)
    small = FeatureEncoder(**options, crosses=[("a", "b")], cross_size=4096).fit(table)
    assert small.collision_rates_[0] == pytest.approx(1 - (1 - 1 / 4096) ** (n_pairs - 1), abs=0.05)
    assert FeatureEncoder(**options, crosses=[("a", "b")], cross_size=2).fit(table).collision_rates_.tolist() == [1.0]


def test_crosses_are_hashed_by_splitmix64():
    def mixed(bits):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits = (bits ^ (bits >> shift)) * factor % 2**64
        return bits ^ (bits >> 31)

    table = {"a": [0, 1, 2, None], "b": [1, 0, 1, 1]}
    features = FeatureEncoder(categorical=["a", "b"], crosses=[("a", "b")], cross_size=1000).fit_transform(table)
    for ids, row in zip(features.ids.tolist(), features.crosses[:, 0].tolist(), strict=True):
        bits = 0
        for i in ids:
            bits = mixed((bits + 0x9E3779B97F4A7C15) % 2**64 ^ (i % 2**64))
        assert row == bits % 1000


def test_columns_may_be_an_index():
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["z", "z"]})
    assert FeatureEncoder(categorical=frame.columns).fit_transform(frame).names == ("a", "b")


def test_a_cross_is_of_the_combination_only():
    encoder = FeatureEncoder(categorical=["a", "b"], crosses=[("a", "b")])
    first = encoder.fit_transform({"a": ["x", "x", "y", "x"], "b": [1, 2, 1, 1]}).crosses[:, 0]
    assert first[0] == first[3]
    assert len(set(first.tolist())) == 3
    unknown = encoder.transform({"a": ["z", None, "x"], "b": [1, 1, 1]}).crosses[:, 0]
    assert unknown[0] == unknown[1]
    assert unknown[2] == first[0]


@pytest.mark.parametrize(
    "options", [{}, {"bins": {"age": 2}, "scaling": {"clicks": "log"}, "crosses": [("city", "age")]}]
)
def test_a_saved_encoder_gives_the_same_features(options, tmp_path):
    encoder = FeatureEncoder(**ALL, **options).fit(COLUMNS)
    encoder.save(tmp_path / "encoder")
    for again in (load(tmp_path / "encoder"), pickle.loads(pickle.dumps(encoder))):
        assert again.get_params() == encoder.get_params()
        one, other = again.transform(COLUMNS), encoder.transform(COLUMNS)
        assert same_bits(one.ids, other.ids)
        assert same_bits(one.values, other.values)
        assert same_bits(one.lists[0].ids, other.lists[0].ids)
        assert one.names == other.names
        assert same_bits(again.collision_rates_, encoder.collision_rates_)


def test_saved_options_of_numbered_columns_come_back(tmp_path):
    encoder = FeatureEncoder(categorical=1, numerical=[0, 2], bins={2: 2}).fit(np.arange(12.0).reshape(4, 3))
    encoder.save(tmp_path / "encoder")
    assert load(tmp_path / "encoder").bins == {2: 2}


def test_names_of_the_features():
    encoder = FeatureEncoder(**ALL, crosses=[("city", "device")]).fit(COLUMNS)
    assert encoder.get_feature_names_out().tolist() == [*NAMES, "city*device"]
    assert encoder.transform(COLUMNS).names == tuple(NAMES)
    assert encoder.n_features_in_ == 5


def test_fit_forgets_the_fit_before_and_keeps_its_table():
    table = {name: list(column) for name, column in COLUMNS.items()}
    encoder = FeatureEncoder(**ALL).fit({**COLUMNS, "city": ["Athens"] * 6})
    assert encoder.fit(table).categories_["city"].tolist() == ["Bonn", "Oslo", "Rome"]
    assert repr(table) == repr({name: list(column) for name, column in COLUMNS.items()})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "categorical, numerical and multi must name at least one column, got none"),
        ({"categorical": 1.5}, TypeError, "categorical must be a column or a sequence of columns, got 1.5"),
        ({"categorical": [True]}, TypeError, "categorical must hold names or numbers of columns, got True"),
        ({"categorical": "city", "multi": "city"}, ValueError, "must hold each name once, got 'city' again"),
        ({"categorical": ["city", "x", "y"]}, ValueError, "X must have all columns of the .* 'x', 'y' but 'city', 'd"),
        ({"categorical": "city", "min_count": 0}, ValueError, "min_count must be >= 1, got 0"),
        ({"numerical": "city"}, TypeError, "field 'city' must be numbers, got"),
        ({"numerical": "age", "scaling": "minmax"}, ValueError, "scaling must be one of 'standard', 'log', got"),
        ({"numerical": "age", "scaling": {"city": "log"}}, ValueError, "scaling must be of the columns 'age', got"),
        ({"numerical": "age", "bins": 1}, ValueError, "bins must be >= 2, got 1"),
        ({"numerical": "age", "bins": 2.5}, TypeError, "bins must be an integer, got 2.5"),
        ({"multi": "genres", "multi_pooling": "max"}, ValueError, "multi_pooling must be one of 'mean', 'sum', got"),
        ({"multi": "genres", "separator": ""}, ValueError, "separator must not be empty"),
        ({"multi": "genres", "separator": None}, TypeError, "separator must be a string, got None"),
        ({"multi": "device"}, TypeError, "field 'device' must hold lists, arrays or strings throughout, got int"),
        ({"categorical": "city", "crosses": "city"}, TypeError, "crosses must be a sequence of tuples of columns"),
        ({"categorical": "city", "crosses": ["city"]}, TypeError, "crosses must hold tuples of columns, got 'city'"),
        ({"categorical": "city", "crosses": [("city",)]}, ValueError, "crosses must be of two or more different"),
        (
            {"categorical": "city", "numerical": "age", "crosses": [("city", "age")]},
            ValueError, r"crosses must be of categorical columns or such in bins \('city'\), got 'age'",
        ),
        ({"categorical": "city", "cross_size": 1}, ValueError, "cross_size must be >= 2, got 1"),
    ],
)  # fmt: skip
def test_bad_parameters_and_columns_are_refused(options, error, message):
    encoder = FeatureEncoder(**options)
    with pytest.raises(error, match=message):
        encoder.fit(COLUMNS)
    with pytest.raises(NotFittedError):
        encoder.transform(COLUMNS)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, "X must be a data frame, a 2-D array or a mapping of columns, got ndarray of shape"),
        (5, TypeError, "X must be a data frame, a 2-D array or a mapping of columns, got int"),
        (np.empty((0, 2)), ValueError, "X must have rows, got 0"),
        (np.ones((2, 1)), ValueError, "got none of 1 but 0"),
        (
            np.array([[1.5, 0], [1, 0]]),
            TypeError,
            "field '0' must hold integers or strings, got float64: is it numeric",
        ),
        (np.array([[1, np.inf], [1, 0]]), ValueError, "field '1' must be finite or missing, got inf in row 0"),
        (np.array([[1j, 0], [1, 0]]), TypeError, "field '0' must hold integers or strings, got complex128"),
        ({0: np.ones((1, 2), int), 1: [1]}, ValueError, r"field '0' must be 1-D, got shape \(1, 2\)"),
        ({0: [[1, 2]], 1: [1]}, TypeError, "field '0' must hold integers or strings, got list"),
        ({0: [1, 2], 1: [1]}, ValueError, "X must have columns of one length, got 1, 2"),
        ({0: [1, "a"], 1: [1, 2]}, TypeError, "field '0' must hold integers or strings throughout, got int, str"),
        ({0: [{}, {}], 1: [1, 2]}, TypeError, "field '0' must hold integers or strings, got dict"),
        ({0: [1, 2**64], 1: [1, 2]}, ValueError, "field '0' must hold integers of 64 bits, got a larger one"),
        ({0: [1, 2], 1: ["a", "b"]}, TypeError, "field '1' must be numbers, got object"),
    ],
)
def test_bad_tables_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        FeatureEncoder(categorical=0, numerical=1).fit(X)


def test_another_number_of_columns_is_refused():
    encoder = FeatureEncoder(categorical=0).fit(np.ones((2, 3), int))
    with pytest.raises(ValueError, match="X has 2 features, but FeatureEncoder is expecting 3 features as input"):
        encoder.transform(np.ones((2, 2), int))
