"""How Sphinx builds the documentation (`make docs`).

The source folder is the repository. So every page lies where a code host shows it, and the same relative links work in both.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "rlopt"
author = "the authors of rlopt"
root_doc = "README"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

# Captions and pages of the navigation. A page that is not there is left out; a page that is nowhere here fails the build.
NAVIGATION = {
    "Tutorial": ["docs/first-result", "docs/own-data", "docs/own-environment", "docs/cluster"],
    "How to": [
        "docs/settings",
        "docs/speed",
        "docs/read-the-results",
        "docs/use-a-policy",
        "docs/resume",
        "WANDB_INTEGRATION",
        "docs/tensorboard",
        "docs/notebook",
        "docs/environments",
        "docs/torchrl-environments",
        "docs/own-method",
        "docs/scale",
    ],
    "Reference": [
        "LOGGING_STRUCTURE",
        "docs/reference/imitation",
        "docs/reference/agents",
        "docs/reference/config",
        "docs/reference/training",
        "docs/reference/evaluation",
        "docs/reference/envs",
        "docs/reference/pipeline",
        "docs/reference/losses",
        "docs/reference/networks",
        "docs/reference/report",
        "docs/reference/logs",
        "docs/reference/errors",
    ],
    "Background": ["docs/how-it-works", "docs/design-notes", "IPMD_BASELINE_TEST", "RESULTS"],
}

# ------------------------------------------------------------------------------------------------------------- sources

include_patterns = ["*.md", "docs/*.md", "docs/reference/*.md"]
exclude_patterns = [".*", "build", "expert_data", "findings", "logs", "rlopt", "scripts", "site", "tests"]
myst_heading_anchors = 4  # sections are linked to as on a code host
nitpicky = True
# Names of other packages; code in docstrings, which is a link only where there is a target; a type variable
nitpick_ignore_regex = [("py:.*", r"(?!rlopt\.).*"), ("py:obj", ".*"), ("py:class", r"rlopt\.config\.ConfigType")]

# ------------------------------------------------------------------------------------------------------------- the API

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False

# ---------------------------------------------------------------------------------------------------------------- looks

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
highlight_language = "none"  # of blocks that name no language: tables, drawings
html_title = "rlopt"
html_copy_source = False
html_show_sphinx = False


def add_navigation(app, docname, source):
    """Put the navigation behind the front page, which on a code host is the README without it."""
    if docname == root_doc:
        for caption, pages in NAVIGATION.items():
            there = [page for page in pages if (ROOT / f"{page}.md").exists()]
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *there, "```\n"])


def write_index(app, exception):
    """Lead the site's address to the front page."""
    if exception is None:
        index = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=README.html">\n'
        (Path(app.outdir) / "index.html").write_text(index + "<title>rlopt</title>\n", encoding="utf-8")


def as_rst(app, what, name, obj, options, lines):
    """Docstrings as they are written here: single backticks hold code, indented paragraphs hold equations."""
    lines[:] = [_line_as_rst(line) for line in _with_literal_blocks(lines)]


def _with_literal_blocks(lines):
    """Mark indented paragraphs behind an empty line as literal, those of "Args:" and the like excepted."""
    marked, section, inside = [], False, False
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith(" "):
            section, inside = bool(re.fullmatch(r"[A-Z]\w+:", line)), False
        elif line and not before and not section and not inside:
            inside = True
            marked += ["::", ""]
        marked.append(line)
    return marked


def _line_as_rst(line):
    """Identifiers in backticks become references where there is a target, other code literal text; signs lose their meaning."""
    parts = line.split("`")
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = part if line.startswith("  ") and len(parts) == 1 else re.sub(r"([|*\\]|_(?!\w))", r"\\\1", part)
        elif re.fullmatch(r"[A-Za-z][\w.]*", part):
            anywhere = "." if part[0].isupper() else ""  # classes and tables are found by their last name
            parts[i] = f":py:obj:`{anywhere}{part}`"
        else:
            parts[i] = f"``{part}``"
    return "".join(parts)


def setup(app):
    """Connect the functions above."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", write_index)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before "Args:" and the like are read
