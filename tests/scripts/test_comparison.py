"""04 alone, resumed, and with expert data that is there: its results, its pictures and its lines."""

import dataclasses
import json
import re
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from rlopt.experiments import expert, learners
from rlopt.imitation import load_demonstrations, save_demonstrations
from rlopt.presets import PRESETS

from ..report.read_page import read_page
from .shared import (
    COMPARE,
    EXPERT,
    FRAMES,
    ONE_WARNING,
    SCRIPTS,
    SMALL,
    STDERR_LINES,
    files,
    run,
    run_here,
)
from .shared_errors import demonstrations
from .shared_results import check_results

PENDULUM = ["--env", "Pendulum-v1", "--max-episode-steps", "50"]
COMPARISON = [*SMALL, *PENDULUM, "--expert-frames", str(FRAMES), "--ipmd-frames", str(FRAMES), "--bc-epochs", "2"]


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:])


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """04 alone in an empty folder, with its default device."""
    folder = tmp_path_factory.mktemp("empty")
    return folder, run(SCRIPTS / COMPARE, *COMPARISON, "--no-wandb", cwd=folder)


def test_04_in_an_empty_folder_leaves_the_whole_comparison(comparison):
    folder, finished = comparison
    assert finished.returncode == 0, finished.stderr
    assert {path.name for path in folder.iterdir()} == {"expert_data", "logs", "comparison_results"}
    assert {path.name for path in (folder / "comparison_results" / "Pendulum-v1").iterdir()} >= {
        *("report.html", "comparison.png", "learning_curves.png", "results.txt", "results.json")
    }
    if find_spec("pygame") is None:  # then nothing can draw the pendulum, and nothing is said of it
        assert not list(folder.rglob("clip.*"))
    assert (folder / EXPERT).is_file()
    assert len(load_demonstrations(folder / EXPERT).episode_lengths) == 50
    for model in ("sac/Pendulum-v1/*/sac_expert.pt", "ipmd/Pendulum-v1/*/ipmd_model.pt"):
        assert len(list((folder / "logs").glob(model))) == 1
    assert {path.name for path in (folder / "logs").glob("bc/Pendulum-v1/*.pt")} == {
        f"bc_policy_seed{seed}.pt" for seed in (42, 43)
    }
    assert not list(folder.rglob("checkpoint.pt"))
    assert not list(folder.rglob("*.tmp"))


def test_04_results_json_is_the_documented_schema(comparison):
    folder, _ = comparison
    results = json.loads((folder / "comparison_results" / "Pendulum-v1" / "results.json").read_text())
    check_results(results, methods=["sac", "ipmd", "bc"], finite=results["expert_return"] > results["random_return"])
    assert results["demonstrations"] == 5
    assert results["config"]["expert_frames"] == FRAMES


def test_04_shows_what_results_txt_says(comparison):
    folder, finished = comparison
    text = (folder / "comparison_results" / "Pendulum-v1" / "results.txt").read_text()
    assert text in finished.stdout
    assert "; 5 demonstrations\n" in text
    for name, unit in (("SAC", f"{FRAMES:,} frames"), ("IPMD", f"{FRAMES:,} frames"), ("BC", "2 epochs")):
        assert re.search(rf"^{name} .*{unit}", text, re.M)
    assert "comparison_results/Pendulum-v1" in finished.stdout


def test_04_writes_a_page_of_its_results(comparison):
    folder, _ = comparison
    page = read_page((folder / "comparison_results" / "Pendulum-v1" / "report.html").read_text(encoding="utf-8"))
    assert dict(page.rows["Demonstrations"])["SHA-256"] == load_demonstrations(folder / EXPERT).digest
    assert f"scripts/04_compare_methods.py {' '.join(PENDULUM)} --expert-frames {FRAMES}" in page.texts["Command"][0]
    assert ["epochs", "-", "-", "2 (100)"] in page.rows["Settings that differ from the defaults"]


@pytest.mark.parametrize("name", ["comparison.png", "learning_curves.png"])
def test_04_pictures_are_pictures(comparison, name):
    path = comparison[0] / "comparison_results" / "Pendulum-v1" / name
    width, height = png_size(path)
    assert width > 600
    assert height > 500
    assert path.stat().st_size > 10_000


