"""The demonstrations' value and file: what goes in comes out, and whatever is wrong is named."""

import builtins
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import (
    TRANSITION_KEYS,
    Demonstrations,
    load_demonstrations,
    save_demonstrations,
)
from rlopt.imitation.minari import from_minari, to_minari


def make(lengths=(3, 2), observation_size=2, action_size=1, **changes):
    """Transition i has observation i, i + 1/8, ...; inside an episode, next_observation[t] == observation[t + 1]."""
    n = sum(lengths)
    rows = torch.arange(n, dtype=torch.float32).unsqueeze(-1)
    observation = rows + torch.arange(observation_size) / 8
    fields = {
        "env_id": "Pendulum-v1",
        "observation": observation,
        "action": (rows / n).expand(n, action_size) * 2 - 1,
        "next_observation": observation + 1,
        "reward": -rows.squeeze(-1),
        "terminated": torch.zeros(n, dtype=torch.bool),
        "truncated": torch.zeros(n, dtype=torch.bool).index_fill(0, torch.tensor(lengths).cumsum(0) - 1, True),
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
    for key in ("env_id", "expert_return", "random_return"):
        assert getattr(a, key) == getattr(b, key)


# the value


def test_counts_and_sizes():
    data = make((3, 2), observation_size=4, action_size=2)
    assert (len(data), data.num_episodes, data.observation_size, data.action_size) == (5, 2, 4, 2)


def test_tensors_are_cast():
    data = make(observation=make().observation.double(), terminated=torch.zeros(5), episode_lengths=[3, 2])
    assert data.observation.dtype == torch.float32
    assert data.terminated.dtype == torch.bool
    assert data.episode_lengths.dtype == torch.int64


def test_first():
    one = make((3, 2)).first(1)
    assert one.observation[:, 0].tolist() == [0, 1, 2]
    assert one.episode_lengths.tolist() == [3]
    assert one.expert_return == -150
    assert len(make((3, 2)).first(2)) == 5


@pytest.mark.parametrize("count", [0, -1, 3])
def test_first_says_how_many_there_are(count):
    with pytest.raises(UserError, match=f"{count} demonstrations asked for: there are 2"):
        make((3, 2)).first(count)


def test_subsample_by_hand():
    # Row i has observation i. Episodes are rows 0..5 and 6..9; keeping every 3rd leaves one phase of each.
    phases = set()
    for seed in range(20):
        data = make((6, 4)).subsample(3, seed=seed)
        kept = [int(row) for row in data.observation[:, 0]]
        first = [row for row in kept if row < 6]
        second = [row - 6 for row in kept if row >= 6]
        assert first in ([0, 3], [1, 4], [2, 5])
        assert second in ([0, 3], [1], [2])
        assert data.episode_lengths.tolist() == [len(first), len(second)]
        assert torch.equal(data.next_observation, data.observation + 1)
        phases.add((first[0], second[0]))
    assert len(phases) > 3  # drawn for each episode alone


def test_subsample_keeps_at_least_one_step_and_repeats_with_its_seed():
    data = make((2, 5, 1))
    for seed in range(20):
        assert data.subsample(100, seed).episode_lengths.tolist() == [1, 1, 1]
    assert_same(data.subsample(3, seed=7), data.subsample(3, seed=7))
    assert_same(data.subsample(1), data)
    with pytest.raises(UserError, match="at least 1"):
        data.subsample(0)


def test_action_noise():
    data = make((4000,), action=torch.zeros(4000, 1))
    before = torch.get_rng_state()
    noisy = data.with_action_noise(0.3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)  # a generator of its own
    assert noisy.action.std().item() == pytest.approx(0.3, abs=0.02)
    assert abs(noisy.action.mean().item()) < 0.02
    assert torch.equal(noisy.observation, data.observation)
    assert data.with_action_noise(5.0).action.abs().max() == 1  # clipped, and many of them
    assert_same(data.with_action_noise(0.0), data)
    assert not torch.equal(noisy.action, data.with_action_noise(0.3, seed=2).action)
    for std in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="deviation"):
            data.with_action_noise(std)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation": torch.zeros(5)}, r"'observation' must have shape \[transitions, size\], found \[5\]"),
        ({"action": torch.zeros(4, 1)}, r"'action' must have shape \[5, 1\].* found \[4, 1\]"),
        ({"next_observation": torch.zeros(5, 3)}, r"'next_observation' must have shape \[5, 2\].* found \[5, 3\]"),
        ({"reward": torch.zeros(5, 1)}, r"'reward' must have shape \[5\].* found \[5, 1\]"),
        ({"truncated": torch.zeros(6)}, r"'truncated' must have shape \[5\].* found \[6\]"),
        ({"reward": torch.tensor([0, math.nan, math.inf, 0, 0])}, "'reward' holds NaN or infinity in 2 of 5"),
        ({"observation": torch.full((5, 2), 1e300, dtype=torch.float64)}, "'observation' holds .* 10 of 10"),
        ({"action": torch.tensor([[0], [1], [-1], [2], [-1.5]])}, r"2 of 5 actions lie outside \[-1, 1\]: scale"),
        ({"episode_lengths": torch.tensor([3, 3])}, "'episode_lengths' .* sum to 5 .* found 6"),
        ({"episode_lengths": torch.tensor([6, -1])}, "'episode_lengths' must be positive"),
        ({"action_low": torch.tensor([-math.inf])}, "'action_low' must be 1 finite numbers"),
        ({"action_high": torch.tensor([2.0, 2.0])}, "'action_high' must be 1 finite numbers"),
        ({"action_high": torch.tensor([-2.0])}, "'action_low' .* below"),
        ({"expert_return": math.nan}, "'expert_return' must be a finite number"),
        ({"observation": torch.zeros(0, 2), "action": torch.zeros(0, 1)}, "no data"),
    ],
)
def test_invalid_values_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)


