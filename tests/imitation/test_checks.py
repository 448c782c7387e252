"""What is noticed in recordings that are well formed, and wrong."""

import logging

import gymnasium as gym
import numpy as np
import pytest

from rlopt.errors import UserError
from rlopt.imitation import load_demonstrations
from rlopt.imitation.checks import begin_with_resets

RESET = "the step in which it resets"


@pytest.fixture(scope="module")
def recording():
    """Every step of gymnasium's vector environment, three episodes of it whole: 200 rows, then 201 each."""
    env = gym.make_vec("Pendulum-v1", 1)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    rows = []
    for _ in range(602):
        action = env.action_space.sample()
        following, reward, terminated, truncated, _ = env.step(action)
        rows.append((observation[0], action[0], reward[0], terminated[0], truncated[0], following[0]))
        observation = following
    env.close()
    names = ("observations", "actions", "rewards", "terminations", "truncations", "next_observations")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


def test_recorded_resets_of_a_vector_environment_are_noticed(recording, caplog):
    caplog.set_level(logging.WARNING, "rlopt")
    with pytest.raises(UserError, match="vector environment rather the next step, in which it resets"):
        load_demonstrations(recording, env="Pendulum-v1")
    alone = {name: value for name, value in recording.items() if name != "next_observations"}
    load_demonstrations(alone, env="Pendulum-v1")
    assert RESET in caplog.text
    caplog.clear()

    keep = np.append(True, ~recording["truncations"][:-1])
    data = load_demonstrations({name: value[keep] for name, value in recording.items()}, env="Pendulum-v1")
    assert data.episode_lengths.tolist() == [200, 200, 200]
    assert RESET not in caplog.text


@pytest.mark.parametrize(
    ("rewards", "found"),
    [
        ([[1, 2], [0, 2], [0, 3]], True),
        ([[1, 2], [0, 2], [1, 3]], False),
        ([[0, 2], [0, 2], [0, 3]], False),  # the first one, too: so is the environment
        ([[1, 0, 0], [0, 0, 1], [0, 0, 0]], False),  # sparse rewards
        ([[1, 2], [0, 2]], False),  # too few to tell
        ([[1], [0], [0]], False),
    ],
)
def test_which_rewards_tell_of_resets(rewards, found):
    assert begin_with_resets([np.array(reward) for reward in rewards]) == found
