"""The four command lines as a user runs them: real processes, small budgets, every file that they leave."""

import csv
import dataclasses
import itertools
import json
import math
import os
import re
import runpy
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pytest
import torch

from rlopt import pipeline
from rlopt.imitation import load_demonstrations
from rlopt.imitation.demonstrations import save_demonstrations
from rlopt.models import load_agent

SCRIPTS = Path(__file__).parents[1] / "scripts"
COLLECT, IPMD, BC = "01_collect_expert_data.py", "02_train_ipmd.py", "03_train_bc.py"
COMPARE = "04_compare_methods.py"
EXPERT = "expert_data/Pendulum-v1/expert_buffer.pt"

SMALL = [
    *("--num-seeds", "2", "--num-envs", "4", "--warmup-frames", "320"),
    *("--updates-per-frame", "0.05", "--batch-size", "32"),
]
FRAMES = 1280  # a whole number of collector batches of 4 copies times 8 steps
COMPARISON = [*SMALL, "--expert-frames", str(FRAMES), "--ipmd-frames", str(FRAMES), "--bc-epochs", "2"]

ONE_WARNING = "warning: No CUDA device found: training on the CPU (say --device cpu to choose it)."
STDERR_LINES = (
    r"(SAC|IPMD|BC) Pendulum-v1: .*(after \d+:\d\d|left).*",
    r"Return -\d+\.\d over 2 seeds\.",
    r"\d+ demonstrations \([\d,]+ transitions\) in .*expert_buffer\.pt: "
    r"expert \(seed \d+ at its best\) -\d+\.\d, random policy -\d+\.\d\.",
    r"(IPMD|BC): return -\d+\.\d over 2 seeds.*\.",
    r"Learned reward against true reward on fresh policy data: Pearson -?\d\.\d\d\.",
)


def environment(**changes):
    """The user's, on a machine without CUDA, and with no word of W&B or of warnings to be hidden."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") and k != "PYTHONWARNINGS"}
    return kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | changes


def run(script, *flags, cwd, **changes):
    return subprocess.run(
        [sys.executable, str(script), *map(str, flags)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_here(monkeypatch, script, *flags):
    """The script in this process, which saves the imports; returns its exit code."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, flags)])
    try:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    return 0


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only(paths):
    (path,) = paths
    return path


