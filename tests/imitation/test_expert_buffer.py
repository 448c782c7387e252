"""The expert buffer: every kind of source gives the same kind of sample."""

import math

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ListStorage, ReplayBuffer, SliceSampler

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.files import save_demonstrations

from .shared_expert_buffer import Manager, N, Uniform, index, nested, rows

KEYS = {"observation", "action", ("next", "observation"), ("next", "terminated")}


def demonstrations():
    return Demonstrations(
        env_id="test",
        **rows(),
        reward=torch.zeros(N),
        truncated=torch.zeros(N),
        episode_lengths=torch.tensor([2] * 5),
        subsampled=True,
        action_low=torch.tensor([-1.0]),
        action_high=torch.tensor([1.0]),
        expert_return=1.0,
        random_return=0.0,
    )


def replay_buffer(n=N, start=0, **kwargs):
    buffer = ReplayBuffer(storage=LazyTensorStorage(n), **kwargs)
    buffer.extend(nested(n, start))
    return buffer


class PerEnvironment:
    """One transition for each of `num_envs` environments, whatever is asked for; row k follows row k - 1."""

    def __init__(self, num_envs=4):
        self.num_envs, self.next = num_envs, 0

    def sample(self):
        self.next += self.num_envs
        return nested(self.num_envs, self.next - self.num_envs)


def assert_exact(sample, batch):
    assert sample.batch_size == torch.Size(batch)
    assert set(sample.keys(include_nested=True, leaves_only=True)) == KEYS
    for key in KEYS:
        size = 2 if "observation" in key else 1
        assert sample[key].shape == (*batch, size), key
        assert sample[key].dtype == (torch.bool if "terminated" in key else torch.float32), key
        assert sample[key].device == torch.device("cpu"), key


SOURCES = {
    "dict": rows,
    "nested dict": lambda: nested().to_dict(),
    "tuple keys": lambda: {key: nested()[key] for key in KEYS},
    "numpy": lambda: {key: value.numpy() for key, value in rows().items()},
    "TensorDict": nested,
    "batch [T, E]": lambda: nested().reshape(5, 2),
    "batch forgotten": lambda: TensorDict(nested().reshape(5, 2).to_dict(), batch_size=[]),
    "float64": lambda: nested().double(),
    "gradients": lambda: {**rows(), "action": rows()["action"].requires_grad_()},
    "Demonstrations": demonstrations,
    "TorchRL": replay_buffer,
    "TorchRL with its own batch size": lambda: replay_buffer(batch_size=3),
    "TorchRL with prefetch": lambda: replay_buffer(batch_size=3, prefetch=2),
    "TorchRL, storage [T, E]": lambda: _two_dimensional(),
    "TorchRL, elements [E]": lambda: _stacked_elements(),
    "TorchRL, list": lambda: _list_storage(),
    "manager": lambda: Manager(replay_buffer()),
    "sample(batch_size)": Uniform,
    "sample()": PerEnvironment,
    "expert buffer": lambda: ExpertReplayBuffer(rows()),
}


def _two_dimensional():
    buffer = ReplayBuffer(storage=LazyTensorStorage(N, ndim=2))
    buffer.extend(nested().reshape(5, 2))
    return buffer


def _stacked_elements():
    buffer = ReplayBuffer(storage=LazyTensorStorage(5))
    buffer.extend(nested().reshape(5, 2))  # five elements of batch [2]
    return buffer


def _list_storage():
    buffer = ReplayBuffer(storage=ListStorage(N), collate_fn=torch.stack)
    buffer.extend(list(nested()))
    return buffer


@pytest.mark.filterwarnings("ignore:Got conflicting batch_sizes")
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_kind_of_sample(name):
    buffer = ExpertReplayBuffer(SOURCES[name](), batch_size=6)
    for size in (1, 7, 33):
        sample = buffer.sample(size)
        assert_exact(sample, [size])
        index(sample)
        assert not any(value.requires_grad for value in sample.values(True, True))
    assert_exact(buffer.sample(), [6])
    stacked = buffer.sample_stacked(3, 5)
    assert_exact(stacked, [3, 5])
    index(stacked)
    assert (buffer.observation_size, buffer.action_size) == (2, 1)


def test_a_file_by_str_and_path(tmp_path):
    path = save_demonstrations(demonstrations(), tmp_path)
    for source in (path, str(path)):
        buffer = ExpertReplayBuffer(source)
        assert_exact(buffer.sample(), [256])
        assert set(index(buffer.sample(500))) == set(range(N))
        assert len(buffer) == N
    with pytest.raises(UserError, match="Expert buffer not found"):
        ExpertReplayBuffer(tmp_path / "nothing.pt")


def test_terminated_is_false_where_the_source_does_not_say():
    data = rows()
    del data["terminated"]
    sample = ExpertReplayBuffer(data).sample(50)
    assert_exact(sample, [50])
    assert not sample["next", "terminated"].any()


