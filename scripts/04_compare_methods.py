#!/usr/bin/env python3
"""Step 4, or all in one: an expert and the methods that learn from it side by side, with pictures, a table and error bars."""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path
from typing import Any

from rlopt.cli import add_config_flags, add_env_flags, check_source, look_up_env, make_parser, run
from rlopt.comparison_flags import METHOD_CONFIGS, add_methods_flag, comparison_settings
from rlopt.config import RunOptions, TrainingConfig
from rlopt.experiments.cell_flags import FLAGS, add_cell_flags, carry_out


def main() -> None:
    """Parse, compare, print."""
    parser = make_parser(__doc__)
    add_env_flags(parser, None, "Pendulum-v1")
    parser.add_argument("--expert-frames", type=int, default=100_000, help="frames per seed of the SAC expert")
    parser.add_argument(
        "--ipmd-frames", type=int, default=100_000, help="frames per seed of IPMD, and of the other learners beside BC"
    )
    parser.add_argument("--bc-epochs", type=int, default=100, help="epochs of behaviour cloning")
    parser.add_argument("--demos", type=int, default=5, help="demonstrations to learn from (default: 5)")
    parser.add_argument("--skip-demos", type=int, default=0, help="demonstrations at the file's start to leave out")
    add_methods_flag(parser, ("sac", "ipmd", "bc"), "what to compare")
    parser.add_argument("--expert-data", help="demonstrations in place of an own expert; they name the environment")
    parser.add_argument(
        "--save-dir",
        default="comparison_results",
        help="results go to SAVE_DIR/ENV/, a new expert's demonstrations to expert_data/ENV/, as step 1's",
    )
    film = "a short film of the policies side by side, clip.gif, where something can draw them (default: yes)"
    parser.add_argument("--video", action=BooleanOptionalAction, default=True, help=film)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="FOLDER",
        help="go on with the interrupted comparison in FOLDER (SAVE_DIR/ENV), which knows its flags; without FOLDER, with the "
        "one that these flags name",
    )
    add_cell_flags(parser, of_seeds=True)
    configs = (*METHOD_CONFIGS, TrainingConfig)
    add_config_flags(parser, *configs, RunOptions, skip=("frames", "epochs"), seed=42, num_seeds=5)
    args = parser.parse_args()
    if isinstance(args.resume, str):
        args = flags_of(args.resume, parser)
    env = look_up_env(args)
    if args.expert_data is not None:
        check_source(args.expert_data)

    from rlopt.experiments.comparison import plan_comparison

    plan = plan_comparison(
        env,
        methods=args.methods,
        expert_frames=args.expert_frames,
        ipmd_frames=args.ipmd_frames,
        bc_epochs=args.bc_epochs,
        save_dir=args.save_dir,
        expert_data=args.expert_data,
        demos=args.demos,
        skip_demos=args.skip_demos,
        resume=bool(args.resume or args.cells or args.cell or args.ray),  # cells keep what is finished
        command={name: value for name, value in vars(args).items() if name not in ("resume", *FLAGS)},
        seeds_per_cell=args.seeds_per_cell,
        video=args.video,
        **comparison_settings(args, *configs),
    )
    for results in carry_out([plan], args) or ():
        show(results, args.save_dir)


def show(results: dict[str, Any], save_dir: str) -> None:
    """Print the table, and where the rest is."""
    from rlopt.envs.spec import folder_name
    from rlopt.report.results import results_table

    name = folder_name(results["config"]["env"], results["config"]["env_kwargs"])
    print(f"\n{results_table(results)}\nPictures and numbers: {Path(save_dir) / name}")


def flags_of(folder: str, parser: ArgumentParser) -> Namespace:
    """The flags that the comparison in `folder` began with, and over them those that are given now.

    Raises UserError if it would learn something else with these.
    """
    from rlopt.experiments.resuming import check_same_command
    from rlopt.experiments.stage_cache import recorded_command

    recorded = recorded_command(folder)
    parser.set_defaults(**recorded)
    args = parser.parse_args()
    check_same_command(folder, recorded, vars(args))
    return args


if __name__ == "__main__":
    run(main)
