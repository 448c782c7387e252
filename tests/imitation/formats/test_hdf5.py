"""D4RL and robomimic."""

import itertools
import logging
import shutil

import gymnasium as gym
import numpy as np
import pytest

from rlopt.envs.spec import EnvSpec, env_spec
from rlopt.errors import UserError
from rlopt.imitation import load_demonstrations

from .shared import FIXTURES, STEPS, assert_steps, read

h5py = pytest.importorskip("h5py")


def test_d4rl(caplog):
    data = read("D4RL", FIXTURES / "d4rl.hdf5")
    assert assert_steps(data, [100, 200, 300, 400], [3, 5, 3, 5]) == [False, True, False, True]
    assert data.expert_return == 8  # 1 + 2 + 3 and 1 + 2 + 3 + 4 + 0
    assert not caplog.messages


@pytest.mark.parametrize("name", ["d4rl_no_next", "d4rl_no_timeouts"])
def test_d4rl_without_last_observations(name, caplog):
    data = read("D4RL", FIXTURES / f"{name}.hdf5")
    assert_steps(data, [100, 200, 300, 400], [2, 4, 2, 4])
    assert caplog.messages == ["4 of 4 episodes lost their last step: the observation after it was not recorded."]
    assert data.expert_return == 8


@pytest.fixture
def d4rl(tmp_path):
    """Writes d4rl.hdf5 with changes."""

    def write(**changes):
        with h5py.File(FIXTURES / "d4rl.hdf5") as old, h5py.File(tmp_path / "changed.hdf5", "w") as new:
            for key in old:
                new[key] = changes[key](old[key][:]) if key in changes else old[key][:]
        return tmp_path / "changed.hdf5"

    return write


def next_of_the_next_row(rows):
    return np.concatenate([rows[:2], [[200, 0]], rows[3:]])


def zero_at_ends(rows):
    rows[[2, 7, 10, 15]] = 0
    return rows


@pytest.mark.parametrize(("wrong", "lengths"), [(next_of_the_next_row, [2, 5, 3, 5]), (zero_at_ends, [2, 4, 2, 4])])
def test_a_next_observation_that_is_not_the_true_one_is_left_out(d4rl, wrong, lengths, caplog):
    data = read("D4RL", d4rl(next_observations=wrong))
    assert_steps(data, [100, 200, 300, 400], lengths)
    assert "lost their last step" in caplog.text


def test_a_recording_that_was_cut(d4rl):
    path = d4rl(terminals=np.zeros_like, timeouts=np.zeros_like)
    data = read("D4RL", path)  # the next observations tell where
    assert data.episode_lengths.tolist() == [3, 5, 3, 5]
    assert data.terminated.sum() == 0
    assert data.truncated.sum() == 4


def test_rows_out_of_order_are_refused(d4rl):
    def shuffled(rows):
        return rows[np.random.default_rng(0).permutation(16)]

    with pytest.raises(UserError, match=r"rows the next observation is not the next row's observation"):
        read("D4RL", d4rl(observations=shuffled, terminals=np.zeros_like, timeouts=np.zeros_like))


def test_padding_at_the_end(d4rl, caplog):
    def padded(rows):
        return np.concatenate([rows, np.zeros((4, *rows.shape[1:]), rows.dtype)])

    keys = ("observations", "next_observations", "actions", "rewards", "terminals", "timeouts")
    data = read("D4RL", d4rl(**dict.fromkeys(keys, padded)))
    assert_steps(data, [100, 200, 300, 400], [3, 5, 3, 5])
    assert "last 4 of 20 rows are zero" in caplog.text


def test_actions_out_of_bounds_are_refused(d4rl):
    with pytest.raises(UserError, match=r"Episode 0, step 2: the action \[6.0\] lies outside the bounds"):
        read("D4RL", d4rl(actions=lambda rows: 2 * rows))


def test_an_environment_is_needed():
    for name, file in (("D4RL", "d4rl.hdf5"), ("robomimic", "robomimic.hdf5")):
        with pytest.raises(UserError, match=r"does not say which environment .* --env"):
            read(name, FIXTURES / file, None)


class Named(gym.Env):
    """Steps with a dict of observations."""

    def __init__(self):
        parts = {"position": gym.spaces.Box(-1, 1, (1,)), "last": gym.spaces.Box(-1, 1, (1,))}
        self.observation_space = gym.spaces.Dict(parts)  # sorted: last, position
        self.action_space = gym.spaces.Box(0, 4, (1,))


class NamedInOrder(Named):
    def __init__(self):
        super().__init__()
        self.observation_space = gym.spaces.Dict([(key, gym.spaces.Box(-1, 1, (1,))) for key in ("position", "last")])


