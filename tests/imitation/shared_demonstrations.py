"""What the tests of the demonstrations share: some whose every number is known, and what it is to be the same."""

import torch

from rlopt.imitation.demonstrations import TRANSITION_KEYS, Demonstrations


def make(lengths=(3, 2), observation_size=2, action_size=1, **changes):
    """Transition i has observation i, i + 1/8, ..., and the next one is 1 more, at an episode's end 1/2 more."""
    n = sum(lengths)
    rows = torch.arange(n, dtype=torch.float32).unsqueeze(-1)
    observation = rows + torch.arange(observation_size) / 8
    last = torch.zeros(n, dtype=torch.bool).index_fill(0, torch.tensor(lengths).cumsum(0) - 1, True)
    fields = {
        "env_id": "Pendulum-v1",
        "observation": observation,
        "action": (rows / n).expand(n, action_size) * 2 - 1,
        "next_observation": observation + torch.where(last, 0.5, 1.0).unsqueeze(-1),
        "reward": -rows.squeeze(-1),
        "terminated": torch.zeros(n, dtype=torch.bool),
        "truncated": last,
        "episode_lengths": torch.tensor(lengths),
        "action_low": torch.full((action_size,), -2.0),
        "action_high": torch.full((action_size,), 2.0),
        "expert_return": -150.0,
        "random_return": -1200.0,
    }
    return Demonstrations(**fields | changes)


def assert_same(a, b):
    for key in (*TRANSITION_KEYS, "episode_lengths", "action_low", "action_high"):
        x, y = getattr(a, key), getattr(b, key)
        assert x.dtype == y.dtype, key
        assert torch.equal(x, y), key
    for key in ("env_id", "expert_return", "random_return", "env_kwargs", "max_episode_steps", "subsampled"):
        assert getattr(a, key) == getattr(b, key)
