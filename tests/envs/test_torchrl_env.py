"""Any TorchRL environment: by hand, against gymnasium's pendulum, and with the random numbers of a seed its own."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torchrl.envs import StepCounter, TransformedEnv
from torchrl.envs.utils import check_env_specs

from rlopt.envs import as_seeds, env_spec
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.envs.torchrl.simulator import Simulator
from rlopt.errors import UserError

from . import torchrl_tasks
from .torchrl_tasks import Steps, pendulum, play, steps


def random_actions(count, num_envs, size):
    return torch.rand(count, num_envs, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_number_by_hand(dtype):
    # copies 0 and 1 of two seeds: episodes of 2, 3, 4, 2, ... steps and of 3, 4, 2, ... (torchrl_tasks.py), cut off after 3
    env = TorchRLEnv(env_spec(steps, {"dtype": dtype}, max_episode_steps=3), [7, 8], num_envs=2)
    played = play(env, torch.zeros(8, 4, 2))
    for first in (0, 2):
        lengths = [[1, 2, 1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 2, 3, 1, 2]]
        returns = [[1, 3, 1, 3, 6, 1, 3, 6], [1, 3, 6, 1, 3, 6, 1, 3]]
        for copy in (0, 1):
            rows = played[first + copy]

            def column(name, rows=rows):
                return rows["next", name].squeeze(-1).tolist()

            assert column("episode_length") == column("reward") == lengths[copy]
            assert column("episode_return") == returns[copy]
            assert rows["observation"][:, 0].tolist() == [length - 1 for length in lengths[copy]]
            # the true last observation, though the environment writes over it
            assert rows["next", "observation"][:, 0].tolist() == lengths[copy]
            assert rows["observation"][:, 1].tolist() == [copy] * 8
        terminated, truncated, done = (
            [[t for t, flag in enumerate(row) if flag] for row in played["next", name][first : first + 2].squeeze(-1)]
            for name in ("terminated", "truncated", "done")
        )
        assert terminated == [[1, 4], [2, 7]]
        assert truncated == [[4, 7], [2, 5]]
        assert done == [[1, 4, 7], [2, 5, 7]]
        # episodes' numbers: a copy is reset when it ends, and no other with it
        assert played["observation"][first, :, 2].tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
        assert played["observation"][first + 1, :, 2].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_the_shortened_step_is_that_of_torchrl():
    class Long(TorchRLEnv):
        step_and_maybe_reset = TorchRLEnv.__mro__[1].step_and_maybe_reset

    rollouts = []
    for kind in (TorchRLEnv, Long):
        torch.manual_seed(0)
        env = kind(env_spec(steps, max_episode_steps=3), [0, 1], 3)
        rollouts.append(env.rollout(13, break_when_any_done=False))
    short, long = rollouts
    assert set(short.keys(True, True)) == set(long.keys(True, True))
    for key in short.keys(True, True):
        assert torch.equal(short[key], long[key]), key
        assert short[key].dtype in (torch.float32, torch.bool, torch.int64), key


def test_specs_fit_what_the_environment_does():
    for factory in (steps, pendulum):
        check_env_specs(TorchRLEnv(env_spec(factory, max_episode_steps=3), [0, 1], 2))


def test_an_end_that_is_not_said_to_be_terminal_is_a_truncation():
    env = TorchRLEnv(env_spec(steps, {"ends": "done"}, max_episode_steps=9), [0], 2)
    played = play(env, torch.zeros(5, 2, 2))
    assert not played["next", "terminated"].any()
    assert played["next", "truncated"].squeeze(-1).int().tolist() == [[0, 1, 0, 0, 1], [0, 0, 1, 0, 0]]


def test_no_action_passes_the_bounds_by_rounding():
    # in float32, -1.38 + (0.82 + 1.38) is more than 0.82
    bounds = {"action_low": np.float32([-1.38, 0]), "action_high": np.float32([0.82, 1])}
    simulator = Simulator(replace(env_spec(steps, max_episode_steps=3), **bounds), 1, "cpu")
    simulator.begin()
    stepped = simulator.step(torch.ones(1, 2))
    assert stepped["observation"][0, 3] == np.float32(0.82)  # the environment echoes its first action


def test_actions_reach_the_bounds_of_the_environment():
    # bounds (-1, 3) and (0, 10); the environment echoes the first component
    env = TorchRLEnv(env_spec(steps, max_episode_steps=9), [0], 3)
    first = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.5, 0.0]])
    assert play(env, first.unsqueeze(0))["next", "observation"][:, 0, 3].tolist() == [-1, 3, 2]


def test_torchrls_pendulum_moves_as_gymnasiums():
    """Through resets; gymnasium's is put where each episode starts, and then gets its actions."""
    spec = env_spec(pendulum, max_episode_steps=25)
    assert (spec.env_id, spec.sizes, spec.action_low.tolist(), spec.action_high.tolist()) == (
        *("pendulum", (2, 1)),
        *([-2.0], [2.0]),
    )
    actions = random_actions(60, 4, 1)
    played = play(TorchRLEnv(spec, [3, 4], 2), actions)
    for n in range(4):
        raw = gym.make("Pendulum-v1").unwrapped
        raw.reset()
        for t in range(60):
            if t % 25 == 0:
                raw.state = played["observation"][n, t].double().numpy()
            observation, reward, *_ = raw.step(2 * actions[t, n].numpy())
            th, thdot = played["next", "observation"][n, t].tolist()
            np.testing.assert_allclose([np.cos(th), np.sin(th), thdot], observation, atol=1e-4)
            assert played["next", "reward"][n, t].item() == pytest.approx(reward, abs=1e-3)
        ends = played["next", "truncated"][n].flatten().nonzero().flatten().tolist()
        assert ends == [24, 49]
    starts = played["observation"][:, [0, 25, 50]].reshape(-1, 2)
    assert len(starts.unique(dim=0)) == 12


