"""Sphinx: the pages of this folder, and a reference made from the docstrings of what is public."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the two extensions

project = "pyrec_core"
author = "The pyrec_core developers"
copyright = author
release = metadata.version("pyrec_core")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx_copybutton", "_mathml", "_reference"]
exclude_patterns = ["maths", "_build"]
html_theme = "furo"
html_title = f"pyrec_core {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output stay behind
smartquotes = False  # "auto" is code
default_role = "py:obj"  # single backticks in docstrings name a thing of this package
nitpicky = True
add_module_names = False
toc_object_entries_show_parents = "hide"

autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say the types in words, with shapes
numpydoc_show_class_members = False  # the reference lists them, methods of the base classes included
