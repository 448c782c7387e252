#!/usr/bin/env python3
"""Step 4, or all in one: expert, IPMD and BC side by side, with pictures, a table and error bars."""

from pathlib import Path

from rlopt.cli import add_online_flags, make_parser, online_settings, run, run_options


def main() -> None:
    """Parse, compare, print."""
    parser = make_parser(__doc__, seed=42)
    parser.add_argument("--env", default="Pendulum-v1", help="gymnasium id")
    parser.add_argument("--expert-frames", type=int, default=100_000, help="frames per seed of the SAC expert")
    parser.add_argument("--ipmd-frames", type=int, default=100_000, help="frames per seed of IPMD")
    parser.add_argument("--bc-epochs", type=int, default=100, help="epochs of behaviour cloning")
    parser.add_argument(
        "--save-dir",
        default="comparison_results",
        help="results go to SAVE_DIR/ENV/, a new expert's demonstrations to expert_data/ENV/, as step 1's",
    )
    parser.add_argument("--demos", type=int, default=5, help="demonstrations that IPMD and BC learn from")
    parser.add_argument("--skip-demos", type=int, default=0, help="demonstrations at the file's start to leave out")
    parser.add_argument("--expert-data", help="an expert_buffer.pt to use in place of training an expert")
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted comparison of the same settings"
    )
    add_online_flags(parser)
    args = parser.parse_args()

    from rlopt.pipeline import compare_methods
    from rlopt.results import results_table

    results = compare_methods(
        args.env,
        expert_frames=args.expert_frames,
        ipmd_frames=args.ipmd_frames,
        bc_epochs=args.bc_epochs,
        save_dir=args.save_dir,
        expert_data=args.expert_data,
        seed=args.seed,
        num_seeds=args.num_seeds,
        demos=args.demos,
        skip_demos=args.skip_demos,
        resume=args.resume,
        options=run_options(args),
        **online_settings(args),
    )
    print(f"\n{results_table(results)}\nPictures and numbers: {Path(args.save_dir) / args.env}")


if __name__ == "__main__":
    run(main)