def metrics(directory):
    with open(directory / "metrics.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:])


# ------------------------------------------------------------------------------------------- 01, 02 and 03, in a chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """01 and 02 from the root of a folder with the scripts in it, 03 from `scripts/`, with W&B on and nobody logged in."""
    root = tmp_path_factory.mktemp("project")
    (root / "scripts").mkdir()
    for script in (COLLECT, IPMD, BC):
        shutil.copy(SCRIPTS / script, root / "scripts")
    finished = {
        "sac": run(f"scripts/{COLLECT}", *SMALL, "--frames", FRAMES, "--episodes", 3, "--no-wandb", cwd=root),
        "ipmd": run(
            *(f"scripts/{IPMD}", EXPERT, *SMALL, "--frames", FRAMES, "--demos", 2, "--expert-batch-size", 32),
            *("--device", "cpu", "--no-wandb"),
            cwd=root,
        ),
        "bc": run(
            *(BC, f"../{EXPERT}", "--epochs", 2, "--num-seeds", 2, "--device", "cpu"),
            cwd=root / "scripts",
            HOME=str(tmp_path_factory.mktemp("home")),
            MPLCONFIGDIR=matplotlib.get_cachedir(),  # else a new home means a new font cache
        ),
    }
    return root, finished


def test_01_leaves_demonstrations_and_a_run_folder(chain):
    root, finished = chain
    assert finished["sac"].returncode == 0, finished["sac"].stderr
    assert finished["sac"].stdout == f"Next: python scripts/02_train_ipmd.py {EXPERT}\n"
    assert files(root / "expert_data") == {
        f"Pendulum-v1/{n}" for n in ("expert_buffer.pt", "metadata.pt", "README.txt")
    }
    directory = only((root / "logs" / "sac" / "Pendulum-v1").iterdir())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", directory.name)
    assert files(directory) == {"sac_expert.pt", "rlopt.log", "metrics.csv", "config.json"}


def test_expert_buffer_is_what_the_design_says(chain):
    root, _ = chain
    state = torch.load(root / EXPERT, weights_only=True)
    steps, episodes = 600, 3  # three whole episodes of Pendulum
    assert state["format"] == "rlopt-demonstrations"
    assert state["version"] == 1
    assert state["env_id"] == "Pendulum-v1"
    assert state["spec"]["observation_size"] == 3
    assert state["spec"]["action_size"] == 1
    assert state["spec"]["action_low"].tolist() == [-2]
    assert state["spec"]["action_high"].tolist() == [2]
    assert state["episode_lengths"].tolist() == [200] * episodes
    assert isinstance(state["expert_return"], float)
    assert isinstance(state["random_return"], float)
    assert {key: tuple(value.shape) for key, value in state["transitions"].items()} == {
        "observation": (steps, 3),
        "action": (steps, 1),
        "next_observation": (steps, 3),
        "reward": (steps,),
        "terminated": (steps,),
        "truncated": (steps,),
    }
    assert set(state) == {
        *("format", "version", "env_id", "spec", "transitions", "episode_lengths", "expert_return", "random_return")
    }
    metadata = torch.load(root / EXPERT.replace("expert_buffer", "metadata"), weights_only=True)
    assert set(metadata) == set(state) - {"transitions"} | {"num_episodes", "num_transitions"}
    assert "3 episodes, 600 transitions" in (root / "expert_data" / "Pendulum-v1" / "README.txt").read_text()


def test_demonstrations_are_whole_episodes_of_consecutive_steps(chain):
    root, _ = chain
    data = load_demonstrations(root / EXPERT)
    follows = torch.ones(len(data) - 1, dtype=torch.bool)
    follows[[199, 399]] = False  # the first step of the next episode
    same = (data.next_observation[:-1] == data.observation[1:]).all(1)
    assert torch.equal(same, follows)
    assert not torch.equal(data.observation, data.next_observation)
    assert not data.terminated.any()
    assert data.truncated.nonzero().flatten().tolist() == [199, 399, 599]
    # the environment's own equations: reward from angle, speed and torque
    cos, sin, speed = data.observation.unbind(1)
    torque = 2 * data.action[:, 0]
    reward = -(torch.atan2(sin, cos) ** 2 + 0.1 * speed**2 + 0.001 * torque**2)
    torch.testing.assert_close(data.reward, reward, atol=1e-3, rtol=1e-3)


def test_demonstrations_are_the_deterministic_actions_of_the_best_policy(chain):
    root, _ = chain
    data = load_demonstrations(root / EXPERT)
    agent, about = load_agent(only((root / "logs" / "sac").rglob("sac_expert.pt")))
    assert about["kind"] == "sac"
    assert about["seeds"] == [42, 43]
    assert about["best_seed"] in about["seeds"]
    best = about["seeds"].index(about["best_seed"])
    agent.mean_actor.load_state_dict(about["best_actor"])
    torch.testing.assert_close(
        agent.policy(data.observation.expand(2, -1, -1))[best], data.action, atol=1e-5, rtol=1e-4
    )


def test_02_leaves_a_model_and_a_run_folder(chain):
    root, finished = chain
    assert finished["ipmd"].returncode == 0, finished["ipmd"].stderr
    directory = only((root / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    assert finished["ipmd"].stdout == f"Model: {(directory / 'ipmd_model.pt').relative_to(root)}\n"
    assert files(directory) == {"ipmd_model.pt", "rlopt.log", "metrics.csv", "config.json"}
    agent, about = load_agent(directory / "ipmd_model.pt")
    assert (about["kind"], about["env_id"], about["seeds"]) == ("ipmd", "Pendulum-v1", [43, 44])
    assert agent.config.expert_batch_size == 32
    config = json.loads((directory / "config.json").read_text())["config"]
    assert config["demonstrations"] == 2
    assert config["training"]["frames"] == FRAMES
    assert config["training"]["updates_per_frame"] == 0.05


def test_03_leaves_a_policy_per_seed_and_w_and_b_does_not_stop_it(chain):
    root, finished = chain
    assert finished["bc"].returncode == 0, finished["bc"].stderr
    assert finished["bc"].stdout == "Models: logs/bc/Pendulum-v1/bc_policy_seed*.pt\n"
    folder = root / "scripts" / "logs" / "bc" / "Pendulum-v1"
    directory = only(path for path in folder.iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {directory.name, "bc_policy_seed44.pt", "bc_policy_seed45.pt"}
    for name in ("rlopt.log", "metrics.csv", "config.json", "wandb_run_id.txt"):
        assert (directory / name).is_file()
    first, second = (load_agent(folder / f"bc_policy_seed{seed}.pt") for seed in (44, 45))
    observation = load_demonstrations(root / EXPERT).observation.unsqueeze(0)  # [1, N, O]
    action = load_demonstrations(root / EXPERT).action
    for agent, about in (first, second):
        assert about["kind"] == "bc"
        assert (agent.policy(observation)[0] - action).square().mean() < 0.1
    assert first[1]["seeds"] == [44]
    assert not torch.equal(first[0].policy(observation), second[0].policy(observation))
    assert len(re.findall(r"^W&B: offline \(not logged in\); .*`wandb sync .*`$", finished["bc"].stderr, re.M)) == 1


@pytest.mark.parametrize(("kind", "first_seed"), [("sac", 42), ("ipmd", 43)])
def test_metrics_have_a_row_per_evaluation_and_a_column_per_seed(chain, kind, first_seed):
    root, _ = chain
    directory = only((root / "logs" / kind / "Pendulum-v1").iterdir())
    rows = metrics(directory)
    assert next(iter(rows[0])) == "frames"
    assert [row["frames"] for row in rows] == sorted({row["frames"] for row in rows})
    assert rows[-1]["frames"] == FRAMES
    assert len(rows) == 15  # twenty evaluations, but for those before the first update
    for row in rows:
        assert all(math.isfinite(value) for value in row.values())
        per_seed = [row[f"return_seed{first_seed + i}"] for i in range(2)]
        assert row["return_mean"] == pytest.approx(sum(per_seed) / 2, rel=1e-6)


def test_bc_metrics_have_a_row_per_epoch(chain):
    root, _ = chain
    folder = root / "scripts" / "logs" / "bc" / "Pendulum-v1"
    rows = metrics(only(path for path in folder.iterdir() if path.is_dir()))
    assert [row["epochs"] for row in rows] == [1, 2]
    assert rows[1]["bc_loss_mean"] < rows[0]["bc_loss_mean"]


@pytest.mark.parametrize("kind", ["sac", "ipmd", "bc"])
def test_the_screen_shows_our_lines_and_nobody_elses(chain, kind):
    shown = chain[1][kind].stderr.splitlines()
    known = [*STDERR_LINES, re.escape(ONE_WARNING), r"W&B: offline \(not logged in\).*"]
    assert [line for line in shown if not any(re.fullmatch(pattern, line) for pattern in known)] == []
    assert shown.count(ONE_WARNING) == (kind == "sac")  # the only one without --device cpu


def test_only_documented_folders_appear(chain):
    root, _ = chain
    assert {path.name for path in root.iterdir()} == {"scripts", "expert_data", "logs"}
    assert {path.name for path in (root / "scripts").iterdir()} == {COLLECT, IPMD, BC, "logs"}


# ---------------------------------------------------------------------------------------------------------- comparison


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """04 alone in an empty folder, with its default device."""
    folder = tmp_path_factory.mktemp("empty")
    return folder, run(SCRIPTS / COMPARE, *COMPARISON, "--no-wandb", cwd=folder)


def check_results(results, *, methods, finite):
    """DESIGN section 5's schema; scores are numbers only where the expert is better than the random policy."""
    number = (int, float)
    assert list(results) == [
        *("env", "device", "seeds", "demonstrations", "expert_return", "random_return"),
        *("methods", "reward_recovery", "versions", "config"),
    ]
    assert results["env"] == "Pendulum-v1"
    assert results["device"] == "cpu"
    assert results["seeds"] == [42, 43]
    assert isinstance(results["expert_return"], float)
    assert isinstance(results["random_return"], float)
    assert list(results["methods"]) == methods
    span = results["expert_return"] - results["random_return"]
    assert (span > 0) == finite
    for name, method in results["methods"].items():
        unit = "epochs" if name == "bc" else "frames"
        assert set(method) == {
            *("return_per_seed", "return_mean", "normalized_per_seed", "normalized_iqm", "normalized_ci95"),
            *(unit, "wall_seconds"),
        }
        assert len(method["return_per_seed"]) == len(method["normalized_per_seed"]) == 2
        assert len(method["normalized_ci95"]) == 2
        assert method["return_mean"] == pytest.approx(sum(method["return_per_seed"]) / 2)
        assert method[unit] == {"sac": FRAMES, "ipmd": results["config"]["ipmd_frames"], "bc": 2}[name]
        assert isinstance(method["wall_seconds"], number)
        assert method["wall_seconds"] > 0
        scores = method["normalized_per_seed"]
        if not finite:
            assert scores == method["normalized_ci95"] == [None, None]
            assert method["normalized_iqm"] is None
            continue
        low, high = method["normalized_ci95"]
        assert scores == pytest.approx(
            [(value - results["random_return"]) / span for value in method["return_per_seed"]]
        )
        order = [min(scores), low, method["normalized_iqm"], high, max(scores)]
        assert all(a <= b + 1e-9 for a, b in itertools.pairwise(order))
    assert {"pearson", "standardized_error"} <= set(results["reward_recovery"])
    assert -1 <= results["reward_recovery"]["pearson"] <= 1
    assert set(results["versions"]) == {"python", "rlopt", "torch", "torchrl", "tensordict", "gymnasium", "numpy"}
    assert results["versions"]["torch"] == torch.__version__
    assert isinstance(results["config"], dict)


def test_04_in_an_empty_folder_leaves_the_whole_comparison(comparison):
    folder, finished = comparison
    assert finished.returncode == 0, finished.stderr
    assert {path.name for path in folder.iterdir()} == {"expert_data", "logs", "comparison_results"}
    assert {path.name for path in (folder / "comparison_results" / "Pendulum-v1").iterdir()} >= {
        *("comparison.png", "learning_curves.png", "results.txt", "results.json")
    }
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
    for name, unit in (("SAC", f"{FRAMES:,} frames"), ("IPMD", f"{FRAMES:,} frames"), ("BC", "2 epochs")):
        assert re.search(rf"^{name} .*{unit}", text, re.M)
    assert "comparison_results/Pendulum-v1" in finished.stdout


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


def forbid(monkeypatch, *stages):
    def stage(*args, **kwargs):
        pytest.fail("a finished stage ran again")

    for name in stages:
        monkeypatch.setattr(pipeline, name, stage)


def test_04_resume_keeps_finished_stages(again, monkeypatch, capsys):
    forbid(monkeypatch, "collect_expert_data", "train_ipmd", "train_bc")
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
    forbid(monkeypatch, "collect_expert_data", "train_ipmd")
    before = files(again / "logs" / "bc")
    assert run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", "--resume") == 0
    assert len(files(again / "logs" / "bc")) == len(before) + 3  # a new run folder: log, metrics, config
    assert set(torch.load(path, weights_only=True)["stages"]) == {"sac", "ipmd", "bc"}


@pytest.mark.parametrize("flags", [["--resume", "--bc-epochs", "3"], []])
def test_04_does_not_keep_stages_of_other_settings_nor_without_resume(again, monkeypatch, flags):
    class Began(Exception):
        pass

    def stage(*args, **kwargs):
        raise Began

    monkeypatch.setattr(pipeline, "collect_expert_data", stage)
    with pytest.raises(Began):
        run_here(monkeypatch, COMPARE, *COMPARISON, "--no-wandb", "--device", "cpu", *flags)


def test_04_takes_expert_data_and_trains_no_expert(chain, tmp_path, monkeypatch):
    """With returns of a good expert in the file, so that scores are numbers."""
    forbid(monkeypatch, "collect_expert_data")
    monkeypatch.chdir(tmp_path)
    data = dataclasses.replace(load_demonstrations(chain[0] / EXPERT), expert_return=-150.0, random_return=-1250.0)
    path = save_demonstrations(data, tmp_path / "mine")
    flags = [*SMALL, "--ipmd-frames", 640, "--bc-epochs", 2, "--demos", 2, "--no-wandb", "--device", "cpu"]
    assert run_here(monkeypatch, COMPARE, "--expert-data", path, "--save-dir", "out", *flags) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "logs", "out"}
    results = json.loads((tmp_path / "out" / "Pendulum-v1" / "results.json").read_text())
    check_results(results, methods=["ipmd", "bc"], finite=True)
    assert results["demonstrations"] == 2
    assert results["expert_return"] == -150
    for name in ("comparison.png", "learning_curves.png"):
        assert png_size(tmp_path / "out" / "Pendulum-v1" / name)


# ------------------------------------------------------------------------------------- flags that change the algorithm


def test_01_with_a_reward_learns_from_it_and_records_nothing(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = only((chain[0] / "logs" / "ipmd").rglob("ipmd_model.pt"))
    flags = [*SMALL, "--frames", 640, "--hidden-size", 12, "--no-wandb", "--device", "cpu"]
    assert run_here(monkeypatch, COLLECT, "--reward", model, *flags) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"logs"}
    teacher, _ = load_agent(model)
    student, _ = load_agent(only(tmp_path.rglob("sac_expert.pt")))
    data = load_demonstrations(chain[0] / EXPERT)
    batch = [value.expand(2, -1, -1) for value in (data.observation, data.action, data.next_observation)]
    assert torch.equal(student.reward(*batch), teacher.reward(*batch))
    assert student.config.hidden_sizes == (12, 12)  # the learner's networks; the reward's are the teacher's
    assert not torch.equal(student.policy(batch[0]), teacher.policy(batch[0]))


def test_02_with_every_switch_ends_and_says_so_in_its_config(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    switches = ["--reward-inputs", "ss", "--inverse-eta", 0.5, "--average-reward", "--subsample", 20, "--noise", 0.1]
    settings = ["--frames", 640, "--hidden-size", 16, "--learning-rate", 0.01, "--matmul-precision", "bfloat16"]
    flags = [*SMALL, *switches, *settings, "--no-cuda-graph", "--no-wandb", "--no-progress", "--device", "cpu"]
    assert run_here(monkeypatch, IPMD, chain[0] / EXPERT, *flags) == 0
    directory = only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    config = json.loads((directory / "config.json").read_text())["config"]
    expected = {"reward_inputs": "ss", "inverse_eta": 0.5, "average_reward": True, "hidden_sizes": [16, 16]}
    expected |= {"learning_rate": 0.01, "matmul_precision": "bfloat16", "batch_size": 32}
    assert {name: config["agent"][name] for name in expected} == expected
    assert (config["subsample"], config["noise"], config["training"]["cuda_graph"]) == (20, 0.1, False)
    assert config["demonstrations"] == 3


# ------------------------------------------------------------------------------------------------ Ctrl-C, and go on


def has_rows(folder):
    return any(len(path.read_text().splitlines()) > 2 for path in folder.rglob("metrics.csv"))


def test_02_interrupted_keeps_a_checkpoint_and_resumes(chain, tmp_path):
    """The signal is a real one, sent while the process trains."""
    total = 3200
    flags = [*SMALL, "--updates-per-frame", "0.2", "--frames", str(total), "--device", "cpu", "--no-wandb"]
    command = [sys.executable, str(SCRIPTS / IPMD), str(chain[0] / EXPERT), *flags]
    with open(tmp_path / "stderr.txt", "w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(),
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            # a shell that starts tests in the background has them ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until and not has_rows(tmp_path):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    shown = (tmp_path / "stderr.txt").read_text()
    directory = only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    assert "Traceback" not in shown
    assert f"--resume {directory.relative_to(tmp_path)}" in shown
    assert shown.endswith("interrupted.\n")
    saved = torch.load(directory / "checkpoint.pt", weights_only=True)["frames"]
    before = metrics(directory)
    assert len(before) >= 2
    assert before[-1]["frames"] <= saved < total

    finished = run(SCRIPTS / IPMD, chain[0] / EXPERT, *flags, "--resume", directory, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir()) == directory
    assert files(directory) == {"ipmd_model.pt", "rlopt.log", "metrics.csv", "config.json"}
    rows = metrics(directory)
    assert rows[: len(before)] == before
    assert [row["frames"] for row in rows] == [160 * i for i in range(3, 21)]  # none twice, none lost
    seconds = [row["wall_seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert load_agent(directory / "ipmd_model.pt")[1]["seeds"] == [43, 44]


# ----------------------------------------------------------------------------------------------------------- the flags

DESIGN = {
    COLLECT: {
        "--env": "Pendulum-v1",
        "--frames": "100000",
        "--save-dir": "expert_data",
        "--device": "cuda:0",
        "--seed": "42",
    },
    IPMD: {
        "--env": "the one that the file names",
        "--frames": "100000",
        "--device": "cuda:0",
        "--seed": "43",
        "--expert-batch-size": "256",
    },
    BC: {
        "--env": "the one that the file names",
        "--epochs": "100",
        "--batch-size": "256",
        "--lr": "0.0003",
        "--device": "cuda:0",
        "--seed": "44",
        "--eval-episodes": "10",
        "--no-wandb": None,
    },
    COMPARE: {
        "--env": "Pendulum-v1",
        "--expert-frames": "100000",
        "--ipmd-frames": "100000",
        "--bc-epochs": "100",
        "--device": "cuda:0",
        "--save-dir": "comparison_results",
    },
}
"""DESIGN section 5: flag to default."""
EVERYWHERE = {"--num-seeds": "5", "--log-dir": "logs", "--no-wandb": None}


def help_entries(monkeypatch, capsys, script):
    """Flag to its help text, whose line breaks are undone."""
    monkeypatch.setenv("COLUMNS", "400")
    assert run_here(monkeypatch, script, "--help") == 0
    text = capsys.readouterr().out
    entries = re.findall(r"^  (-[^\n]*(?:\n {5,}[^\n]*)*)", text.partition("options:")[2], re.M)
    return {re.search(r"--[\w-]+", entry).group(): " ".join(entry.split()) for entry in entries}, text


@pytest.mark.parametrize("script", DESIGN)
def test_help_lists_the_designs_flags_with_their_defaults(script, monkeypatch, capsys):
    entries, text = help_entries(monkeypatch, capsys, script)
    for flag, default in (DESIGN[script] | EVERYWHERE).items():
        assert re.findall(r"\(default: ([^()]*)\)", entries[flag]) == ([] if default is None else [default])
    assert ("expert_data " in text) == (script in (IPMD, BC))
    for flag, entry in entries.items():
        assert entry.count("(default:") <= 1, flag


ALL_ONLINE = {
    "--num-envs": ("2", "training_settings", "num_envs", 2),
    "--env-workers": ("4", "training_settings", "env_workers", 4),
    "--batch-size": ("16", "agent_settings", "batch_size", 16),
    "--updates-per-frame": ("0.25", "training_settings", "updates_per_frame", 0.25),
    "--warmup-frames": ("300", "training_settings", "warmup_frames", 300),
    "--learning-rate": ("0.01", "agent_settings", "learning_rate", 0.01),
    "--hidden-size": ("32", "agent_settings", "hidden_sizes", (32, 32)),
    "--policy-tau": ("0.01", "agent_settings", "policy_tau", 0.01),
    "--critic-layer-norm": (None, "agent_settings", "critic_layer_norm", True),
    "--no-cuda-graph": (None, "training_settings", "cuda_graph", False),
    "--compile": (None, "training_settings", "compile", True),
    "--matmul-precision": ("bfloat16", "agent_settings", "matmul_precision", "bfloat16"),
}
ALL_COMMON = {
    "--device": ("cpu", "options", "device", "cpu"),
    "--seed": ("7", None, "seed", 7),
    "--num-seeds": ("3", None, "num_seeds", 3),
    "--log-dir": ("l", "options", "log_dir", "l"),
    "--no-wandb": (None, "options", "wandb", False),
    "--wandb-entity": ("me", "options", "wandb_entity", "me"),
    "--wandb-group": ("us", "options", "wandb_group", "us"),
    "--no-progress": (None, "options", "show_progress", False),
}
DATA = {
    "--demos": ("2", None, "demos", 2),
    "--subsample": ("20", None, "subsample", 20),
    "--noise": ("0.1", None, "noise", 0.1),
}
ALL = {
    COLLECT: ALL_COMMON
    | ALL_ONLINE
    | {
        "--env": ("E-v0", None, "env_id", "E-v0"),
        "--frames": ("9", None, "frames", 9),
        "--save-dir": ("s", None, "save_dir", "s"),
        "--episodes": ("8", None, "episodes", 8),
        "--reward": ("r.pt", None, "reward", "r.pt"),
        "--resume": ("d", None, "resume", "d"),
    },
    IPMD: ALL_COMMON
    | ALL_ONLINE
    | DATA
    | {
        "--env": ("E-v0", None, "env_id", "E-v0"),
        "--frames": ("9", None, "frames", 9),
        "--expert-batch-size": ("11", "agent_settings", "expert_batch_size", 11),
        "--reward-inputs": ("ss", "agent_settings", "reward_inputs", "ss"),
        "--reward-slope": ("0.25", "agent_settings", "reward_slope", 0.25),
        "--expert-share": ("0.5", "agent_settings", "expert_share", 0.5),
        "--inverse-eta": ("0.5", "agent_settings", "inverse_eta", 0.5),
        "--average-reward": (None, "agent_settings", "average_reward", True),
        "--resume": ("d", None, "resume", "d"),
    },
    BC: ALL_COMMON
    | DATA
    | {
        "--env": ("E-v0", None, "env_id", "E-v0"),
        "--epochs": ("6", None, "epochs", 6),
        "--batch-size": ("5", None, "batch_size", 5),
        "--lr": ("0.5", None, "lr", 0.5),
        "--eval-episodes": ("4", None, "eval_episodes", 4),
        "--resume": ("there", None, "resume", "there"),
    },
    COMPARE: ALL_COMMON
    | ALL_ONLINE
    | {
        "--env": ("E-v0", None, "env_id", "E-v0"),
        "--expert-frames": ("9", None, "expert_frames", 9),
        "--ipmd-frames": ("8", None, "ipmd_frames", 8),
        "--bc-epochs": ("7", None, "bc_epochs", 7),
        "--save-dir": ("s", None, "save_dir", "s"),
        "--demos": ("6", None, "demos", 6),
        "--expert-data": ("e.pt", None, "expert_data", "e.pt"),
        "--resume": (None, None, "resume", True),
    },
}
"""Flag to (its value on the command line, where the pipeline function gets it, under which name, as what)."""
FUNCTIONS = {COLLECT: "collect_expert_data", IPMD: "train_ipmd", BC: "train_bc", COMPARE: "compare_methods"}


@pytest.mark.parametrize("script", ALL)
def test_every_flag_reaches_the_pipeline(script, monkeypatch, capsys):
    entries, _ = help_entries(monkeypatch, capsys, script)
    assert set(entries) - {"--help"} == set(ALL[script]), "a flag without a test, or a test without its flag"

    class Called(Exception):
        pass

    def function(first, **settings):
        raise Called({("env_id" if script in (COLLECT, COMPARE) else "expert_data"): first, **settings})

    monkeypatch.setattr(pipeline, FUNCTIONS[script], function)
    words = [] if script in (COLLECT, COMPARE) else ["e.pt"]
    for flag, (text, *_) in ALL[script].items():
        words += [flag] if text is None else [flag, text]
    with pytest.raises(Called) as caught:
        run_here(monkeypatch, script, *words)
    settings = caught.value.args[0]
    for flag, (_, group, name, value) in ALL[script].items():
        place = settings if group is None else settings[group]
        found = getattr(place, name) if group == "options" else place[name]
        assert (found, type(found)) == (value, type(value)), flag


@pytest.mark.parametrize("script", ALL)
def test_a_misspelt_flag_is_refused(script, monkeypatch, capsys):
    assert run_here(monkeypatch, script, *(["e.pt"] if script in (IPMD, BC) else []), "--framse", "9") == 2
    assert "unrecognized arguments: --framse" in capsys.readouterr().err
