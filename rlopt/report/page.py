"""A page of HTML in one file: its parts, and the template that makes the HTML of them.

Pictures and clips are inside of the file, and it has no script: it needs no network, and none can be reached from it.
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jinja2

from rlopt import __version__
from rlopt.logs.files import write_text_atomically

MOST_BYTES = 8 * 2**20
"""Of a picture or clip in a page: a larger page is slow to open, and mail refuses it."""
_TYPES = {".png": "image/png", ".gif": "image/gif", ".mp4": "video/mp4"}
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # all text is text, whatever is in the name of an environment or of a folder
    undefined=jinja2.StrictUndefined,
)


@dataclass(frozen=True)
class Text:
    """A paragraph or, as `code`, words to type."""

    text: str
    code: bool = False

    @property
    def kind(self) -> str:
        """For the template."""
        return "code" if self.code else "text"


@dataclass(frozen=True)
class Table:
    """The first cell of each row names it. Without a `header` it is a list of names and values."""

    caption: str
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()

    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Picture:
    """A picture or a clip, read from `path` when the page is written; `text` says what is to be seen, to who cannot see it."""

    path: Path
    text: str
    caption: str = ""

    @property
    def kind(self) -> str:
        """For the template."""
        return "video" if self._type.startswith("video/") else "picture"

    @property
    def source(self) -> str:
        """The file as an address that has everything in it."""
        return f"data:{self._type};base64,{base64.b64encode(self.path.read_bytes()).decode('ascii')}"

    @property
    def _type(self) -> str:
        return _TYPES[self.path.suffix]


@dataclass(frozen=True)
class Section:
    """A heading and what is under it."""

    title: str
    parts: Sequence[Text | Table | Picture]


@dataclass(frozen=True)
class Page:
    """A heading, a sentence under it, and sections; those without a part are left out."""

    title: str
    lead: str
    sections: Sequence[Section]

    def html(self) -> str:
        """The whole file."""
        footer = f"Written by rlopt {__version__} on {time.strftime('%Y-%m-%d at %H:%M')}."
        shown = {"title": self.title, "lead": self.lead, "footer": footer}
        sections = [section for section in self.sections if section.parts]
        return _TEMPLATES.get_template("page.html").render(page={**shown, "sections": sections}) + "\n"

    def write(self, path: Path | str) -> None:
        """Write the file, whole or not at all. Raises CannotWrite."""
        write_text_atomically(path, self.html())


def clip_of(folder: Path, text: str) -> list[Text | Picture]:
    """The `clip.mp4` or `clip.gif` in a folder, as a part of a page; a sentence where it is too large, nothing without one."""
    for path in (folder / "clip.mp4", folder / "clip.gif"):
        if path.exists():
            size = path.stat().st_size
            fits = size <= MOST_BYTES
            return [Picture(path, text) if fits else Text(f"{path.name} ({size / 1e6:.0f} MB) lies beside this page.")]
    return []
