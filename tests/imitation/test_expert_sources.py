"""What an expert source may hold beside its transitions: padding, ends under other names, equal rows."""

import pytest
import torch
from torchrl.collectors.utils import split_trajectories
from torchrl.data import LazyTensorStorage, ReplayBuffer

from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer

from .shared_expert_buffer import N, Uniform, index, nested, rows


def padded():
    """Two trajectories of 3 and 7 rows, side by side, as TorchRL stacks them."""
    data = nested()
    data["next", "done"] = ((torch.arange(N) == 2) | (torch.arange(N) == 9)).unsqueeze(-1)
    return split_trajectories(data, done_key="done")


def own_mask(key):
    data = {**rows(), "observation": rows()["observation"].clone()}
    data["observation"][7:] = 99
    mask = torch.arange(N) < 7
    return data | ({"collector": {"mask": mask}} if key == "collector" else {"mask": mask})


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        (padded, N),
        (lambda: own_mask("mask"), 7),
        (lambda: own_mask("collector"), 7),
        (lambda: Uniform(lambda n: padded()), N),
    ],
)
def test_padding_is_left_out(source, kept):
    buffer = ExpertReplayBuffer(source())
    assert set(index(buffer.sample(500))) == set(range(kept))
    if not isinstance(source(), Uniform):
        assert len(buffer) == kept


@pytest.mark.parametrize("name", ["terminated", "terminations", "terminals"])
def test_terminations_by_any_name(name, recwarn):
    data = rows()
    index(ExpertReplayBuffer({**data, name: data.pop("terminated")}).sample(100))
    data = nested()
    data["next", name] = data["next"].pop("terminated")
    index(ExpertReplayBuffer(data).sample(100))
    assert not recwarn.list


@pytest.mark.parametrize("key", ["done", "dones", "is_terminal_state", ("next", "done")])
@pytest.mark.parametrize("nest", [False, True])
def test_other_ends_are_named_and_not_read(key, nest):
    data = rows()
    del data["terminated"]
    ends = {"next": {"done": torch.ones(N)}} if nest else {key: torch.ones(N)}
    name = "next.done" if nest or isinstance(key, tuple) else key
    with pytest.warns(UserWarning, match=f"no episode of it terminates: {name} may mean a time limit"):
        buffer = ExpertReplayBuffer(data | ends)
    assert not buffer.sample(100)["next", "terminated"].any()


def test_the_root_of_torchrl_is_the_state_before():
    data = nested()
    del data["next", "terminated"]
    with pytest.warns(UserWarning, match="terminated may mean .* the state before"):
        buffer = ExpertReplayBuffer(data)
    assert not buffer.sample(100)["next", "terminated"].any()


def test_truncations_need_no_word(recwarn):
    data = rows()
    del data["terminated"]
    ExpertReplayBuffer(data | {"truncated": torch.ones(N), "timeouts": torch.ones(N)})
    assert not recwarn.list


def same(n, value):
    fill = torch.full((n, 2), float(value))
    return {"observation": fill, "action": fill[:, :1] / 10, "next_observation": fill}


@pytest.mark.parametrize(
    "source", [lambda: same(300, 0), lambda: same(2, 0), lambda: same(300, 3), lambda: Uniform(lambda n: same(n, 0))]
)
def test_one_row_again_and_again_is_refused(source):
    with pytest.raises(UserError, match=r"transitions are the same, .*TorchRL 0\.14\.1's MinariExperienceReplay"):
        ExpertReplayBuffer(source()).sample(50)


def test_few_equal_rows_are_warned_of():
    with pytest.warns(UserWarning, match="all 10 transitions are the same"):
        ExpertReplayBuffer(same(10, 3))
    single = ReplayBuffer(storage=LazyTensorStorage(1))
    single.extend(nested(1))
    assert len(ExpertReplayBuffer(single).sample(50)) == 50  # one transition is no fault
