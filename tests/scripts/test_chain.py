"""01, 02 and 03 in a chain, as a user runs them: real processes, small budgets, every file that they leave."""

import csv
import json
import math
import os
import re
import signal
import time

import pytest
import torch

from rlopt.agents.saving import load_agent
from rlopt.imitation import load_demonstrations

from .. import forked
from .shared import (
    BC,
    COLLECT,
    EXPERT,
    FRAMES,
    IPMD,
    ONE_WARNING,
    SCRIPTS,
    SMALL,
    STDERR_LINES,
    environment,
    files,
    only,
    run_here,
)


def metrics(directory):
    with open(directory / "metrics.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_01_leaves_demonstrations_and_a_run_folder(chain):
    root, finished = chain
    assert finished["sac"].returncode == 0, finished["sac"].stderr
    assert finished["sac"].stdout == f"Next: python scripts/02_train_ipmd.py {EXPERT}\n"
    assert files(root / "expert_data") == {
        f"Pendulum-v1/{n}" for n in ("expert_buffer.pt", "metadata.pt", "README.txt")
    }
    directory = only((root / "logs" / "sac" / "Pendulum-v1").iterdir())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", directory.name)
    assert files(directory) == {"sac_expert.pt", "rlopt.log", "metrics.csv", "metrics.crc32", "config.json"}


def test_expert_buffer_is_what_the_design_says(chain):
    root, _ = chain
    state = torch.load(root / EXPERT, weights_only=True)
    steps, episodes = 150, 3  # three whole episodes of 50 steps
    assert state["format"] == "rlopt-demonstrations"
    assert state["version"] == 1
    assert state["env_id"] == "Pendulum-v1"
    assert state["spec"]["observation_size"] == 3
    assert state["spec"]["action_size"] == 1
    assert state["spec"]["action_low"].tolist() == [-2]
    assert state["spec"]["action_high"].tolist() == [2]
    assert state["episode_lengths"].tolist() == [50] * episodes
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
        *("format", "version", "env_id", "spec", "transitions", "episode_lengths", "expert_return", "random_return"),
        "max_episode_steps",
    }
    assert state["max_episode_steps"] == 50
    metadata = torch.load(root / EXPERT.replace("expert_buffer", "metadata"), weights_only=True)
    assert set(metadata) == set(state) - {"transitions"} | {"num_episodes", "num_transitions"}
    assert "3 episodes, 150 transitions" in (root / "expert_data" / "Pendulum-v1" / "README.txt").read_text()


def test_demonstrations_are_whole_episodes_of_consecutive_steps(chain):
    root, _ = chain
    data = load_demonstrations(root / EXPERT)
    follows = torch.ones(len(data) - 1, dtype=torch.bool)
    follows[[49, 99]] = False  # the first step of the next episode
    same = (data.next_observation[:-1] == data.observation[1:]).all(1)
    assert torch.equal(same, follows)
    assert not torch.equal(data.observation, data.next_observation)
    assert not data.terminated.any()
    assert data.truncated.nonzero().flatten().tolist() == [49, 99, 149]
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
    agent.ema_actor.load_state_dict(about["best_actor"])
    torch.testing.assert_close(
        agent.policy(data.observation.expand(2, -1, -1))[best], data.action, atol=1e-5, rtol=1e-4
    )


