"""Many copies of a task at once, after gymnasium's environment, whose settings it reads.

Observations and rewards are computed in gymnasium's order of operations and precision, so that they are equal to the last bit.
MuJoCo's physics come from `mujoco.batch.Batch`, which MuJoCo has since 3.17: C++ threads step the copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Rows = np.ndarray | slice
"""The numbers of n copies, or all of them as they stand."""


class BatchedTask(Protocol):
    """N copies of an environment."""

    def reset(self, rows: np.ndarray, generators: Sequence[np.random.Generator]) -> None:
        """Begin an episode in the copies with these n numbers, drawn from n generators."""

    def step(self, rows: Rows, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step n copies with actions `[n, A]` in the environment's units; rewards `[n]` and which terminated `[n]`."""

    def observe(self, rows: Rows) -> np.ndarray:
        """What n copies observe, `[n, O]`."""

    def close(self) -> None:
        """Free what the environment holds."""


def square_of_scalars(values: np.ndarray) -> np.ndarray:
    """As gymnasium's `scalar**2`, which numpy computes with `pow`: of an array it is `x * x`, now and then one bit away."""
    return np.array([value**2 for value in values])


class MujocoTask:
    """N copies of a MuJoCo environment of gymnasium in one batch."""

    normal_velocities = False
    """Whether the velocities of a first state are drawn from a normal distribution, not from a uniform one."""
    needs_forces = False
    """Whether `forces` are used: contact forces `[N, bodies, 6]`, which MuJoCo computes on request alone."""

    def __init__(self, env: Any, copies: int, threads: int):
        from mujoco import MjData, mjtStage
        from mujoco.batch import Batch

        self.env, self.model = env, env.model
        self.batch = Batch(self.model, copies, threads, persistent=self.needs_forces)
        self.no_stage = mjtStage.mjSTAGE_NONE.value
        self.qpos, self.qvel, self.ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.forces = np.zeros((copies, self.model.nbody, 6))
        self.data = MjData(self.model)

    def reset(self, rows: np.ndarray, generators: Sequence[np.random.Generator]) -> None:  # noqa: D102
        self.batch.reset(rows.astype(np.int32), stage=self.no_stage)
        for row, generator in zip(rows, generators, strict=True):
            self.qpos[row], self.qvel[row] = self.start(generator)
        self.forces[rows] = 0
        self.batch.forward(rows.astype(np.int32))

    def start(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities of a first state."""
        noise, model = self.env._reset_noise_scale, self.model
        position = self.env.init_qpos + generator.uniform(-noise, noise, model.nq)
        normal = self.normal_velocities
        velocity = noise * generator.standard_normal(model.nv) if normal else generator.uniform(-noise, noise, model.nv)
        return position, self.env.init_qvel + velocity

    def simulate(self, rows: Rows, action: np.ndarray) -> None:
        """Let physics run for one step of the environment."""
        self.ctrl[rows] = action
        numbers = None if isinstance(rows, slice) else rows.astype(np.int32)
        self.batch.step(numbers, nstep=self.env.frame_skip)
        if self.needs_forces:
            from mujoco import mj_rnePostConstraint

            for row in range(len(self.forces)) if numbers is None else numbers.tolist():
                self.batch.get_data(row, self.data)
                mj_rnePostConstraint(self.model, self.data)
                self.forces[row] = self.data.cfrc_ext

    def close(self) -> None:  # noqa: D102
        self.env.close()
