#!/usr/bin/env python3
"""Step 2: learn a reward and a policy from demonstrations alone (IPMD)."""

import argparse

from rlopt.cli import (
    add_demonstration_flags,
    add_online_flags,
    demonstration_settings,
    given,
    make_parser,
    online_settings,
    run,
    run_options,
)
from rlopt.config import REWARD_INPUTS


def main() -> None:
    """Parse, train, print."""
    parser = make_parser(__doc__, seed=43)
    add_demonstration_flags(parser)
    parser.add_argument("--frames", type=int, default=100_000, help="environment frames per seed")
    parser.add_argument("--resume", help="log folder of an interrupted run to go on with")
    add_online_flags(parser)
    group = parser.add_argument_group("settings of IPMD, likewise from the preset")
    own = [
        group.add_argument("--expert-batch-size", type=int, default=256, help="expert transitions per seed and update"),
        group.add_argument("--reward-inputs", choices=REWARD_INPUTS, help="what the reward may look at"),
        group.add_argument(
            "--reward-slope", type=float, help="the steepest reward, per unit of its standardised input"
        ),
        group.add_argument(
            "--min-observation-std", type=float, help="smallest standard deviation that observations are divided by"
        ),
        group.add_argument(
            "--standardize-observations",
            action=argparse.BooleanOptionalAction,
            help="actor and critics, too, see standardised observations, clipped at 5 deviations",
        ),
        group.add_argument(
            "--expert-share", type=float, help="share of the critics' and the policy's batch that is the expert's"
        ),
        group.add_argument(
            "--recent-share", type=float, help="share of the policy's transitions drawn from its last 10,000 frames"
        ),
        group.add_argument(
            "--entropy-backup",
            action=argparse.BooleanOptionalAction,
            help="critics, too, count the policy's entropy",
        ),
        group.add_argument(
            "--expert-bound",
            action=argparse.BooleanOptionalAction,
            help="cap critics' targets at the expert's best reward for ever, best / (1 - gamma)",
        ),
        group.add_argument(
            "--inverse-eta", type=float, help="1/eta, weight of the KL to the last mirror step's policy"
        ),
        group.add_argument("--mirror-period", type=int, help="updates between two mirror steps"),
        group.add_argument(
            "--average-reward", action="store_true", default=None, help="the average-reward criterion, no discount"
        ),
    ]
    args = parser.parse_args()

    from rlopt.pipeline import train_ipmd

    settings = online_settings(args)
    settings["agent_settings"] |= given({flag.dest: getattr(args, flag.dest) for flag in own})
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
