"""How pages and docstrings become a site: docs/conf.py, without Sphinx; and, slowly, the site itself."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from .shared import CONF, ROOT


def as_rst(text):
    lines = text.splitlines()
    CONF["as_rst"](None, "function", "rlopt.f", None, {}, lines)
    return "\n".join(lines)


def test_code_in_backticks_is_a_reference_or_literal():
    text = "`Agent` and `agent.update` take `[S, B]`, `--lr 1` and `(a, b)`."
    expected = ":py:obj:`.Agent` and :py:obj:`agent.update` take ``[S, B]``, ``--lr 1`` and ``(a, b)``."
    assert as_rst(text) == expected


def test_signs_of_the_text_stay_signs():
    assert as_rst("pi(a|s), 2 * x, r_ and r_abs") == r"pi(a\|s), 2 \* x, r\_ and r_abs"


def test_an_indented_paragraph_is_an_equation_and_sections_are_left_to_napoleon():
    before, equation, after = (
        "Loss.\n",
        "    L = |x|\n      + r_\n",
        "Text.\n\nArgs:\n    x: a\n\n        deep.\n\nRaises:\n    E: it.",
    )
    assert as_rst(f"{before}\n{equation}\n{after}") == f"{before}\n::\n\n{equation}\n{after}"


def test_the_navigation_names_only_pages_that_are_there(monkeypatch):
    navigation = {"First": ["docs/settings", "docs/not-there"]}
    monkeypatch.setitem(CONF["add_navigation"].__globals__, "NAVIGATION", navigation)
    source = ["# rlopt\n"]
    CONF["add_navigation"](None, "README", source)
    assert source[0] == "# rlopt\n\n```{toctree}\n:hidden:\n:caption: First\n\ndocs/settings\n```\n"
    CONF["add_navigation"](None, "RESULTS", other := ["# Results\n"])
    assert other == ["# Results\n"]


def test_the_site_begins_at_the_readme(tmp_path):
    CONF["write_index"](SimpleNamespace(outdir=tmp_path), None)
    assert "url=README.html" in (tmp_path / "index.html").read_text()


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("sphinx")
    flags = ["-q", "-n", "-W", "--keep-going", "-E", "-b", "html", "-c", "docs", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *flags, ".", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "site" / "docs" / "reference" / "imitation.html").read_text()
    assert 'id="rlopt.imitation.load_demonstrations"' in page
