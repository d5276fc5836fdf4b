"""Import time in fresh interpreters with a warm file cache, and installed size."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

from _harness import Case, Load, Options, Session

STATEMENTS = {  # distribution: what a user of it imports
    "pyrec_core": ("import pyrec_core", "from pyrec_core import EASE"),
    "numpy": ("import numpy",),
    "scipy": ("import scipy.sparse", "import scipy.sparse, scipy.linalg"),
    "implicit": ("import implicit",),
    "irspack": ("import irspack",),
    "cornac": ("import cornac",),
    "torch": ("import torch",),
    "recbole": ("import recbole.config, recbole.model.general_recommender",),
}
SLOW = ("cornac", "torch", "recbole")  # not in a quick run


def cases(options: Options) -> list[Case]:
    return [Case("imports", {"repetitions": 3 if options.quick else 9}, max(options.threads))]


def imports(session: Session, repetitions: int) -> None:
    """Seconds over those of an empty interpreter."""
    empty = sorted(seconds_of("pass") for _ in range(repetitions))[repetitions // 2]
    for distribution, statements in STATEMENTS.items():
        if importlib.util.find_spec(distribution) is None or (session.quick and distribution in SLOW):
            continue
        own, whole, n_required = installed_mb(distribution)
        for statement in statements:
            seconds_of(statement)  # fills the file cache, writes bytecode
            load = Load()
            seconds = [max(0.0, seconds_of(statement) - empty) for _ in range(repetitions)]
            extra = {"installed_mb": own, "installed_with_required_mb": whole, "required": n_required}
            session.record("import", statement, "", distribution, seconds, others_cpu=load.others(), **extra)


def seconds_of(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", statement], check=True, capture_output=True)
    return time.perf_counter() - start


def installed_mb(distribution: str) -> tuple[float | None, float | None, int | None]:
    """MB of a distribution, MB of it and all that it requires, how many that are; None for a source tree."""
    sizes: dict[str, float] = {}
    todo = [distribution]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in sizes:
            continue
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # required on other platforms only
        sizes[name] = sum(size_mb(Path(str(file.locate()))) for file in found.files or [])
        required = [line for line in found.requires or [] if "extra ==" not in line]
        todo += [match.group() for line in required if (match := re.match(r"[A-Za-z0-9._-]+", line))]
    own = sizes.get(re.sub(r"[-_.]+", "-", distribution).lower())
    if own is None:
        return None, None, None
    return round(own, 1), round(sum(sizes.values()), 1), len(sizes) - 1


def size_mb(path: Path) -> float:
    return path.stat().st_size / 1e6 if path.is_file() else 0.0