def test_04_warns_once_of_the_missing_gpu_and_shows_nothing_foreign(comparison):
    shown = comparison[1].stderr.splitlines()
    assert shown.count(ONE_WARNING) == 1
    assert shown[0] == ONE_WARNING
    known = [*STDERR_LINES, re.escape(ONE_WARNING)]
    assert [line for line in shown if not any(re.fullmatch(pattern, line) for pattern in known)] == []


@pytest.fixture
def again(comparison, tmp_path, monkeypatch):
    """A copy of the comparison's folder, to go on in."""
    shutil.copytree(comparison[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replace_stage(monkeypatch, method, stage):
    """Have the comparison call `stage` where it would train this method."""
    if method == "sac":
        monkeypatch.setattr(expert, "collect_expert_data", stage)
        return
    train = learners.train_method
    monkeypatch.setattr(
        learners, "train_method", lambda name, *args, **how: (stage if name == method else train)(name, *args, **how)
    )


def forbid(monkeypatch, *methods):
    def stage(*args, **kwargs):
        pytest.fail("a finished stage ran again")

    for method in methods:
        replace_stage(monkeypatch, method, stage)


class Began(Exception):
    """A stage was run."""


def begin(*args, **kwargs):
    raise Began


@pytest.mark.pictures
def test_04_resume_keeps_finished_stages(again, monkeypatch, capsys):
    forbid(monkeypatch, "sac", "ipmd", "bc")
    directory = again / "comparison_results" / "Pendulum-v1"
    before = json.loads((directory / "results.json").read_text())
    (directory / "results.json").unlink()
    (directory / "comparison.png").unlink()
    assert run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", "--resume") == 0
    assert json.loads((directory / "results.json").read_text()) == before
    assert png_size(directory / "comparison.png")
    assert (directory / "results.txt").read_text() in capsys.readouterr().out


def test_04_resume_runs_the_stage_that_is_missing(again, monkeypatch):
    path = again / "comparison_results" / "Pendulum-v1" / "stages.pt"
    state = torch.load(path, weights_only=True)
    assert set(state["stages"]) == {"sac", "ipmd", "bc"}
    del state["stages"]["bc"]
    torch.save(state, path)
    forbid(monkeypatch, "sac", "ipmd")
    before = files(again / "logs" / "bc")
    assert run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", "--resume") == 0
    assert len(files(again / "logs" / "bc")) == len(before) + 6  # log, config, metrics, checksum, policies
    assert set(torch.load(path, weights_only=True)["stages"]) == {"sac", "ipmd", "bc"}


def test_04_keeps_no_stage_without_resume(again, monkeypatch):
    replace_stage(monkeypatch, "sac", begin)
    with pytest.raises(Began):
        run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu")


def test_04_makes_a_stage_of_other_settings_anew_and_says_so(again, monkeypatch, caplog):
    forbid(monkeypatch, "sac", "ipmd")
    replace_stage(monkeypatch, "bc", begin)
    with pytest.raises(Began):
        run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", "--resume", "--bc-epochs", "3")
    assert "bc had other settings (agent.epochs): it is trained anew." in caplog.text


def test_04_keeps_a_stage_whatever_the_way_it_is_computed(again, monkeypatch):
    forbid(monkeypatch, "sac", "ipmd", "bc")
    flags = [*COMPARISON, "--no-wandb", "--device", "cpu", "--resume", "--workers", "3", "--checkpoint-points", "2"]
    assert run_here(monkeypatch, COMPARE, *flags) == 0


def test_04_resume_folder_needs_no_other_flag(again, monkeypatch, capsys):
    directory = again / "comparison_results" / "Pendulum-v1"
    before = json.loads((directory / "results.json").read_text())
    (directory / "results.json").unlink()
    state = torch.load(directory / "stages.pt", weights_only=True)
    del state["stages"]["bc"]
    torch.save(state, directory / "stages.pt")
    forbid(monkeypatch, "sac", "ipmd")
    assert run_here(monkeypatch, COMPARE, "--resume", "comparison_results/Pendulum-v1", "--no-wandb") == 0
    after = json.loads((directory / "results.json").read_text())
    assert after["config"] == before["config"]
    assert after["methods"]["bc"]["return_mean"] == before["methods"]["bc"]["return_mean"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch-size", "7"], "batch_size: 32, now 7"),
        (["--demos", "1"], "demos: 5, now 1"),
        (["--ipmd-frames", "384"], f"ipmd_frames: {FRAMES}, now 384"),
        (["--seed", "1", "--num-seeds", "3"], "num_seeds: 2, now 3; seed: 42, now 1"),
    ],
)
def test_04_resume_folder_with_other_settings_is_refused(again, monkeypatch, capsys, flags, message):
    forbid(monkeypatch, "sac", "ipmd", "bc")
    folder = "comparison_results/Pendulum-v1"
    assert run_here(monkeypatch, COMPARE, "--resume", folder, *flags) == 2
    error = f"error: The comparison in {folder} had other settings ({message}): resume it with the same ones.\n"
    assert capsys.readouterr().err.endswith(error)


def test_04_resume_of_a_folder_that_holds_no_comparison(again, monkeypatch, capsys):
    assert run_here(monkeypatch, COMPARE, "--resume", "logs") == 2
    message = "error: logs holds no comparison: --resume takes the folder of its results, SAVE_DIR/ENV.\n"
    assert capsys.readouterr().err.endswith(message)


def test_04_makes_a_stage_anew_whose_preset_has_changed(again, monkeypatch):
    changed = {**PRESETS["Pendulum-v1"], "ipmd": {"lipschitz_constant": 0.5}}
    monkeypatch.setitem(PRESETS, "Pendulum-v1", changed)
    forbid(monkeypatch, "sac", "bc")
    replace_stage(monkeypatch, "ipmd", begin)
    with pytest.raises(Began):
        run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", "--resume")


@pytest.mark.pictures
def test_04_takes_expert_data_and_trains_no_expert(comparison, tmp_path, monkeypatch):
    """With returns of a good expert in the file, so that scores are numbers."""
    forbid(monkeypatch, "sac")
    monkeypatch.chdir(tmp_path)
    data = dataclasses.replace(load_demonstrations(comparison[0] / EXPERT), expert_return=-150.0, random_return=-1250.0)
    path = save_demonstrations(data, tmp_path / "mine")
    flags = [*SMALL, "--ipmd-frames", 320, "--bc-epochs", 2, "--no-wandb", "--device", "cpu"]
    flags += ["--demos", 2, "--skip-demos", 1]
    assert run_here(monkeypatch, COMPARE, "--expert-data", path, "--save-dir", "out", *flags) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "logs", "out"}
    results = json.loads((tmp_path / "out" / "Pendulum-v1" / "results.json").read_text())
    check_results(results, methods=["ipmd", "bc"], finite=True)
    assert results["demonstrations"] == 2
    configs = [json.loads(path.read_text())["config"] for path in (tmp_path / "logs").rglob("config.json")]
    assert [(config["demonstrations"], config["skip_demos"]) for config in configs] == [(2, 1)] * 2
    assert results["expert_return"] == -150
    for name in ("comparison.png", "learning_curves.png"):
        assert png_size(tmp_path / "out" / "Pendulum-v1" / name)


