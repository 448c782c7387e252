#!/usr/bin/env python3
"""Step 3: imitate the demonstrations by supervised regression (behaviour cloning)."""

from rlopt.cli import add_demonstration_flags, demonstration_settings, make_parser, run, run_options


def main() -> None:
    """Parse, train, print."""
    parser = make_parser(__doc__, seed=44)
    add_demonstration_flags(parser)
    parser.add_argument("--epochs", type=int, default=100, help="passes over the data, each of at least 100 steps")
    parser.add_argument("--batch-size", type=int, default=256, help="transitions per seed and step")
    parser.add_argument("--lr", type=float, default=3e-4, help="Adam's learning rate")
    parser.add_argument("--eval-episodes", type=int, default=10, help="per evaluation; the last one plays at least 20")
    parser.add_argument("--resume", help="log folder of an interrupted run to go on with")
    args = parser.parse_args()

    from rlopt.pipeline import train_bc

    result = train_bc(
        args.expert_data,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        num_seeds=args.num_seeds,
        eval_episodes=args.eval_episodes,
        resume=args.resume,
        options=run_options(args),
        **demonstration_settings(args),
    )
    print(f"Models: {result.directory.parent / 'bc_policy_seed*.pt'}")


if __name__ == "__main__":
    run(main)
