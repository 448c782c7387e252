"""The documents name what exists: scripts, flags, files, sections, modules, functions and figures."""

import ast
import builtins
import importlib
import importlib.util
import re
import runpy
import sys

import pytest

from .shared import CONF, ROOT, TEXTS, blocks, commands, links, sections, without_blocks

GIVEN = {"observations", "actions", "rewards"}
"""What a reader has: recordings."""
OPTIONAL = {"brax", "absolute_bc"}
"""Modules that need not be there: a package that the tests do without, a file of a page."""
FLAGS = {}


@pytest.fixture
def flags_of(monkeypatch, capsys):
    """The flags that a script's `--help` lists."""

    def flags(script):
        if script not in FLAGS:
            monkeypatch.setattr(sys, "argv", [script, "--help"])
            monkeypatch.syspath_prepend(str((ROOT / script).parent))  # as `python scripts/...` does
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(ROOT / script), run_name="__main__")
            assert not end.value.code
            FLAGS[script] = set(re.findall(r"(?<![\w-])--[\w-]+", capsys.readouterr().out))
        return FLAGS[script]

    return flags


def test_there_are_commands():
    assert any(word.endswith("scripts/04_compare_methods.py") for words in commands() for word in words)
    for target in ("compare", "test", "taste", "install"):
        assert ("make", target) in commands()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_name_scripts_flags_and_targets_that_exist(words, flags_of):
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    for script in (word for word in words if word.endswith(".py")):
        assert (ROOT / script).is_file()
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert not given or given <= flags_of(script)


def test_flags_in_the_text_exist(flags_of):
    text = "\n".join(TEXTS.values())
    scripts = sorted(set(re.findall(r"\bscripts/[a-z\d_]+\.py", text)))
    known = set().union(*map(flags_of, scripts)) | {"--help"}
    for name, page in TEXTS.items():
        ours = [
            code
            for code in re.findall(r"`([^`\n]+)`", without_blocks(page))
            if not code.startswith(("wandb ", "sbatch "))
        ]
        assert (name, {flag for code in ours for flag in re.findall(r"(?<![\w-])--[\w-]+", code)} - known) == (
            name,
            set(),
        )


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_a_file_and_to_a_section_of_it(name):
    for path, section in links(TEXTS[name]):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file(), path
        if section:
            assert section in sections(TEXTS[target.resolve().relative_to(ROOT).as_posix()]), f"{path}#{section}"


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if blocks("python", text)])
def test_names_in_code_are_imported_or_defined(name):
    known = set(dir(builtins)) | GIVEN
    for block in blocks("python", TEXTS[name]):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
                check_import(node)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                known.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.add(node.id)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        assert used <= known


def check_import(node):
    modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    for module in modules:
        if module.partition(".")[0] in OPTIONAL:
            continue
        loaded = importlib.import_module(module)
        if isinstance(node, ast.ImportFrom):
            assert all(hasattr(loaded, alias.name) for alias in node.names)


def test_every_page_is_in_the_navigation_once():
    pages = [page for part in CONF["NAVIGATION"].values() for page in part]
    assert len(pages) == len(set(pages))
    assert {name.removesuffix(".md") for name in TEXTS} - {"README"} <= set(pages)


def test_another_page_leads_to_every_page():
    """On a code host there is no navigation; the reference is read on the site."""
    pages = {name for name in TEXTS if "/reference/" not in name} - {"README.md"}
    linked = {(ROOT / name).parent.joinpath(path).resolve() for name in TEXTS for path, _ in links(TEXTS[name]) if path}
    assert {name for name in pages if ROOT / name not in linked} == set()


def test_the_reference_names_modules_and_objects_that_exist_once():
    named = []
    for name, text in TEXTS.items():
        for kind, path in re.findall(r"^\.\. auto(module|class|data|function):: ([\w.]+)", text, re.M):
            named.append(path)
            module, _, attribute = (path, "", "") if kind == "module" else path.rpartition(".")
            loaded = importlib.import_module(module)
            assert loaded.__doc__, name
            assert not attribute or hasattr(loaded, attribute), path
    assert len(named) == len(set(named))


def test_dotted_names_in_docstrings_and_pages_exist():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rlopt").rglob("*.py")))
    for path in sorted(set(re.findall(r"`(rlopt(?:\.\w+)+)`", sources + "\n".join(TEXTS.values()))) - {"rlopt.log"}):
        module, _, attribute = path.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute) or importlib.util.find_spec(path), path


def rows(text, first):
    """The cells of a table's rows by their first cell, from the first table whose head begins with these words."""
    table = text[text.index(first) :].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def test_the_readme_shows_the_figures_of_the_results():
    shown = rows(TEXTS["README.md"], "| Environment | Expert |")
    measured = rows(TEXTS["RESULTS.md"], "| Environment | Expert |")
    assert list(shown) == list(measured)
    for name, (*same, bc, iq_learn) in shown.items():
        *results, bc_results, iq_learn_results, _ = measured[name]
        assert (name, same, bc) == (name, results, bc_results.split()[0])
        if iq_learn:
            reached, expert = (float(number.replace(",", "")) for number in iq_learn_results.split(" of "))
            assert float(iq_learn) == round(reached / expert, 3)
