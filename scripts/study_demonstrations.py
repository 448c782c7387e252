#!/usr/bin/env python3
"""How many demonstrations are enough? Score against their number for IPMD and BC, all cells in one stacked update."""

from rlopt.cli import add_config_flags, add_env_flags, check_source, look_up_env, make_parser, run
from rlopt.comparison_flags import comparison_settings
from rlopt.config import BCConfig, IPMDConfig, RunOptions, TrainingConfig
from rlopt.experiments.cell_flags import add_cell_flags, carry_out


def main() -> None:
    """Parse, study, print."""
    parser = make_parser(__doc__, "expert_data")
    parser.add_argument("expert_data", help="expert_buffer.pt of step 1, or any other recording that rlopt reads")
    add_env_flags(parser, None)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 5, 25], help="numbers of demonstrations")
    parser.add_argument("--bc-epochs", type=int, default=100, help="epochs of behaviour cloning")
    parser.add_argument("--subsample", type=int, default=1, help="keep every n-th transition of a demonstration")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on the expert's actions")
    parser.add_argument("--save-dir", default="study_results", help="results go to SAVE_DIR/ENV/")
    add_cell_flags(parser)
    configs = (IPMDConfig, BCConfig, TrainingConfig)
    add_config_flags(parser, *configs, RunOptions, skip=("epochs",), frames=50_000, seed=42, num_seeds=5)
    args = parser.parse_args()
    check_source(args.expert_data)
    env = look_up_env(args)

    from rlopt.experiments.studies import plan_demonstrations

    plan = plan_demonstrations(
        args.expert_data,
        env=env,
        counts=args.counts,
        frames=args.frames,
        bc_epochs=args.bc_epochs,
        subsample=args.subsample,
        noise=args.noise,
        save_dir=args.save_dir,
        **comparison_settings(args, *configs),
    )
    for results in carry_out([plan], args) or ():
        for name, cells in results["methods"].items():
            for count, cell in zip(results["counts"], cells, strict=True):
                low, high = cell["normalized_ci95"]
                print(f"{name.upper():5}{count:4} demonstrations: {cell['normalized_iqm']:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    run(main)
