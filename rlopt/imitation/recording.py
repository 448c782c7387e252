"""Demonstrations recorded from a policy."""

import numpy as np
import torch

from rlopt.envs.spec import EnvSpec
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.training.evaluation import Evaluator, ObservationToAction, evaluate, random_policy

DEMONSTRATION_SEED = 2_000_000
"""First reset seed of recorded demonstrations, away from training and evaluation."""


def record_demonstrations(
    policy: ObservationToAction,
    spec: EnvSpec,
    episodes: int,
    expert_return: float,
    device: torch.device | str = "cpu",
) -> Demonstrations:
    """Whole episodes of a policy of one seed, and the random policy's mean return to score learners against.

    Args:
        policy: of one seed.
        spec: the environment.
        episodes: how many to record.
        expert_return: the policy's mean return, measured on the common start states.
        device: where the policy lives.
    """
    evaluator = Evaluator(spec, episodes=episodes, first_reset_seed=DEMONSTRATION_SEED, device=device)
    (recorded,) = evaluator.record(policy)
    evaluator.close()
    random_returns = evaluate(random_policy(spec.action_size), spec)

    def column(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([getattr(episode, name) for episode in recorded]))

    return Demonstrations(
        env_id=spec.env_id,
        **{name: column(name) for name in ("observation", "action", "next_observation", "reward")},
        **{name: column(name) for name in ("terminated", "truncated")},
        episode_lengths=torch.tensor([len(episode.reward) for episode in recorded]),
        action_low=torch.from_numpy(spec.action_low),
        action_high=torch.from_numpy(spec.action_high),
        expert_return=expert_return,
        random_return=float(random_returns.mean()),
    )
