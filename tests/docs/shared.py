"""The documents: README, the pages beside it, and those of docs/."""

import re
import runpy
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/*.md", "docs/reference/*.md")
    for path in sorted(ROOT.glob(pattern))
}
"""By path."""
CONF = runpy.run_path(str(ROOT / "docs" / "conf.py"))
"""The names of docs/conf.py, which needs no Sphinx."""


def blocks(language, text):
    """The code blocks of a text in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def without_blocks(text):
    """A text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def python_block(word):
    """The one block of Python with this word in it."""
    (block,) = [block for text in TEXTS.values() for block in blocks("python", text) if word in block]
    return block


def commands():
    """The words of every line of the bash blocks, without comments, each once."""
    code = [block for text in TEXTS.values() for block in blocks("bash", text)]
    lines = [line for block in code for line in block.replace("\\\n", " ").splitlines()]
    return list(dict.fromkeys(words for line in lines if (words := tuple(shlex.split(line, comments=True)))))


def sections(text):
    """The names that a code host gives to the sections of a text."""
    titles = re.findall(r"^#+ (.*)$", without_blocks(text), re.M)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def links(text):
    """Path and section of every link and picture to a file of the repository."""
    return [
        (path, section)
        for path, section in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", without_blocks(text))
        if "://" not in path
    ]