def test_04_flags_reach_every_method_that_has_the_setting_and_ipmds_own_ipmd_alone(tmp_path, monkeypatch):
    """Each method's run says what it was trained with."""
    monkeypatch.chdir(tmp_path)
    save_demonstrations(demonstrations("Pendulum-v1"), tmp_path / "mine")
    flags = [*SMALL, "--batch-size", 16, "--learning-rate", 0.01, "--hidden-size", 12, "--bc-epochs", 2]
    flags += ["--value-regularizer", 0.25, "--gradient-penalty", 2, "--expert-ratio", 0.25, "--demos", 2]
    flags += ["--expert-data", "mine/expert_buffer.pt", "--ipmd-frames", 320, "--no-wandb", "--device", "cpu"]
    assert run_here(monkeypatch, COMPARE, *flags) == 0
    configs = {path.parts[1]: json.loads(path.read_text())["config"] for path in Path("logs").rglob("config.json")}
    assert set(configs) == {"ipmd", "bc"}
    shared = {"batch_size": 16, "learning_rate": 0.01, "hidden_sizes": [12, 12]}
    own = {"value_regularizer": 0.25, "gradient_penalty": 2.0, "expert_ratio": 0.25}
    for name, expected in {"ipmd": shared | own, "bc": shared}.items():
        assert {key: configs[name]["agent"][key] for key in expected} == expected, name
    assert set(configs["bc"]["agent"]) == {*shared, "epochs", "min_steps_per_epoch"}
