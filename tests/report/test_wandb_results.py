"""The results of a comparison on W&B: what a person sees there, and the files as one artifact; offline for real."""

import json
import sys
from pathlib import Path

import pytest

from rlopt.config import RunOptions
from rlopt.logs import wandb_sink
from rlopt.report import wandb_results
from rlopt.report.wandb_results import COLUMNS, share_results

RESULTS = {
    "env": "Pendulum-v1",
    "device": "cpu",
    "versions": {},
    "config": {"seed": 42},
    "methods": {
        "sac": {
            **{"return_mean": -150.0, "normalized_iqm": 1.0, "normalized_ci95": [0.5, 1.5], "wall_seconds": 60.0},
            "normalized_per_seed": [0.75, 1.25],
        },
        "bc": {
            **{"return_mean": -300.0, "normalized_iqm": 0.5, "wall_seconds": 6.0},
            **{"normalized_ci95": [float("nan"), float("nan")], "normalized_per_seed": [0.5]},
        },
    },
}
FILES = {"results.json", "results.txt", "comparison.png", "learning_curves.png"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of results, with nobody logged in."""
    from PIL import Image

    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ENTITY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(wandb_sink, "_unreachable", {})
    folder = tmp_path / "comparison_results" / "Pendulum-v1"
    folder.mkdir(parents=True)
    for name in FILES:
        if name.endswith(".png"):
            Image.new("RGB", (8, 8)).save(folder / name)
        else:
            (folder / name).write_text("{}")
    return folder


def add_clip(folder):
    from PIL import Image

    frames = [Image.new("RGB", (8, 8), colour) for colour in ("black", "red")]
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:])


def media(folder):
    """What W&B has to look at, by kind."""
    (run,) = folder.glob("wandb/offline-run-*")
    return {kind.name: sorted(kind.iterdir()) for kind in (run / "files" / "media").iterdir()}


@pytest.mark.parametrize("clip", [True, False])
def test_real_wandb_offline_gets_pictures_table_clip_and_files(folder, capfd, clip):
    if clip:
        add_clip(folder)
    share_results(RESULTS, folder, RunOptions(wandb_group="g"), False)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("W&B: offline (not logged in); upload later with `wandb login` and then `wandb sync")
    shown = media(folder)
    assert [path.name.rpartition("_0_")[0] for path in shown["images"]] == ["comparison", "learning_curves"]
    table = json.loads(shown["table"][0].read_text())
    assert table["columns"] == list(COLUMNS)
    assert table["data"] == [
        ["SAC", -150.0, 1.0, 0.5, 1.5, 0.75, 60.0],
        ["BC", -300.0, 0.5, None, None, 0.5, 6.0],
    ]
    videos = [path.read_bytes() for path in shown.get("videos", [])]
    assert videos == ([(folder / "clip.gif").read_bytes()] if clip else [])
    sys.modules["wandb"].teardown()  # wandb's service writes behind our back, and waits for it when the process ends
    (record,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    written = record.read_bytes()
    assert b"comparison-Pendulum-v1" in written
    for name in FILES | ({"clip.gif"} if clip else set()):
        assert str(folder / name).encode() in written, name
    assert b"RLOpt-Comparison" in written


def test_numbers_by_which_comparisons_are_sorted():
    expected = {"sac/return": -150.0, "sac/score": 1.0, "bc/return": -300.0, "bc/score": 0.5}
    assert wandb_results.scores(RESULTS) == expected


def test_without_wandb_nothing_is_sent(folder, monkeypatch):
    monkeypatch.setattr(wandb_results, "WandbSink", lambda *arguments: pytest.fail("a run was begun"))
    share_results(RESULTS, folder, RunOptions(wandb=False), False)


def test_a_clip_that_wandb_refuses_is_one_warning(folder, capfd, caplog):
    (folder / "clip.mp4").mkdir()  # no file: not taken
    (folder / "comparison.png").write_bytes(b"no picture")
    share_results(RESULTS, folder, RunOptions(), False)
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "rlopt"]
    assert warning.startswith("W&B: stopped logging (")
    assert warning.endswith("the files are on disk.")
    assert Path(folder / "results.json").exists()
