"""LeRobot's datasets, format v3."""

import json
import shutil
from dataclasses import replace

import pytest

from rlopt.errors import UserError

from .shared import FIXTURES, STEPS, assert_steps, read

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FIXTURES / "lerobot", tmp_path / "lerobot")


def change(folder, **changes):
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_many_episodes_in_one_file_and_no_final_observation(folder, caplog):
    data = read("LeRobot", folder)
    assert_steps(data, [100, 200, 300], [2, 4, 2])
    assert caplog.messages[0] == "3 of 3 episodes lost their last step: the observation after it was not recorded."
    assert (data.expert_return, data.random_return) == (None, None)


def test_refusals(folder):
    with pytest.raises(UserError, match="does not say which environment"):
        read("LeRobot", folder, None)
    with pytest.raises(UserError, match=r"\{'observation.state': 2\}; the environment has 3 numbers"):
        read("LeRobot", folder, replace(STEPS, observation_size=3))
    change(folder, total_frames=12)
    with pytest.raises(UserError, match="has 11 frames, its meta/info"):
        read("LeRobot", folder)
    change(folder, codebase_version="v2.1")
    with pytest.raises(UserError, match=r"format v2.1: convert it"):
        read("LeRobot", folder)
    change(folder, codebase_version="v3.0")
    shutil.rmtree(folder / "data")
    with pytest.raises(UserError, match="has no data/chunk"):
        read("LeRobot", folder)
