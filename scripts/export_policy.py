#!/usr/bin/env python3
"""A policy as a file that runs without rlopt: ONNX, torch's export or plain arrays, in the environment's units."""

from pathlib import Path

from rlopt.cli import look_up_env, run
from rlopt.errors import UserError
from rlopt.policy_flags import check_model, policy_parser


def main() -> None:
    """Parse, export, print."""
    parser = policy_parser(__doc__, "--policy-seed", "--seed")
    parser.add_argument("--format", required=True, choices=("onnx", "torch", "numpy"), help="kind of file")
    parser.add_argument("--output", help="the file (default: beside the model: .onnx, .pt2 or .npz)")
    args = parser.parse_args()

    from rlopt.export.formats import check_format

    check_model(args.model)
    chosen = check_format(args.format)
    env = look_up_env(args)

    from rlopt.export.write import NUM_OBSERVATIONS, export_policy
    from rlopt.policies import load_policy

    policy = load_policy(args.model, args.policy_seed, best=args.best, env=env)
    several = f"_seed{policy.seeds[0]}" * (len(policy.about["seeds"]) > 1)
    model = Path(args.model)
    path = Path(args.output or model.with_name(f"{model.stem}{several}{chosen.suffix}"))
    if path.resolve() == model.resolve():
        raise UserError(f"{path} is the model itself: choose another --output.")
    written = export_policy(policy, path, args.format)
    print(f"{policy.about['kind'].upper()} of {policy.spec.env_id}, seed {policy.seeds[0]}: {written.path}")
    print(
        f"Compared with the policy on {NUM_OBSERVATIONS:,} observations: within {written.difference:.1e} of the bounds' width."
    )
    if written.precision_difference:
        print(
            f"It was trained in bfloat16, which differs from this float32 by up to {written.precision_difference:.1e}."
        )


if __name__ == "__main__":
    run(main)
