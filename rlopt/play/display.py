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
PROBE_SECONDS = 60
"""After which a way to draw is taken for one that hangs."""
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
        raise UserError("There is no display for a window here: give --video out.mp4 or --gif out.gif.")


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
    try:
        command = [sys.executable, "-c", _PROBE]
        environment = {**os.environ, "MUJOCO_GL": name}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
