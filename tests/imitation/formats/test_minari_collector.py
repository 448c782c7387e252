"""Datasets that Minari's own collector recorded: environment, ends of episodes, lost steps."""

import shutil

import gymnasium as gym
import numpy as np
import pytest

from rlopt.envs.spec import EnvSpec, env_spec
from rlopt.errors import UserError
from rlopt.imitation.minari import from_minari, to_minari

from .shared import FIXTURES, STEPS, assert_steps, read

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Minari asks for an author, a permalink, ...


@pytest.fixture(autouse=True)
def recorded(tmp_path, monkeypatch):
    """Loads a dataset of tests/fixtures/formats/minari."""
    shutil.copytree(FIXTURES / "minari", tmp_path / "minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return lambda name: minari.load_dataset(f"steps/{name}-v0")


@pytest.mark.parametrize("from_name", [False, True])
def test_ends_and_units(recorded, from_name, caplog):
    dataset = recorded("scripted")
    data = read("Minari", f"minari:{dataset.id}" if from_name else dataset, None)
    assert assert_steps(data, [100, 200], [3, 5]) == [False, True]
    assert (data.expert_return, data.random_return) == (9, 1)
    assert (data.env_id, data.env_kwargs, data.max_episode_steps) == ("Steps-v0", {}, None)
    assert not caplog.messages


def test_arguments_and_time_limit_come_along_and_go_back(recorded, caplog):
    data = from_minari(recorded("arguments"))
    assert assert_steps(data, [400, 500], [4, 3]) == [True, False]
    assert (data.env_kwargs, data.max_episode_steps) == ({"first": 4}, 4)
    assert "recorded in Steps-v0 with the arguments {'first': 4}: they come along as env_kwargs" in caplog.text
    assert data.expert_return == 8  # 10 and 6
    back = to_minari(data, "steps/back-v0")
    assert (back.env_spec.kwargs, back.env_spec.max_episode_steps) == ({"first": 4}, 4)
    again = from_minari(back)
    assert (again.env_kwargs, again.max_episode_steps) == ({"first": 4}, 4)
    assert again.digest == data.digest


def test_an_environment_that_is_not_here_keeps_them_too(recorded, monkeypatch):
    dataset = recorded("arguments")
    monkeypatch.delitem(gym.registry, "Steps-v0")
    data = from_minari(dataset)
    again = from_minari(to_minari(data, "steps/back-v0"))
    for found in (data, again):
        assert (found.env_id, found.env_kwargs, found.max_episode_steps) == ("Steps-v0", {"first": 4}, 4)


def test_an_episode_that_was_not_finished(recorded, caplog):
    data = from_minari(recorded("unfinished"))
    assert assert_steps(data, [100, 200], [3, 2]) == [False, True]
    assert "1 of 2 episodes stop before a final state and before the time limit of 5 steps" in caplog.text
    assert data.expert_return == 6  # of the whole one
    assert data.random_return is None


def test_wrappers_are_refused_or_named(recorded, caplog):
    dataset = recorded("rescaled")
    with pytest.raises(UserError, match=r"with the wrappers RescaleAction, which rlopt does not add: register"):
        from_minari(dataset)
    assert_steps(from_minari(dataset, env=STEPS), [100, 200], [3, 5])
    assert "RescaleAction, which rlopt does not add: make sure that Steps-v0 has them" in caplog.text


def test_wrappers_that_change_nothing(recorded, caplog):
    data = from_minari(recorded("harmless"))
    assert assert_steps(data, [100, 200], [3, 4]) == [False, True]
    assert data.max_episode_steps == 4
    assert not caplog.messages


def test_a_dict_is_joined_in_the_order_of_its_space(recorded):
    data = from_minari(recorded("dict"))
    assert data.next_observation.tolist()[:3] == [[1, 101], [2, 102], [3, 103]]


def test_the_module_of_an_id_comes_from_the_environment_given(recorded):
    dataset = recorded("arguments")
    env = EnvSpec("steps_env:Steps-v0", *STEPS.sizes, STEPS.action_low, STEPS.action_high, 5)
    data = from_minari(dataset, env=env)
    assert (data.env_id, data.env_kwargs) == ("steps_env:Steps-v0", {"first": 4})
    # changed dynamics: the demonstrations are still from where they are from
    assert from_minari(
        dataset, env=EnvSpec("Other-v0", *STEPS.sizes, STEPS.action_low, STEPS.action_high, 5)
    ).env_id == ("Steps-v0")
    env_spec(data.env_id, data.env_kwargs, data.max_episode_steps)


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_a_long_episode_that_minari_splits_is_refused(data_format):
    pytest.importorskip("pyarrow")
    from minari.data_collector.episode_buffer import EpisodeBuffer

    n = 33_000
    episode = EpisodeBuffer(
        observations=np.arange(2 * n + 2, dtype=np.float32).reshape(n + 1, 2),
        actions=np.ones((n, 1), np.float32),
        rewards=np.ones(n),
        terminations=np.zeros(n, bool),
        truncations=np.arange(n) == n - 1,
    )
    spaces = {"observation_space": STEPS_SPACE, "action_space": gym.spaces.Box(0, 4, (1,))}
    dataset = minari.create_dataset_from_buffers("steps/long-v0", [episode], data_format=data_format, **spaces)
    with pytest.raises(UserError, match=r"has 33000 steps, but Minari reads \d+: its arrow and parquet storages"):
        from_minari(dataset)


STEPS_SPACE = gym.spaces.Box(-np.inf, np.inf, (2,))
