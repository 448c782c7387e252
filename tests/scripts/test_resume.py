"""--resume FOLDER alone, what may change then, --keep-checkpoint and --init-from, as typed."""

import json
import signal

import numpy as np
import pytest
import torch

from rlopt.training.monitor import Monitor

from .shared import BC, COLLECT, IPMD, SMALL

DATA = "data/expert_buffer.pt"
QUIET = ("--device", "cpu", "--no-progress", "--no-wandb")
LEARN = (*SMALL, "--frames", 320, "--demos", 2, "--noise", 0.1, "--expert-batch-size", 32, *QUIET)


@pytest.fixture
def stop(monkeypatch):
    """Ctrl-C during report number n of the next training."""

    def at(number):
        reports, report = [], Monitor.report

        def spy(self, *arguments):
            reports.append(1)
            if len(reports) == number:
                signal.raise_signal(signal.SIGINT)
            report(self, *arguments)

        monkeypatch.setattr(Monitor, "report", spy)

    yield at
    monkeypatch.undo()


def only_run(folder):
    (path,) = folder.glob("*/config.json")
    return path.parent


def settings(folder):
    return json.loads((folder / "config.json").read_text())["config"]


@pytest.mark.parametrize(
    ("script", "method", "words", "model"),
    [
        (COLLECT, "sac", (*SMALL, "--frames", 320, "--episodes", 2, "--save-dir", "mine", *QUIET), "sac_expert.pt"),
        (IPMD, "ipmd", (DATA, *LEARN), "ipmd_model.pt"),
        (BC, "bc", (DATA, "--epochs", 4, "--num-seeds", 2, "--demos", 2, "--subsample", 2, *QUIET), None),
    ],
)
def test_the_folder_alone_is_enough(
    call, workplace, stop, monkeypatch, assert_same_state, script, method, words, model
):
    assert call(script, *words, "--log-dir", "whole")[0] == 0
    whole = only_run(workplace / "whole" / method / "Pendulum-v1")
    stop(3)
    code, _, err = call(script, *words)
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    assert code == 130
    folder = only_run(workplace / "logs" / method / "Pendulum-v1")
    assert f"Interrupted. To go on: add --resume {folder.relative_to(workplace)} to the command" in err
    code, _, err = call(script, "--resume", folder, *QUIET)
    assert code == 0, err
    assert settings(folder) == settings(whole)
    assert not (folder / "checkpoint.pt").exists()
    assert not (folder / "replay").exists()
    one, other = (np.genfromtxt(path / "metrics.csv", delimiter=",", names=True) for path in (whole, folder))
    for column in one.dtype.names:
        if column not in ("wall_seconds", "frames_per_second", "epochs_per_second"):
            np.testing.assert_array_equal(one[column], other[column], err_msg=column)
    if model is not None:
        assert_same_state(torch.load(whole / model)["agent"], torch.load(folder / model)["agent"])
    # it is finished now
    code, _, err = call(script, "--resume", folder, *QUIET)
    assert code == 2
    assert "--keep-checkpoint" in err
    assert "--init-from" in err


def test_what_is_given_again_must_agree(call, workplace, stop, monkeypatch):
    stop(5)
    assert call(IPMD, DATA, *LEARN)[0] == 130
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    folder = only_run(workplace / "logs" / "ipmd" / "Pendulum-v1")
    for words, sentence in (
        (["--gamma", 0.5], "agent.gamma: 0.99, now 0.5"),
        (["--learning-rate", 1], "agent.learning_rate: 0.001, now 1"),
        (["--frames", 200], "training.frames: 320, now 200"),
        (["--env", "InvertedPendulum-v5"], "InvertedPendulum-v5"),
        (["--skip-demos", 1], "learned from other demonstrations"),
    ):
        code, _, err = call(IPMD, "--resume", folder, *words, *QUIET)
        assert code == 2, words
        assert sentence in err
    code, _, err = call(BC, "--resume", folder, *QUIET)
    assert code == 2
    assert "is one of ipmd, not of bc" in err
    # the same file by another path, another number of processes, more frames, a smaller step
    (workplace / "copy").mkdir()
    (workplace / "copy" / "data.pt").write_bytes((workplace / DATA).read_bytes())
    free = ("--frames", 960, "--learning-rate", 1e-4, "--env-workers", 1, "--eval-episodes", 3)
    code, _, err = call(IPMD, (workplace / "copy" / "data.pt").resolve(), "--resume", folder, *free, *QUIET)
    assert code == 0, err
    assert settings(folder)["training"]["frames"] == 960
    assert settings(folder)["noise"] == 0.1


def test_a_kept_checkpoint_lets_a_finished_run_go_on(call, workplace):
    assert call(IPMD, DATA, *LEARN, "--keep-checkpoint")[0] == 0
    folder = only_run(workplace / "logs" / "ipmd" / "Pendulum-v1")
    assert (folder / "checkpoint.pt").exists()
    assert call(IPMD, "--resume", folder, "--frames", 960, *QUIET)[0] == 0
    assert torch.load(folder / "ipmd_model.pt")["agent"]["num_updates"] > 0
    assert (folder / "metrics.csv").read_text().strip().rpartition("\n")[2].startswith("960,")
    assert not (folder / "checkpoint.pt").exists()


def test_a_model_starts_a_new_run(call, workplace):
    small = ("--num-seeds", 2, "--hidden-size", 16, *QUIET)
    assert call(BC, DATA, "--epochs", 1, *small)[0] == 0
    model = workplace / "logs" / "bc" / "Pendulum-v1" / "bc_policy_seed44.pt"
    code, _, err = call(IPMD, DATA, *LEARN, "--hidden-size", 16, "--init-from", model)
    assert code == 0, err
    assert settings(only_run(workplace / "logs" / "ipmd" / "Pendulum-v1"))["init_from"] == str(model)
    code, _, err = call(IPMD, DATA, *LEARN, "--hidden-size", 8, "--init-from", model)
    assert code == 2
    assert "hidden layers of widths (16, 16)" in err


def test_a_run_that_was_stopped_before_it_began_begins(call, workplace):
    assert call(IPMD, DATA, *LEARN, "--keep-checkpoint")[0] == 0
    folder = only_run(workplace / "logs" / "ipmd" / "Pendulum-v1")
    for path in folder.iterdir():  # what is there between config.json and the first checkpoint
        if path.is_file() and path.name not in ("config.json", "rlopt.log"):
            path.unlink()
    assert call(IPMD, "--resume", folder, *QUIET)[0] == 0
    assert only_run(workplace / "logs" / "ipmd" / "Pendulum-v1") == folder
    assert (folder / "ipmd_model.pt").exists()


def test_what_is_no_run_folder(call, workplace):
    for words in (["--resume", "nowhere"], ["--resume", "data"]):
        code, _, err = call(IPMD, *words, *QUIET)
        assert code == 2
        assert "is no run folder" in err
    code, _, err = call(IPMD, *QUIET)
    assert code == 2
    assert "expert_data is needed" in err
