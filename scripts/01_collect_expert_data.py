#!/usr/bin/env python3
"""Step 1: train a SAC expert and store its demonstrations."""

from rlopt.cli import add_online_flags, make_parser, online_settings, run, run_options


def main() -> None:
    """Parse, collect, print."""
    parser = make_parser(__doc__, seed=42)
    parser.add_argument("--env", default="Pendulum-v1", help="gymnasium id")
    parser.add_argument("--frames", type=int, default=100_000, help="environment frames per seed")
    parser.add_argument("--save-dir", default="expert_data", help="demonstrations go to SAVE_DIR/ENV/")
    parser.add_argument("--episodes", type=int, default=50, help="demonstrations to record")
    parser.add_argument("--reward", help="learn from the frozen rewards of this ipmd_model.pt; nothing is recorded")
    parser.add_argument("--resume", help="log folder of an interrupted run to go on with")
    add_online_flags(parser)
    args = parser.parse_args()

    from rlopt.pipeline import collect_expert_data

    result = collect_expert_data(
        args.env,
        frames=args.frames,
        save_dir=args.save_dir,
        seed=args.seed,
        num_seeds=args.num_seeds,
        episodes=args.episodes,
        reward=args.reward,
        resume=args.resume,
        options=run_options(args),
        **online_settings(args),
    )
    if result.demonstrations is not None:
        print(f"Next: python scripts/02_train_ipmd.py {result.demonstrations}")


if __name__ == "__main__":
    run(main)
