"""Demonstrations recorded from a policy."""

from contextlib import closing
from typing import Any

import numpy as np
import torch

from rlopt.envs.spec import EnvSpec
from rlopt.imitation.checks import storable
from rlopt.imitation.demonstrations import TRANSITION_KEYS, Demonstrations
from rlopt.training.evaluation import Evaluator, ObservationToAction, evaluate, random_policy

DEMONSTRATION_SEED = 2_000_000
"""First reset seed of recorded demonstrations, away from training and evaluation."""


def record_demonstrations(
    policy: ObservationToAction,
    spec: EnvSpec,
    episodes: int,
    expert_return: float,
    **how: Any,
) -> Demonstrations:
    """Whole episodes of a policy of one seed, and the random policy's mean return to score learners against.

    Args:
        policy: of one seed.
        spec: the environment.
        episodes: how many to record.
        expert_return: the policy's mean return, measured on the common start states.
        how: `device`, `envs`, `env_workers`, as of `Evaluator`.
    """
    with closing(Evaluator(spec, episodes=episodes, first_reset_seed=DEMONSTRATION_SEED, **how)) as evaluator:
        (recorded,) = evaluator.record(policy)
    random_returns = evaluate(random_policy(spec.action_size), spec, **how)
    columns: dict[str, Any] = {
        name: torch.from_numpy(np.concatenate([getattr(episode, name) for episode in recorded]))
        for name in TRANSITION_KEYS
    }
    return Demonstrations(
        env_id=spec.env_id,
        **columns,
        episode_lengths=torch.tensor([len(episode.reward) for episode in recorded]),
        action_low=torch.from_numpy(spec.action_low),
        action_high=torch.from_numpy(spec.action_high),
        expert_return=expert_return,
        random_return=float(random_returns.mean()),
        env_kwargs=storable(spec.kwargs),
        max_episode_steps=spec.max_episode_steps,
    )
