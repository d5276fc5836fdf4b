"""What mypy sees of the package from a user's script: types, not Any."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pyrec_core

pytest.importorskip("mypy", reason="mypy is not installed")
SCRIPT = """
import numpy as np
import pyrec_core
from pyrec_core import EASE, kernels

model = EASE(l2=200.0).fit(np.eye(3))
items, scores = model.recommend([0], k=2)
reveal_type(model)
reveal_type(items)
EASE(l3=1.0)
kernels.topk.top_k(np.eye(3))
"""


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Run mypy --strict on a script; return what it says."""
    folder = tmp_path_factory.mktemp("user")
    home = Path(pyrec_core.__file__).parents[1]
    env = os.environ if "site-packages" in home.parts else {**os.environ, "MYPYPATH": str(home)}

    def run(script):
        (folder / "script.py").write_text(script)
        command = [sys.executable, "-m", "mypy", "--strict", "script.py"]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300).stdout

    return run


def test_models_have_types(mypy):
    said = mypy(SCRIPT)
    assert 'Revealed type is "pyrec_core.models.interaction.ease.EASE"' in said
    assert 'Revealed type is "numpy.ndarray[' in said
    assert 'Unexpected keyword argument "l3" for "EASE"' in said
    assert 'Missing positional argument "k" in call to "top_k"' in said
    assert "Found 2 errors" in said, said


def public_names(module):
    """The things, not modules, that a module and the modules that it lists give."""
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, ModuleType):
            yield from public_names(thing)
        else:
            yield f"{module.__name__}.{name}"


def test_no_public_name_is_any(mypy):
    names = list(public_names(pyrec_core))
    assert "pyrec_core.kernels.topk.top_k" in names
    said = mypy("import pyrec_core\n" + "".join(f"reveal_type({name})\n" for name in names)).splitlines()
    revealed = [line for line in said if "Revealed type" in line]
    assert not [name for name, line in zip(names, revealed, strict=True) if 'type is "Any"' in line]
