"""What is loaded before a script knows that it has something to do: help and mistakes answer at once."""

import json
import subprocess
import sys

import pytest

from .shared import BC, COLLECT, COMPARE, IPMD, SCRIPTS, environment

HEAVY = ("torch", "torchrl", "tensordict", "gymnasium", "matplotlib")
PROBE = f"""
import json, runpy, sys
seen = []
def act(line):
    code = 0
    try:
        if isinstance(line, str):
            exec(line)
        else:
            sys.argv = line
            runpy.run_path(line[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    seen.append([code, [name for name in {HEAVY} if name in sys.modules]])
for line in {{lines}}:
    act(line)
print("\\n" + json.dumps(seen))
"""
TRAINING = (COLLECT, IPMD, BC, COMPARE, "study_ablations.py", "study_demonstrations.py", "reproduce_results.py")
READERS = (IPMD, BC, "study_ablations.py", "study_demonstrations.py")
"""Their first word is the file of demonstrations."""


def probe(folder, *lines):
    """Lines of Python, or words of scripts, one after the other in one process: [exit code, what is loaded] after each."""
    command = [sys.executable, "-c", PROBE.format(lines=list(lines))]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shown, _, last = done.stdout.rstrip("\n").rpartition("\n")
    return json.loads(last), shown, done.stderr


def script(name, *flags):
    return [str(SCRIPTS / name), *map(str, flags)]


def test_the_probe_sees_what_is_loaded(tmp_path):
    assert probe(tmp_path, "import gymnasium", "sys.exit(3)", "import matplotlib")[0] == [
        [0, ["gymnasium"]],
        [3, ["gymnasium"]],
        [0, ["gymnasium", "matplotlib"]],
    ]


def test_steps_that_draw_nothing_load_no_matplotlib(tmp_path):
    modules = ("expert", "frozen_reward", "learners")
    ((_, loaded),) = probe(tmp_path, "import " + ", ".join(f"rlopt.experiments.{name}" for name in modules))[0]
    assert loaded == ["torch", "torchrl", "tensordict", "gymnasium"]


def test_the_package_loads_nothing_heavy(tmp_path):
    lines = ("import rlopt", "import rlopt.cli, rlopt.config, rlopt.presets, rlopt.errors")
    assert probe(tmp_path, *lines)[0] == [[0, []]] * 2


def test_help_loads_nothing_heavy(tmp_path):
    names = [*TRAINING, "plot_runs.py", "export_policy.py", "play.py"]
    seen, shown, _ = probe(tmp_path, *(script(name, "--help") for name in names))
    assert dict(zip(names, seen, strict=True)) == {name: [0, []] for name in names}
    for name in names:
        assert f"usage: {name} " in shown


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--framse", "9"], "error: unrecognized arguments: --framse"),
        (["--num-seeds", "five"], "error: argument --num-seeds: invalid int value: 'five'"),
    ],
)
def test_a_wrong_flag_loads_nothing_heavy(flags, complaint, tmp_path):
    first = {name: ["e.pt"] if name in READERS else [] for name in TRAINING}
    seen, _, err = probe(tmp_path, *(script(name, *first[name], *flags) for name in TRAINING))
    assert dict(zip(TRAINING, seen, strict=True)) == {name: [2, []] for name in TRAINING}
    assert sum(complaint in line for line in err.splitlines()) == len(TRAINING)


def test_missing_demonstrations_are_refused_before_torch_is_loaded(tmp_path):
    lines = [script(name, "nowhere/expert_buffer.pt") for name in READERS]
    lines.append(script(COMPARE, "--expert-data", "nowhere/expert_buffer.pt"))
    seen, _, err = probe(tmp_path, *lines)
    assert seen == [[2, []]] * len(lines)
    sentences = err.splitlines()
    assert len(sentences) == len(lines)
    assert all(line.startswith("error: Expert buffer not found: nowhere/expert_buffer.pt.") for line in sentences)


def test_a_missing_model_is_refused_before_torch_is_loaded(tmp_path):
    lines = (script("export_policy.py", "nowhere.pt", "--format", "numpy"), script("play.py", "nowhere.pt"))
    seen, _, err = probe(tmp_path, *lines)
    assert seen == [[2, []]] * 2
    assert [line.startswith("error: Model not found: nowhere.pt.") for line in err.splitlines()] == [True] * 2


def test_an_unknown_environment_is_refused_before_torch_is_loaded(tmp_path):
    seen, _, err = probe(tmp_path, *(script(name, "--env", "Pendulm-v1") for name in (COLLECT, COMPARE)))
    assert seen == [[2, ["gymnasium"]]] * 2
    assert err.count("Did you mean: `Pendulum`") == 2
