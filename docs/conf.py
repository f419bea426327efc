"""Settings of the documentation's site, which Sphinx builds from Markdown; `make docs` runs it."""

import shutil
import sys
from pathlib import Path

import neutral

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "neutral"
author = "The neutral developers"
copyright = author
version = release = neutral.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "directives",
    "docstrings",
    "links",
    "tasks",
]
exclude_patterns = ["images", "extensions"]
language = "en"
nitpicky = True
nitpick_ignore_regex = [
    # names of other libraries
    ("py:.*", r"(np|pd|pl|pa|npt|jax|jnp|eqx|os|plt|datetime|pathlib)\..*"),
    (
        "py:.*",
        r"ArrayLike|Float|Int|UInt32|Bool|Complex|Key|Array|Figure|Axes|Path|PathLike|datetime|timedelta|Date",
    ),
    ("py:.*", r"'.*|.*'"),  # names of axes
    ("py:.*", r"State|Grid|Method|Model|Tested|Fit"),  # variables of types
    ("py:.*", r"Entry|StoredFile|Setting|Programs|ColumnMap"),  # of arguments that nobody passes
]

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline", "deflist"]
myst_heading_anchors = 4
myst_update_mathjax = False
nb_execution_mode = "off"  # notebooks carry their outputs; CI runs them

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autosummary_generate = False
add_module_names = False
python_maximum_signature_line_length = 90
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "neutral"
html_static_path = ["_static"]
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
mathjax_path = "equations.js"  # KaTeX, from this site
html_theme_options = {
    "logo": {"text": "neutral"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True)  # Sphinx reads below docs/
