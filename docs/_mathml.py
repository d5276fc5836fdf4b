"""Formulas as MathML, which every browser draws by itself: no script, no network."""

import re
from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger


def mathml(node: Any, as_block: bool) -> str:
    try:
        # norms keep their height beside fractions: the browser would stretch the first of a pair only
        return re.sub("<mo[^>]*>‖", '<mo stretchy="false">‖', str(tex2mathml(node.astext(), as_block=as_block)))
    except MathError as error:
        getLogger(__name__).warning("formula: %s", error, location=node)
        return ""


def inline(writer: Any, node: Any) -> None:
    writer.body.append(mathml(node, as_block=False))
    raise SkipNode


def block(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="formula">{mathml(node, as_block=True)}</div>')
    raise SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
