"""A page of HTML: text stays text, and everything is in the one file."""

import base64

import pytest

from rlopt.errors import CannotWrite
from rlopt.report import page as pages
from rlopt.report.page import Page, Picture, Section, Table, Text, clip_of

from .read_page import read_page

WORST = """<script>alert('1')</script> & "quoted" {{ 7 * 7 }} </style>"""


def test_all_text_is_text(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG")
    parts = [Text(WORST), Text(WORST, code=True), Table(WORST, [[WORST, WORST]], [WORST, WORST])]
    html = Page(WORST, WORST, [Section(WORST, [*parts, Picture(picture, WORST, WORST)])]).html()
    shown = read_page(html)
    assert "script" not in shown.tags
    assert shown.rows == {WORST: [[WORST, WORST], [WORST, WORST]]}
    assert shown.texts[WORST].count(WORST) == 5  # lead, paragraph, code, captions of table and picture
    assert shown.media[0]["alt"] == WORST


def test_pictures_are_inside_of_the_file(tmp_path):
    content = bytes(range(256))
    for name in ("a.png", "b.gif", "c.mp4"):
        (tmp_path / name).write_bytes(content)
    parts = [Picture(tmp_path / name, f"this is {name}") for name in ("a.png", "b.gif", "c.mp4")]
    html = Page("Title", "Lead", [Section("Pictures", parts)]).html()
    media = read_page(html).media
    assert [(one["tag"], one.get("alt", one.get("aria-label"))) for one in media] == [
        ("img", "this is a.png"),
        ("img", "this is b.gif"),
        ("video", "this is c.mp4"),
    ]
    for one, kind in zip(media, ("image/png", "image/gif", "video/mp4"), strict=True):
        head, _, data = one["src"].partition(",")
        assert head == f"data:{kind};base64"
        assert base64.b64decode(data) == content
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html


def test_a_section_without_parts_is_left_out():
    shown = read_page(Page("Title", "Lead", [Section("Empty", []), Section("Full", [Text("here")])]).html())
    assert shown.tags.count("h2") == 1
    assert shown.texts["Full"] == ["here"]


def test_a_clip_is_shown_unless_it_is_large_or_absent(tmp_path, monkeypatch):
    assert clip_of(tmp_path, "a clip") == []
    (tmp_path / "clip.gif").write_bytes(b"x" * 100)
    assert clip_of(tmp_path, "a clip") == [Picture(tmp_path / "clip.gif", "a clip")]
    (tmp_path / "clip.mp4").write_bytes(b"x" * 3_000_000)
    assert clip_of(tmp_path, "a clip") == [Picture(tmp_path / "clip.mp4", "a clip")]
    monkeypatch.setattr(pages, "MOST_BYTES", 2_999_999)
    assert clip_of(tmp_path, "a clip") == [Text("clip.mp4 (3 MB) lies beside this page.")]


def test_a_page_is_written_whole_or_refused(tmp_path):
    (tmp_path / "folder.html").mkdir()
    page = Page("Title", "Lead", [Section("Full", [Text("here")])])
    with pytest.raises(CannotWrite, match=r"Cannot write .*folder\.html"):
        page.write(tmp_path / "folder.html")
    page.write(tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
