#!/usr/bin/env python3
"""Step 2: learn a reward and a policy from demonstrations alone (IPMD)."""

import argparse

from rlopt.cli import (
    add_demonstration_flags,
    add_online_flags,
    demonstration_settings,
    make_parser,
    online_settings,
    run,
    run_options,
)


def main() -> None:
    """Parse, train, print."""
    parser = make_parser(__doc__, seed=43)
    add_demonstration_flags(parser)
    parser.add_argument("--frames", type=int, default=100_000, help="environment frames per seed")
    parser.add_argument("--expert-batch-size", type=int, default=256, help="expert transitions per seed and update")
    parser.add_argument("--reward-inputs", choices=("s", "sa", "sas", "ss"), help="what the reward may look at")
    parser.add_argument("--reward-slope", type=float, help="the steepest reward, per unit of its standardised input")
    parser.add_argument(
        "--expert-share", type=float, help="share of expert transitions that critic and policy learn from"
    )
    parser.add_argument("--recent-share", type=float, help="share of the last 10,000 frames in the policy's batch")
    parser.add_argument(
        "--standardize-observations",
        action=argparse.BooleanOptionalAction,
        help="actor and critics, too, see observations on the expert's scales",
    )
    parser.add_argument("--min-observation-std", type=float, help="the finest of those scales")
    parser.add_argument(
        "--entropy-backup",
        action=argparse.BooleanOptionalAction,
        help="critics, too, count the policy's entropy",
    )
    parser.add_argument(
        "--expert-bound",
        action=argparse.BooleanOptionalAction,
        help="critics believe in no more than the expert's best transition for ever",
    )
    parser.add_argument("--inverse-eta", type=float, help="1/eta, weight of the KL to the last mirror step's policy")
    parser.add_argument("--mirror-period", type=int, help="updates between two mirror steps")
    parser.add_argument("--average-reward", action="store_true", default=None, help="the average-reward criterion")
    parser.add_argument("--resume", help="log folder of an interrupted run to go on with")
    add_online_flags(parser)
    args = parser.parse_args()

    from rlopt.pipeline import train_ipmd

    settings = online_settings(args)
    own = (
        *("expert_batch_size", "reward_inputs", "reward_slope", "expert_share", "inverse_eta", "average_reward"),
        *("recent_share", "mirror_period", "standardize_observations", "min_observation_std"),
        *("entropy_backup", "expert_bound"),
    )
    for name in own:
        if getattr(args, name) is not None:
            settings["agent_settings"][name] = getattr(args, name)
    result = train_ipmd(
        args.expert_data,
        frames=args.frames,
        seed=args.seed,
        num_seeds=args.num_seeds,
        resume=args.resume,
        options=run_options(args),
        **demonstration_settings(args),
        **settings,
    )
    print(f"Model: {result.directory / 'ipmd_model.pt'}")


if __name__ == "__main__":
    run(main)
