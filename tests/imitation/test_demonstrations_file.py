"""The demonstrations' file: what goes in comes out, and whatever is wrong is named."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlopt.errors import UserError
from rlopt.imitation import load_demonstrations, save_demonstrations
from rlopt.imitation.demonstrations import TRANSITION_KEYS, Demonstrations

from .shared_demonstrations import assert_same, make


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    seed=st.integers(0, 2**31),
    returns=st.tuples(*[st.none() | st.floats(-1e6, 1e6)] * 2),
    env_kwargs=st.dictionaries(
        st.text("abc", min_size=1), st.none() | st.booleans() | st.integers(-9, 9) | st.text("xy")
    ),
    limit=st.none() | st.integers(1, 1000),
    env_id=st.text(max_size=20).filter(lambda text: text.encode("utf-8", "ignore").decode() == text),
)
@settings(max_examples=25, deadline=None)
def test_round_trip(tmp_path_factory, lengths, sizes, seed, returns, env_kwargs, limit, env_id):
    generator = torch.Generator().manual_seed(seed)
    n, (observation_size, action_size) = sum(lengths), sizes
    walks = [torch.randn(length + 1, observation_size, generator=generator) for length in lengths]
    last = torch.zeros(n, dtype=torch.bool).index_fill(0, torch.tensor(lengths).cumsum(0) - 1, True)
    data = Demonstrations(
        env_id=env_id,
        observation=torch.cat([walk[:-1] for walk in walks]),
        action=torch.rand(n, action_size, generator=generator) * 2 - 1,
        next_observation=torch.cat([walk[1:] for walk in walks]),
        reward=torch.randn(n, generator=generator),
        terminated=last & (torch.rand(n, generator=generator) < 0.5),
        truncated=last & (torch.rand(n, generator=generator) < 0.5),
        episode_lengths=torch.tensor(lengths),
        action_low=-torch.rand(action_size, generator=generator) - 0.1,
        action_high=torch.rand(action_size, generator=generator) + 0.1,
        expert_return=returns[0],
        random_return=returns[1],
        env_kwargs=env_kwargs,
        max_episode_steps=limit,
    )
    assert_same(load_demonstrations(save_demonstrations(data, tmp_path_factory.mktemp("data"))), data)


def test_the_folder(tmp_path):
    path = save_demonstrations(make(), tmp_path / "expert_data" / "Pendulum-v1")
    assert sorted(file.name for file in path.parent.iterdir()) == ["README.txt", "expert_buffer.pt", "metadata.pt"]
    state = torch.load(path, weights_only=True)
    assert set(state) == {
        *("format", "version", "env_id", "spec", "transitions", "episode_lengths", "expert_return", "random_return")
    }
    assert set(state["transitions"]) == set(TRANSITION_KEYS)
    assert state["spec"]["observation_size"] == 2
    metadata = torch.load(path.parent / "metadata.pt", weights_only=True)
    assert set(metadata) == set(state) - {"transitions"} | {"num_episodes", "num_transitions"}
    assert (metadata["num_episodes"], metadata["num_transitions"]) == (2, 5)
    readme = (path.parent / "README.txt").read_text()
    for part in ("Pendulum-v1", "2 episodes, 5 transitions", "-150.00", "-1200.00", "load_demonstrations(", "[5, 2]"):
        assert part in readme


def test_returns_that_were_not_recorded(tmp_path):
    path = save_demonstrations(make(expert_return=None, random_return=None), tmp_path)
    data = load_demonstrations(path)
    assert (data.expert_return, data.random_return) == (None, None)
    text = "Mean return of an episode: not recorded; with uniformly random actions: not recorded."
    assert text in (tmp_path / "README.txt").read_text()


def test_optional_keys(tmp_path):
    state = make(env_kwargs={"goal": (1, 2.5)}, max_episode_steps=7).subsample(2).to_dict()
    assert (state["version"], state["env_kwargs"], state["max_episode_steps"]) == (1, {"goal": (1, 2.5)}, 7)
    path = tmp_path / "expert_buffer.pt"
    torch.save(state, path)
    assert load_demonstrations(path).subsampled
    for key in ("env_kwargs", "max_episode_steps", "expert_return", "random_return"):
        del state[key]
    torch.save(state, path)
    data = load_demonstrations(path)
    assert (data.env_kwargs, data.max_episode_steps, data.expert_return, data.random_return) == ({}, None, None, None)


def test_a_part_is_saved_without_the_whole(tmp_path):
    n = 20_000
    base = torch.zeros(n, 10)
    whole = make((10, n - 10), 10, observation=base, next_observation=base)
    view = Demonstrations(**{**vars(whole.first(1)), "observation": whole.observation[:10]})
    assert save_demonstrations(view, tmp_path).stat().st_size < 20_000  # torch.save writes what a view is a view of


def test_missing_file_says_what_to_run(tmp_path):
    path = tmp_path / "expert_buffer.pt"
    with pytest.raises(UserError) as error:
        load_demonstrations(path)
    assert str(error.value).startswith(f"Expert buffer not found: {path}")
    assert "scripts/01_collect_expert_data.py first" in str(error.value)


def test_damaged_file(tmp_path):
    path = save_demonstrations(make(), tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"expert_buffer\.pt is refused"):
        load_demonstrations(path)


def set_version(state):
    state["version"] = 2


def drop_reward(state):
    del state["transitions"]["reward"]


def drop_bounds(state):
    del state["spec"]["action_low"]


def list_of_lengths(state):
    state["episode_lengths"] = [3, 2]


def other_size(state):
    state["spec"]["observation_size"] = 17


def nan_action(state):
    state["transitions"]["action"][1] = math.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (dict.clear, "not a file of demonstrations"),
        (set_version, "Version 2 of the format is unknown"),
        (drop_reward, "The key 'reward' is missing"),
        (drop_bounds, "The key 'action_low' is missing"),
        (list_of_lengths, "'episode_lengths' must be a Tensor, found a list"),
        (other_size, r"'observation' must have shape \[5, 17\].* found \[5, 2\]"),
        (nan_action, "'action' holds NaN or infinity in 1 of 5 values"),
    ],
)
def test_spoilt_file_is_named(tmp_path, spoil, message):
    state = make().to_dict()
    spoil(state)
    path = tmp_path / "expert_buffer.pt"
    torch.save(state, path)
    with pytest.raises(UserError, match=message) as error:
        load_demonstrations(path)
    assert str(path) in str(error.value)


def test_to_dict_is_a_copy():
    data = make()
    data.to_dict()["transitions"]["reward"].fill_(7)
    assert data.reward[1] == -1


def test_data_of_another_environment(tmp_path):
    path = save_demonstrations(make((3, 2), observation_size=3), tmp_path)
    with pytest.raises(UserError) as error:
        load_demonstrations(path, env="Hopper-v5")
    for part in ("Pendulum-v1 (observation [3], action [1])", "Hopper-v5 has observation [11], action [3]"):
        assert part in str(error.value)
    with pytest.raises(UserError, match=r"MountainCarContinuous-v0 has observation \[2\], action \[1\]"):
        load_demonstrations(path, env="MountainCarContinuous-v0")
    # another id with the same sizes (changed dynamics) is welcome
    assert len(load_demonstrations(path, env="rlopt/LongPendulum-v1")) == 5
    assert len(load_demonstrations(path, env="Pendulum-v1")) == 5


def test_a_recording_that_may_not_be_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "steps.npz", observations=np.zeros((3, 3)))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match=r"steps.npz cannot be read: Permission denied\.$"):
        load_demonstrations(tmp_path / "steps.npz", env="Pendulum-v1")


@pytest.mark.parametrize("key", ["observation", "terminated", "episode_lengths", "action_low"])
def test_a_tensor_of_another_dtype_is_refused(tmp_path, key):
    """A file keeps dtypes; casts are for what is read from elsewhere."""
    state = make([3, 4]).to_dict()
    for part in (state, state["transitions"], state["spec"]):
        if key in part:
            part[key] = part[key].to(torch.float16)
    torch.save(state, tmp_path / "expert_buffer.pt")
    with pytest.raises(UserError, match=rf"'{key}' must be torch\.\w+, found torch\.float16"):
        load_demonstrations(tmp_path / "expert_buffer.pt")
