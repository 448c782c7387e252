"""What can draw on this machine: a screen, or OpenGL without one. Loads nothing that draws."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from rlopt.errors import UserError

_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco/>")
renderer = mujoco.Renderer(model, 16, 16)
renderer.update_scene(mujoco.MjData(model))
renderer.render()
"""
_WINDOW = """
import sys, warnings
import glfw
warnings.simplefilter("ignore")
if not (glfw.init() and glfw.get_primary_monitor()):
    sys.exit(1)
if sys.argv[1:] == ["opengl"]:
    glfw.window_hint(glfw.VISIBLE, 0)
    sys.exit(not glfw.create_window(16, 16, "", None, None))
"""
PROBE_SECONDS = 60
"""After which a way to draw is taken for one that hangs."""
INSTEAD = "give --video out.mp4 or --gif out.gif."
NEEDED = (
    "MuJoCo draws without a display through EGL or OSMesa, and neither works here (Debian: libegl1, or libosmesa6)."
)


def has_screen() -> bool:
    """Whether a window can open."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def check_screen() -> None:
    """Raise UserError where no window can open."""
    if not has_screen() and not os.environ.get("SDL_VIDEODRIVER"):
        raise UserError(f"There is no display for a window here: {INSTEAD}")


def check_window(opengl: bool) -> None:
    """Raise UserError where the display does not answer, or (`opengl`) has no OpenGL: MuJoCo's viewer ends the process there.

    It is tried in a process of its own, with glfw, which draws MuJoCo's windows. SDL_VIDEODRIVER chooses for pygame.
    """
    if not sys.platform.startswith("linux") or find_spec("glfw") is None:
        return
    if not opengl and os.environ.get("SDL_VIDEODRIVER"):
        return
    if not _runs(_WINDOW, *["opengl"] * opengl):
        name = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        where = f" on the display {name}" if name else ""
        raise UserError(f"No window{' with OpenGL' * opengl} can open{where}: {INSTEAD}")


def draw_without_window() -> bool:
    """Let pygame and MuJoCo draw into memory. Returns whether MuJoCo can."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame looks for a screen, and complains
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    return choose_gl()


def choose_gl() -> bool:
    """Set MUJOCO_GL to what works without a window, before MuJoCo is loaded, which reads it once.

    EGL and OSMesa are tried in this order, each in a process of its own, because a driver that does not fit can end it.
    Returns whether MuJoCo can draw; True where the user chose, or another system has a way of its own.
    """
    if os.environ.get("MUJOCO_GL") or not sys.platform.startswith("linux"):
        return True
    if find_spec("mujoco") is None:
        return False
    for name in gl_candidates():
        if _works(name):
            os.environ["MUJOCO_GL"] = name
            return True
    return False


def gl_candidates() -> Sequence[str]:
    """What MUJOCO_GL may be here, the best first."""
    return ["egl", "osmesa", *(["glfw"] if has_screen() else [])]


def _works(name: str) -> bool:
    return _runs(_PROBE, MUJOCO_GL=name)


def _runs(code: str, *arguments: str, **environment: str) -> bool:
    """Whether these lines of Python end well in a process of their own."""
    try:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