def test_rounding_is_not_out_of_range():
    assert len(make(action=torch.full((5, 1), 1 + 2e-7))) == 5


# the file


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    seed=st.integers(0, 2**31),
    returns=st.tuples(*[st.floats(-1e6, 1e6)] * 2),
    env_id=st.text(max_size=20).filter(lambda text: text.encode("utf-8", "ignore").decode() == text),
)
@settings(max_examples=25, deadline=None)
def test_round_trip(tmp_path_factory, lengths, sizes, seed, returns, env_id):
    generator = torch.Generator().manual_seed(seed)
    n, (observation_size, action_size) = sum(lengths), sizes
    data = Demonstrations(
        env_id=env_id,
        observation=torch.randn(n, observation_size, generator=generator),
        action=torch.rand(n, action_size, generator=generator) * 2 - 1,
        next_observation=torch.randn(n, observation_size, generator=generator),
        reward=torch.randn(n, generator=generator),
        terminated=torch.rand(n, generator=generator) < 0.5,
        truncated=torch.rand(n, generator=generator) < 0.5,
        episode_lengths=torch.tensor(lengths),
        action_low=-torch.rand(action_size, generator=generator) - 0.1,
        action_high=torch.rand(action_size, generator=generator) + 0.1,
        expert_return=returns[0],
        random_return=returns[1],
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
        load_demonstrations(path, env_id="Hopper-v5", observation_size=11, action_size=3)
    for part in ("Pendulum-v1 (observation [3], action [1])", "Hopper-v5 has observation [11], action [3]"):
        assert part in str(error.value)
    with pytest.raises(UserError, match=r"MountainCarContinuous-v0 has observation \[2\], action \[1\]"):
        load_demonstrations(path, env_id="MountainCarContinuous-v0")  # its sizes are looked up
    # another id with the same sizes (changed dynamics) is welcome
    assert len(load_demonstrations(path, env_id="HeavyPendulum-v0", observation_size=3, action_size=1)) == 5
    assert len(load_demonstrations(path, env_id="Pendulum-v1")) == 5


# Minari


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
    assert dataset[0].observations[:, 0].tolist() == [0, 1, 2, 3]
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
            actions=np.array([[9.0]] + [[3.0]] * (length - 1)),
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
    with pytest.raises(UserError, match=r"pass random_return="):
        from_minari(dataset)
    data = from_minari(dataset, random_return=-5)
    assert data.env_id == "test/other-v0"
    assert data.episode_lengths.tolist() == [2, 4]
    assert data.action[:, 0].tolist() == [1, 0.5, 1, 0.5, 0.5, 0.5]  # 9 counts as the bound 4, which is 1; 3 is 0.5
    assert (data.expert_return, data.random_return) == (3, -5)  # returns are 2 and 4


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
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "minari":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: from_minari("a-v0"), lambda: to_minari(make(), "a-v0")):
        with pytest.raises(UserError, match=r"pip install 'rlopt\[minari\]'"):
            call()
