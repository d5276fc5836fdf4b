"""The reference: pages for whatever the ``__all__`` of a public module lists, so that nothing is listed by hand.

A module is public if it has an ``__all__`` and no name on the way to it starts with an underscore. A class has a page
of its own; functions, exceptions and data are described on the page of their module. What several modules list is
described in the first of them. A kernel family's page begins with ``maths/<family>.md``, where there is one.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils.nodes import reference
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain

import pyrec_core

DOCS = Path(__file__).parent
FOLDER = DOCS / "reference"
CLASS = """# {name}

```{{eval-rst}}
.. currentmodule:: {module}
.. autoclass:: {name}

{members}
```
"""


def public_modules() -> list[ModuleType]:
    """The package first, then its public modules in the order of their names."""
    names = sorted(
        info.name
        for info in pkgutil.walk_packages(pyrec_core.__path__, "pyrec_core.")
        if not any(part.startswith("_") for part in info.name.split("."))
    )
    modules = [pyrec_core, *map(importlib.import_module, names)]
    return [module for module in modules if hasattr(module, "__all__")]


def listed(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module lists and is no module itself, sorted by kind: classes, functions, exceptions, data."""
    things = [(name, getattr(module, name)) for name in module.__all__ if not name.startswith("__")]
    things = [(name, thing) for name, thing in things if not isinstance(thing, ModuleType)]
    return iter(sorted(things, key=lambda pair: (kind(pair[1]), pair[0].lower())))


def kind(thing: Any) -> int:
    if inspect.isclass(thing):
        return 2 if issubclass(thing, (Exception, Warning)) else 0
    return 1 if callable(thing) else 3


def members(cls: type) -> str:
    """Public methods and properties that this package wrote, those of the class itself first, as they stand there."""
    lines: dict[str, str] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("pyrec_core"):
            for name, value in vars(base).items():
                if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
                    directive = "autoproperty" if isinstance(value, property) else "automethod"
                    lines.setdefault(name, f"   .. {directive}:: {name}\n")
    return "\n".join(lines.values())


def summary(thing: Any) -> str:
    """The first line of a docstring, as Markdown."""
    line = (inspect.getdoc(thing) or "").partition("\n")[0]
    return line.replace("``", "\0").replace("`", "").replace("\0", "`").replace("|", "\\|")


def table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]) + "\n"


def module_pages(module: ModuleType, known: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the page of a module, and of the pages of its classes."""
    rows, bodies, pages = [], [], []
    for name, thing in listed(module):
        path = f"{module.__name__}.{name}"
        home = known.setdefault(id(thing), path)
        text = summary(thing) if kind(thing) < 3 else "constant"  # the docstring would be that of its type
        rows.append((f"{{py:obj}}`{name} <{home}>`", text))
        if home != path:
            continue
        if kind(thing) == 0:
            pages.append(path)
            yield path, CLASS.format(name=name, module=module.__name__, members=members(thing))
        elif kind(thing) == 3:
            bodies.append(f".. py:data:: {name}\n   :value: {thing!r}")
        else:
            bodies.append(f".. {'autofunction' if kind(thing) == 1 else 'autoexception'}:: {name}")
    title = module.__name__.removeprefix("pyrec_core.")
    parts = [f"# {title}\n", rst(f".. automodule:: {module.__name__}\n   :no-members:")]
    maths = DOCS / "maths" / f"{module.__name__.rpartition('.')[2]}.md"
    if module.__name__.startswith("pyrec_core.kernels.") and maths.exists():
        parts.append(maths.read_text(encoding="utf-8"))
    if rows:
        parts += ["## Contents\n", table(rows)]
    if bodies:
        parts.append(rst("\n\n".join([f".. currentmodule:: {module.__name__}", *bodies])))
    if pages:
        parts.append(toctree(pages, hidden=True))
    yield module.__name__, "\n".join(parts)


def rst(text: str) -> str:
    return f"```{{eval-rst}}\n{text}\n```\n"


def toctree(pages: list[str], hidden: bool = False) -> str:
    lines = ["```{toctree}", ":maxdepth: 1", *([":hidden:"] if hidden else []), "", *pages, "```"]
    return "\n".join(lines) + "\n"


def index(title: str, text: str, modules: list[ModuleType]) -> str:
    rows = [(f"[{m.__name__.removeprefix('pyrec_core.')}]({m.__name__}.md)", summary(m)) for m in modules]
    return f"# {title}\n\n{text}\n\n{table(rows)}\n{toctree([m.__name__ for m in modules], hidden=True)}"


def write_pages(app: Sphinx) -> None:
    modules = public_modules()
    kernels = [m for m in modules if m.__name__.startswith("pyrec_core.kernels.")]
    others = [m for m in modules if m not in kernels and m.__name__ != "pyrec_core.kernels"]
    known: dict[int, str] = {}
    pages = {name: text for module in modules for name, text in module_pages(module, known)}
    pages.pop("pyrec_core.kernels")  # its families have an index of their own
    pages["index"] = index("Reference", "All that is public, by module.", others)
    intro = (inspect.getdoc(importlib.import_module("pyrec_core.kernels")) or "").replace("``", "`")
    pages["kernels"] = index("Kernels", intro, kernels)
    FOLDER.mkdir(exist_ok=True)
    for stale in set(FOLDER.glob("*.md")) - {FOLDER / f"{name}.md" for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        path = FOLDER / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # what is as it was is not read again
            path.write_text(text, encoding="utf-8")


def resolve_by_last_name(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Find what a docstring names without the module that it is described in, where one thing has that name."""
    domain: PythonDomain = env.domains.python_domain
    target = node.get("reftarget", "")
    homes = [home for name, home in domain.objects.items() if f".{name}".endswith(f".{target}") and not home.aliased]
    if node.get("refdomain") != "py" or len(homes) != 1:
        return None
    (home,) = homes
    uri = app.builder.get_relative_uri(node["refdoc"], home.docname)
    return reference("", "", content, internal=True, refuri=f"{uri}#{home.node_id}")


def remove_mail_links(app: Sphinx, doctree: Any) -> None:
    """What looks like an address to docutils is a metric with its depth: ndcg@100."""
    for node in list(doctree.findall(reference)):
        if node.get("refuri", "").startswith("mailto:"):
            node.parent.replace(node, node.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("doctree-read", remove_mail_links)
    app.connect("missing-reference", resolve_by_last_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
