"""What is known of an environment, which ones are refused, and what is not loaded for that."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rlopt.envs import as_spec, env_spec, make_env
from rlopt.errors import UserError

from .line import Line


def test_what_is_known_of_an_environment(counter_env):
    spec = env_spec(counter_env)
    assert (spec.env_id, spec.observation_size, spec.action_size, spec.sizes) == (counter_env, 3, 2, (3, 2))
    assert (spec.action_low.tolist(), spec.action_high.tolist()) == ([-1, 0], [3, 10])
    assert spec.max_episode_steps == 7
    assert spec.make().spec.id == counter_env
    assert as_spec(spec) is spec  # it is looked up once
    assert as_spec(counter_env).sizes == spec.sizes


def test_looking_an_environment_up_loads_no_torch():
    code = "import sys; from rlopt.envs.spec import env_spec; env_spec('Pendulum-v1'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_unknown_environments_are_refused_with_a_suggestion():
    with pytest.raises(UserError, match="Pendulum"):
        env_spec("Pendulun-v1")
    with pytest.raises(UserError, match="no-such-module"):
        env_spec("no-such-module:Foo-v0")


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_discrete_actions_are_refused(env_id):
    with pytest.raises(UserError, match=f"{env_id} has a Discrete action space"):
        env_spec(env_id)


def test_observations_that_are_no_vector_are_refused():
    gym.register("rlopt-test/Image-v0", entry_point=ImageEnv)
    with pytest.raises(UserError, match=r"flat vector.*FlattenObservation"):
        env_spec("rlopt-test/Image-v0")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_action_is_outside_its_space(dtype):
    # in float32, -1.38 + (0.82 + 1.38) is more than 0.82, and the float32 nearest to 0.1 is more than 0.1
    low, high = np.array([-1.38, -0.1, -0.7]), np.array([0.82, 0.1, 0.9])
    space = gym.spaces.Box(low.astype(dtype), high.astype(dtype), dtype=dtype)
    spec = env_spec(type("Strict", (Line,), {"action_space": space}), max_episode_steps=5)
    ends = spec.to_env_units(np.array([[-1, -1, -1], [1, 1, 1]], np.float32))
    assert all(space.contains(action) for action in ends)
    np.testing.assert_allclose(ends, [low, high], rtol=2e-7)
    assert spec.to_env_units(np.float32([0, 0, 0])).dtype == np.float32


def test_whole_numbers_as_actions_are_refused():
    space = gym.spaces.Box(-5, 5, (2,), np.int64)
    with pytest.raises(UserError, match="has actions of int64; rlopt needs continuous ones"):
        env_spec(type("Whole", (Line,), {"action_space": space}), max_episode_steps=5)


class ImageEnv(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (4, 4, 3))
    action_space = gym.spaces.Box(-1, 1, (1,))


def test_unbounded_actions_are_refused():
    gym.register("rlopt-test/Unbounded-v0", entry_point=UnboundedEnv)
    with pytest.raises(UserError, match="finite bounds"):
        env_spec("rlopt-test/Unbounded-v0")


class UnboundedEnv(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,))


def test_making_a_mujoco_environment_is_quiet(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for env_id in (
        "HalfCheetah-v5",
        "Hopper-v5",
    ):  # of the first, MuJoCo's compiler says that an attribute is deprecated
        env = make_env(env_id)
        env.reset(seed=0)
        env.close()
    assert capfd.readouterr() == ("", "")
    assert list(Path().iterdir()) == []  # MuJoCo's own log file
