"""How Sphinx builds the documentation (`make docs`).

The source folder is the repository. So every page lies where a code host shows it, and the same relative links work in both.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).parents[1]

project = "rlopt"
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
        "docs/notebook",
        "docs/environments",
        "docs/torchrl-environments",
        "docs/own-method",
        "docs/scale",
    ],
    "Reference": [
        "docs/reference/commands",
        "LOGGING_STRUCTURE",
        "docs/reference/imitation",
        "docs/reference/policies",
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
nitpick_ignore_regex = [("py:.*", r"(?!rlopt\.).*"), ("py:obj", ".*"), ("py:class", r"rlopt\.\w+\.ConfigType")]

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
html_show_copyright = False
html_show_sphinx = False


def add_navigation(app, docname, source):
    """Put the navigation behind the front page, which on a code host is the README without it."""
    if docname == root_doc:
        for caption, pages in NAVIGATION.items():
            there = [page for page in pages if (ROOT / f"{page}.md").exists()]
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *there, "```\n"])


def add_help(app, docname, source):
    """Put what the scripts say with `--help` on the page of commands."""
    if docname == "docs/reference/commands":
        environment = {**os.environ, "COLUMNS": "86", "PYTHONPATH": str(ROOT)}
        for script in sorted((ROOT / "scripts").glob("*.py")):
            command = [sys.executable, str(script), "--help"]
            shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            source[0] += f"\n## {script.name}\n\n```\n{shown}```\n"


def write_index(app, exception):
    """Lead the site's address to the front page."""
    if exception is None:
        index = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=README.html">\n'
        (Path(app.outdir) / "index.html").write_text(index + "<title>rlopt</title>\n", encoding="utf-8")


def as_rst(app, what, name, obj, options, lines):
    """Docstrings as they are written here: single backticks hold code, indented paragraphs and lone formulas are equations."""
    paragraphs = "\n".join(lines).rstrip().split("\n\n")
    text = "\n\n".join(_with_equations_marked(paragraphs))
    lines[:] = [*map(_line_as_rst, text.splitlines()), ""]
    if what in ("attribute", "data", "property"):
        lines.insert(0, "\\")  # a line without a colon: napoleon takes "x: y" for a type and what it is of


def plain_defaults(app, what, name, obj, options, signature, returns):
    """A field's default that a function makes, which is no Python as it is printed, as dots."""
    return (signature.replace("<factory>", "...") if signature else signature, returns)


def _with_equations_marked(paragraphs):
    """Mark equations as literal. Those at the end of a docstring are no more indented than it is (`inspect.cleandoc`)."""
    section = False
    for number, paragraph in enumerate(paragraphs):
        if not paragraph.startswith(" "):
            section = bool(re.match(r"[A-Z]\w+:\n", paragraph))  # "Args:" and the like
        formula = " = " in paragraph and not paragraph.endswith(".") and "`" not in paragraph
        if not section and number and (paragraph.startswith(" ") or formula):
            paragraph = "::\n\n" + indent(paragraph, "" if paragraph.startswith(" ") else "    ")
        yield paragraph


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
    app.connect("source-read", add_help)
    app.connect("build-finished", write_index)
    app.connect("autodoc-process-signature", plain_defaults)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before "Args:" and the like are read
