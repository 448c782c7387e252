"""Replay buffers of TorchRL and of stable-baselines3."""

import shutil

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ReplayBuffer

from rlopt.errors import UserError

from .shared import FIXTURES, assert_steps, read


def test_torchrl_dumps(caplog):
    data = read("TorchRL", FIXTURES / "torchrl")
    # ten frames: the last episode was cut off in its second step, and its return does not count
    assert assert_steps(data, [0, 100, 200], [5, 3, 2]) == [True, False, True]
    assert data.expert_return == 8
    assert not caplog.messages


def test_a_folder_that_would_have_to_be_unpickled_is_refused(tmp_path):
    folder = shutil.copytree(FIXTURES / "torchrl", tmp_path / "torchrl")
    (folder / "storage" / "meta.json").unlink()
    with pytest.raises(UserError, match="without unpickling, or is damaged"):
        read("TorchRL", folder)


def rows(starts_and_lengths):
    """Transitions of such episodes, as TorchRL has them."""
    at = np.concatenate([start + np.arange(length) for start, length in starts_and_lengths])
    step = at % 100
    actions = torch.tensor([1.0, 2, 3, 4, 0])
    taken = actions[step]
    before = torch.where(torch.as_tensor(step == 0), 0.0, actions[step - 1])
    terminated = torch.as_tensor((at // 100 % 2 == 1) & (step == 2)).unsqueeze(-1)
    truncated = torch.as_tensor((at // 100 % 2 == 0) & (step == 4)).unsqueeze(-1)
    position = torch.as_tensor(at, dtype=torch.float32)
    following = {
        "observation": torch.stack([position + 1, taken], 1),
        "reward": taken.unsqueeze(-1),
        "done": terminated | truncated,
        "terminated": terminated,
        "truncated": truncated,
    }
    observation = torch.stack([position, before], 1)
    return TensorDict({"observation": observation, "action": taken.unsqueeze(-1), "next": following}, [len(at)])


def buffer(data, places=100, **storage):
    made = ReplayBuffer(storage=LazyTensorStorage(places, **storage))
    made.extend(data)
    return made


def test_a_buffer_in_memory_and_one_that_has_overwritten():
    data = rows([(100, 3), (200, 5), (300, 3)])
    assert assert_steps(read("TorchRL", buffer(data)), [100, 200, 300], [3, 5, 3]) == [False, True, False]
    full = buffer(data[:8], places=8)
    full.extend(data[8:])
    assert_steps(read("TorchRL", full), [200, 300], [5, 3])
    full.extend(rows([(400, 2)]))
    found = read("TorchRL", full)
    assert_steps(found, [202, 300, 400], [3, 3, 2])
    assert found.expert_return == 6  # of the only whole episode


def test_trajectories_of_several_environments_side_by_side():
    one, two = rows([(100, 3), (200, 5)]), rows([(300, 3), (400, 5)])
    one["collector"] = TensorDict({"traj_ids": torch.tensor([0, 0, 0, 2, 2, 2, 2, 2])}, [8])
    two["collector"] = TensorDict({"traj_ids": torch.tensor([1, 1, 1, 3, 3, 3, 3, 3])}, [8])
    mixed = torch.stack([one, two], 1)
    for data in (buffer(mixed.reshape(-1)), buffer(mixed.reshape(8, 2), ndim=2)):
        assert_steps(read("TorchRL", data), [100, 300, 200, 400], [3, 3, 5, 5])
    del mixed["collector"]
    with pytest.raises(UserError, match="no episodes in order"):
        read("TorchRL", buffer(mixed.reshape(-1)))


@pytest.mark.parametrize("key", [("collector", "mask"), "mask"])
def test_masked_rows_are_padding(key):
    data = torch.cat([rows([(100, 3)]), torch.zeros_like(rows([(200, 5)])), rows([(400, 5)])])
    data[key] = torch.tensor([True] * 3 + [False] * 5 + [True] * 5)
    assert_steps(read("TorchRL", buffer(data)), [100, 400], [3, 5])


def test_zeros_are_refused_or_dropped(caplog):
    data = rows([(100, 3), (200, 5)])
    # MinariExperienceReplay and D4RLExperienceReplay of TorchRL 0.14.1 hand out such
    with pytest.raises(UserError, match=r"are zero: .* MinariExperienceReplay .* minari:ID"):
        read("TorchRL", buffer(torch.zeros_like(data)))
    data["next", "observation"][[2, 7]] = 0
    assert_steps(read("TorchRL", buffer(data)), [100, 200], [2, 4])
    assert "2 of 2 episodes lost their last step" in caplog.text


def test_a_buffer_that_says_only_done():
    data = rows([(100, 3), (200, 5)])
    del data["next", "terminated"], data["next", "truncated"]
    assert assert_steps(read("TorchRL", buffer(data)), [100, 200], [3, 5]) == [False, True]


def test_a_buffer_without_next_observations():
    with pytest.raises(UserError, match="no next_observation"):
        read("TorchRL", buffer(rows([(100, 3)]).exclude(("next", "observation"))))


def test_stable_baselines3(caplog):
    data = read("stable-baselines3", FIXTURES / "stable_baselines3.npz")
    lengths = [3, 5, 2, 3, 5, 2]  # of one environment, then of the other; the last of each was cut off
    ends = assert_steps(data, [100, 200, 300, 1100, 1200, 1300], lengths, scripted=False)
    assert ends == [False, True, True, False, True, True]
    assert not caplog.messages


def test_stable_baselines3_that_has_overwritten():
    data = read("stable-baselines3", FIXTURES / "stable_baselines3_full.npz")
    assert_steps(data, [201, 300, 400], [4, 3, 3], scripted=False)
    assert data.expert_return == pytest.approx(data.reward[4:7].sum().item())


@pytest.fixture
def changed(tmp_path):
    def write(without, source="stable_baselines3", **changes):
        with np.load(FIXTURES / f"{source}.npz") as file:
            arrays = {key: file[key] for key in file.files if key not in without}
        np.savez(tmp_path / "changed.npz", **arrays | changes)
        return tmp_path / "changed.npz"

    return write


def test_stable_baselines3_without_some_arrays(changed, caplog):
    starts, lengths = [100, 200, 300, 1100, 1200, 1300], [3, 5, 2, 3, 5, 2]
    data = read("stable-baselines3", changed({"timeouts"}))
    assert assert_steps(data, starts, lengths, scripted=False)[1::3] == [True, True]
    data = read("stable-baselines3", changed({"pos", "full"}))
    assert_steps(data, starts, lengths, scripted=False)
    assert "last 10 of 20 rows are zero" in caplog.text
    data = read("stable-baselines3", changed({"next_observations"}))
    assert_steps(data, starts, [2, 4, 1, 2, 4, 1], scripted=False)
    assert "6 of 6 episodes lost their last step" in caplog.text


def test_nothing_is_unpickled(changed):
    with pytest.raises(UserError, match=r"pickled objects"):
        read("stable-baselines3", changed((), observations=np.array([{}], object)))
