#!/usr/bin/env python3
"""Which parts of IPMD matter? One thing changed at a time; finished runs are kept, so it can be stopped and go on."""

from rlopt.cli import add_config_flags, add_env_flags, check_source, look_up_env, make_parser, run
from rlopt.comparison_flags import comparison_settings
from rlopt.config import IPMDConfig, RunOptions, TrainingConfig
from rlopt.experiments.cell_flags import add_cell_flags, carry_out


def main() -> None:
    """Parse, study, print."""
    parser = make_parser(__doc__, "expert_data")
    parser.add_argument("expert_data", help="expert_buffer.pt of step 1, or any other recording that rlopt reads")
    add_env_flags(parser, None)
    parser.add_argument("--names", nargs="+", help="ablations to run (default: all)")
    parser.add_argument("--demos", type=int, default=1, help="demonstrations to learn from (default: 1)")
    parser.add_argument("--save-dir", default="study_results", help="results go to SAVE_DIR/ENV/")
    add_cell_flags(parser)
    add_config_flags(parser, IPMDConfig, TrainingConfig, RunOptions, frames=30_000, seed=42, num_seeds=5)
    args = parser.parse_args()
    check_source(args.expert_data)
    env = look_up_env(args)

    from rlopt.experiments.ablations import ABLATIONS, plan_ablations
    from rlopt.report.statistics import shown

    plan = plan_ablations(
        args.expert_data,
        env=env,
        names=args.names or tuple(ABLATIONS),
        demos=args.demos,
        frames=args.frames,
        save_dir=args.save_dir,
        **comparison_settings(args, IPMDConfig, TrainingConfig),
    )
    for results in carry_out([plan], args) or ():
        for name, cell in results["ablations"].items():
            low, high = cell["normalized_ci95"]
            score = f"{cell['normalized_iqm']:6.3f} [{low:.3f}, {high:.3f}]"
            worst = min(cell["normalized_per_seed"])
            print(f"{name:24}{score}  worst seed {worst:.3f}  reward r = {shown(cell['pearson'], 2)}")


if __name__ == "__main__":
    run(main)
