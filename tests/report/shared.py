"""What the tests of reports share: demonstrations and stages whose every number is known."""

import torch

from rlopt.imitation.demonstrations import Demonstrations
from rlopt.report.results import comparison_results


def demonstrations(expert_return=100.0):
    return Demonstrations(
        env_id="Pendulum-v1",
        observation=torch.zeros(2, 3),
        action=torch.zeros(2, 1),
        next_observation=torch.zeros(2, 3),
        reward=torch.zeros(2),
        terminated=torch.zeros(2, dtype=torch.bool),
        truncated=torch.tensor([False, True]),
        episode_lengths=torch.tensor([2]),
        action_low=-torch.ones(1),
        action_high=torch.ones(1),
        expert_return=expert_return,
        random_return=0.0,
    )


def stage(unit="frames", recovery=None, losses=None):
    """A stage's summary: two seeds that end at returns of 80 and 60."""
    history = {"unit": unit, "x": [5, 10], "returns": [[10.0, 20.0], [80.0, 60.0]], "losses": losses or {}}
    return {
        "returns": [[90.0, 70.0], [60.0, 60.0]],
        "history": history,
        "wall_seconds": 61.0,
        "reward_recovery": recovery,
    }


def results(stages, **data):
    return comparison_results(
        stages,
        env_id="Pendulum-v1",
        device="cpu",
        seeds=[42, 43],
        demonstrations=5,
        data=demonstrations(**data),
        config={"a": 1},
    )


RECOVERY = {"pearson": 0.875, "standardized_error": 0.5}
