"""The progress of a run: plain lines, and a live bar on a terminal."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from rlopt.logs import progress
from rlopt.logs.progress import format_seconds

from .shared import open_log


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_plain_progress_is_a_line_every_15_seconds_and_one_at_the_end(tmp_path, capsys, clock):
    with open_log(tmp_path, total=10_000) as log:
        for step in range(320):  # ten frames every eighth of a second, 40 s in all
            log.progress(10 * step, return_mean=-1200.0 + step)
            clock.seconds += 0.125
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "SAC: 12% 1,200/10,000 frames · 80 frames/s · 1:50 left · return mean -1080",
        "SAC: 24% 2,400/10,000 frames · 80 frames/s · 1:35 left · return mean -960",
        "SAC: 3,190 frames after 0:40 · return mean -881",
    ]
    logged = (tmp_path / "rlopt.log").read_text().splitlines()
    assert [line[28:] for line in logged] == [line[5:] for line in lines]


def test_resumed_progress_does_not_count_earlier_frames_in_its_rate(tmp_path, capsys, clock):
    with open_log(tmp_path, total=2000, resume_at=1000) as log:
        for step in range(200):
            log.progress(1000 + step)
            clock.seconds += 0.125
    assert capsys.readouterr().err.startswith("SAC: 56% 1,120/2,000 frames · 8.0 frames/s · 1:50 left\n")


def test_progress_can_be_silent(tmp_path, capsys, clock):
    with open_log(tmp_path, show_progress=False) as log:
        for step in range(100):
            log.progress(step)
            clock.seconds += 1
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_live_bar_drawn_five_times_a_second(tmp_path, monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    drawings = []
    monkeypatch.setattr(progress.Progress, "refresh", lambda self: drawings.append(self.tasks and self.tasks[0]))
    with open_log(tmp_path, total=1000) as log:
        for step in range(1000):
            log.progress(step, return_mean=-153.21)
            clock.seconds += 0.01
    drawn = [task for task in drawings if task]
    assert 45 <= len(drawn) <= 55  # ten seconds
    assert drawn[-1].fields["status"] == "100 frames/s · 0:00 left · return mean -153.2"
    assert "SAC: " not in screen.getvalue()  # no plain lines beside the bar


def test_the_live_bar_shows_title_percentage_and_figures(tmp_path, monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with open_log(tmp_path, title="IPMD Pendulum-v1", total=1000) as log:
        log.progress(0)
        clock.seconds += 1
        log.progress(250, return_mean=-153.2)
        log.info("a line above the bar")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"IPMD Pendulum-v1 \S+ +25% 250 frames/s · 0:03 left · return mean -153\.2", text)
    assert "a line above the bar\n" in text.replace("\r", "")
    assert screen.getvalue().count("\x1b[?25h") == 1  # the cursor is given back


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook's cell would show: for each output, the texts that it had one after the other."""
    outputs = []

    def display(content, **kwargs):
        text = content["text/plain"] if kwargs.get("raw") else content.text
        outputs.append([text])
        return SimpleNamespace(update=lambda content, raw, place=outputs[-1]: place.append(content["text/plain"]))

    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return outputs


def test_a_notebook_gets_one_line_that_is_written_over(tmp_path, capsys, clock, notebook):
    with open_log(tmp_path, total=10_000) as log:
        for step in range(320):  # ten frames every eighth of a second, 40 s in all
            log.progress(10 * step, return_mean=-1200.0 + step)
            clock.seconds += 0.125
            if step == 100:
                log.info("compiled")
    (line, message) = notebook
    assert message == ["compiled\n"]
    assert line[0] == "SAC: 0% 0/10,000 frames · return mean -1200"
    assert line[80] == "SAC: 16% 1,600/10,000 frames · 80 frames/s · 1:45 left · return mean -1040"
    assert line[-1] == "SAC: 3,190 frames after 0:40 · return mean -881"
    assert 150 <= len(line) <= 170  # four a second
    assert capsys.readouterr().err == ""
    logged = (tmp_path / "rlopt.log").read_text().splitlines()
    assert [entry[28:32] for entry in logged] == ["comp", "12% ", "24% ", "3,19"]


def test_a_silent_notebook_shows_nothing(tmp_path, clock, notebook):
    with open_log(tmp_path, show_progress=False) as log:
        for step in range(100):
            log.progress(step)
            clock.seconds += 1
    assert notebook == []