@pytest.mark.parametrize(("env", "order"), [(Named, [1, 0]), (NamedInOrder, [0, 1])])
def test_robomimic_joins_observations_in_the_order_of_the_space(env, order, caplog):
    spec = EnvSpec("Named", 2, 1, STEPS.action_low, STEPS.action_high, 5, env)
    data = read("robomimic", FIXTURES / "robomimic.hdf5", spec)
    for key in ("observation", "next_observation"):
        object.__setattr__(data, key, getattr(data, key)[:, order])
    # a final state and the time limit; actions are in the environment's units
    assert assert_steps(data, [100, 200], [3, 5]) == [False, True]
    assert not caplog.messages


def test_robomimic_for_a_vector_joins_by_name():
    data = read("robomimic", FIXTURES / "robomimic.hdf5")
    assert data.observation[:2].tolist() == [[0, 100], [1, 101]]


@pytest.fixture
def robomimic(tmp_path):
    path = tmp_path / "changed.hdf5"
    path.write_bytes((FIXTURES / "robomimic.hdf5").read_bytes())
    with h5py.File(path, "r+") as file:
        yield path, file


def test_robosuite_acts_in_plus_minus_one_and_does_not_end_at_success(robomimic):
    path, file = robomimic
    file["data"].attrs["env_args"] = '{"env_name": "Lift", "type": 1}'
    for demo in ("demo_0", "demo_1"):
        file[f"data/{demo}/actions"][:] = file[f"data/{demo}/actions"][:] / 2 - 1
    file["data/demo_0/dones"][1] = 1
    file.flush()
    file.close()
    data = read("robomimic", path)
    assert data.action[:3, 0].tolist() == [-0.5, 0.0, 0.5]
    assert data.terminated.sum() == 0
    assert data.truncated.nonzero().flatten().tolist() == [2, 7]


def test_robomimic_of_d4rl_repeats_the_last_observation(robomimic, caplog):
    """As its convert_d4rl.py writes an end, of whatever kind."""
    path, file = robomimic
    for demo, key in itertools.product(("demo_0", "demo_1"), ("position", "last")):
        file[f"data/{demo}/next_obs/{key}"][-1] = file[f"data/{demo}/obs/{key}"][-1]
    file.close()
    data = read("robomimic", path)
    assert data.episode_lengths.tolist() == [2, 4]
    assert data.next_observation[:, 1].tolist() == [101, 102, 201, 202, 203, 204]
    assert caplog.messages == ["2 of 2 episodes lost their last step: the observation after it was not recorded."]


def test_robomimic_without_next_observations_or_any(robomimic, caplog):
    path, file = robomimic
    del file["data/demo_0/next_obs"], file["data/demo_1/next_obs"]
    file.flush()
    file.close()
    assert read("robomimic", path).episode_lengths.tolist() == [2, 4]
    assert "2 of 2 episodes lost their last step" in caplog.text
    with h5py.File(path, "r+") as file:
        del file["data/demo_0/obs"]
    with pytest.raises(UserError, match="dataset_states_to_obs"):
        read("robomimic", path)


def test_images_are_left_out_and_named(robomimic, caplog):
    path, file = robomimic
    for demo in ("demo_0", "demo_1"):
        for key in ("obs", "next_obs"):
            file[f"data/{demo}/{key}/camera"] = np.zeros((len(file[f"data/{demo}/actions"]), 2, 2, 3), np.uint8)
    file.close()
    with caplog.at_level(logging.WARNING):
        assert read("robomimic", path).observation_size == 2
    assert "the observations camera are left out" in caplog.text


def test_expert_file_of_gail(tmp_path, caplog):
    """Padded with zeros; the observation after the last step is not there."""
    lengths, steps = np.array([3, 5], np.int32), np.arange(5)
    filled = steps < lengths[:, None]
    position, action = np.array([[100], [200]]) + steps, np.array([1.0, 2, 3, 4, 0])
    last = np.stack([position, np.broadcast_to(np.append(0, action[:-1]), (2, 5))], axis=-1)
    with h5py.File(tmp_path / "Steps.h5", "w") as file:
        file["obs_B_T_Do"] = last * filled[..., None]
        file["a_B_T_Da"] = action[:, None] * filled[..., None]
        file["r_B_T"], file["len_B"] = action * filled, lengths
    data = read("HDF5 arrays", tmp_path / "Steps.h5")
    assert_steps(data, [100, 200], [2, 4])
    assert data.expert_return == 8  # 1 + 2 + 3 and 1 + 2 + 3 + 4 + 0
    assert caplog.messages == ["2 of 2 episodes lost their last step: the observation after it was not recorded."]


