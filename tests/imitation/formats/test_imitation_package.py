"""The `imitation` package's trajectories."""

import json
import shutil
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from rlopt.errors import UserError

from .shared import FIXTURES, STEPS, assert_steps, read


@pytest.mark.parametrize("folder", ["imitation", "imitation_infos"])
def test_terminal_is_true_for_both_and_told_apart(folder, caplog):
    pytest.importorskip("pyarrow")
    data = read("imitation", FIXTURES / folder)
    assert assert_steps(data, [300, 100, 200, 400], [3, 3, 5, 5]) == [False, False, True, True]
    assert data.expert_return == 8
    assert not caplog.messages


def test_infos_say_more_than_the_length():
    """Of another time limit: without infos, five steps are then a final state."""
    pytest.importorskip("pyarrow")
    longer = replace(STEPS, max_episode_steps=9)
    assert read("imitation", FIXTURES / "imitation", longer).truncated.sum() == 0
    assert read("imitation", FIXTURES / "imitation_infos", longer).truncated.sum() == 2


@dataclass
class Trajectory:
    """The fields of `imitation.data.types.TrajectoryWithRew`."""

    obs: Any
    acts: Any
    rews: Any
    terminal: bool
    infos: Any = None


def trajectory(steps=3, terminal=True, start=100, infos=None):
    rows = np.arange(steps + 1)
    last = np.array([0, 1, 2, 3, 4, 0])[: steps + 1]
    return Trajectory(np.stack([start + rows, last], 1), last[1:, None], last[1:], terminal, infos)


def test_trajectories_in_memory():
    data = read("imitation", [trajectory(), trajectory(5, start=200), trajectory(4, terminal=False, start=400)])
    # `terminal` false: cut off
    assert assert_steps(data, [100, 200, 400], [3, 5, 4]) == [False, True, True]
    infos = [{}] * 2 + [{"TimeLimit.truncated": True}]
    assert read("imitation", [trajectory(infos=infos)]).truncated.tolist() == [False, False, True]


def pickled(flag):
    """A numpy bool as jsonpickle writes it."""
    kind = {"py/reduce": [{"py/type": "numpy.dtype"}, {"py/tuple": ["b1", False, True]}]}
    value = {"py/tuple": [kind, {"py/b64": "AQ==" if flag else "AA=="}]}
    return {"py/reduce": [{"py/function": "numpy._core.multiarray.scalar"}, value]}


@pytest.mark.parametrize(
    ("flag", "truncated"), [(np.False_, False), (np.True_, True), (pickled(False), False), (pickled(True), True)]
)
def test_an_environment_whose_flags_are_numpy_bools(flag, truncated):
    info = {"TimeLimit.truncated": flag}
    info = json.dumps(info) if isinstance(flag, dict) else info
    data = read("imitation", [trajectory(infos=[{}, {}, info])])
    assert (data.terminated[-1], data.truncated[-1]) == (not truncated, truncated)


def test_a_flag_that_refers_to_another_value_leaves_it_to_the_length():
    info = json.dumps({"is_success": pickled(False), "TimeLimit.truncated": {"py/id": 1}})
    data = read("imitation", [trajectory(infos=["{}"] * 2 + [info]), trajectory(5, infos=["{}"] * 4 + [info])])
    assert data.truncated.nonzero().tolist() == [[7]]


def test_refusals(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="dicts of observations"):
        read("imitation", [replace(trajectory(), obs={"a": np.zeros(4)})])
    with pytest.raises(UserError, match=r"list does not say which environment"):
        read("imitation", [trajectory()], None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.ipc", None)
    with pytest.raises(UserError, match=r"pyarrow is not installed: pip install 'rlopt\[formats\]'"):
        read("imitation", FIXTURES / "imitation")
    folder = shutil.copytree(FIXTURES / "imitation", tmp_path / "other")
    (folder / "dataset_info.json").write_text(json.dumps({"features": {"text": {}}}))
    with pytest.raises(AssertionError):  # another dataset of HuggingFace's: no format of ours
        read("imitation", folder)
