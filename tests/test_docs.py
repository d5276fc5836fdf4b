"""Examples in docstrings and README run as they stand."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import pyrec_core
from pyrec_core import datasets

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(pyrec_core.__path__, "pyrec_core.")
    if not m.name.rpartition(".")[2].startswith(("_cpu", "_cuda", "_simt", "_detect", "__main__"))
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_public_names_exist_and_have_docstrings():
    for module in ("", ".kernels", ".kernels.gram", ".kernels.linalg", ".kernels.topk", ".kernels.random",
                   ".kernels.interaction", ".kernels.losses", ".metrics", ".split", ".datasets",
                   ".testing"):  # fmt: skip
        namespace = importlib.import_module(f"pyrec_core{module}")
        for name in namespace.__all__:
            thing = getattr(namespace, name)
            assert not callable(thing) or thing.__doc__, f"pyrec_core{module}.{name} has no docstring"


def test_readme_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = datasets.make_implicit(n_users=1500, n_items=200, random_state=0)
    monkeypatch.setattr(datasets, "load_movielens", lambda path: made)
    rng = np.random.default_rng(0)
    X = made.matrix()
    names = {
        "X": X,
        "seen": X[:5],
        "users": np.arange(5),
        "items": np.arange(4),
        "new_rows": X[:3],
        "in_stock": [1, 2, 3, 5, 8],
        "user_factors": rng.normal(size=(5, 8)),
        "item_factors": rng.normal(size=(200, 8)),
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block.replace("data.matrix(min_value=4)", "data.matrix()"), names)  # generated data has no ratings
        names["items"] = np.arange(4)
    assert (tmp_path / "ease.model").exists()
