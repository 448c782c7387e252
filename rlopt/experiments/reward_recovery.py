"""Is the learned reward the true one? Both on fresh episodes of the learner."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch

from rlopt.agents.agent import Agent
from rlopt.envs.spec import EnvSpec
from rlopt.logs.run_folder import to_json
from rlopt.report import statistics
from rlopt.training.evaluation import Episode, Evaluator, sampling_policy

RECOVERY_SEED = 3_000_000
"""First reset seed of the episodes on which learned and true reward are compared."""


def has_learned_reward(agent: Agent) -> bool:
    """Whether an agent has a reward function `reward(observation, action, next_observation)` that it learned."""
    return callable(getattr(agent, "reward", None))


def reward_recovery(agent: Agent, spec: EnvSpec, episodes: int = 5, **how: Any) -> dict[str, Any]:
    """Learned reward against true reward on fresh episodes of the sampling policy, by seed and on average.

    `how`: `envs` and `env_workers`, as of `Evaluator`.

    Returns:
        `pearson` and `standardized_error`, the seeds' means, and both `..._per_seed`. A seed has None where one of the two
        rewards is the same at all steps; the means are None where a seed is.
    """
    evaluator = Evaluator(
        spec,
        num_seeds=agent.num_seeds,
        episodes=episodes,
        first_reset_seed=RECOVERY_SEED,
        device=agent.device,
        **how,
    )
    with closing(evaluator):
        by_seed = evaluator.record(sampling_policy(agent.policy, seed=RECOVERY_SEED))
    pairs = [
        (learned_rewards(agent, index, recorded), np.concatenate([episode.reward for episode in recorded]))
        for index, recorded in enumerate(by_seed)
    ]
    measures = {"pearson": statistics.pearson, "standardized_error": statistics.standardized_error}
    per_seed = {name: [measure(*pair) for pair in pairs] for name, measure in measures.items()}
    means = {name: float(np.mean(values)) for name, values in per_seed.items()}
    return to_json({**means, **{f"{name}_per_seed": values for name, values in per_seed.items()}})  # NaN becomes None


def learned_rewards(agent: Any, index: int, recorded: Sequence[Episode]) -> np.ndarray:
    """Seed `index`'s learned reward `[n]` of recorded transitions."""

    def column(name: str) -> torch.Tensor:
        values = torch.from_numpy(np.concatenate([getattr(episode, name) for episode in recorded]))
        return values.to(agent.device).expand(agent.num_seeds, *values.shape)

    reward = agent.reward(column("observation"), column("action"), column("next_observation"))
    return reward[index].cpu().numpy()
