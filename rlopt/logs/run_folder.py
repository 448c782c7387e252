"""The plain files of a run folder: its name, `config.json`, and `metrics.csv` read back."""

import csv
import dataclasses
import importlib.metadata
import json
import math
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rlopt
from rlopt.errors import UserError
from rlopt.logs.damage import read_checked, read_json, seal
from rlopt.logs.files import check_writable, write_text_atomically


def timestamp() -> str:
    """The time in folder names: `2026-01-31_09-05-00`."""
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def new_run_directory(parent: Path | str) -> Path:
    """Creates `parent/{timestamp}`, or `..._2`, `..._3` where another run began in the same second.

    Raises UserError if the folder cannot be created.
    """
    check_writable(parent)
    return new_directory(Path(parent) / timestamp())


def new_directory(path: Path) -> Path:
    """Creates `path`, or `..._2`, `..._3` where it is there already."""
    directory, number = path, 1
    while True:
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            number += 1
            directory = path.with_name(f"{path.name}_{number}")


def never_began(directory: Path) -> bool:
    """Whether a run was stopped before its first checkpoint, which comes before its first row of metrics."""
    metrics = directory / "metrics.csv"
    return not (directory / "checkpoint.pt").exists() and not (metrics.exists() and metrics.stat().st_size)


def how_to_go_on(directory: Path) -> str:
    """What to do about a run that ended early: resume it, or start again where there is nothing to resume."""
    # where the folder was deleted under a run, a checkpoint that was written since then is not the whole of it
    if not (directory / "config.json").exists() or not (
        (directory / "checkpoint.pt").exists() or never_began(directory)
    ):
        return "start again"
    return f"add --resume {directory} to the command (step 4: --resume)"


def to_json(value: Any) -> Any:
    """`value` in JSON's own types: dataclasses become objects, tensors and tuples lists, Paths and devices strings.

    JSON has no NaN or infinity: NaN becomes null, infinity a string.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars, tensors
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def library_versions() -> dict[str, str]:
    """The versions that a result depends on, by package name."""
    packages = ("torch", "torchrl", "tensordict", "gymnasium", "numpy")
    installed = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "rlopt": rlopt.__version__, **installed}


def write_config(directory: Path, title: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Writes `config.json` and returns its content; `config["device"]` is named there with its GPU.

    The file has a checksum of it, too.
    """
    device = str(config.get("device", "cpu"))
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            device = f"{device} ({torch.cuda.get_device_name(device)})"
    content = {"title": title, "device": device, "versions": library_versions(), "config": to_json(config)}
    write_text_atomically(directory / "config.json", json.dumps(seal(content), indent=2, sort_keys=True) + "\n")
    return content


def read_config(directory: Path) -> dict[str, Any]:
    """The content of a `config.json`. Raises UserError if it is damaged, OSError if it cannot be read."""
    content = read_json(directory / "config.json", "config")
    if not isinstance(content["config"], dict):
        raise UserError(f"{directory / 'config.json'} is damaged, or not a file that rlopt wrote: it has no settings.")
    return content


def read_metrics(path: Path) -> list[list[str]]:
    """The cells of a `metrics.csv`, header first. Raises UserError if it is damaged, OSError if it cannot be read."""
    content = read_checked(path)
    try:
        complete = content.decode("utf-8").rpartition("\n")[0]  # a crash can cut the last line
        rows = list(csv.reader(complete.splitlines()))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is damaged, or not a metrics file of rlopt ({error}).") from error
    if any(len(row) != len(rows[0]) for row in rows):
        raise UserError(f"{path} is damaged, or not a metrics file of rlopt: its rows have different lengths.")
    return rows
