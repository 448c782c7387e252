"""The command `rlopt`: its table, what it says, and that a wheel has all of it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

import rlopt
from rlopt import commands

from .shared import FRAMES, SCRIPTS, SMALL, environment, only
from .test_startup import probe

ROOT = SCRIPTS.parent
CONTRIBUTORS = {"benchmark_throughput.py", "estimate_cost.py"}
"""Scripts that need a checkout: they measure it beside other libraries, and read docs/."""


def run_command(folder, *words, **changes):
    command = [sys.executable, "-m", "rlopt", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env=environment(**changes), capture_output=True, text=True, timeout=120, check=False
    )


def test_every_script_is_a_command():
    scripts = {path.name for path in SCRIPTS.glob("*.py")} - CONTRIBUTORS - {"__init__.py"}
    assert {path.name for path in commands.available().values()} == scripts
    assert len(set(commands.COMMANDS.values())) == len(commands.COMMANDS)


def test_help_and_version_load_nothing_heavy(tmp_path):
    for flag in ("--help", "--version"):
        action = f"sys.argv = ['rlopt', {flag!r}]; import rlopt.commands; rlopt.commands.main()"
        seen, shown, _ = probe(tmp_path, action)
        assert seen == [[0, []]]
        if flag == "--version":
            assert shown.strip() == f"rlopt {rlopt.__version__}"
        else:
            for name in commands.available():
                assert f"\n  {name} " in shown
            assert "Step 1: train a SAC expert" in shown


def test_a_commands_help_is_its_scripts_under_its_own_name(tmp_path):
    done = run_command(tmp_path, "bc", "--help", COLUMNS="100")
    script = subprocess.run(
        [sys.executable, SCRIPTS / "03_train_bc.py", "--help"],
        **{"env": environment(COLUMNS="100"), "capture_output": True, "text": True},
        check=True,
    )
    assert done.stdout == script.stdout.replace("usage: 03_train_bc.py", "usage: rlopt bc")


def test_a_command_that_is_none_is_told_what_was_meant(tmp_path):
    misspelt, unknown, nothing = run_command(tmp_path, "colect"), run_command(tmp_path, "zzz"), run_command(tmp_path)
    assert misspelt.stderr == "error: There is no command 'colect': did you mean collect?\n"
    assert unknown.stderr == "error: There is no command 'zzz': rlopt --help lists them.\n"
    assert nothing.stderr == commands.USAGE + "\n"
    assert {misspelt.returncode, unknown.returncode, nothing.returncode} == {2}


def test_sentences_name_what_the_user_typed(tmp_path):
    done = run_command(tmp_path, "ipmd", "nowhere.pt")
    assert done.returncode == 2
    assert done.stderr == "error: Expert buffer not found: nowhere.pt. Run rlopt collect first.\n"
    assert commands.called("ipmd") == "scripts/02_train_ipmd.py"
    assert commands.called("ipmd", "python ") == "python scripts/02_train_ipmd.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, unpacked: what `pip install .` puts into an environment."""
    pytest.importorskip("setuptools", minversion="70.1")  # as pyproject.toml asks for
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for name in ("rlopt", "scripts"):
        copytree(ROOT / name, source / name, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        place,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(only(place.glob("rlopt-*.whl"))) as file:
        file.extractall(place / "installed")
    return place / "installed"


def test_a_wheel_has_every_module_every_script_and_the_command(wheel):
    def modules(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*.py") if "__pycache__" not in path.parts}

    shipped = {f"scripts/{path.name}" for path in SCRIPTS.glob("*.py")}
    assert modules(wheel / "rlopt") == modules(Path(rlopt.__file__).parent) | shipped
    assert (wheel / "rlopt" / "py.typed").exists()
    (entries,) = wheel.glob("rlopt-*.dist-info/entry_points.txt")
    assert entries.read_text().split() == ["[console_scripts]", "rlopt", "=", "rlopt.commands:main"]
    assert [path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")] == ["rlopt"]


def test_the_commands_of_a_wheel_run_in_an_empty_folder(wheel, tmp_path):
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path) != ROOT]
    path = os.pathsep.join([str(wheel), *others])
    found = run_command(tmp_path, "--version", PYTHONPATH=path)
    assert found.stdout == f"rlopt {rlopt.__version__}\n"
    listed = run_command(tmp_path, "--help", PYTHONPATH=path)
    assert "\n  compare " in listed.stdout
    flags = [*SMALL, "--num-seeds", 1, "--frames", FRAMES, "--hidden-size", 8, "--episodes", 2]
    flags += ["--device", "cpu", "--no-wandb", "--no-progress"]
    done = run_command(tmp_path, "collect", *flags, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Next: rlopt ipmd expert_data/Pendulum-v1/expert_buffer.pt\n"
    assert (tmp_path / "expert_data/Pendulum-v1/expert_buffer.pt").exists()
