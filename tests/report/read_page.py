"""A page read back: what is under each heading, and whether its tags are in order."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img"}


@dataclass
class Shown:
    """What a page shows, by heading."""

    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    media: list[dict[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.shown, self.open, self.heading, self.row = Shown(), [], "", None

    def handle_starttag(self, tag, attributes):
        self.shown.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("img", "video"):
            self.shown.media.append({"tag": tag, **dict(attributes)})
        if tag == "tr":
            self.row = []
            self.shown.rows.setdefault(self.heading, []).append(self.row)
        if tag in ("th", "td"):
            self.row.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else None
        if inside in ("h1", "h2"):
            self.heading = data
        elif inside in ("th", "td"):
            self.row[-1] += data
        elif data.strip() and inside in ("p", "code", "title", "figcaption", "caption"):
            self.shown.texts.setdefault(self.heading, []).append(data)


def read_page(html):
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []  # every tag is closed
    return reader.shown
