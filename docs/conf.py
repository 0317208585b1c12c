"""The documentation as a site: ``make docs``. Sphinx reads the Markdown as it is, and the publisher's docstrings."""

from __future__ import annotations

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]

project = _project["name"]
version = release = _project["version"]
copyright = "the sse-gateway authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["conf.py"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
suppress_warnings = ["misc.highlighting_failure"]  # examples hold … where a reader puts something of his own

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {version}"
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["version-switcher", "theme-switcher"],
    # Each version is a folder of its own; this file beside them names them (see CONTRIBUTING.md).
    "switcher": {"json_url": "../versions.json", "version_match": version},
    "check_switcher": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_align": "left",
}