def test_02_leaves_a_model_and_a_run_folder(chain):
    root, finished = chain
    assert finished["ipmd"].returncode == 0, finished["ipmd"].stderr
    directory = only((root / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    assert finished["ipmd"].stdout == f"Model: {(directory / 'ipmd_model.pt').relative_to(root)}\n"
    assert files(directory) == {"ipmd_model.pt", "rlopt.log", "metrics.csv", "metrics.crc32", "config.json"}
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
    assert len(rows) == 3  # four evaluations, but for the one before the first update
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


# ------------------------------------------------------------------------------------- flags that change the algorithm


def test_01_with_a_reward_learns_from_it_and_records_nothing(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = only((chain[0] / "logs" / "ipmd").rglob("ipmd_model.pt"))
    flags = [*SMALL, "--frames", 320, "--hidden-size", 12, "--recent-ratio", 0.25, "--no-wandb", "--device", "cpu"]
    assert run_here(monkeypatch, COLLECT, "--reward", model, *flags) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"logs"}
    teacher, _ = load_agent(model)
    student, _ = load_agent(only((tmp_path / "logs" / "frozen_reward" / "Pendulum-v1").rglob("frozen_reward_model.pt")))
    data = load_demonstrations(chain[0] / EXPERT)
    batch = [value.expand(2, -1, -1) for value in (data.observation, data.action, data.next_observation)]
    assert torch.equal(student.reward(*batch), teacher.reward(*batch))
    assert student.config.hidden_sizes == (12, 12)  # the learner's networks; the reward's are the teacher's
    assert student.config.recent_ratio == 0.25
    assert not torch.equal(student.policy(batch[0]), teacher.policy(batch[0]))


def test_02_with_every_switch_ends_and_says_so_in_its_config(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    switches = ["--reward-inputs", "ss", "--inverse-eta", 0.5, "--average-reward", "--subsample", 20, "--noise", 0.1]
    switches += ["--skip-demos", 1]
    settings = ["--frames", 320, "--hidden-size", 16, "--learning-rate", 0.01, "--matmul-precision", "bfloat16"]
    flags = [*SMALL, *switches, *settings, "--no-cuda-graph", "--no-wandb", "--no-progress", "--device", "cpu"]
    assert run_here(monkeypatch, IPMD, chain[0] / EXPERT, *flags) == 0
    directory = only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    config = json.loads((directory / "config.json").read_text())["config"]
    expected = {"reward_inputs": "ss", "inverse_eta": 0.5, "average_reward": True, "hidden_sizes": [16, 16]}
    expected |= {"learning_rate": 0.01, "matmul_precision": "bfloat16", "batch_size": 32}
    assert {name: config["agent"][name] for name in expected} == expected
    assert (config["subsample"], config["noise"], config["training"]["cuda_graph"]) == (20, 0.1, False)
    assert (config["demonstrations"], config["skip_demos"]) == (2, 1)


# ------------------------------------------------------------------------------------------------ Ctrl-C, and go on


def number_of_rows(folder):
    return max((len(path.read_text().splitlines()) - 1 for path in folder.rglob("metrics.csv")), default=0)


def stopped_by(stop, command, folder, rows):
    """A process gets the signal as soon as metrics.csv has more than so many rows; returns what it shows."""
    ignored = [] if stop == signal.SIGINT else [signal.SIGINT]  # a shell has what runs in the background ignore Ctrl-C
    output = folder / f"shown by {stop.name}"
    output.mkdir()
    process = forked.start(command, folder, environment(), output, ignored=ignored)
    until = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < until and number_of_rows(folder) <= rows:
        time.sleep(0.02)
    os.kill(process.pid, stop)
    process.join(60)
    assert process.exitcode == 130
    return (output / "stderr").read_text()


def test_02_interrupted_keeps_a_checkpoint_and_resumes(chain, tmp_path, monkeypatch):
    """The signals are real ones, sent while the process trains: that of `kill` and schedulers, then Ctrl-C."""
    total = 1600
    flags = [*SMALL, "--updates-per-frame", "0.2", "--eval-points", "10", "--frames", str(total)]
    flags += ["--device", "cpu", "--no-wandb"]
    words, before, saved = [str(chain[0] / EXPERT), *flags], [], 0
    for stop in (signal.SIGTERM, signal.SIGINT):
        shown = stopped_by(stop, [SCRIPTS / IPMD, *words], tmp_path, max(1, len(before)))
        directory = only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir())
        assert "Traceback" not in shown
        assert f"--resume {directory.relative_to(tmp_path)} to the command" in shown
        assert shown.endswith("interrupted.\n")
        rows = metrics(directory)
        assert len(rows) > max(1, len(before))
        assert rows[: len(before)] == before
        last, saved = saved, torch.load(directory / "checkpoint.pt", weights_only=True)["frames"]
        assert last < saved < total
        assert rows[-1]["frames"] <= saved
        words, before = [*words, "--resume", str(directory.relative_to(tmp_path))] if not before else words, rows

    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, IPMD, *words, "--no-progress") == 0
    assert only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir()) == directory
    assert files(directory) == {"ipmd_model.pt", "rlopt.log", "metrics.csv", "metrics.crc32", "config.json"}
    rows = metrics(directory)
    assert rows[: len(before)] == before
    assert [row["frames"] for row in rows] == [160 * i for i in range(2, 11)]  # none twice, none lost
    seconds = [row["wall_seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert load_agent(directory / "ipmd_model.pt")[1]["seeds"] == [43, 44]


@pytest.mark.pictures
def test_the_runs_of_the_steps_in_one_picture(chain, call, workplace):
    logs = sorted(str(path.parent) for path in (chain[0]).rglob("logs/*/Pendulum-v1/*/config.json"))
    assert len(logs) == 3
    code, out, err = call("plot_runs.py", *logs, "--expert-data", "data/expert_buffer.pt", "--save", "pictures/all.png")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["ipmd", "sac", "bc", "Picture:"]
    assert all(re.search(r"return +-\d+\.\d  score +-?\d\.\d{3} \[.*\]  worst seed", line) for line in lines[:3])
    assert (workplace / "pictures" / "all.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_not_there(call, workplace):
    code, out, err = call("plot_runs.py", "logs/nothing")
    assert (code, out) == (2, "")
    assert err.startswith("error: logs/nothing is not a run folder")
    assert len(err.splitlines()) == 1
