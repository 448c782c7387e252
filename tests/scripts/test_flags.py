"""The four scripts' flags: all are in the help, all reach the pipeline, and some change the algorithm."""

import json
import re

import pytest
import torch

from rlopt import pipeline
from rlopt.imitation import load_demonstrations
from rlopt.models import load_agent

from .shared import BC, COLLECT, COMPARE, EXPERT, IPMD, SMALL, only, run_here

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
    switches += ["--skip-demos", 1]
    settings = ["--frames", 640, "--hidden-size", 16, "--learning-rate", 0.01, "--matmul-precision", "bfloat16"]
    flags = [*SMALL, *switches, *settings, "--no-cuda-graph", "--no-wandb", "--no-progress", "--device", "cpu"]
    assert run_here(monkeypatch, IPMD, chain[0] / EXPERT, *flags) == 0
    directory = only((tmp_path / "logs" / "ipmd" / "Pendulum-v1").iterdir())
    config = json.loads((directory / "config.json").read_text())["config"]
    expected = {"reward_inputs": "ss", "inverse_eta": 0.5, "average_reward": True, "hidden_sizes": [16, 16]}
    expected |= {"learning_rate": 0.01, "matmul_precision": "bfloat16", "batch_size": 32}
    assert {name: config["agent"][name] for name in expected} == expected
    assert (config["subsample"], config["noise"], config["training"]["cuda_graph"]) == (20, 0.1, False)
    assert (config["demonstrations"], config["skip_demos"]) == (2, 1)


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
    "--anneal": ("0.5", "training_settings", "anneal", 0.5),
    "--gamma": ("0.9", "agent_settings", "gamma", 0.9),
    "--hidden-size": ("32", "agent_settings", "hidden_sizes", (32, 32)),
    "--policy-tau": ("0.01", "agent_settings", "policy_tau", 0.01),
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
    "--skip-demos": ("1", None, "skip_demos", 1),
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
        "--recent-share": ("0.5", "agent_settings", "recent_share", 0.5),
        "--standardize-observations": (None, "agent_settings", "standardize_observations", True),
        "--min-observation-std": ("0.1", "agent_settings", "min_observation_std", 0.1),
        "--entropy-backup": (None, "agent_settings", "entropy_backup", True),
        "--expert-bound": (None, "agent_settings", "expert_bound", True),
        "--inverse-eta": ("0.5", "agent_settings", "inverse_eta", 0.5),
        "--mirror-period": ("30", "agent_settings", "mirror_period", 30),
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
        "--skip-demos": ("3", None, "skip_demos", 3),
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
