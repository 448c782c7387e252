"""Batches of copies do what gymnasium's environments do, one by one, to the last bit."""

import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

from rlopt.agents.sac import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.envs.batch import copies as batch_copies
from rlopt.envs.batch.copies import BatchedCopies, find_batch, make_copies
from rlopt.envs.copies import GymnasiumCopies
from rlopt.envs.spec import env_seeds, env_spec
from rlopt.envs.variants import VARIANTS
from rlopt.presets import PRESETS
from rlopt.training.evaluation import Evaluator, random_policy
from rlopt.training.online import train_online

pytest.importorskip("mujoco.batch", reason="MuJoCo has batches since 3.17")

N = 4
TASKS = [*PRESETS, *VARIANTS]
SETTINGS = [
    ("HalfCheetah-v5", {"exclude_current_positions_from_observation": False, "ctrl_cost_weight": 0.3, "frame_skip": 2}),
    ("Hopper-v5", {"healthy_state_range": (-3.0, 3.0), "forward_reward_weight": 0.5, "healthy_reward": 2.0}),
    ("Walker2d-v5", {"terminate_when_unhealthy": False, "reset_noise_scale": 0.2}),
    ("Ant-v5", {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.1, "main_body": "front_left_leg"}),
    ("Ant-v5", {"contact_force_range": (-0.5, 2.0), "healthy_z_range": (0.4, 0.9), "forward_reward_weight": 3.0}),
    ("Humanoid-v5", {"include_cinert_in_observation": False, "include_qfrc_actuator_in_observation": False}),
    ("Humanoid-v5", {"contact_cost_weight": 0.01, "contact_cost_range": (0.02, 0.3), "healthy_z_range": (1.3, 1.5)}),
    ("Swimmer-v5", {"exclude_current_positions_from_observation": False}),
    ("Reacher-v5", {"reward_dist_weight": 2.0, "reward_control_weight": 0.1}),
    ("InvertedDoublePendulum-v5", {"healthy_reward": 3.0, "reset_noise_scale": 0.3}),
    ("Pendulum-v1", {"g": 3.0}),
]


def compare(env_id, kwargs=None, *, threads, steps, seed=3):
    """Step a batch and gymnasium's environments side by side, raw numbers of 64 bits; the number of episodes that ended."""
    spec = env_spec(env_id, kwargs)
    task, envs = find_batch(spec, N, threads), [spec.make() for _ in range(N)]
    assert task is not None
    generator = np.random.default_rng(seed)
    ends = 0

    def begin(numbers, seeds):
        task.reset(numbers, [gym.utils.seeding.np_random(own)[0] for own in seeds])
        for number, own in zip(numbers, seeds, strict=True):
            observation, _ = envs[number].reset(seed=own)
            np.testing.assert_array_equal(task.observe(numbers)[list(numbers).index(number)], observation)

    begin(np.arange(N), env_seeds([seed], N))
    for step in range(steps):
        some = step % 5 == 4  # now and then a part of the copies, as evaluation does
        numbers = np.sort(generator.permutation(N)[: 2 if some else N])
        action = spec.to_env_units(generator.uniform(-1, 1, (len(numbers), spec.action_size)).astype(np.float32))
        rows = numbers if some else slice(None)
        reward, terminated = task.step(rows, action)
        observation, ended = task.observe(rows), []
        for row, number in enumerate(numbers):
            expected = envs[number].step(action[row])
            np.testing.assert_array_equal(observation[row], expected[0])
            assert (reward[row], terminated[row]) == (expected[1], expected[2]), (step, number)
            ended += [number] * (expected[2] or expected[3])
        if ended:
            ends += len(ended)
            begin(np.array(ended), generator.integers(2**31, size=len(ended)).tolist())
    task.close()
    for env in envs:
        env.close()
    return ends


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("env_id", TASKS)
def test_each_task_equals_gymnasiums(env_id, threads):
    compare(env_id, threads=threads, steps=60)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("env_id", TASKS)
