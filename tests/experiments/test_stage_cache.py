"""Finished stages that are read back, or refused."""

from functools import partial

import pytest

from rlopt.errors import UserError
from rlopt.experiments.comparison import check_summary
from rlopt.experiments.stage_cache import StageCache
from rlopt.logs.files import save_atomically

HISTORY = {"unit": "frames", "x": [5], "returns": [[1.0, 2.0]], "losses": {"loss": [[0.5, 0.25]]}, "wall_seconds": 1.0}
SUMMARY = {
    "returns": [[1.0], [2.0]],
    "history": HISTORY,
    "directory": "logs",
    "wall_seconds": 1.0,
    "demonstrations": "expert_buffer.pt",
    "reward_recovery": None,
}


def read(path, result):
    save_atomically(path, {"settings": {}, "stages": {"sac": {"config": None, "result": result}}})
    return StageCache(path, {}, check=check_summary).get_or_run("sac", partial(pytest.fail, "it is there"))


def test_a_finished_stage_is_taken(tmp_path):
    assert read(tmp_path / "stages.pt", SUMMARY) == SUMMARY


@pytest.mark.parametrize("state", [{}, [], {"settings": {}, "stages": [1]}, {"settings": {}, "stages": {"sac": 3}}])
def test_what_is_no_cache_is_refused(tmp_path, state):
    save_atomically(tmp_path / "stages.pt", state)
    with pytest.raises(
        UserError, match=r"stages\.pt holds no finished stages of rlopt \([^\n]*\): delete it to begin anew\.$"
    ):
        StageCache(tmp_path / "stages.pt", {})


@pytest.mark.parametrize(
    "change",
    [
        {"returns": []},
        {"returns": [[1.0], [2.0, 3.0]]},
        {"returns": [[1.0], ["x"]]},
        {"demonstrations": None},
        {"wall_seconds": "x"},
        {"history": {}},
        {"history": {**HISTORY, "unit": "epochs"}},
        {"history": {**HISTORY, "returns": [[1.0]]}},
        {"history": {**HISTORY, "returns": []}},
        {"history": {**HISTORY, "losses": {"loss": [[1, 2]]}}},
    ],
)
def test_a_stage_of_another_form_is_refused(tmp_path, change):
    with pytest.raises(UserError, match="holds no finished stages"):
        read(tmp_path / "stages.pt", {**SUMMARY, **change})
