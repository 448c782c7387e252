"""What a command line trains with: a value of every type arrives in the config, and without a flag the preset holds."""

import json

import pytest

from rlopt.presets import PRESETS

from .shared import BC, COLLECT, IPMD, replace_training, run_here
from .shared_errors import EXPERT


class Trained(Exception):
    """A stage would train now."""


@pytest.fixture
def trained(monkeypatch, workplace, counter_env):
    """The agent's config and the loop's that a command line trains with."""

    def build(script, *line):
        def online(agent, spec, config, *args, **how):
            raise Trained(agent.config, config)

        def offline(agent, expert, **how):
            raise Trained(agent.config, how)

        with monkeypatch.context() as patch:
            replace_training(patch, online, offline)
            with pytest.raises(Trained) as caught:
                run_here(patch, script, *([EXPERT] if script in (IPMD, BC) else []), "--device", "cpu", *line)
        return caught.value.args

    return build


@pytest.mark.parametrize(
    ("script", "line", "field", "value"),
    [
        (IPMD, ["--num-critics", 3], "num_critics", 3),
        (IPMD, ["--gamma", 0.5], "gamma", 0.5),
        (IPMD, ["--average-reward"], "average_reward", True),
        (IPMD, ["--no-absorbing-states"], "absorbing_states", False),
        (IPMD, ["--reward-inputs", "ss"], "reward_inputs", "ss"),
        (IPMD, ["--hidden-sizes", 24, 12, 6], "hidden_sizes", (24, 12, 6)),
        (COLLECT, ["--hidden-sizes", 24], "hidden_sizes", (24,)),
        (COLLECT, ["--hidden-size", 24], "hidden_sizes", (24, 24)),
        (BC, ["--min-steps-per-epoch", 3], "min_steps_per_epoch", 3),
        (BC, ["--lr", 0.5], "learning_rate", 0.5),
    ],
)
def test_a_value_of_every_type_arrives_in_the_agents_config(script, line, field, value, trained):
    config, _ = trained(script, *line)
    assert getattr(config, field) == value
    assert type(getattr(config, field)) is type(value)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (["--num-envs", 3], "num_envs", 3),
        (["--updates-per-frame", 0.25], "updates_per_frame", 0.25),
        (["--no-cuda-graph"], "cuda_graph", False),
        (["--compile"], "compile", True),
        (["--no-compile"], "compile", False),
        ([], "compile", None),
        (["--checkpoint-points", 3], "checkpoint_points", 3),
    ],
)
@pytest.mark.parametrize("script", [COLLECT, IPMD])
def test_a_value_of_every_type_arrives_in_the_loops_config(script, line, field, value, trained):
    _, config = trained(script, *line)
    assert getattr(config, field) == value
    assert type(getattr(config, field)) is type(value)


def test_a_folder_and_a_number_of_demonstrations_arrive_in_the_run(trained, workplace):
    trained(IPMD, "--log-dir", "elsewhere", "--demos", 2, "--skip-demos", 1, "--subsample", 5, "--noise", 0.25)
    (path,) = (workplace / "elsewhere" / "ipmd" / "Pendulum-v1").rglob("config.json")
    config = json.loads(path.read_text())["config"]
    names = ("demonstrations", "skip_demos", "subsample", "noise")
    assert [config[name] for name in names] == [2, 1, 5, 0.25]


# ---------------------------------------------------------------------------------------------------------- the preset


@pytest.fixture
def preset(monkeypatch):
    """Pendulum's preset has values that are no defaults."""
    changed = {
        "sac": {"batch_size": 48, "learning_rate": 0.002},
        "ipmd": {"expert_batch_size": 96},
        "bc": {"batch_size": 24, "learning_rate": 0.004},
        "training": {"num_envs": 3, "warmup_frames": 700},
    }
    monkeypatch.setitem(PRESETS, "Pendulum-v1", changed)


def values(config, *names):
    return tuple(getattr(config, name) for name in names)


@pytest.mark.usefixtures("preset")
def test_without_a_flag_the_preset_wins(trained):
    config, loop = trained(COLLECT)
    assert values(config, "batch_size", "learning_rate") == (48, 0.002)
    assert values(loop, "num_envs", "warmup_frames") == (3, 700)
    config, loop = trained(IPMD)
    assert values(config, "batch_size", "learning_rate", "expert_batch_size") == (48, 0.002, 96)
    assert values(loop, "num_envs", "warmup_frames") == (3, 700)
    config, _ = trained(BC)
    assert values(config, "batch_size", "learning_rate") == (24, 0.004)


@pytest.mark.usefixtures("preset")
def test_a_flag_wins_over_the_preset_even_with_the_default(trained):
    config, loop = trained(IPMD, "--batch-size", 256, "--expert-batch-size", 256, "--num-envs", 8)
    assert values(config, "batch_size", "learning_rate", "expert_batch_size") == (256, 0.002, 256)
    assert values(loop, "num_envs", "warmup_frames") == (8, 700)
    config, _ = trained(BC, "--batch-size", 256, "--learning-rate", 3e-4)
    assert values(config, "batch_size", "learning_rate") == (256, 3e-4)