def test_each_task_equals_gymnasiums_for_a_long_time(env_id, threads):
    assert compare(env_id, threads=threads, steps=2_000) >= N


@pytest.mark.parametrize(("env_id", "kwargs"), SETTINGS)
def test_settings_of_an_environment_are_its_batchs(env_id, kwargs):
    compare(env_id, kwargs, threads=1, steps=60)


class Tuned(HopperEnv):
    """A class of a user's, which may do anything."""


def slower_half_cheetah():
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

    return gym.wrappers.TransformReward(HalfCheetahEnv(), lambda reward: 0.5 * reward)


@pytest.mark.parametrize(
    ("source", "kwargs"),
    [
        (Tuned, {}),
        (slower_half_cheetah, {}),
        ("Hopper-v5", {"render_mode": "rgb_array"}),
        ("Hopper-v4", {}),
        ("Pusher-v5", {}),
    ],
)
def test_an_environment_that_rlopt_does_not_know_is_gymnasiums(source, kwargs):
    spec = env_spec(source, kwargs, max_episode_steps=50)
    assert find_batch(spec, 2) is None
    copies = make_copies(spec, [1, 2], threads=2)
    assert isinstance(copies, GymnasiumCopies)
    copies.close()


def test_gymnasium_decides_where_its_numbers_are_others(monkeypatch):
    """Another version of gymnasium may compute something else; a few steps side by side show it."""
    assert find_batch(env_spec("Hopper-v5"), 2) is not None
    monkeypatch.setattr(HopperEnv, "control_cost", lambda self, action: 2e-3 * np.sum(np.square(action)))
    assert find_batch(env_spec("Hopper-v5"), 2) is None


def test_mujoco_without_batches_is_stepped_one_by_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco.batch", None)
    assert find_batch(env_spec("Hopper-v5"), 2) is None
    assert find_batch(env_spec("Pendulum-v1"), 2) is not None


def test_copies_end_at_the_time_limit_and_begin_again():
    spec = env_spec("Pendulum-v1", max_episode_steps=3)
    batch, single = make_copies(spec, [5, 6]), GymnasiumCopies(spec, [5, 6])
    assert isinstance(batch, BatchedCopies)
    for copies in (batch, single):
        copies.begin([0, 1])
    for step in range(1, 10):
        for copies in (batch, single):
            copies.step_some([1] if step == 1 else [0, 1], np.ones((1 if step == 1 else 2, 1), np.float32))
        assert batch.truncated.tolist() == single.truncated.tolist() == [step in (4, 7), step in (3, 6, 9)]
        ended = np.flatnonzero(batch.truncated)
        for copies in (batch, single):
            copies.begin(ended)
        np.testing.assert_array_equal(batch.observation, single.observation)
        assert batch.length.tolist() == single.length.tolist()


def episodes_and_training():
    """Evaluation, recorded episodes and the parameters after a short training, on the task whose episodes differ most."""
    spec = env_spec("Hopper-v5")
    evaluator = Evaluator(spec, num_seeds=2, episodes=3, envs=2)
    returns = evaluator(random_policy(spec.action_size))
    recorded = evaluator.record(random_policy(spec.action_size))
    agent = SAC(SACConfig(hidden_sizes=(8, 8), batch_size=16), *spec.sizes, num_seeds=2, seed=0)
    config = TrainingConfig(
        frames=240, num_seeds=2, num_envs=2, steps_per_batch=20, warmup_frames=80, eval_points=1, eval_episodes=1
    )
    train_online(agent, spec, config)
    return [
        returns,
        *(column for episodes in recorded for episode in episodes for column in vars(episode).values()),
        *(parameter.detach().numpy() for parameter in agent.actor.parameters()),
    ]


@pytest.fixture(scope="module")
def expected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_copies, "find_batch", lambda *args: None)
        return episodes_and_training()


def test_evaluation_recording_and_training_are_the_same_with_a_batch(expected):
    torch.manual_seed(0)
    for mine, theirs in zip(episodes_and_training(), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
