"""The run folder: settings, log lines and metrics.csv, new and resumed."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from rlopt import runlog
from rlopt.errors import UserError
from rlopt.runlog import new_run_directory, timestamp, to_json

from .shared import open_log, read_rows

# The folder


@dataclass(frozen=True)
class Settings:
    hidden: tuple[int, int] = (64, 64)
    file: Path = Path("expert_data") / "x.pt"


def test_config_json_holds_settings_versions_and_device(tmp_path):
    with open_log(tmp_path / "run", config={"sac": Settings(), "device": torch.device("cpu"), "seeds": [42, 43]}):
        pass
    text = (tmp_path / "run" / "config.json").read_text()
    content = json.loads(text)
    assert content["config"] == {
        "sac": {"hidden": [64, 64], "file": "expert_data/x.pt"},
        "device": "cpu",
        "seeds": [42, 43],
    }
    assert content["device"] == "cpu"
    assert content["versions"]["torch"] == torch.__version__
    assert set(content["versions"]) == {"python", "rlopt", "torch", "torchrl", "tensordict", "gymnasium", "numpy"}
    assert text.index('"config"') < text.index('"device": "cpu",\n  "title"') < text.index('"versions"')


def test_to_json_knows_what_json_does_not():
    value = {"nan": float("nan"), 3: (np.float32(0.5), np.int64(2), np.bool_(True)), "t": torch.ones(2), "inf": np.inf}
    assert to_json(value) == {"nan": None, "3": [0.5, 2, True], "t": [1.0, 1.0], "inf": "inf"}
    json.dumps(to_json(value), allow_nan=False)


def test_log_lines_are_stamped_and_on_the_console(tmp_path, capsys):
    with open_log(tmp_path) as log:
        log.info("collecting [bold] 50 episodes")
        log.warning("no CUDA device: using the CPU")
    lines = (tmp_path / "rlopt.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{stamp} INFO    collecting \[bold\] 50 episodes", lines[0])
    assert re.fullmatch(rf"{stamp} WARNING no CUDA device: using the CPU", lines[1])
    assert capsys.readouterr().err == "collecting [bold] 50 episodes\nwarning: no CUDA device: using the CPU\n"


def test_an_exception_is_logged_and_not_swallowed(tmp_path):
    with pytest.raises(RuntimeError, match="diverged"), open_log(tmp_path):
        raise RuntimeError("diverged")
    assert "ERROR   stopped by RuntimeError: diverged" in (tmp_path / "rlopt.log").read_text()


def test_close_twice_is_harmless(tmp_path):
    log = open_log(tmp_path)
    log.close()
    log.close()


def test_an_unwritable_folder_is_a_user_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write to"):
        open_log(tmp_path / "file" / "run")


def test_run_directories_never_collide(tmp_path, monkeypatch):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", timestamp())
    monkeypatch.setattr(runlog, "timestamp", lambda: "2026-01-31_09-05-00")
    made = [new_run_directory(tmp_path / "logs" / "sac") for _ in range(3)]
    assert [path.name for path in made] == [
        "2026-01-31_09-05-00",
        "2026-01-31_09-05-00_2",
        "2026-01-31_09-05-00_3",
    ]
    assert all(path.is_dir() for path in made)


# metrics.csv


def test_rows_are_on_disk_at_once(tmp_path):
    log = open_log(tmp_path)
    log.metrics({"frames": 100, "return_seed42": np.float32(-153.25), "loss": torch.tensor(0.1)})
    log.metrics({"loss": float("nan"), "return_seed42": -1e-7, "frames": 20_000_000_000})
    assert read_rows(tmp_path) == [
        ["frames", "return_seed42", "loss"],
        ["100", "-153.25", "0.100000001"],
        ["20000000000", "-1e-07", "nan"],
    ]
    log.close()


def test_a_row_with_other_columns_raises_and_names_them(tmp_path):
    with open_log(tmp_path) as log:
        log.metrics({"frames": 1, "loss": 2})
        with pytest.raises(ValueError, match=r"missing \['loss'\], unexpected \['los'\]"):
            log.metrics({"frames": 2, "los": 2})
        log.metrics({"frames": 3, "loss": 2})
    assert read_rows(tmp_path) == [["frames", "loss"], ["1", "2"], ["3", "2"]]


def test_resume_drops_later_rows_and_appends(tmp_path):
    with open_log(tmp_path) as log:
        for frames in (10, 20, 30):
            log.metrics({"frames": frames, "loss": frames / 8})
        log.info("first")
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("20,9")  # the start of a row that a crash cut off; it must not pass for a row at 20 frames
    with open_log(tmp_path, resume_at=20) as log:
        assert read_rows(tmp_path) == [["frames", "loss"], ["10", "1.25"], ["20", "2.5"]]
        with pytest.raises(ValueError, match="unexpected"):
            log.metrics({"frames": 25, "loss": 0, "other": 1})
        log.metrics({"loss": 7, "frames": 40})
    assert read_rows(tmp_path) == [["frames", "loss"], ["10", "1.25"], ["20", "2.5"], ["40", "7"]]
    assert "first" in (tmp_path / "rlopt.log").read_text()


def test_resume_without_a_metrics_file_begins_one(tmp_path):
    with open_log(tmp_path, resume_at=20) as log:
        log.metrics({"frames": 30})
    assert read_rows(tmp_path) == [["frames"], ["30"]]


def test_a_new_run_in_an_old_folder_begins_anew(tmp_path):
    for column in ("a", "b"):
        with open_log(tmp_path) as log:
            log.metrics({column: 1})
    assert read_rows(tmp_path) == [["b"], ["1"]]


def test_resume_from_a_foreign_metrics_file_is_a_user_error(tmp_path):
    (tmp_path / "metrics.csv").write_text("frames\nmany\n")
    with pytest.raises(UserError, match="not a metrics file"):
        open_log(tmp_path, resume_at=20)


def test_a_full_disk_is_a_user_error(tmp_path):
    log = open_log(tmp_path)
    log._csv.close()
    log._csv = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(UserError, match=r"Cannot write /dev/full: No space left on device"):
        log.metrics({"frames": 1})
    log._csv = io.StringIO()
    log.close()
