"""Examples in docstrings, README and the pages of docs run as they stand."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pyrec_core
from pyrec_core import datasets

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
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
    public = [name for name in ["pyrec_core", *MODULES] if "._" not in name]
    with_all = [m for m in map(importlib.import_module, public) if hasattr(m, "__all__")]
    assert len(with_all) >= 10
    for module in with_all:
        for name in module.__all__:
            thing = getattr(module, name)
            assert not callable(thing) or thing.__doc__, f"{module.__name__}.{name} has no docstring"


@pytest.mark.source
def readme_sessions():
    """What the examples on sessions take for granted."""
    visit = np.repeat(np.arange(40), 3)
    page = np.array(["tea", "milk", "bread"])[(np.arange(120) + visit) % 3]
    clicks = pl.DataFrame({"visit": visit, "page": page, "at": np.arange(120)})
    later = [["milk", "bread"], ["tea", "milk", "bread"]]
    return {"clicks": clicks, "later": later, "sessions": ([0, 1, 2, 0, 1], [0, 3, 5]), "prefixes": [[0], [1, 2]]}


def readme_examples():
    """What the examples on features take for granted."""
    ids = np.random.default_rng(0).integers(0, 4, (80, 3))
    tags = [["a", "b", "c"][: i + 1] for i in ids[:, 2] % 3]
    columns = {"user": ids[:, 0], "page": ids[:, 1], "tags": tags, "age": 20.0 + ids[:, 0]}
    df = pl.DataFrame({**columns, "clicked": (ids[:, 0] + ids[:, 1]) % 2})
    return {"df": df, "new": df.head(5), "ids": ids, "y": (ids[:, 0] + ids[:, 1]) % 2}


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
        **readme_sessions(),
        **readme_examples(),
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        names |= {"scores": rng.normal(size=(4, 9)), "test": [["tea", "milk"], ["bread", "tea", "milk"]]}
        exec(block.replace("data.matrix(min_value=4)", "data.matrix()"), names)  # generated data has no ratings
        names["items"] = np.arange(4)
    assert (tmp_path / "ease.model").exists()


@pytest.mark.source
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run(page):
    text = page.read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```pycon\n(.*?)```", text, re.DOTALL))  # of one page: they share their names
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)
    assert len(test.examples) == text.count("\n>>> ")  # none stands outside a block
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.source
def test_there_are_pages():
    assert {"quickstart.md", "interaction.md", "guarantees.md"} <= {page.name for page in PAGES}
