"""Flags of the scripts that train several methods. Nothing heavy is imported here."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rlopt.cli import configured, given
from rlopt.config import BCConfig, IPMDConfig, RunOptions, SACConfig, TrainingConfig
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig

METHOD_CONFIGS = (SACConfig, IPMDConfig, BCConfig, GAILConfig, IQLearnConfig, SQILConfig)
"""Settings of every method of rlopt."""


class _Names(argparse.Action):
    """Stores names that stand behind a flag, parted by spaces or commas."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, [name for value in values for name in value.split(",") if name])


def add_methods_flag(parser: argparse.ArgumentParser, default: Sequence[str], text: str) -> None:
    """`--methods sac,ipmd,bc`, or with spaces."""
    shown = f"{text}: sac, ipmd, bc, gail, iqlearn, sqil (default: {', '.join(default)})"
    parser.add_argument("--methods", nargs="+", action=_Names, default=list(default), metavar="METHOD", help=shown)


def comparison_settings(args: argparse.Namespace, *configs: type) -> dict[str, Any]:
    """Seeds, options, and the settings of several methods: each method takes those that its config class has."""
    loop, own = {field.name for field in fields(TrainingConfig)}, ("seed", "num_seeds", "frames")
    settings = {name: value for name, value in given(args, *configs).items() if name not in own}
    return {
        "seed": args.seed,
        "num_seeds": args.num_seeds,
        "agent_settings": {name: value for name, value in settings.items() if name not in loop},
        "training_settings": {name: value for name, value in settings.items() if name in loop},
        "options": configured(args, RunOptions),
    }
