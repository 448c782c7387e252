"""What is loaded before a script knows that it has something to do: help and mistakes answer at once."""

import json
import subprocess
import sys

import pytest

from .shared import BC, COLLECT, COMPARE, IPMD, SCRIPTS, environment

HEAVY = ("torch", "torchrl", "tensordict", "gymnasium", "matplotlib")
PROBE = f"""
import json, runpy, sys
code = 0
try:
    {{action}}
except SystemExit as end:
    code = end.code or 0
loaded = [name for name in {HEAVY} if name in sys.modules]
print("\\n" + json.dumps([code, loaded]))
"""
TRAINING = (COLLECT, IPMD, BC, COMPARE, "study_ablations.py", "study_demonstrations.py", "reproduce_results.py")


def probe(action, folder, *flags):
    """Exit code of an action in a process of its own, what it loaded, and what it printed."""
    command = [sys.executable, "-c", PROBE.format(action=action), *map(str, flags)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shown, _, last = done.stdout.rstrip("\n").rpartition("\n")
    code, loaded = json.loads(last)
    return code, loaded, shown, done.stderr


def script(name, folder, *flags):
    path = str(SCRIPTS / name)
    return probe(f"sys.argv[0] = {path!r}; runpy.run_path({path!r}, run_name='__main__')", folder, *flags)


def test_the_probe_sees_what_is_loaded(tmp_path):
    assert probe("import gymnasium, matplotlib", tmp_path)[1] == ["gymnasium", "matplotlib"]


def test_steps_that_draw_nothing_load_no_matplotlib(tmp_path):
    modules = ("expert", "frozen_reward", "learners")
    loaded = probe("import " + ", ".join(f"rlopt.experiments.{name}" for name in modules), tmp_path)[1]
    assert loaded == ["torch", "torchrl", "tensordict", "gymnasium"]


def test_the_package_loads_nothing_heavy(tmp_path):
    assert probe("import rlopt", tmp_path)[:2] == (0, [])
    assert probe("import rlopt.cli, rlopt.config, rlopt.presets, rlopt.errors", tmp_path)[:2] == (0, [])


@pytest.mark.parametrize("name", [*TRAINING, "plot_runs.py", "export_policy.py", "play.py"])
def test_help_loads_nothing_heavy(name, tmp_path):
    code, loaded, shown, _ = script(name, tmp_path, "--help")
    assert (code, loaded) == (0, [])
    assert "usage:" in shown


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("flags", [["--framse", "9"], ["--num-seeds", "five"]])
def test_a_wrong_flag_loads_nothing_heavy(name, flags, tmp_path):
    first = ["e.pt"] if name in (IPMD, BC) or name.startswith("study") else []
    code, loaded, _, err = script(name, tmp_path, *first, *flags)
    assert (code, loaded) == (2, [])
    assert "error: unrecognized arguments: --framse" in err or "invalid int value: 'five'" in err


@pytest.mark.parametrize("name", [IPMD, BC, "study_ablations.py", "study_demonstrations.py"])
def test_missing_demonstrations_are_refused_before_torch_is_loaded(name, tmp_path):
    code, loaded, _, err = script(name, tmp_path, "nowhere/expert_buffer.pt")
    assert (code, loaded) == (2, [])
    assert err.startswith("error: Expert buffer not found: nowhere/expert_buffer.pt.")


def test_expert_data_of_a_comparison_are_refused_before_torch_is_loaded(tmp_path):
    code, loaded, _, err = script(COMPARE, tmp_path, "--expert-data", "nowhere/expert_buffer.pt")
    assert (code, loaded) == (2, [])
    assert err.startswith("error: Expert buffer not found: nowhere/expert_buffer.pt.")


@pytest.mark.parametrize("script_and_flags", [("export_policy.py", "--format", "numpy"), ("play.py",)])
def test_a_missing_model_is_refused_before_torch_is_loaded(script_and_flags, tmp_path):
    name, *flags = script_and_flags
    code, loaded, _, err = script(name, tmp_path, "nowhere.pt", *flags)
    assert (code, loaded) == (2, [])
    assert err.startswith("error: Model not found: nowhere.pt.")


@pytest.mark.parametrize("name", [COLLECT, COMPARE])
def test_an_unknown_environment_is_refused_before_torch_is_loaded(name, tmp_path):
    code, loaded, _, err = script(name, tmp_path, "--env", "Pendulm-v1")
    assert (code, loaded) == (2, ["gymnasium"])
    assert "Did you mean: `Pendulum`" in err
