"""Draws from a distribution on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu

from pyrec_core.kernels.sampling import AliasTable, alias_table, sample


@pytest.mark.parametrize("first", [0, 7, 2**50])
@pytest.mark.parametrize("n", [0, 1, 2, 1001])
@pytest.mark.parametrize("n_items", [1, 2, 1000])
def test_draws_are_the_same_on_all_devices(devices, n_items, n, first):
    table = alias_table(np.random.default_rng(0).integers(0, 5, n_items) + (np.arange(n_items) == 0))
    check_equals_cpu(devices, sample, table, n, seed=3, purpose="negatives", epoch=2, first=first)


def test_table_on_two_devices_is_refused(devices):
    threshold, alias = alias_table([1.0, 2.0])
    for device in devices:
        with device as on, pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
            sample(AliasTable(on.put(threshold), alias), 3, seed=1, purpose="negatives")
