"""Demonstrations to Minari's data sets and back, and those of strangers."""

import math
import sys

import pytest
import torch

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.minari import from_minari, to_minari

from .shared_demonstrations import assert_same, make


@pytest.fixture
def minari(tmp_path, monkeypatch):
    module = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return module


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "NobodyRegisteredThis-v0"])
def test_minari_round_trip(minari, env_id):
    data = make((3, 2), observation_size=3, env_id=env_id)
    dataset = to_minari(data, "test/expert-v0")
    # action 0 is -1, action 1 is -0.6: -2 and -1.2 in the environment's units
    assert dataset[0].actions[:2, 0].tolist() == pytest.approx([-2, -1.2])
    assert dataset[0].observations[:, 0].tolist() == [0, 1, 2, 2.5]
    assert dataset[1].truncations.tolist() == [False, True]
    back = from_minari("test/expert-v0")
    assert torch.allclose(back.action, data.action, atol=1e-6)
    assert_same(Demonstrations(**{**vars(back), "action": data.action}), data)


def other_minari_dataset(minari, **changes):
    import gymnasium as gym
    import numpy as np
    from minari.data_collector.episode_buffer import EpisodeBuffer

    episodes = [
        EpisodeBuffer(
            observations=np.full((length + 1, 2), length, dtype=np.float64),
            actions=np.array([[4.0]] + [[3.0]] * (length - 1)),
            rewards=np.ones(length),
            terminations=np.zeros(length, dtype=bool),
            truncations=np.zeros(length, dtype=bool),
        )
        for length in (2, 4)
    ]
    spaces = {
        "observation_space": gym.spaces.Box(-10, 10, (2,), dtype=np.float64),
        "action_space": gym.spaces.Box(0, 4, (1,), dtype=np.float64),
    }
    return minari.create_dataset_from_buffers("test/other-v0", episodes, **spaces | changes)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_from_minari_of_a_stranger(minari):
    dataset = other_minari_dataset(minari)
    data = from_minari(dataset)
    assert data.env_id == "test/other-v0"
    assert data.episode_lengths.tolist() == [2, 4]
    assert data.action[:, 0].tolist() == [1, 0.5, 1, 0.5, 0.5, 0.5]  # 4 is the bound, which is 1; 3 is 0.5
    assert (data.expert_return, data.random_return) == (3, None)  # returns are 2 and 4
    assert (data.env_kwargs, data.max_episode_steps) == ({}, None)
    assert from_minari(dataset, random_return=-5).random_return == -5


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_from_minari_refuses_actions_without_bounds(minari):
    import gymnasium as gym

    with pytest.raises(UserError, match="finite bounds"):
        from_minari(other_minari_dataset(minari, action_space=gym.spaces.Box(-math.inf, math.inf, (1,))))


def test_minari_refusals(minari):
    with pytest.raises(UserError, match="test/nothing-v0 is not here"):
        from_minari("test/nothing-v0")
    with pytest.raises(UserError, match="must end in a version"):
        to_minari(make(), "test/expert")
    with pytest.raises(UserError, match="gaps"):
        to_minari(make((6, 6)).subsample(2), "test/gaps-v0")
    to_minari(make(), "test/expert-v0")
    with pytest.raises(UserError, match="already exists"):
        to_minari(make(), "test/expert-v0")


def test_without_minari(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    for call in (lambda: from_minari("a-v0"), lambda: to_minari(make(), "a-v0")):
        with pytest.raises(UserError, match=r"pip install 'rlopt\[minari\]'"):
            call()
