"""Finished stages that are read back, or refused."""

import pytest

from rlopt.errors import UserError
from rlopt.experiments.comparison_cells import check_summary
from rlopt.experiments.stage_cache import StageCache, recorded_command
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
    save_atomically(path, {"settings": {}, "stages": {"sac": {"config": {}, "result": result}}})
    return StageCache(path, {}, check=check_summary).find("sac", {})


def test_the_flags_that_a_comparison_began_with(tmp_path):
    folder = tmp_path / "results" / "mine" / "Counter-v0_size=3"
    settings = {"env": "module:mine/Counter-v0", "env_kwargs": {"size": 3}}
    StageCache(folder / "stages.pt", settings, command={"demos": 3, "hidden_sizes": (8, 8), "save_dir": "x"}).save()
    found = recorded_command(folder)
    assert found == {"demos": 3, "hidden_sizes": (8, 8), "save_dir": str(tmp_path / "results")}
    StageCache(folder / "stages.pt", settings).save()  # by a function that was given none
    with pytest.raises(UserError, match=r"does not tell its flags: give them again, and --resume alone\.$"):
        recorded_command(folder)


def test_a_studys_stages_of_an_earlier_version_are_taken(tmp_path):
    config = [{"gamma": 0.9}, {"frames": 5}]
    save_atomically(tmp_path / "s.pt", {"settings": {}, "stages": {"sac": {"config": config, "result": {"a": 1}}}})
    now = {"agent": {"gamma": 0.9}, "training": {"frames": 5}}
    assert StageCache(tmp_path / "s.pt", {}).find("sac", now) == {"a": 1}


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
