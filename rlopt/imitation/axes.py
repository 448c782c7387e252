"""Arrays with two leading axes: padded episodes `[M, T, ...]`, or the steps of `E` environments at once, `[T, E, ...]`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlopt.errors import UserError

FLAGS = ("terminations", "truncations", "dones")


def has_two(observations: np.ndarray, observation_size: int) -> bool:
    """Whether two axes come before one observation. Not in `[N, 1, O]` of one environment, or where each is a matrix."""
    return observations.ndim > 2 and np.prod(observations.shape[1:]) != observation_size


def step_flags(parts: Mapping[str, np.ndarray], steps: tuple[int, int]) -> list[np.ndarray]:
    """Those of the flags that are given for each step, bools of the shape `steps`."""
    return [parts[part].reshape(steps) for part in FLAGS if part in parts and parts[part].size == steps[0] * steps[1]]


def count_steps(parts: Mapping[str, np.ndarray], time_first: bool = False) -> tuple[int, int]:
    """The two leading axes of steps; observations may have one step more, and alone they have: `[M, T + 1, ...]`.

    Flags `[M]` or `[M, 1]` tell nothing, and others only where nothing else does. `time_first`: it was said, and observations
    alone are `[T + 1, E, ...]`.

    Raises UserError, with the axes of each part, if they disagree.
    """
    rows, columns = parts["observations"].shape[:2]
    shapes = {part: value.shape[:2] for part, value in parts.items() if value.ndim > 1 and part not in FLAGS}
    others = {shape for part, shape in shapes.items() if part != "observations"}
    likely = [(rows, columns), (rows - 1, columns) if time_first else (rows, columns - 1), (rows - 1, columns)]
    flags = {parts[part].shape[:2] for part in FLAGS if part in parts}
    steps = next(iter(others), next((shape for shape in likely if shape in flags), likely[1]))
    if others - {steps} or (rows - steps[0], columns - steps[1]) not in ((0, 0), (0, 1), (1, 0)):
        found = ", ".join(f"{part} [{a}, {b}, ...]" for part, (a, b) in shapes.items())
        raise UserError(f"The first two axes disagree: {found}. They are [episodes, steps], or [steps, environments].")
    return steps


def is_time_first(
    parts: Mapping[str, np.ndarray],
    steps: tuple[int, int],
    lengths: np.ndarray | None,
    mask: np.ndarray | None,
    time_limit: int,
) -> bool:
    """Whether arrays are `[T, E, ...]`: the last observation, episode lengths `[M]`, padding, starts or next observations tell.

    Where nothing does, they are `[M, T, ...]`, if that is likely: whole episodes, or observations that change less from step
    to step than from row to row.

    Args:
        parts: arrays by the names of `episodes.NAMES`, flags as bools.
        steps: their two leading axes, of `count_steps`.
        lengths: `[M]`.
        mask: of the shape `steps`.
        time_limit: of the environment, in steps.

    Raises UserError if neither reading is likely enough.
    """
    observations = parts["observations"]
    if len(parts) > 1 and observations.shape[:2] != steps:
        return observations.shape[0] > steps[0]
    if steps[0] == 1:
        return False
    if lengths is not None:
        return len(lengths) == steps[1] != steps[0]
    if mask is not None and not mask.all():
        return bool((~mask[:, :-1] & mask[:, 1:]).any())
    if "episode_starts" in parts:
        starts = parts["episode_starts"].reshape(steps)
        if starts[0].all() != starts[:, 0].all():
            return bool(starts[0].all())
    observations = observations[:, : steps[1]].reshape(*steps, -1).astype(np.float64)
    if "next_observations" in parts and parts["next_observations"].size == observations.size:
        following = parts["next_observations"].reshape(observations.shape)
        down = np.isclose(following[:-1], observations[1:]).all(-1).mean()
        across = np.isclose(following[:, :-1], observations[:, 1:]).all(-1).mean()
        if down != across:
            return bool(down > across)
    flags = step_flags(parts, steps)
    whole = [count in (time_limit, time_limit + 1) for count in steps]
    padded = len(parts) == 1 and not observations[:, -1].any(-1).all()
    if padded or whole == [False, True] or (flags and np.any(flags, axis=0).any(1).mean() > 0.5):
        return False
    spread = observations.std((0, 1)) + 1e-12
    down, across = (np.mean(np.abs(np.diff(observations, axis=axis)) / spread) for axis in (0, 1))
    if down < across or whole == [True, False]:
        raise UserError(
            f"Arrays [{steps[0]}, {steps[1]}, ...] can be [episodes, steps, ...] or [steps, environments, ...], and look like "
            "the second. Say which: add 'time_first' (False or True)."
        )
    return False
