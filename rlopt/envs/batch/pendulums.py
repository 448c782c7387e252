"""Pendulums and an arm with few joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlopt.envs.batch.task import MujocoTask, Rows, square_of_scalars


class PendulumTask:
    """Pendulum-v1, its state `[N, 2]` of angle and angular velocity."""

    def __init__(self, env: Any, copies: int, threads: int):
        self.env = env
        self.state = np.zeros((copies, 2))

    def reset(self, rows: np.ndarray, generators: Sequence[np.random.Generator]) -> None:  # noqa: D102
        from gymnasium.envs.classic_control.pendulum import DEFAULT_X, DEFAULT_Y

        high = np.array([DEFAULT_X, DEFAULT_Y])
        self.state[rows] = [generator.uniform(-high, high) for generator in generators]

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        env = self.env
        angle, speed = self.state[rows].T
        torque = np.clip(action, -env.max_torque, env.max_torque)[:, 0]
        upright = (angle + np.pi) % (2 * np.pi) - np.pi
        cost = square_of_scalars(upright) + 0.1 * square_of_scalars(speed) + 0.001 * square_of_scalars(torque)
        gravity = 3 * env.g / (2 * env.l) * np.sin(angle)
        speed = speed + (gravity + 3.0 / (env.m * env.l**2) * torque) * env.dt
        speed = np.clip(speed, -env.max_speed, env.max_speed)
        self.state[rows] = np.stack((angle + speed * env.dt, speed), axis=1)
        return -cost, np.zeros(len(cost), bool)

    def observe(self, rows: Rows) -> np.ndarray:  # noqa: D102
        angle, speed = self.state[rows].T
        return np.stack((np.cos(angle), np.sin(angle), speed), axis=1).astype(np.float32)

    def close(self) -> None:  # noqa: D102
        self.env.close()


class ReacherTask(MujocoTask):
    """Reacher-v5."""

    def __init__(self, env: Any, copies: int, threads: int):
        super().__init__(env, copies, threads)
        self.xpos = self.batch.bind("xpos")
        self.fingertip, self.target = (env.data.body(name).id for name in ("fingertip", "target"))

    def start(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The last two positions are the goal's, in a disc."""
        position = generator.uniform(-0.1, 0.1, self.model.nq) + self.env.init_qpos
        while np.linalg.norm(goal := generator.uniform(-0.2, 0.2, 2)) >= 0.2:
            pass
        position[-2:] = goal
        velocity = self.env.init_qvel + generator.uniform(-0.005, 0.005, self.model.nv)
        velocity[-2:] = 0
        return position, velocity

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        self.simulate(rows, action)
        distance = np.array([np.linalg.norm(vector) for vector in self.vector(rows)])
        cost = np.square(action).sum(axis=1)
        reward = -distance * self.env._reward_dist_weight + -cost * self.env._reward_control_weight
        return reward, np.zeros(len(reward), bool)

    def observe(self, rows: Rows) -> np.ndarray:  # noqa: D102
        angle, rest = self.qpos[rows, :2], (self.qpos[rows, 2:], self.qvel[rows, :2], self.vector(rows)[:, :2])
        return np.concatenate((np.cos(angle), np.sin(angle), *rest), axis=1)

    def vector(self, rows: Rows) -> np.ndarray:
        """From the target to the fingertip, `[n, 3]`."""
        return self.xpos[rows, self.fingertip] - self.xpos[rows, self.target]


class InvertedPendulumTask(MujocoTask):
    """InvertedPendulum-v5."""

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        self.simulate(rows, action)
        observation = self.observe(rows)
        terminated = ~np.isfinite(observation).all(axis=1) | (np.abs(observation[:, 1]) > 0.2)
        return (~terminated).astype(np.float64), terminated

    def observe(self, rows: Rows) -> np.ndarray:  # noqa: D102
        return np.concatenate((self.qpos[rows], self.qvel[rows]), axis=1)


class InvertedDoublePendulumTask(MujocoTask):
    """InvertedDoublePendulum-v5."""

    normal_velocities = True

    def __init__(self, env: Any, copies: int, threads: int):
        super().__init__(env, copies, threads)
        self.site_xpos, self.qfrc_constraint = self.batch.bind("site_xpos"), self.batch.bind("qfrc_constraint")

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        self.simulate(rows, action)
        x, height = self.site_xpos[rows, 0, 0], self.site_xpos[rows, 0, 2]
        terminated = height <= 1
        distance = 0.01 * square_of_scalars(x) + square_of_scalars(height - 2)
        velocity = 1e-3 * square_of_scalars(self.qvel[rows, 1]) + 5e-3 * square_of_scalars(self.qvel[rows, 2])
        return self.env._healthy_reward * (~terminated).astype(int) - distance - velocity, terminated

    def observe(self, rows: Rows) -> np.ndarray:  # noqa: D102
        position, velocity = self.qpos[rows], np.clip(self.qvel[rows], -10, 10)
        force = np.clip(self.qfrc_constraint[rows], -10, 10)[:, :1]
        angles = position[:, 1:]
        return np.concatenate((position[:, :1], np.sin(angles), np.cos(angles), velocity, force), axis=1)
