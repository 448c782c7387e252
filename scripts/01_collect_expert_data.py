#!/usr/bin/env python3
"""Step 1: train a SAC expert and store its demonstrations."""

from rlopt.cli import (
    add_config_flags,
    add_env_flags,
    add_start_flags,
    as_before,
    configured,
    given,
    look_up_env,
    make_parser,
    run,
)
from rlopt.commands import called
from rlopt.config import RunOptions, SACConfig, TrainingConfig
from rlopt.errors import UserError


def main() -> None:
    """Parse, collect, print."""
    parser = make_parser(__doc__)
    add_env_flags(parser, None, "Pendulum-v1")
    parser.add_argument("--save-dir", help="demonstrations go to SAVE_DIR/ENV/ (default: expert_data)")
    parser.add_argument("--episodes", type=int, help="demonstrations to record (default: 50)")
    parser.add_argument("--reward", help="learn from the frozen rewards of this ipmd_model.pt; nothing is recorded")
    add_start_flags(parser)
    add_config_flags(parser, SACConfig, TrainingConfig, RunOptions)
    args = parser.parse_args()
    as_before(args)
    env = look_up_env(args)

    how = {
        "agent_settings": given(args, SACConfig),
        "training_settings": given(args, TrainingConfig),
        "resume": args.resume,
        "options": configured(args, RunOptions),
    }
    from rlopt.experiments.resuming import is_run_of

    if args.reward and args.init_from:
        raise UserError("--init-from has no effect with --reward, whose learners start anew.")
    if args.reward or is_run_of("frozen_reward", args.resume):
        from rlopt.experiments.frozen_reward import train_on_frozen_reward

        train_on_frozen_reward(env, args.reward, **how)
    else:
        from rlopt.experiments.expert import collect_expert_data

        result = collect_expert_data(
            env, save_dir=args.save_dir, episodes=args.episodes, init_from=args.init_from, **how
        )
        print(f"Next: {called('ipmd', 'python ')} {result.demonstrations}")


if __name__ == "__main__":
    run(main)