def test_another_librarys_file_is_named(tmp_path):
    """As d3rlpy and tianshou write them: no word of a damaged expert_buffer.pt."""
    with h5py.File(tmp_path / "replay.h5", "w") as file:
        file["observations_0"], file["actions_0"] = np.zeros((3, 2)), np.zeros((3, 1))
    with pytest.raises(UserError, match=r"replay.h5 is an HDF5 file with actions_0, observations_0: not D4RL's"):
        load_demonstrations(tmp_path / "replay.h5", env=STEPS)


def test_d3rlpy(caplog):
    data = read("d3rlpy", FIXTURES / "d3rlpy.h5")
    assert_steps(data, [100, 200, 300, 400], [2, 4, 2, 4])
    assert caplog.messages == ["4 of 4 episodes lost their last step: the observation after it was not recorded."]
    assert data.expert_return == 8


def test_d3rlpy_in_the_middle_of_an_episode(tmp_path):
    """Its return is not that of a whole episode, though it may have terminated before."""
    path = shutil.copy(FIXTURES / "d3rlpy.h5", tmp_path / "d3rlpy.h5")
    with h5py.File(path, "r+") as file:
        last = int(file["num_episodes"][()]) - 1
        whole = [float(file[f"rewards_{number}"][:].sum()) for number in range(last)]
        for part in ("observations", "actions", "rewards"):
            rows = file[f"{part}_{last}"][:3]
            del file[f"{part}_{last}"]
            file[f"{part}_{last}"] = rows
        file[f"terminated_{last}"][()] = False
    assert read("d3rlpy", path).expert_return == np.mean(whole)


AS_COLLECTORS = "Actions are read as tianshou's collectors keep them: clipped to [-1, 1], which stands for the bounds."


def test_tianshou(caplog):
    """Two environments; the last episode of each was cut off. The policy's outputs of 1.5 became 1."""
    data = read("tianshou", FIXTURES / "tianshou.h5")
    ends = assert_steps(data, [100, 200, 300, 1100, 1200, 1300], [3, 5, 2, 3, 5, 2])
    assert ends == [False, True, True, False, True, True]
    assert data.expert_return == 8
    assert caplog.messages == [AS_COLLECTORS]


def test_tianshou_that_has_overwritten():
    data = read("tianshou", FIXTURES / "tianshou_full.h5")
    assert_steps(data, [200, 300, 400, 1200, 1300, 1400], [5, 3, 2, 5, 3, 2])
    assert data.expert_return == 8  # the first ones have all steps of the time limit


@pytest.mark.parametrize("names", [("obs_next",), ("obs_next", "obs")])
def test_tianshou_with_other_observations(tmp_path, names):
    """One ring without next observations; then the same in a dict, whose order is the space's: last, position."""
    named = "obs" in names
    path = tmp_path / "buffer.h5"
    with h5py.File(FIXTURES / "tianshou.h5") as old, h5py.File(path, "w") as new:
        new.attrs.update({**old.attrs, "maxsize": 16, "_size": 8})
        new["options"], new["last_index"] = [0], [7]
        for key in set(old["_meta"]) - set(names):
            if isinstance(old["_meta"][key], h5py.Dataset):
                new[f"_meta/{key}"] = old["_meta"][key][:16]
        if named:
            rows = old["_meta/obs"][:16]
            new["_meta/obs/position"], new["_meta/obs/last"] = rows[:, :1], rows[:, 1:]
    spec = env_spec("NamedSteps-v0") if named else STEPS
    data = read("tianshou", path, spec)
    assert data.episode_lengths.tolist() == [2, 4]
    assert data.observation[:, int(named)].tolist() == [100, 101, 200, 201, 202, 203]


def test_a_damaged_file_of_tianshou_is_a_sentence(tmp_path):
    with h5py.File(tmp_path / "buffer.h5", "w") as file:
        file["_meta/obs"], file["last_index"], file["options"] = np.zeros((4, 2)), [3], [0]
        file.attrs.update({"maxsize": 4, "_size": 4})
    with pytest.raises(UserError, match=r"buffer\.h5 is damaged, or not all there: .*act"):
        load_demonstrations(tmp_path / "buffer.h5", env=STEPS)


def test_an_empty_buffer_of_tianshou_is_a_sentence(tmp_path):
    """`VectorReplayBuffer(32, 2).save_hdf5` before its first step: it knows no part yet."""
    path = tmp_path / "buffer.h5"
    with h5py.File(FIXTURES / "tianshou.h5") as old, h5py.File(path, "w") as new:
        new.attrs.update(old.attrs)
        for key in ("_offset", "last_index", "options"):
            new[key] = old[key][()] if isinstance(old[key], h5py.Dataset) else [0]
        new["_lengths"] = np.zeros_like(old["_lengths"][()])
        new.create_group("_meta")
    with pytest.raises(UserError, match=r"buffer\.h5 holds no step"):
        read("tianshou", path)
