#!/usr/bin/env python3
"""Step 1: train a SAC expert and store its demonstrations."""

from rlopt.cli import add_config_flags, add_env_flags, configured, given, look_up_env, make_parser, run
from rlopt.config import RunOptions, SACConfig, TrainingConfig


def main() -> None:
    """Parse, collect, print."""
    parser = make_parser(__doc__)
    add_env_flags(parser, "Pendulum-v1")
    parser.add_argument("--save-dir", default="expert_data", help="demonstrations go to SAVE_DIR/ENV/")
    parser.add_argument("--episodes", type=int, default=50, help="demonstrations to record (default: 50)")
    parser.add_argument("--reward", help="learn from the frozen rewards of this ipmd_model.pt; nothing is recorded")
    parser.add_argument("--resume", help="log folder of an interrupted run to go on with")
    add_config_flags(parser, SACConfig, TrainingConfig, RunOptions)
    args = parser.parse_args()
    env = look_up_env(args)

    how = {
        "agent_settings": given(args, SACConfig),
        "training_settings": given(args, TrainingConfig),
        "resume": args.resume,
        "options": configured(args, RunOptions),
    }
    if args.reward:
        from rlopt.experiments.frozen_reward import train_on_frozen_reward

        train_on_frozen_reward(env, args.reward, **how)
    else:
        from rlopt.experiments.expert import collect_expert_data

        result = collect_expert_data(env, save_dir=args.save_dir, episodes=args.episodes, **how)
        print(f"Next: python scripts/02_train_ipmd.py {result.demonstrations}")


if __name__ == "__main__":
    run(main)
