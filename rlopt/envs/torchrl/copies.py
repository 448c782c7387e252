"""TorchRL environments as evaluations play on them."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torchrl.envs import EnvBase

from rlopt.envs.copies import SUCCESS
from rlopt.envs.spec import EnvSpec
from rlopt.envs.torchrl.simulator import Simulator, joined
from rlopt.envs.torchrl.source import default_device
from rlopt.errors import UserError


class TorchRLCopies:
    """The copies that evaluations play on, for S seeds: the interface of `Copies`, results as arrays of the CPU.

    Copy j of every seed starts alike, because the seeds' environments are seeded alike. Where there is only one environment,
    the seeds take turns in it.

    Args:
        spec: of the environment.
        num_seeds: S.
        envs_per_seed: copies for each seed; of the only environment, at most its size.
        device: where the environments are.
    """

    def __init__(self, spec: EnvSpec, num_seeds: int, envs_per_seed: int, device: torch.device | str):
        self.spec = spec
        self.takes_turns = isinstance(spec.source, EnvBase)
        self.simulators = [Simulator(spec, envs_per_seed, device) for _ in range(1 if self.takes_turns else num_seeds)]
        self.device, share = torch.device(device), self.simulators[0].num_envs
        self.envs_per_seed = min(share, envs_per_seed)
        n = len(self.simulators) * share
        self.observation = np.zeros((n, spec.observation_size), np.float32)
        self.reward = np.zeros(n, np.float32)
        self.terminated, self.truncated = np.zeros(n, bool), np.zeros(n, bool)
        self.info: list[Mapping[str, Any]] = [{}] * n

    def reset(self, numbers: Sequence[int], seeds: Sequence[int]) -> None:
        """Reset all copies; an environment's seed is that of the first of its copies among these numbers."""
        share = self.simulators[0].num_envs
        first = {number // share: seed for number, seed in reversed([*zip(numbers, seeds, strict=True)])}
        for index, seed in first.items():
            observed = self.simulators[index].begin(seed)
            self.observation[index * share : (index + 1) * share] = observed.cpu().numpy()

    def step_some(self, numbers: Sequence[int], action: np.ndarray) -> None:
        """Step with the actions `[n, A]` of the copies with these numbers; what the others do is of no concern."""
        everyone = np.zeros((len(self.reward), self.spec.action_size), np.float32)
        everyone[numbers] = action
        parts = torch.from_numpy(everyone).to(self.device).chunk(len(self.simulators))
        steps = [simulator.step(part) for simulator, part in zip(self.simulators, parts, strict=True)]
        result = {name: joined([step[name] for step in steps]).cpu().numpy() for name in steps[0]}
        self.observation, self.reward = result["observation"], result["reward"][:, 0]
        self.terminated, self.truncated = result["terminated"][:, 0], result["truncated"][:, 0]
        told = [name for name in SUCCESS if name in result]
        self.info = [{name: result[name][number, 0] for name in told} for number in range(len(self.reward))]
        if not (np.isfinite(self.observation[numbers]).all() and np.isfinite(self.reward[numbers]).all()):
            raise UserError(
                f"{self.spec.env_id} gave NaN or infinity in an evaluation: the environment has to be mended."
            )
        for simulator, step in zip(self.simulators, steps, strict=True):  # a simulator need not bear steps after an end
            ended = step["terminated"] | step["truncated"]
            if ended.any():
                simulator.begin_again(ended)

    def close(self) -> None:
        """Close the environments."""
        for simulator in self.simulators:
            simulator.close()


def ends_by_itself(spec: EnvSpec, steps: int) -> bool:
    """Whether an episode of random actions is over after so many steps, which are fewer than its time limit."""
    generator = torch.Generator().manual_seed(0)
    with closing(Simulator(spec, 1, default_device())) as simulator:
        simulator.begin(0)
        for _ in range(steps):
            action = torch.rand(simulator.num_envs, spec.action_size, generator=generator)
            step = simulator.step(2 * action - 1)
            if (step["terminated"] | step["truncated"]).any():
                return True
        return False
