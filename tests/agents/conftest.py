"""A batch of the policy's, one of the expert's, and a look at the critic's targets."""

import pytest
import torch

from rlopt import losses

from .shared import A, B, O, S


@pytest.fixture
def batch(make_batch):
    return make_batch(S, B, O, A, seed=0)


@pytest.fixture
def expert(make_batch):
    return make_batch(S, B, O, A, seed=1)


@pytest.fixture
def weight():
    """Of the points at which the reward's slope is measured."""
    return torch.rand(S, B, 1, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def targets(monkeypatch):
    """What `losses.critic_target` was given and answered: dicts with its arguments and "target"."""
    calls = []
    critic_target = losses.critic_target

    def spy(reward, terminated, next_value, gamma, terminal_value=0.0):
        target = critic_target(reward, terminated, next_value, gamma, terminal_value)
        names = ("reward", "terminated", "next_value", "gamma", "target")
        calls.append(dict(zip(names, (reward, terminated, next_value, gamma, target), strict=True)))
        return target

    monkeypatch.setattr(losses, "critic_target", spy)
    return calls
