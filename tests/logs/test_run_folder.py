"""The run folder: its name, its settings, and metrics.csv read back."""

import importlib.metadata
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rlopt import runlog
from rlopt.logs import run_folder
from rlopt.logs.run_folder import new_run_directory, read_config, read_metrics, timestamp, to_json, write_config
from rlopt.logs.run_log import RunLog

from .shared import open_log


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
    assert content["versions"]["torch"] == importlib.metadata.version("torch")
    assert set(content["versions"]) == {"python", "rlopt", "torch", "torchrl", "tensordict", "gymnasium", "numpy"}
    assert text.index('"config"') < text.index('"device": "cpu",\n  "sha256"') < text.index('"versions"')


def test_to_json_knows_what_json_does_not():
    value = {"nan": float("nan"), 3: (np.float32(0.5), np.int64(2), np.bool_(True)), "t": torch.ones(2), "inf": np.inf}
    assert to_json(value) == {"nan": None, "3": [0.5, 2, True], "t": [1.0, 1.0], "inf": "inf"}
    json.dumps(to_json(value), allow_nan=False)


def test_run_directories_never_collide(tmp_path, monkeypatch):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", timestamp())
    monkeypatch.setattr(run_folder, "timestamp", lambda: "2026-01-31_09-05-00")
    made = [new_run_directory(tmp_path / "logs" / "sac") for _ in range(3)]
    assert [path.name for path in made] == [
        "2026-01-31_09-05-00",
        "2026-01-31_09-05-00_2",
        "2026-01-31_09-05-00_3",
    ]
    assert all(path.is_dir() for path in made)


def test_config_json_names_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H100 of {device}")
    content = write_config(tmp_path, "SAC", {"device": "cuda:1"})
    assert content["device"] == "cuda:1 (H100 of cuda:1)"
    assert read_config(tmp_path) == content


def test_a_line_that_a_crash_cut_off_is_not_read(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("frames,loss\n10,0.5\n20,0.")
    assert read_metrics(path) == [["frames", "loss"], ["10", "0.5"]]
    path.write_text("")
    assert read_metrics(path) == []


def test_old_imports_work():
    assert runlog.RunLog is RunLog
    assert all(hasattr(runlog, name) for name in runlog.__all__)
    assert runlog.read_metrics is read_metrics