@pytest.mark.parametrize("factory", [steps, pendulum])
def test_a_seed_gets_the_same_in_any_company(factory):
    def starts(seeds, index):
        env = TorchRLEnv(env_spec(factory, max_episode_steps=3), seeds, 3)
        action = torch.ones(12, len(seeds), 3, env.action_spec.shape[-1])
        action[:, index] = 0  # the others' episodes end at every step
        played = play(env, action.flatten(1, 2))
        return as_seeds(played["next", "observation"], len(seeds))[index]

    alone = starts([42], 0)
    torch.manual_seed(99)
    torch.rand(5)
    assert torch.equal(alone, starts([41, 42, 43], 1))
    assert not torch.equal(alone, starts([41], 0))


def test_what_an_environment_draws_is_not_missed_outside():
    spec = env_spec(steps, max_episode_steps=3)
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    env = TorchRLEnv(spec, [1, 2], 2)
    played = play(env, torch.zeros(6, 4, 2))
    assert torch.equal(torch.rand(4), expected)
    # of all four copies' starts no two are the same
    drawn = played["observation"][..., 4]
    assert len(drawn.unique()) == sum(len(row.unique()) for row in drawn)


def test_set_seed_decides_the_next_reset():
    env = TorchRLEnv(env_spec(steps, max_episode_steps=3), [1], 2)
    firsts = []
    for seed in (5, 5, 6):
        env.set_seed(seed)
        firsts.append(env.reset()["observation"])
    assert torch.equal(firsts[0], firsts[1])
    assert not torch.equal(firsts[0], firsts[2])


def test_the_only_environment_serves_all_seeds():
    spec = env_spec("torchrl:tests.envs.torchrl_tasks:six_steps", max_episode_steps=5)
    assert env_spec("torchrl:tests.envs.torchrl_tasks:six_steps", max_episode_steps=5).source is spec.source
    assert play(TorchRLEnv(spec, [1, 2, 3], 2), torch.zeros(3, 6, 2))["observation"][:, 0, 1].tolist() == [*range(6)]
    with pytest.raises(UserError, match="has 6 copies, and 2 seeds with 2 environments each need 4"):
        TorchRLEnv(spec, [1, 2], 2)


def test_a_function_and_an_environment_are_the_only_one_too():
    def mine():
        return Steps(4)

    by_function = env_spec(mine, max_episode_steps=5)
    assert by_function.env_id == "mine"
    assert env_spec(mine, max_episode_steps=5).source is by_function.source
    env = Steps(4)
    assert env_spec(env, max_episode_steps=5).source is env


def test_the_time_limit_may_be_the_environments_own():
    spec = env_spec(lambda num_envs, device: TransformedEnv(Steps(num_envs, device, ends="never"), StepCounter(6)))
    assert spec.max_episode_steps == 6
    played = play(TorchRLEnv(spec, [0], 2), torch.zeros(13, 2, 2))
    assert played["next", "truncated"][0].flatten().nonzero().flatten().tolist() == [5, 11]


def test_the_modules_name_is_not_part_of_the_folders():
    spec = env_spec(f"torchrl:{torchrl_tasks.__name__}:steps", {"success": True}, 5)
    assert spec.name == "steps_success=True"
