"""The four scripts' flags: all are in the help, and all reach their stage.

Every field of a config class by its present name: `test_config_flags`. Here are the other flags, and all former names.
"""

import dataclasses
import re

import pytest

from rlopt.comparison_flags import METHOD_CONFIGS
from rlopt.config import BCConfig, IPMDConfig, LoopConfig, RunOptions, SACConfig, Selection, TrainingConfig
from rlopt.experiments import comparison, expert, frozen_reward, learners

from .shared import BC, COLLECT, COMPARE, IPMD, help_entries, run_here

pytestmark = pytest.mark.usefixtures("tensorboard")

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
        "--env": "the one that the demonstrations name",
        "--frames": "100000",
        "--device": "cuda:0",
        "--seed": "43",
        "--expert-batch-size": "256",
    },
    BC: {
        "--env": "the one that the demonstrations name",
        "--epochs": "100",
        "--batch-size": "256",
        "--lr": "0.0003",
        "--device": "cuda:0",
        "--seed": "44",
        "--eval-episodes": "10",
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
EVERYWHERE = {"--num-seeds": "5", "--log-dir": "logs", "--no-wandb": "yes"}


@pytest.mark.parametrize("script", DESIGN)
def test_help_lists_the_designs_flags_with_their_defaults(script, monkeypatch, capsys):
    entries, text = help_entries(monkeypatch, capsys, script)
    for flag, default in (DESIGN[script] | EVERYWHERE).items():
        assert re.findall(r"\(default: ([^()]*)\)", entries[flag]) == [default], flag
    assert ("expert_data " in text) == (script in (IPMD, BC))
    for flag, entry in entries.items():
        assert entry.count("(default:") <= 1, flag


AGENT, TRAINING = "agent_settings", "training_settings"
ALL_ONLINE = {
    "--num-envs": ("2", TRAINING, "num_envs", 2),
    "--env-workers": ("4", TRAINING, "env_workers", 4),
    "--batch-size": ("16", AGENT, "batch_size", 16),
    "--updates-per-frame": ("0.25", TRAINING, "updates_per_frame", 0.25),
    "--warmup-frames": ("300", TRAINING, "warmup_frames", 300),
    "--learning-rate": ("0.01", AGENT, "learning_rate", 0.01),
    "--anneal": ("0.5", TRAINING, "lr_decay", 0.5),
    "--gamma": ("0.9", AGENT, "gamma", 0.9),
    "--hidden-size": ("32", AGENT, "hidden_sizes", (32, 32)),
    "--policy-tau": ("0.01", AGENT, "actor_ema_tau", 0.01),
    "--recent-share": ("0.5", AGENT, "recent_ratio", 0.5),
    "--no-cuda-graph": (None, TRAINING, "cuda_graph", False),
    "--compile": (None, TRAINING, "compile", True),
    "--matmul-precision": ("bfloat16", AGENT, "matmul_precision", "bfloat16"),
}
ALL_IPMD = {
    "--expert-batch-size": ("11", AGENT, "expert_batch_size", 11),
    "--reward-inputs": ("ss", AGENT, "reward_inputs", "ss"),
    "--reward-slope": ("0.25", AGENT, "lipschitz_constant", 0.25),
    "--expert-share": ("0.5", AGENT, "expert_ratio", 0.5),
    "--standardize-observations": (None, AGENT, "standardize_observations", True),
    "--min-observation-std": ("0.1", AGENT, "min_observation_std", 0.1),
    "--entropy-backup": (None, AGENT, "entropy_backup", True),
    "--expert-bound": (None, AGENT, "expert_bound", True),
    "--inverse-eta": ("0.5", AGENT, "inverse_eta", 0.5),
    "--mirror-period": ("30", AGENT, "mirror_period", 30),
    "--average-reward": (None, AGENT, "average_reward", True),
}
ALL_COMMON = {
    "--device": ("cpu", "options", "device", "cpu"),
    "--log-dir": ("l", "options", "log_dir", "l"),
    "--no-wandb": (None, "options", "wandb", False),
    "--wandb-entity": ("me", "options", "wandb_entity", "me"),
    "--wandb-group": ("us", "options", "wandb_group", "us"),
    "--tensorboard": (None, "options", "tensorboard", True),
    "--no-progress": (None, "options", "show_progress", False),
}
ALL_ONE = {
    "--env": ("MountainCarContinuous-v0", None, "env_id", "MountainCarContinuous-v0"),
    "--resume": ("there", None, "resume", "there"),
    "--init-from": ("m.pt", None, "init_from", "m.pt"),
    "--seed": ("7", TRAINING, "seed", 7),
    "--num-seeds": ("3", TRAINING, "num_seeds", 3),
}
DATA = {
    "--demos": ("2", "selection", "demos", 2),
    "--skip-demos": ("1", "selection", "skip_demos", 1),
    "--subsample": ("20", "selection", "subsample", 20),
    "--noise": ("0.1", "selection", "noise", 0.1),
}
ALL = {
    COLLECT: ALL_COMMON
    | ALL_ONLINE
    | ALL_ONE
    | {
        "--frames": ("9", TRAINING, "frames", 9),
        "--save-dir": ("s", None, "save_dir", "s"),
        "--episodes": ("8", None, "episodes", 8),
    },
    IPMD: ALL_COMMON | ALL_ONLINE | ALL_IPMD | ALL_ONE | DATA | {"--frames": ("9", TRAINING, "frames", 9)},
    BC: ALL_COMMON
    | ALL_ONE
    | DATA
    | {
        "--epochs": ("6", AGENT, "epochs", 6),
        "--batch-size": ("5", AGENT, "batch_size", 5),
        "--lr": ("0.5", AGENT, "learning_rate", 0.5),
        "--hidden-size": ("32", AGENT, "hidden_sizes", (32, 32)),
        "--eval-episodes": ("4", TRAINING, "eval_episodes", 4),
    },
    COMPARE: ALL_COMMON
    | ALL_ONLINE
    | ALL_IPMD
    | {
        "--env": ("MountainCarContinuous-v0", None, "env_id", "MountainCarContinuous-v0"),
        "--expert-frames": ("9", None, "expert_frames", 9),
        "--ipmd-frames": ("8", None, "ipmd_frames", 8),
        "--bc-epochs": ("7", None, "bc_epochs", 7),
        "--save-dir": ("s", None, "save_dir", "s"),
        "--demos": ("6", None, "demos", 6),
        "--skip-demos": ("3", None, "skip_demos", 3),
        "--methods": ("bc", None, "methods", ["bc"]),
        "--expert-data": ("e.pt", None, "expert_data", "e.pt"),
        "--seed": ("7", None, "seed", 7),
        "--num-seeds": ("3", None, "num_seeds", 3),
        "--resume": (None, None, "resume", True),
        "--no-video": (None, None, "video", False),
    },
}
"""Flag to (its value on the command line, where the stage's function gets it, under which name, as what)."""
CONFIGS = {
    COLLECT: (SACConfig, TrainingConfig, RunOptions),
    IPMD: (Selection, IPMDConfig, TrainingConfig, RunOptions),
    BC: (Selection, BCConfig, LoopConfig, RunOptions),
    COMPARE: (*METHOD_CONFIGS, TrainingConfig, RunOptions),
}
FUNCTIONS = {
    COLLECT: (expert, "collect_expert_data"),
    IPMD: (learners, "train_ipmd"),
    BC: (learners, "train_bc"),
    COMPARE: (comparison, "plan_comparison"),
}
BESIDE = {
    "--help",
    "--cells",
    "--ray",
    "--cell-cpus",
    "--cell-memory",
    "--cell-gpus",
    "--cell",
    "--seeds-per-cell",
    "--reward",
    "--lr",
    "--progress",
    "--wandb",
    "--video",
    "--env-kwargs",
    "--max-episode-steps",
}
"""Tested elsewhere: `--reward` goes to a stage of its own, cells have their own tests, the others are the same as a flag of the
tables."""


class Called(Exception):
    """A stage's function was called."""


def called_with(script, words, place, monkeypatch):
    """The arguments that a command line calls a function (`place`: module, name) with."""

    def function(*first, **settings):
        names = ("env_id", "reward") if script in (COLLECT, COMPARE) else ("expert_data",)
        given = {**dict(zip(names, first, strict=False)), **settings}
        raise Called(given | {"env_id": getattr(given.get("env_id"), "env_id", None)})

    monkeypatch.setattr(*place, function)
    with pytest.raises(Called) as caught:
        run_here(monkeypatch, script, *words)
    return caught.value.args[0]


def command_line(table):
    return [word for flag, (text, *_) in table.items() for word in ([flag] if text is None else [flag, text])]


def check(settings, table):
    for flag, (_, group, name, value) in table.items():
        place = settings if group is None else settings[group]
        found = getattr(place, name) if group in ("options", "selection") else place[name]
        assert (found, type(found)) == (value, type(value)), flag


@pytest.mark.parametrize("script", ALL)
def test_every_flag_reaches_its_stage(script, monkeypatch, capsys, workplace):
    entries, _ = help_entries(monkeypatch, capsys, script)
    fields = {field.name for config in CONFIGS[script] for field in dataclasses.fields(config)}
    of_fields = {f"--{no}{name.replace('_', '-')}" for name in fields for no in ("", "no-")}
    assert set(ALL[script]) <= set(entries), "a test without its flag"
    assert set(entries) - set(ALL[script]) - of_fields <= BESIDE, "a flag without a test"

    (workplace / "e.pt").touch()
    words = [*command_line(ALL[script]), *([] if script in (COLLECT, COMPARE) else ["e.pt"])]
    settings = called_with(script, words, FUNCTIONS[script], monkeypatch)
    check(settings, ALL[script])


def test_01_with_a_reward_goes_to_a_stage_of_its_own(monkeypatch, workplace):
    of_the_expert = ("--save-dir", "--episodes", "--init-from")
    table = {flag: entry for flag, entry in ALL[COLLECT].items() if flag not in of_the_expert}
    table["--reward"] = ("r.pt", None, "reward", "r.pt")
    place = (frozen_reward, "train_on_frozen_reward")
    check(called_with(COLLECT, command_line(table), place, monkeypatch), table)


@pytest.mark.parametrize("script", ALL)
def test_a_misspelt_flag_is_refused(script, monkeypatch, capsys):
    assert run_here(monkeypatch, script, *(["e.pt"] if script in (IPMD, BC) else []), "--framse", "9") == 2
    assert "unrecognized arguments: --framse" in capsys.readouterr().err
