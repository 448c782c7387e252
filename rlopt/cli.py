"""What the scripts' command lines share: common flags, and how a run ends when something is wrong."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import torch

from rlopt.config import MATMUL_PRECISIONS
from rlopt.errors import UserError
from rlopt.stages import RunOptions


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells defaults, but not that a flag that is not given is None or False."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default is not None and action.default is not False
        return super()._get_help_string(action) if told else action.help


def plain_parser(description: str) -> argparse.ArgumentParser:
    """A parser without flags, whose help tells defaults."""
    return argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)


def make_parser(description: str, *, seed: int, device: str = "cuda:0") -> argparse.ArgumentParser:
    """A parser with the flags of every script that trains."""
    parser = plain_parser(description)
    parser.add_argument("--device", default=device, help="cuda:0, cpu, ...; without CUDA the CPU is used")
    parser.add_argument("--seed", type=int, default=seed, help="seed i of a run uses SEED + i")
    parser.add_argument("--num-seeds", type=int, default=5, help="seeds trained at once, in one update")
    parser.add_argument("--log-dir", default="logs", help="folder of the run folders")
    parser.add_argument("--no-wandb", action="store_true", help="do not log to Weights & Biases")
    parser.add_argument("--wandb-entity", help="W&B user or team (default: $WANDB_ENTITY, else fywu)")
    parser.add_argument("--wandb-group", help="W&B group of the run")
    parser.add_argument("--no-progress", action="store_true", help="no progress on the screen (the log keeps it)")
    return parser


def add_online_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of scripts that gather experience; unset, the environment's preset holds."""
    group = parser.add_argument_group("settings that otherwise come from the environment's preset")
    group.add_argument("--num-envs", type=int, help="environment copies per seed")
    group.add_argument("--env-workers", type=int, help="processes that step the environments (0: none but this one)")
    group.add_argument("--batch-size", type=int, help="transitions per seed and update")
    group.add_argument("--updates-per-frame", type=float, help="gradient steps per frame of one seed")
    group.add_argument("--warmup-frames", type=int, help="frames of random actions before the first update")
    group.add_argument("--learning-rate", type=float, help="Adam's learning rate")
    group.add_argument(
        "--anneal",
        type=float,
        help="learning rates fall to zero over this last share of the frames (0.5: the second half)",
    )
    group.add_argument("--gamma", type=float, help="discount per step")
    group.add_argument("--hidden-size", type=int, help="width of the two hidden layers")
    group.add_argument(
        "--policy-tau",
        type=float,
        help="the evaluated policy is a running mean of the actor: what each update adds of it (1: no mean)",
    )
    group.add_argument("--no-cuda-graph", action="store_true", help="on CUDA, launch every update by itself")
    group.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile updates with torch.compile (default: in runs of 20,000 updates or more, on CUDA 100,000)",
    )
    group.add_argument("--matmul-precision", choices=MATMUL_PRECISIONS, help="of matrix products")


def add_demonstration_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of scripts that learn from stored demonstrations."""
    parser.add_argument("expert_data", help="expert_buffer.pt of step 1")
    parser.add_argument("--env", help="gymnasium id (default: the one that the file names)")
    parser.add_argument("--demos", type=int, help="demonstrations to learn from (default: all)")
    parser.add_argument("--skip-demos", type=int, default=0, help="demonstrations at the file's start to leave out")
    parser.add_argument("--subsample", type=int, default=1, help="keep every n-th transition of a demonstration")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on the expert's actions")


def run_options(args: argparse.Namespace) -> RunOptions:
    """Common flags as `RunOptions`."""
    return RunOptions(
        device=args.device,
        log_dir=args.log_dir,
        wandb=not args.no_wandb,
        wandb_entity=args.wandb_entity,
        wandb_group=args.wandb_group,
        show_progress=not args.no_progress,
    )


def online_settings(args: argparse.Namespace) -> dict[str, Any]:
    """`add_online_flags` as the keyword arguments of a pipeline function."""
    hidden = None if args.hidden_size is None else (args.hidden_size, args.hidden_size)
    agent = {
        "batch_size": args.batch_size,
        "learning_rate": args.learning_rate,
        "gamma": args.gamma,
        "hidden_sizes": hidden,
        "policy_tau": args.policy_tau,
        "matmul_precision": args.matmul_precision,
    }
    training = {name: getattr(args, name) for name in _TRAINING_FLAGS}
    training["cuda_graph"] = False if args.no_cuda_graph else None
    return {"agent_settings": given(agent), "training_settings": given(training)}


_TRAINING_FLAGS = ("num_envs", "env_workers", "updates_per_frame", "anneal", "warmup_frames", "compile")


def demonstration_settings(args: argparse.Namespace) -> dict[str, Any]:
    """`add_demonstration_flags` as the keyword arguments of a pipeline function, after the path."""
    chosen = {name: getattr(args, name) for name in ("demos", "skip_demos", "subsample", "noise")}
    return {"env_id": args.env, **chosen}


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Those that were given: None is a flag that is not there."""
    return {name: value for name, value in settings.items() if value is not None}


def run(main: Callable[[], None]) -> None:
    """Run a script and leave with its exit code: 0, 2 with one sentence for what the user can put right, 130 for Ctrl-C.

    SIGTERM (`kill`, a scheduler) is Ctrl-C to it, so that a run in the background keeps a checkpoint, too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    try:
        main()
    except UserError as error:
        sys.exit(_complain(str(error), 2))
    except torch.OutOfMemoryError:
        message = "CUDA is out of memory: lower --batch-size, --num-seeds or, in step 2, --expert-batch-size."
        sys.exit(_complain(message, 2))
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted.", 130))


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())  # torch's part of a message can have several
    print(f"error: {line}" if code == 2 else line, file=sys.stderr)
    return code
