"""Whole episodes of a policy in one environment that is drawn while it runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from rlopt.envs.copies import GymnasiumCopies
from rlopt.envs.spec import EnvSpec
from rlopt.envs.versions import one_line
from rlopt.errors import UserError
from rlopt.play.display import NEEDED, check_window, has_screen

Act = Callable[[np.ndarray], np.ndarray]
"""Observation `[O]` -> action `[A]` in [-1, 1]."""


@dataclass(frozen=True)
class Step:
    """One step, and how things stand after it."""

    observation: np.ndarray
    """`[O]`, before it."""
    action: np.ndarray
    """`[A]`, in [-1, 1]."""
    next_observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]


class Stage:
    """One environment to look at; a context that closes it.

    Args:
        spec: of the environment.
        render_mode: "rgb_array", "human", or None: it is not drawn.
        plain: MuJoCo's pictures without shadows and smooth edges, many times as fast where a processor draws them.
        size: height and width of MuJoCo's pictures; None: the environment's.

    Raises UserError if it cannot be made so.
    """

    def __init__(
        self, spec: EnvSpec, render_mode: str | None = "rgb_array", plain: bool = False, size: int | None = None
    ):
        if spec.torchrl:
            raise UserError(f"{spec.env_id} is a TorchRL environment, which rlopt cannot draw: only gymnasium's.")
        self.spec = spec
        drawn = {} if render_mode is None else {"render_mode": render_mode}
        no_mode = f"{spec.env_id} does not draw itself: it has no render_mode {render_mode!r}."
        try:
            with warnings.catch_warnings():  # gymnasium's, of a mode that is not there
                warnings.simplefilter("ignore", UserWarning)
                self.copies = GymnasiumCopies(replace(spec, kwargs={**spec.kwargs, **drawn}), [0])
        except UserError as error:
            raise UserError(no_mode if "'render_mode'" in str(error) else str(error)) from error
        self.env: Any = self.copies.envs[0]
        modes = self.env.metadata.get("render_modes") or [render_mode]
        if render_mode is not None and (self.env.render_mode != render_mode or render_mode not in modes):
            self.close()
            raise UserError(no_mode)
        renderer = getattr(self.env.unwrapped, "mujoco_renderer", None)  # of gymnasium's MujocoEnv
        if render_mode == "human" and (renderer is not None or has_screen()):
            try:
                check_window(opengl=renderer is not None)
            except UserError:
                self.close()
                raise
        if renderer is not None and size is not None:
            renderer.width = renderer.height = size
        if renderer is not None and plain:
            renderer.model.vis.quality.offsamples = renderer.model.vis.quality.shadowsize = 0

    @property
    def rate(self) -> float:
        """Frames a second."""
        return float(self.env.metadata.get("render_fps") or 30)

    def picture(self) -> np.ndarray:
        """What there is to see now, `[height, width, 3]` of bytes. Raises UserError if it cannot be drawn."""
        try:
            frame: Any = self.env.render()
            frame = frame[-1] if isinstance(frame, list) else frame
            return np.asarray(frame, np.uint8)[..., :3]
        except Exception as error:  # an environment, and a driver, can raise anything
            raise UserError(cannot_draw(self.spec.env_id, error)) from error

    def play(self, act: Act, seed: int) -> Iterator[Step]:
        """Reset with this seed; the episode from there, step by step."""
        try:
            self.copies.reset([0], [seed])  # which draws, too, where there is a window
        except UserError as error:
            if _lacks_pygame(error):
                raise UserError(cannot_draw(self.spec.env_id, error)) from error
            raise
        return self._steps(act)

    def _steps(self, act: Act) -> Iterator[Step]:
        alone, copies = [0], self.copies
        ends = (False, False)
        while not any(ends):
            observation = copies.observation[0].copy()
            action = act(observation)
            copies.step_some(alone, action[None])
            ends = bool(copies.terminated[0]), bool(copies.truncated[0])
            following, reward = copies.observation[0].copy(), float(copies.reward[0])
            yield Step(observation, action, following, reward, *ends, copies.info[0])

    def close(self) -> None:
        """Close the environment."""
        self.copies.close()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _lacks_pygame(error: Exception) -> bool:
    return "pygame" in str(error) and find_spec("pygame") is None


def cannot_draw(env_id: str, error: Exception) -> str:
    """The sentence that says why, and what to do."""
    reason = one_line(error).rstrip(".")
    if _lacks_pygame(error):
        return f"{env_id} is drawn with pygame, which is not installed: pip install 'rlopt[video]'."
    words = f"{type(error).__name__} {reason}".lower()
    drivers = ("opengl", "egl", "glfw", "osmesa", "mujoco", "context", "glgeterror")
    return f"{env_id} cannot be drawn: {reason}." + f" {NEEDED}" * any(word in words for word in drivers)
