"""The expert buffer: every kind of source gives the same kind of sample, and no fault is swallowed."""

import math

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ListStorage, ReplayBuffer, SliceSampler

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations, save_demonstrations
from rlopt.imitation.expert_buffer import ExpertReplayBuffer

N = 10
KEYS = {"observation", "action", ("next", "observation"), ("next", "terminated")}


def rows(n=N, start=0):
    """Row i: observation (i, -i), action i / 1024, next observation (i + 1, -i - 1), terminated where i is odd."""
    i = torch.arange(start, start + n, dtype=torch.float32).unsqueeze(-1)
    observation = torch.cat([i, -i], dim=-1)
    return {
        "observation": observation,
        "action": i / 1024,
        "next_observation": observation + torch.tensor([1.0, -1.0]),
        "terminated": i.squeeze(-1) % 2 == 1,
    }


def nested(n=N, start=0):
    """The same in TorchRL's keys, with others beside them, as a TensorDict of batch [n]."""
    data = rows(n, start)
    return TensorDict(
        {
            "observation": data["observation"],
            "action": data["action"],
            "step_count": torch.arange(n),
            "terminated": torch.ones(n, 1, dtype=torch.bool),  # of the state before: never to be read
            "next": {
                "observation": data["next_observation"],
                "reward": torch.ones(n, 1),
                "terminated": data["terminated"].unsqueeze(-1),
            },
        },
        batch_size=[n],
    )


def demonstrations():
    return Demonstrations(
        env_id="test",
        **rows(),
        reward=torch.zeros(N),
        truncated=torch.zeros(N),
        episode_lengths=torch.tensor([4, 6]),
        action_low=torch.tensor([-1.0]),
        action_high=torch.tensor([1.0]),
        expert_return=1.0,
        random_return=0.0,
    )


def replay_buffer(n=N, start=0, **kwargs):
    buffer = ReplayBuffer(storage=LazyTensorStorage(n), **kwargs)
    buffer.extend(nested(n, start))
    return buffer


class Manager:
    def __init__(self, buffer):
        self.buffer = buffer


class Uniform:
    """Takes a batch size; `answer` says what a sample looks like."""

    def __init__(self, answer=nested):
        self.answer, self.sizes = answer, []

    def sample(self, batch_size):
        self.sizes.append(batch_size)
        return self.answer(batch_size)


class PerEnvironment:
    """One transition for each of `num_envs` environments, whatever is asked for; row k follows row k - 1."""

    def __init__(self, num_envs=4):
        self.num_envs, self.next = num_envs, 0

    def sample(self):
        self.next += self.num_envs
        return nested(self.num_envs, self.next - self.num_envs)


def index(sample):
    """Which row each transition is, after checking that all of its parts are of that row."""
    i = sample["observation"][..., 0]
    torch.testing.assert_close(sample["observation"][..., 1], -i)
    torch.testing.assert_close(sample["action"], i.unsqueeze(-1) / 1024)
    torch.testing.assert_close(sample["next", "observation"], torch.stack([i + 1, -i - 1], dim=-1))
    assert torch.equal(sample["next", "terminated"].squeeze(-1), i % 2 == 1)
    return i.int().tolist()


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


# faults


def without(*keys):
    return nested().exclude(*keys)


@pytest.mark.parametrize("key", ["observation", "action", ("next", "observation")])
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: data.to_dict(), lambda data: Uniform(lambda n: data)])
def test_a_missing_key_is_named(key, wrap):
    with pytest.raises(UserError) as error:
        ExpertReplayBuffer(wrap(without(key))).sample()
    assert f"the key {key!r} is missing" in str(error.value)


def test_a_failing_source_raises_with_its_name_and_cause():
    class Broken:
        def sample(self, batch_size):
            raise TypeError("disk on fire")

    with pytest.raises(RuntimeError, match="expert source Broken failed: disk on fire") as error:
        ExpertReplayBuffer(Broken()).sample()
    assert isinstance(error.value.__cause__, TypeError)


def test_an_empty_torchrl_buffer_raises():
    with pytest.raises(RuntimeError, match="expert source ReplayBuffer failed"):
        ExpertReplayBuffer(ReplayBuffer(storage=LazyTensorStorage(5))).sample()


@pytest.mark.parametrize("answer", [lambda size: nested(0), lambda size: nested(2)[:0].to_dict()])
def test_zero_transitions_raise(answer):
    with pytest.raises(UserError, match="There is no data"):
        ExpertReplayBuffer(Uniform(answer)).sample()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"next_observation": torch.zeros(N, 3)}, r"'next_observation' must have shape \[10, 2\].* found \[10, 3\]"),
        ({"action": torch.zeros(N - 1, 1)}, r"'action' \[9, 1\] and 'observation' \[10, 2\] differ in batch shape"),
        ({"action": torch.zeros(N)}, r"'action' must have shape \[transitions, size\], found \[10\]"),
        ({"observation": torch.zeros(N)}, r"'observation' must have shape \[..., size\].* found \[10\]"),
        ({"action": torch.zeros(N, 1, 1)}, r"'action' must have shape \[transitions, size\], found \[10, 1, 1\]"),
        ({"terminated": torch.zeros(N, 2)}, "'terminated' .* differ in batch shape"),
        ({"observation": torch.full((N, 2), math.nan)}, "'observation' holds NaN or infinity in 20 of 20"),
        ({"action": torch.full((N, 1), math.inf)}, "'action' holds NaN or infinity in 10 of 10"),
        ({"observation": "text"}, "the key 'observation' holds a str, not a tensor"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Uniform(lambda size: data)])
def test_data_that_does_not_fit_is_named(changes, message, wrap):
    with pytest.raises(UserError, match=message):
        ExpertReplayBuffer(wrap(rows() | changes)).sample()


def test_transposed_batches_are_not_paired():
    data = nested().reshape(5, 2).to_dict()
    data["action"] = data["action"].transpose(0, 1)  # [2, 5, 1]: as many rows, in another order
    with pytest.raises(UserError, match=r"'action' \[2, 5, 1\] and 'observation' \[5, 2, 2\] differ"):
        ExpertReplayBuffer(data)


def test_a_source_that_changes_its_sizes_raises():
    source = Uniform()
    buffer = ExpertReplayBuffer(source)
    buffer.sample()
    source.answer = lambda size: {**rows(size), "action": torch.zeros(size, 6)}
    with pytest.raises(UserError, match=r"\(2, 1\) became \(2, 6\)"):
        buffer.sample()


@pytest.mark.parametrize("source", [None, 3, object(), [rows()], Manager(None)])
def test_what_is_no_source(source):
    with pytest.raises(UserError, match=f"cannot be read from a {type(source).__name__}"):
        ExpertReplayBuffer(source)


def test_a_sample_that_is_no_batch():
    with pytest.raises(UserError, match="a tuple is not a dict or TensorDict"):
        ExpertReplayBuffer(Uniform(lambda size: (nested(size), {}))).sample()


@pytest.mark.parametrize("size", [0, -1])
def test_batches_below_one(size):
    for source in (rows(), Uniform()):
        with pytest.raises(UserError, match="at least one transition"):
            ExpertReplayBuffer(source).sample(size)


def test_unscaled_actions_are_called_out():
    with pytest.warns(UserWarning, match=r"9 of 10 actions lie outside \[-1, 1\]"):
        ExpertReplayBuffer(rows() | {"action": rows()["action"] * 2048})
