"""What draws is looked for in the right order, in processes of their own."""

import os

import pytest

from rlopt.errors import UserError
from rlopt.play import display

# a probe of a machine where only osmesa works, and EGL ends the process
ONLY_OSMESA = (
    "import os, sys\nos.environ['MUJOCO_GL'] == 'egl' and os.abort()\nsys.exit(os.environ['MUJOCO_GL'] != 'osmesa')"
)


@pytest.fixture(autouse=True)
def linux_without_display(monkeypatch):
    monkeypatch.setattr(display.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "SDL_VIDEODRIVER", "PYGAME_HIDE_SUPPORT_PROMPT"):
        monkeypatch.setenv(name, "")  # so that what is set is undone


def test_the_first_that_works_is_taken(monkeypatch):
    tried = []
    monkeypatch.setattr(display, "_works", lambda name: tried.append(name) or name == "osmesa")
    assert display.choose_gl()
    assert tried == ["egl", "osmesa"]
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_a_driver_that_ends_its_process_is_passed_over(monkeypatch):
    monkeypatch.setattr(display, "_PROBE", ONLY_OSMESA)
    assert display.choose_gl()
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_one_that_hangs_is_passed_over(monkeypatch):
    monkeypatch.setattr(display, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(display, "PROBE_SECONDS", 0.2)
    assert not display.choose_gl()
    assert os.environ["MUJOCO_GL"] == ""


def test_a_window_is_the_last_way_and_the_users_choice_the_first(monkeypatch):
    monkeypatch.setattr(display, "_works", lambda name: False)
    assert not display.choose_gl()
    monkeypatch.setenv("DISPLAY", ":0")
    assert list(display.gl_candidates()) == ["egl", "osmesa", "glfw"]
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert display.choose_gl()


def test_a_window_needs_a_display(monkeypatch):
    with pytest.raises(
        UserError, match=r"There is no display for a window here: give --video out.mp4 or --gif out.gif"
    ):
        display.check_screen()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    display.check_screen()


# a probe of a screen whose windows have no OpenGL
NO_OPENGL = "import sys; sys.exit(sys.argv[1:] == ['opengl'])"


def test_a_display_that_shows_no_window_is_a_sentence(monkeypatch):
    pytest.importorskip("glfw")
    monkeypatch.setenv("DISPLAY", ":98765")  # no screen has such a number
    with pytest.raises(
        UserError, match=r"No window can open on the display :98765: give --video out.mp4 or --gif out.gif\."
    ):
        display.check_window(opengl=False)
    monkeypatch.setattr(display, "_WINDOW", NO_OPENGL)
    display.check_window(opengl=False)
    with pytest.raises(UserError, match="No window with OpenGL can open on the display :98765"):
        display.check_window(opengl=True)


def test_who_chooses_pygames_screen_needs_no_other(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    display.check_window(opengl=False)


def test_pygame_looks_for_no_screen(monkeypatch):
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setattr(display, "_works", lambda name: True)
    assert display.draw_without_window()
    assert (os.environ["SDL_VIDEODRIVER"], os.environ["MUJOCO_GL"]) == ("dummy", "egl")
