"""Sphinx's settings for the site. `make site` reads them; tools/site writes the pages and adds what Sphinx lacks."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = about["name"]
release = about["version"]
author = "the authors of seglib"
project_copyright = f"{author}. Code: MIT. Photographs, masks and weights: CC0"
language = "en"

extensions = [
    "myst_nb",
    "autoapi.extension",
    "sphinx.ext.napoleon",
    "tools.site.formulas",
    "tools.site.glossary",
    "tools.site.navigation",
    "tools.site.tables",
]

# The notebooks: as they are stored. Nothing is run.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # figures come as MyST's image, with alternative text
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
suppress_warnings = ["misc.highlighting_failure"]  # `!unzip` is Jupyter's, in a fence of Python
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# The package: its docstrings are read from the source, so that torch is not needed here.
autoapi_dirs = [str(ROOT / "seglib")]
autoapi_ignore = ["*/seglib/lesson/*", "*/__main__.py", "*/seglib/train.py"]  # what only a lesson needs
autoapi_root = "api"
autoapi_options = ["members", "show-module-summary"]
autoapi_member_order = "bysource"
autoapi_python_class_content = "class"
autoapi_add_toctree_entry = False
autoapi_keep_files = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shape"]
default_role = "code"  # docstrings write code between single backticks
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "Fine-tune a segmentation model, step by step"
html_static_path = [str(ROOT / "site" / "_static")]
html_css_files = ["site.css"]
html_js_files = [("glossary.js", {"defer": "defer"})]
html_favicon = str(ROOT / "site" / "_static" / "icon.svg")
html_math_renderer = "mathml"
html_domain_indices = False  # the list of modules is the API's first page
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "seglib", "image_light": "_static/icon.svg", "image_dark": "_static/icon.svg", "alt_text": ""},
    "navbar_align": "left",
    "search_bar_text": "Search the lessons",
    "show_toc_level": 1,
    "github_url": about["urls"]["Repository"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
