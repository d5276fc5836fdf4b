"""The floors of the house: a module imports only from floors below its own, and files stay short."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.source

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pyrec_core"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# The first prefix that matches gives the floor. Modules of one floor may import each other only where named in PEERS.
FLOORS = [
    ("_errors", 1.0),
    ("_validation", 1.1),
    ("_memory", 1.2),
    ("_device_memory", 1.3),
    ("_blas", 1.2),
    ("_backend", 2.0),
    ("_random", 2.0),
    ("_persist", 2.0),
    ("_progress", 2.0),
    ("_columns", 2.0),
    ("_crosses", 2.0),
    ("_lists", 2.05),
    ("_frames", 2.1),
    ("_vocabulary", 2.1),
    ("_encoding", 2.2),
    ("_tables", 2.3),
    ("_interactions", 2.2),
    ("_sessions", 2.2),
    ("_features", 2.3),
    ("kernels.linalg", 3.0),
    ("kernels._gram_blocks", 3.05),
    ("kernels.gram", 3.1),
    ("kernels.slim", 3.1),
    ("kernels.cooccurrence", 3.1),
    ("kernels", 3.0),
    ("metrics._inputs", 4.0),
    ("metrics._ranking", 4.1),
    ("metrics._scores", 4.2),
    ("metrics._lists", 4.1),
    ("metrics", 4.3),
    ("optim._param", 4.0),
    ("optim._schedule", 4.0),
    ("optim._base", 4.1),
    ("optim._rules", 4.2),
    ("optim", 4.3),
    ("layers._base", 4.4),
    ("layers._init", 4.4),
    ("layers.activation", 4.5),
    ("layers.cin", 4.5),
    ("layers.combine", 4.5),
    ("layers.cross", 4.5),
    ("layers.dense", 4.5),
    ("layers.dropout", 4.5),
    ("layers.embedding", 4.5),
    ("layers.fields", 4.5),
    ("layers.norm", 4.5),
    ("layers.recurrent", 4.5),
    ("layers.shape", 4.5),
    ("layers", 4.6),
    ("split._result", 4.0),
    ("split._common", 4.1),
    ("split._filters", 4.2),
    ("split", 4.3),
    ("train._training", 5.0),
    ("train._checkpoint", 5.1),
    ("train._memory", 5.1),
    ("train._loop", 5.2),
    ("train._callbacks", 5.2),
    ("train", 5.3),
    ("models._estimator", 6.0),
    ("models._trained", 6.01),
    ("models.interaction._inputs", 6.03),
    ("models.interaction._rows", 6.06),
    ("models.interaction._base", 6.1),
    ("models.interaction._linear", 6.2),
    ("models.interaction._closed_form", 6.3),
    ("models.interaction._cooccurrence", 6.3),
    ("models.interaction._pair_network", 6.2),
    ("models.interaction._known_users", 6.2),
    ("models.interaction._neural", 6.3),
    ("models.interaction", 6.4),
    ("models.feature._plan", 6.0),
    ("models.feature._columns", 6.01),
    ("models.feature._encoder", 6.02),
    ("models.feature._ragged", 6.01),
    ("models.feature._inputs", 6.02),
    ("models.feature._labels", 6.02),
    ("models.feature._parts", 6.03),
    ("models.feature._running", 6.03),
    ("models.feature._base", 6.1),
    ("models.feature", 6.4),
    ("models.sequence._inputs", 6.0),
    ("models.sequence._live", 6.0),
    ("models.sequence._base", 6.1),
    ("models.sequence._gru4rec_network", 6.1),
    ("models.sequence._gru4rec_training", 6.2),
    ("models.sequence", 6.4),
    ("models", 6.5),
    ("datasets", 6.0),
    ("evaluation._report", 7.0),
    ("evaluation._ranker", 7.0),
    ("evaluation._totals", 7.05),
    ("evaluation._evaluate", 7.06),
    ("evaluation", 7.07),
    ("testing._sharing", 7.0),
    ("testing._tools", 7.0),
    ("testing._fitting", 7.05),
    ("testing._naming", 7.05),
    ("testing._ranking", 7.05),
    ("testing._sequence_fitting", 7.05),
    ("testing._sequence", 7.06),
    ("testing", 7.1),
    ("doctor", 7.1),
    ("demo", 7.2),
    ("__main__", 7.3),
    ("", 8.0),  # the package itself gives names to all floors
]
NATIVE = {"_detect", "_cpu", "_cuda"}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def floor(module):
    for prefix, level in FLOORS:
        if prefix == "" or module == prefix or module.startswith(f"{prefix}."):
            return level if prefix or module == "" else None
    return None


def imports(path):
    """Modules of this package that a file imports, at any depth of its code, type-checking blocks aside."""
    module = module_name(path)
    package = module.split(".") if path.name == "__init__.py" and module else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [p for p in package[: len(package) - node.level + 1] if p]
            target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            known = {module_name(p) for p in SOURCES}
            for alias in node.names:
                deeper = f"{target}.{alias.name}".strip(".")
                yield deeper if deeper in known or alias.name in NATIVE else target
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            yield from (n.partition(".")[2] for n in names if n and n.split(".")[0] == "pyrec_core")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    module = module_name(path)
    mine = floor(module)
    assert mine is not None, f"{module} has no floor: name it in FLOORS"
    if module == "":
        return
    for target in imports(path):
        if target.split(".")[0] in NATIVE:
            assert module == "_backend" or target == "_detect", f"{module} imports {target}"
            continue
        below = floor(target)
        assert below is not None, f"{module} imports {target}, which has no floor"
        same_package = target.split(".")[:-1] == module.split(".")[:-1] and mine == below
        lazy_parent = path.name == "__init__.py" and target.startswith(module)
        assert below < mine or (same_package and mine in (3.0, 6.0)) or lazy_parent, (
            f"{module} (floor {mine}) imports {target} (floor {below})"
        )


def test_models_and_datasets_do_not_know_each_other():
    for path in SOURCES:
        top = module_name(path).split(".")[0]
        if top in ("models", "datasets"):
            other = {"models": "datasets", "datasets": "models"}[top]
            assert not any(t.split(".")[0] == other for t in imports(path)), path


def test_no_leaf_model_imports_or_extends_another():
    leaves = [p for p in (PACKAGE / "models").rglob("*.py") if not p.name.startswith("_")]
    names = {p.stem for p in leaves}
    assert {"ease", "popularity", "slim"} <= names
    for path in leaves:
        models = {t.split(".")[-1] for t in imports(path) if t.startswith("models")}  # a kernel may have the same name
        assert not models & names, path


def families(variable):
    found = re.search(rf"set\({variable}\s([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())
    return found.group(1).split()


def test_a_family_is_one_word_on_every_floor():
    shared, cpu = families("SHARED_FAMILIES"), families("CPU_FAMILIES")
    for family in shared + cpu:
        for name in (
            f"src/cpp/kernels/{family}.hpp",
            f"src/cpp/kernels/{family}.cpp",
            f"src/cpp/bindings/bind_{family}.cpp",
            f"pyrec_core/kernels/{family}.py",
            f"tests/kernels/test_{family}.py",
        ):
            assert (ROOT / name).exists(), f"{name} is missing for the family {family}"
    for family in shared:
        assert (ROOT / f"src/cuda/kernels/{family}.cu").exists()
    from pyrec_core import kernels

    assert sorted(shared + cpu) == sorted(kernels.__all__)


def test_dense_products_of_models_go_through_our_own_kernels():
    """NumPy's and SciPy's BLAS would bring their own threads, and with them other bits."""
    forbidden = re.compile(r"np\.(dot|matmul|linalg|einsum\(.*,.*,)|scipy\.linalg|numpy\.linalg")
    for path in (PACKAGE / "models").rglob("*.py"):
        assert not forbidden.search(path.read_text()), path


def test_files_stay_short():
    folders = {"src": ("*.?pp", "*.cu*"), "tests": ("*.py",), "bench": ("*.py",)}
    files = [path for folder, kinds in folders.items() for kind in kinds for path in (ROOT / folder).rglob(kind)]
    for path in [*SOURCES, *files]:
        assert len(path.read_text().splitlines()) <= 400, f"{path.relative_to(ROOT)} no longer holds one thing"


def test_what_ships_has_no_forbidden_flags():
    text = (ROOT / "CMakeLists.txt").read_text() + (ROOT / "src/cuda/cuda.cmake").read_text()
    assert "march=native" not in text
    assert "ffast-math" not in text
    assert not re.search(r"fopenmp(?!-simd)", text)  # a runtime of its own threads; simd only lets loops vectorise
