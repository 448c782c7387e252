"""What is noticed in recordings that are well formed, and wrong."""

import logging

import gymnasium as gym
import numpy as np
import pytest

from rlopt.imitation import load_demonstrations
from rlopt.imitation.checks import begin_with_resets, warn_of_odd_episodes

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


def test_recorded_resets_of_a_vector_environment_are_left_out(recording, caplog):
    caplog.set_level(logging.WARNING, "rlopt")
    keep = np.append(True, ~recording["truncations"][:-1])
    right = load_demonstrations({name: value[keep] for name, value in recording.items()}, env="Pendulum-v1")
    assert right.episode_lengths.tolist() == [200, 200, 200]
    assert not caplog.messages
    assert load_demonstrations(recording, env="Pendulum-v1").digest == right.digest
    assert caplog.messages[0].startswith("2 steps are left out, in which a gymnasium vector environment resets")

    alone = {name: value for name, value in recording.items() if name != "next_observations"}
    alone["observations"] = np.append(alone["observations"], recording["next_observations"][-1:], axis=0)
    data = load_demonstrations(alone, env="Pendulum-v1")
    np.testing.assert_array_equal(data.next_observation[:400], right.next_observation[:400])


def test_what_looks_like_a_reset_and_is_none_is_kept(caplog):
    """Episodes whose first observation is new, and whose first reward is 0."""
    ends = np.arange(60) % 20 == 19
    arrays = {"observations": np.arange(60.0)[:, None].repeat(2, 1) + 100 * (np.arange(60) // 20)[:, None]}
    arrays |= {
        "actions": np.zeros((60, 1)),
        "rewards": (np.arange(60) % 20 > 0) + (np.arange(60) == 0.0),
        "dones": ends,
    }
    data = load_demonstrations(arrays, env="tests.envs.line:rlopt-test/Line-v0")
    assert data.observation[:, 0].tolist() == [*range(19), *range(120, 139), *range(240, 259)]
    assert sum(RESET in message for message in caplog.messages) == 1


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


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        (np.arange(200), ""),
        (np.arange(201), "longest episode has 201 steps, and the environment's time limit is 200"),
        (np.full(3, 7), "In 1 of 2 episodes every observation is the same one: "),
        (np.full(2, 7), ""),  # two steps may well end where they began
    ],
)
def test_episodes_that_look_wrong_are_a_warning(observations, message, caplog):
    warn_of_odd_episodes([np.arange(3.0)[:, None], observations[:, None]], [], 200)
    assert len(caplog.messages) == bool(message)
    assert message in caplog.text
