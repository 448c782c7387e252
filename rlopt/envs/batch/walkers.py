"""Bodies that are rewarded for moving along x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlopt.envs.batch.task import MujocoTask, Rows


class WalkingTask(MujocoTask):
    """A body is rewarded for its velocity along x and for being upright, and pays for its control and for contacts."""

    hidden = 1
    """Positions at the front that are not observed, unless the environment's settings say so."""
    velocity_limit = np.inf
    """Of observed velocities."""

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        env = self.env
        before = self.position(rows)
        self.simulate(rows, action)
        forward = env._forward_reward_weight * ((self.position(rows) - before) / env.dt)
        cost = env._ctrl_cost_weight * np.sum(np.square(self.control(rows, action)), axis=1)
        contact = self.contact_cost(rows)
        if contact is not None:
            cost = cost + contact
        upright = self.upright(rows)
        if upright is None:
            return forward - cost, np.zeros(len(forward), bool)
        return (forward + upright * env._healthy_reward) - cost, ~upright & env._terminate_when_unhealthy

    def observe(self, rows: Rows) -> np.ndarray:  # noqa: D102
        hidden = self.hidden if self.env._exclude_current_positions_from_observation else 0
        velocity = np.clip(self.qvel[rows], -self.velocity_limit, self.velocity_limit)
        return np.concatenate((self.qpos[rows, hidden:], velocity, *self.further(rows)), axis=1)

    def position(self, rows: Rows) -> np.ndarray:
        """Along x, `[n]`, copied."""
        return self.qpos[rows, 0].copy()

    def control(self, rows: Rows, action: np.ndarray) -> np.ndarray:
        """What the control's cost is computed from, `[n, A]`."""
        return action

    def contact_cost(self, rows: Rows) -> np.ndarray | None:
        """`[n]`; None: contacts cost nothing."""
        return None

    def upright(self, rows: Rows) -> np.ndarray | None:
        """Which copies are healthy, as gymnasium calls it, `[n]`; None: there is no such rule."""
        return None

    def further(self, rows: Rows) -> Sequence[np.ndarray]:
        """Further parts of the observation, `[n, .]` each."""
        return ()


class HalfCheetahTask(WalkingTask):
    """HalfCheetah-v5."""

    normal_velocities = True


class SwimmerTask(WalkingTask):
    """Swimmer-v5."""

    hidden = 2


class Walker2dTask(WalkingTask):
    """Walker2d-v5."""

    velocity_limit = 10

    def upright(self, rows: Rows) -> np.ndarray:  # noqa: D102
        height, angle = self.qpos[rows, 1], self.qpos[rows, 2]
        return _between(height, self.env._healthy_z_range) & _between(angle, self.env._healthy_angle_range)


class HopperTask(Walker2dTask):
    """Hopper-v5."""

    def upright(self, rows: Rows) -> np.ndarray:  # noqa: D102
        state = np.concatenate((self.qpos[rows, 2:], self.qvel[rows]), axis=1)
        return super().upright(rows) & _between(state, self.env._healthy_state_range).all(axis=1)


class AntTask(WalkingTask):
    """Ant-v5."""

    normal_velocities = True
    hidden = 2
    needs_forces = True

    def __init__(self, env: Any, copies: int, threads: int):
        super().__init__(env, copies, threads)
        self.xpos = self.batch.bind("xpos")
        self.main_body = env.data.body(env._main_body).id

    def position(self, rows: Rows) -> np.ndarray:  # noqa: D102
        return self.xpos[rows, self.main_body, 0].copy()

    def contact_cost(self, rows: Rows) -> np.ndarray:  # noqa: D102
        return self.env._contact_cost_weight * np.sum(np.square(_flat(self.clipped_forces(rows))), axis=1)

    def clipped_forces(self, rows: Rows) -> np.ndarray:
        """`[n, bodies, 6]`."""
        return np.clip(self.forces[rows], *self.env._contact_force_range)

    def upright(self, rows: Rows) -> np.ndarray:  # noqa: D102
        low, high = self.env._healthy_z_range
        height = self.qpos[rows, 2]
        finite = np.isfinite(self.qpos[rows]).all(axis=1) & np.isfinite(self.qvel[rows]).all(axis=1)
        return finite & (low <= height) & (height <= high)

    def further(self, rows: Rows) -> Sequence[np.ndarray]:  # noqa: D102
        return (_flat(self.clipped_forces(rows)[:, 1:]),) if self.env._include_cfrc_ext_in_observation else ()


class HumanoidTask(WalkingTask):
    """Humanoid-v5."""

    hidden = 2
    needs_forces = True

    def __init__(self, env: Any, copies: int, threads: int):
        super().__init__(env, copies, threads)
        names = ("xipos", "cinert", "cvel", "qfrc_actuator")
        self.xipos, self.cinert, self.cvel, self.qfrc_actuator = (self.batch.bind(name) for name in names)

    def position(self, rows: Rows) -> np.ndarray:
        """Of the centre of mass."""
        mass = self.model.body_mass
        return np.array([np.einsum("b,bj->j", mass, bodies)[0] for bodies in self.xipos[rows]]) / mass.sum()

    def control(self, rows: Rows, action: np.ndarray) -> np.ndarray:  # noqa: D102
        return self.ctrl[rows]

    def contact_cost(self, rows: Rows) -> np.ndarray:  # noqa: D102
        cost = self.env._contact_cost_weight * np.sum(np.square(_flat(self.forces[rows])), axis=1)
        return np.clip(cost, *self.env._contact_cost_range)

    def upright(self, rows: Rows) -> np.ndarray:  # noqa: D102
        return _between(self.qpos[rows, 2], self.env._healthy_z_range)

    def further(self, rows: Rows) -> Sequence[np.ndarray]:  # noqa: D102
        parts = {
            "cinert": lambda: _flat(self.cinert[rows, 1:]),
            "cvel": lambda: _flat(self.cvel[rows, 1:]),
            "qfrc_actuator": lambda: self.qfrc_actuator[rows, 6:],
            "cfrc_ext": lambda: _flat(self.forces[rows, 1:]),
        }
        return [part() for name, part in parts.items() if getattr(self.env, f"_include_{name}_in_observation") is True]


def _between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (limits[0] < values) & (values < limits[1])


def _flat(values: np.ndarray) -> np.ndarray:
    """`[n, ...]` as `[n, .]`."""
    return values.reshape(len(values), -1)
