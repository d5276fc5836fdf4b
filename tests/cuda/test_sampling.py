"""Draws and plans of sessions on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu

from pyrec_core.kernels.sampling import AliasTable, alias_table, sample
from pyrec_core.kernels.sessions import new_state, plan


@pytest.mark.parametrize("first", [0, 7, 2**50])
@pytest.mark.parametrize("n", [0, 1, 2, 1001])
@pytest.mark.parametrize("n_items", [1, 2, 1000])
def test_draws_are_the_same_on_all_devices(devices, n_items, n, first):
    table = alias_table(np.random.default_rng(0).integers(0, 5, n_items) + (np.arange(n_items) == 0))
    check_equals_cpu(devices, sample, table, n, seed=3, purpose="negatives", epoch=2, first=first)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_plan_gathers_on_a_device(devices, batch_size):
    rng = np.random.default_rng(1)
    offsets = np.append(0, np.cumsum(rng.integers(2, 6, 20)))
    order, events = rng.permutation(20), rng.integers(0, 9, offsets[-1])
    want = plan(new_state(batch_size), offsets, order, 1000)
    for device in devices:
        with device as on:
            state = new_state(batch_size)
            got = plan(state, offsets, order, 1000, device="cuda")
            assert isinstance(got.rows, np.ndarray)
            targets = on.put(events)[got.position + 1]
            assert on.get(targets).tolist() == events[want.position + 1].tolist()
            for name in ("position", "reset", "keep"):
                assert on.get(getattr(got, name)).tolist() == getattr(want, name).tolist()
            assert not len(plan(state, offsets, order, 1000, device="cuda").rows)  # the epoch is over


def test_table_on_two_devices_is_refused(devices):
    threshold, alias = alias_table([1.0, 2.0])
    for device in devices:
        with device as on, pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
            sample(AliasTable(on.put(threshold), alias), 3, seed=1, purpose="negatives")
