"""The expert buffer's faults: whatever is wrong with a source is raised and named, and nothing is swallowed."""

import math

import pytest
import torch
from torchrl.data import LazyTensorStorage, ReplayBuffer

from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer

from .shared_expert_buffer import Manager, N, Uniform, nested, rows


def without(*keys):
    return nested().exclude(*keys)


@pytest.mark.parametrize("key", ["observation", ("next", "observation")])
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


@pytest.mark.parametrize("source", [None, 3, object(), [1], Manager(None)])
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