def test_in_memory_sampling_is_uniform_seeded_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (ExpertReplayBuffer(rows(), seed=seed) for seed in (5, 5, 6))
    draws = index(first.sample(20_000))
    assert torch.equal(torch.get_rng_state(), before)
    counts = np.bincount(draws, minlength=N)
    assert abs(counts - 2000).max() < 5 * math.sqrt(20_000 * 0.1 * 0.9)  # five standard deviations
    assert draws == index(again.sample(20_000))
    assert draws != index(other.sample(20_000))
    assert index(first.sample(50)) != draws[:50]  # goes on, does not start again


def test_stacked_seeds_draw_apart():
    stacked = ExpertReplayBuffer(rows()).sample_stacked(2, 100)
    assert index(stacked[0]) != index(stacked[1])
    # a sequential source gives rows 0, 1, 2, ...: each seed must get some of every stretch of time
    for seed in index(ExpertReplayBuffer(PerEnvironment()).sample_stacked(2, 50)):
        assert min(seed) < 20
        assert max(seed) >= 80


def test_a_manager_is_looked_up_at_every_sample():
    manager = Manager(replay_buffer(5, start=0))
    buffer = ExpertReplayBuffer(manager)
    assert max(index(buffer.sample(100))) < 5
    manager.buffer = replay_buffer(7, start=20)
    assert min(index(buffer.sample(100))) >= 20
    assert len(buffer) == 7
    manager.buffer = None
    with pytest.raises(UserError, match="cannot be read from a Manager"):
        buffer.sample()


def test_a_per_environment_source_is_sampled_until_there_is_enough():
    buffer = ExpertReplayBuffer(PerEnvironment(num_envs=4))
    assert index(buffer.sample(8)) == list(range(8))  # two samples, in their order
    ten = index(buffer.sample(10))  # rows 8 to 19, two of them dropped
    assert len(set(ten)) == 10
    assert set(ten) <= set(range(8, 20))
    assert ten == sorted(ten)


def test_a_surplus_is_cut_at_random():
    everything = Uniform(lambda size: nested(100))  # ignores the size and always starts with row 0
    buffer = ExpertReplayBuffer(everything)
    draws = [index(buffer.sample(60)) for _ in range(20)]
    assert all(len(set(draw)) == 60 for draw in draws)
    assert set().union(*draws) == set(range(100))  # missed with probability 100 * 0.4^20, about 1e-6, were it unseeded


def test_how_the_batch_size_is_told():
    asked = []

    class Source:
        def __init__(self, sample):
            self.sample = sample

    def answer(size):
        asked.append(size)
        return nested(3 if size is None else size)

    for sample, told in (
        (lambda batch_size=None: answer(batch_size), 3),
        (lambda info=False, *, batch_size: answer(batch_size), 3),
        (lambda count: answer(count), 3),
        (lambda n=8: answer(n), 3),
        (lambda *args: answer(*args), 3),
        (lambda: answer(None), None),
        (lambda return_info=False: answer(None if return_info is False else -1), None),
        (lambda key=None: answer(key), None),
        (lambda **kwargs: answer(kwargs.get("n")), None),
    ):
        asked.clear()
        assert_exact(ExpertReplayBuffer(Source(sample)).sample(3), [3])
        assert asked == [told]


def test_slices_are_flattened():
    storage = LazyTensorStorage(12)
    buffer = ReplayBuffer(storage=storage, sampler=SliceSampler(slice_len=4, traj_key="episode"))
    buffer.extend(nested(12).set("episode", torch.arange(12) // 6))
    expert = ExpertReplayBuffer(buffer, batch_size=8)
    assert expert.observation_size == 2  # asks for 8, because 1 is no slice
    drawn = index(expert.sample(8))
    assert drawn[:4] == list(range(drawn[0], drawn[0] + 4))


def test_length():
    assert len(ExpertReplayBuffer(nested().reshape(5, 2))) == 10
    assert len(ExpertReplayBuffer(replay_buffer(7))) == 7
    with pytest.raises(TypeError, match="Uniform has no len"):
        len(ExpertReplayBuffer(Uniform()))


def test_observation_statistics_by_hand():
    # observations 0..9 and 1..10 in one list: mean 5, variance (sum of squares 285 + 385) / 20 - 25 = 8.5
    mean, std = ExpertReplayBuffer(rows()).observation_statistics()
    torch.testing.assert_close(mean, torch.tensor([5.0, -5.0]))
    torch.testing.assert_close(std, torch.tensor([1.0, 1.0]) * math.sqrt(8.5))
    # any other source: a sample of 10,000, so to 5 standard errors
    source = Uniform(lambda size: nested(N)[torch.randint(N, (size,), generator=torch.Generator().manual_seed(0))])
    mean, _ = ExpertReplayBuffer(source).observation_statistics()
    assert source.sizes == [10_000]
    torch.testing.assert_close(mean, torch.tensor([5.0, -5.0]), atol=0.15, rtol=0)


def test_statistics_of_one_constant_transition():
    three = torch.full((1, 2), 3.0)
    buffer = ExpertReplayBuffer({"observation": three, "action": torch.zeros(1, 1), "next_observation": three})
    mean, std = buffer.observation_statistics()
    assert mean.tolist() == [3, 3]
    assert std.tolist() == [0, 0]  # not NaN
