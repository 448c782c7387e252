"""Settings: a wrong field or value is refused by name, presets apply, and what is asked for beats them."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from rlopt.config import (
    BCConfig,
    IPMDConfig,
    LoopConfig,
    RunOptions,
    SACConfig,
    Selection,
    TrainingConfig,
    configure,
)
from rlopt.errors import UserError
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.presets import PRESETS, preset

PEERS = [GAILConfig, IQLearnConfig, SQILConfig]
KINDS = [SACConfig, IPMDConfig, BCConfig, *PEERS, LoopConfig, TrainingConfig, Selection, RunOptions]
ONLINE = {
    **{"hidden_sizes": [(), (0,), (64, -1), (2.5,)], "num_critics": [0], "batch_size": [0, -1]},
    **{
        "learning_rate": [0.0, -1e-3, float("nan"), float("inf")],
        "gamma": [0.0, 1.0, 1.5, float("nan")],
        "tau": [0.0, 1.1],
        "actor_ema_tau": [0.0, 1.1],
    },
    **{"initial_alpha": [0.0], "matmul_precision": ["float16"], "recent_ratio": [-0.1, 1.1]},
}
WRONG = {
    SACConfig: ONLINE,
    IPMDConfig: {
        **ONLINE,
        **{"reward_inputs": ["as", "", "sass"]},
        **{"expert_batch_size": [0], "value_regularizer": [0.0], "mirror_period": [0], "min_observation_std": [0.0]},
        **{"gradient_penalty": [-1.0, float("nan")], "inverse_eta": [-0.1]},
        **{"expert_ratio": [-0.1, 1.0], "lipschitz_constant": [0.0]},
    },
    GAILConfig: {
        **ONLINE,
        **{"reward_inputs": ["as", ""], "expert_batch_size": [0], "min_observation_std": [0.0]},
        **{"discriminator_learning_rate": [0.0], "discriminator_penalty": [-1.0, float("nan")]},
    },
    IQLearnConfig: {
        **ONLINE,
        **{"expert_batch_size": [0], "value_regularizer": [0.0], "actor_learning_rate": [0.0]},
    },
    SQILConfig: {**ONLINE, "batch_size": [0, 1]},
    BCConfig: {
        **{"hidden_sizes": [()], "batch_size": [0], "learning_rate": [0.0], "epochs": [0, -1]},
        **{"min_steps_per_epoch": [0]},
    },
    LoopConfig: {
        **{"num_seeds": [0], "seed": [-1, 2**32], "eval_points": [0], "eval_episodes": [0], "checkpoint_points": [0]},
        "env_workers": [-1],
    },
    Selection: {"demos": [0, -1], "skip_demos": [-1], "subsample": [0], "noise": [-0.1, float("nan")]},
    TrainingConfig: {
        **{"frames": [0, -5], "num_seeds": [0], "seed": [-1, 2**32], "num_envs": [0], "steps_per_batch": [0]},
        **{"updates_per_frame": [0.0, float("inf")], "warmup_frames": [0], "buffer_size": [0], "eval_points": [0]},
        **{
            "eval_episodes": [0],
            "checkpoint_points": [0],
            "env_workers": [-1],
            "lr_decay": [-0.1, 1.1, float("nan")],
        },
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_valid_and_frozen(kind):
    settings = kind()
    with pytest.raises(FrozenInstanceError):
        setattr(settings, fields(kind)[0].name, 1)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(kind, field, value) for kind, fields in WRONG.items() for field, values in fields.items() for value in values],
)
def test_a_wrong_value_is_refused_by_name(kind, field, value):
    with pytest.raises(UserError) as error:
        kind(**{field: value})
    assert str(error.value).startswith(f"{field} ")
    assert str(value) in str(error.value)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (SACConfig, "batch_size", 2.5),
        (SACConfig, "batch_size", "64"),
        (SACConfig, "hidden_sizes", 64),
        (SACConfig, "num_critics", 1.5),
        (IPMDConfig, "mirror_period", 0.5),
        (BCConfig, "epochs", 1.5),
        (TrainingConfig, "num_seeds", 2.5),
        (TrainingConfig, "num_envs", 1.5),
        (LoopConfig, "eval_points", True),
        (Selection, "demos", 1.5),
        (RunOptions, "wandb", 1),
        (RunOptions, "log_dir", 5),
        (TrainingConfig, "compile", 1),
    ],
)
def test_a_wrong_type_is_refused_by_name(kind, field, value):
    with pytest.raises(UserError, match=field):
        kind(**{field: value})


def test_every_numeric_field_is_checked():
    """A field that someone adds must get a check, and a case above."""
    for kind, cases in WRONG.items():
        numbers = {name for name, value in asdict(kind()).items() if type(value) in (int, float)}
        assert numbers <= set(cases), kind


def test_the_warm_up_must_leave_frames_to_learn_from():
    for frames in (100, 99):
        with pytest.raises(UserError, match=rf"{frames} frames must be more than the 100 of the random warm-up"):
            TrainingConfig(frames=frames, warmup_frames=100)
    assert TrainingConfig(frames=101, warmup_frames=100).frames == 101


def test_a_run_has_an_update():
    with pytest.raises(UserError, match=r"200 frames at 0\.009 updates per frame are not one update"):
        TrainingConfig(frames=200, warmup_frames=100, updates_per_frame=0.009)
    assert TrainingConfig(frames=200, warmup_frames=100, updates_per_frame=0.01).updates_per_frame == 0.01


def test_derived_counts():
    training = TrainingConfig(seed=5, num_seeds=3, num_envs=4, steps_per_batch=6)
    assert training.seeds == [5, 6, 7]
    assert training.frames_per_batch == 24


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"SACConfig has no field learning_rte; it has .*learning_rate"):
        configure(SACConfig, "Pendulum-v1", learning_rte=1e-3)
    with pytest.raises(UserError, match="no field reward_inputs"):
        configure(SACConfig, "Pendulum-v1", reward_inputs="s")
    with pytest.raises(TypeError, match="learning_rte"):
        SACConfig(learning_rte=1e-3)


@pytest.fixture
def known_preset(monkeypatch):
    sections = {
        "sac": {"batch_size": 17, "gamma": 0.5},
        "ipmd": {"value_regularizer": 0.25},
        "bc": {"epochs": 7},
        "training": {"num_envs": 3},
    }
    monkeypatch.setitem(PRESETS, "Known-v0", sections)
    return "Known-v0"


def test_presets_apply(known_preset):
    assert configure(SACConfig, known_preset) == SACConfig(batch_size=17, gamma=0.5)
    assert configure(IPMDConfig, known_preset) == IPMDConfig(batch_size=17, gamma=0.5, value_regularizer=0.25)
    assert configure(BCConfig, known_preset) == BCConfig(epochs=7)
    assert configure(TrainingConfig, known_preset) == TrainingConfig(num_envs=3)


def test_overrides_beat_presets_and_none_means_not_given(known_preset):
    chosen = configure(IPMDConfig, known_preset, batch_size=99, gamma=None, tau=0.1)
    assert chosen == IPMDConfig(batch_size=99, gamma=0.5, value_regularizer=0.25, tau=0.1)
    chosen = configure(SACConfig, known_preset, {"batch_size": 3, "tau": 0.2, "gamma": None}, batch_size=99, tau=None)
    assert chosen == SACConfig(batch_size=99, gamma=0.5, tau=0.2)


def test_an_environment_without_a_preset_gets_the_general_one():
    assert preset("Unheard-of-v0") == preset("Another-v0") == {}
    assert configure(SACConfig, "Unheard-of-v0").hidden_sizes == (256, 256)


@pytest.mark.parametrize("env_id", [*PRESETS, "Unheard-of-v0"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_preset_is_valid(env_id, kind):
    configure(kind, env_id)


@pytest.mark.parametrize("env_id", PRESETS)
def test_methods_share_what_they_have_in_common(env_id):
    """The preset may not flatter one method: SAC and IPMD have the same networks, batches, steps and discount."""
    sac, ipmd = asdict(configure(SACConfig, env_id)), asdict(configure(IPMDConfig, env_id))
    assert sac.pop("recent_ratio") == 0.0  # recent data are for a reward that changes
    assert {name: ipmd[name] for name in sac} == sac
    for kind in PEERS:
        peer, own = asdict(configure(kind, env_id)), {"recent_ratio"}
        own |= {"initial_alpha", "num_critics"} if kind is IQLearnConfig else set()  # as its authors have them
        assert {name: peer[name] for name in sac if name not in own} == {n: v for n, v in sac.items() if n not in own}


@pytest.mark.parametrize("env_id", PRESETS)
def test_a_preset_names_no_field_in_vain(env_id):
    """Every section is read by a class, and every entry is a field that differs from its default."""
    readers = {"sac": SACConfig, "ipmd": IPMDConfig, "bc": BCConfig, "training": TrainingConfig}
    readers |= dict(zip(("gail", "iqlearn", "sqil"), PEERS, strict=True))
    assert preset(env_id).keys() <= readers.keys()
    for section, values in preset(env_id).items():
        defaults = asdict(readers[section]())
        assert section in readers[section].sections
        for name, value in values.items():
            assert value != defaults[name], f"{section}.{name}"


def test_settings_are_read_before_torch_is_loaded():
    code = "import sys, rlopt.config, rlopt.peer_config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_replace_checks_again():
    assert replace(SACConfig(), gamma=0.9).gamma == 0.9
    with pytest.raises(UserError, match="gamma"):
        replace(SACConfig(), gamma=2.0)


def test_long_runs_are_compiled_unless_told_otherwise():
    cuda, cpu = "cuda", "cpu"
    long = {"frames": 110_000, "warmup_frames": 10_000}
    assert not TrainingConfig(frames=100_000, warmup_frames=10_000).compiles(cuda)  # 90,000 updates
    assert TrainingConfig(**long).compiles(cuda)
    assert TrainingConfig(frames=20_000, warmup_frames=10_000).compiles(cpu)
    assert not TrainingConfig(frames=20_000, warmup_frames=10_000, updates_per_frame=0.9).compiles(cpu)
    assert not TrainingConfig(**long, updates_per_frame=0.5).compiles(cuda)
    assert not TrainingConfig(**long, compile=False).compiles(cuda)
    assert TrainingConfig(frames=12_000, compile=True).compiles(cpu)
