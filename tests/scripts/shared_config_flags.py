"""What the tests of the config classes' flags share: who builds what, and a value for every field."""

import dataclasses

from rlopt.config import BCConfig, IPMDConfig, LoopConfig, RunOptions, SACConfig, Selection, TrainingConfig
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig

from .shared import BC, COLLECT, COMPARE, IPMD

ABLATIONS, DEMONSTRATIONS, REPRODUCE = "study_ablations.py", "study_demonstrations.py", "reproduce_results.py"
METHODS = (SACConfig, IPMDConfig, BCConfig, GAILConfig, IQLearnConfig, SQILConfig)
CONFIGS = {
    COLLECT: (SACConfig, TrainingConfig, RunOptions),
    IPMD: (Selection, IPMDConfig, TrainingConfig, RunOptions),
    BC: (Selection, BCConfig, LoopConfig, RunOptions),
    COMPARE: (*METHODS, TrainingConfig, RunOptions),
    ABLATIONS: (IPMDConfig, TrainingConfig, RunOptions),
    DEMONSTRATIONS: (IPMDConfig, BCConfig, TrainingConfig, RunOptions),
    REPRODUCE: (*METHODS, TrainingConfig, RunOptions),
}
"""Script to the config classes that it builds."""
BUDGETS = {COMPARE: ("frames", "epochs"), REPRODUCE: ("frames", "epochs"), DEMONSTRATIONS: ("epochs",)}
"""Fields that these scripts set by flags of their own, one for each method."""
DEFAULTS = {
    COLLECT: {},
    IPMD: {"seed": 43},
    BC: {"seed": 44},
    COMPARE: {"seed": 42, "num_seeds": 5},
    ABLATIONS: {"frames": 30_000, "seed": 42, "num_seeds": 5},
    DEMONSTRATIONS: {"frames": 50_000, "seed": 42, "num_seeds": 5},
    REPRODUCE: {"seed": 42, "num_seeds": 5},
}
"""Defaults that are the script's, not the config class's."""
VALUES = {
    # SACConfig
    "hidden_sizes": ("24 12", (24, 12)),
    "batch_size": ("17", 17),
    "learning_rate": ("0.02", 0.02),
    "gamma": ("0.9", 0.9),
    "num_critics": ("3", 3),
    "layer_norm": (None, True),
    "tau": ("0.01", 0.01),
    "actor_ema_tau": ("0.03", 0.03),
    "initial_alpha": ("0.5", 0.5),
    "recent_ratio": ("0.25", 0.25),
    "matmul_precision": ("bfloat16", "bfloat16"),
    # IPMDConfig
    "expert_batch_size": ("19", 19),
    "reward_inputs": ("sas", "sas"),
    "value_regularizer": ("0.75", 0.75),
    "gradient_penalty": ("2", 2.0),
    "lipschitz_constant": ("0.125", 0.125),
    "expert_ratio": ("0.375", 0.375),
    "inverse_eta": ("0.625", 0.625),
    "mirror_period": ("30", 30),
    "average_reward": (None, True),
    "absorbing_states": (None, True),
    "min_observation_std": ("0.1", 0.1),
    "standardize_observations": (None, True),
    "entropy_backup": (None, True),
    "expert_bound": (None, True),
    # GAILConfig
    "discriminator_learning_rate": ("0.03", 0.03),
    "discriminator_penalty": ("5", 5.0),
    # IQLearnConfig
    "tune_temperature": (None, True),
    "actor_learning_rate": ("0.04", 0.04),
    # BCConfig
    "epochs": ("6", 6),
    "min_steps_per_epoch": ("7", 7),
    # LoopConfig, TrainingConfig
    "num_seeds": ("3", 3),
    "seed": ("8", 8),
    "eval_points": ("4", 4),
    "eval_episodes": ("2", 2),
    "eval_envs": ("3", 3),
    "frames": ("900", 900),
    "num_envs": ("9", 9),
    "updates_per_frame": ("0.75", 0.75),
    "warmup_frames": ("300", 300),
    "steps_per_batch": ("5", 5),
    "env_workers": ("2", 2),
    "workers": ("3", 3),
    "lr_decay": ("0.5", 0.5),
    "buffer_size": ("5000", 5000),
    "cuda_graph": (None, True),
    "compile": (None, True),
    "checkpoint_points": ("11", 11),
    # Selection
    "demos": ("2", 2),
    "skip_demos": ("1", 1),
    "subsample": ("20", 20),
    "noise": ("0.1", 0.1),
    # RunOptions
    "device": ("cpu", "cpu"),
    "log_dir": ("elsewhere", "elsewhere"),
    "wandb": (None, True),
    "wandb_entity": ("me", "me"),
    "wandb_group": ("us", "us"),
    "tensorboard": (None, True),
    "show_progress": (None, True),
    "keep_checkpoint": (None, True),
}
"""Field to its words on the command line (None: a switch) and the value that they mean, which is no default."""


def fields_of(script):
    """Field to the config class that describes it: the first that has it."""
    found = {}
    for config in CONFIGS[script]:
        found |= {field.name: config for field in dataclasses.fields(config) if field.name not in found}
    return {name: config for name, config in found.items() if name not in BUDGETS.get(script, ())}


def flag(name):
    return f"--{name.replace('_', '-')}"
