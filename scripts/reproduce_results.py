#!/usr/bin/env python3
"""Make the README's results: expert, IPMD and BC from one demonstration, per environment. Stopped, it goes on."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlopt.cli import add_online_flags, make_parser, online_settings, run, run_options

# Frames of the SAC expert and, per seed, of IPMD.
BUDGETS: dict[str, tuple[int, int]] = {
    "Pendulum-v1": (50_000, 20_000),
    "InvertedPendulum-v5": (30_000, 50_000),
    "InvertedDoublePendulum-v5": (50_000, 50_000),
    "Reacher-v5": (50_000, 50_000),
    "Swimmer-v5": (200_000, 50_000),
    "HalfCheetah-v5": (500_000, 150_000),
    "Hopper-v5": (500_000, 200_000),
    "Walker2d-v5": (500_000, 200_000),
    "Ant-v5": (1_000_000, 500_000),
    "Humanoid-v5": (1_000_000, 500_000),
}
# SAC seeds, of which the best one demonstrates; one where nothing is said. Not every seed of Swimmer finds the stroke in time.
EXPERT_SEEDS = {"Swimmer-v5": 5}
# IQ-Learn (Garg et al., NeurIPS 2021, Table 3): return after 500,000 steps from one demonstration, of its expert's return.
PUBLISHED = {
    "HalfCheetah-v5": (5077, 5098),
    "Hopper-v5": (3546, 3533),
    "Walker2d-v5": (5134, 5275),
    "Ant-v5": (4363, 4700),
    "Humanoid-v5": (5227, 5313),
}


def main() -> None:
    """Parse, run what is missing, print the table."""
    parser = make_parser(__doc__, seed=42)
    parser.add_argument("--envs", nargs="+", default=list(BUDGETS), choices=list(BUDGETS), help="environments to run")
    parser.add_argument("--demos", type=int, default=1, help="demonstrations that IPMD and BC learn from")
    parser.add_argument(
        "--expert-seeds", type=int, help="SAC seeds, of which the best one demonstrates (default: 1, for Swimmer 5)"
    )
    parser.add_argument("--frames-scale", type=float, default=1.0, help="scale all budgets, for a quick look")
    parser.add_argument(
        "--save-dir", default="reproduced_results", help="results go to SAVE_DIR/ENV/ and SAVE_DIR/table.md"
    )
    parser.add_argument("--table-only", action="store_true", help="train nothing, make the table from what is there")
    add_online_flags(parser)
    args = parser.parse_args()

    from rlopt.checkpoint import write_text_atomically

    rows = []
    for env_id in args.envs:
        kept = Path(args.save_dir) / env_id / "results.json"
        if args.table_only and not kept.exists():
            continue
        rows.append(table_row(env_id, json.loads(kept.read_text()) if args.table_only else reproduce(env_id, args)))
        table = "\n".join(["| " + " | ".join(row) + " |" for row in [HEADER, ["---"] * len(HEADER), *rows]])
        write_text_atomically(Path(args.save_dir) / "table.md", table + "\n")
    print(table if rows else f"Nothing in {args.save_dir} yet.")


def reproduce(env_id: str, args: Namespace) -> dict[str, Any]:
    """Train one environment's expert, then IPMD and BC on its demonstrations; finished parts are kept."""
    from rlopt.pipeline import collect_expert_data, compare_methods

    expert_frames, ipmd_frames = (int(frames * args.frames_scale) for frames in BUDGETS[env_id])
    common: dict[str, Any] = {"seed": args.seed, "options": run_options(args), **online_settings(args)}
    experts = Path(args.save_dir) / "experts"
    expert_data = experts / env_id / "expert_buffer.pt"
    if not expert_data.exists():
        collect_expert_data(
            env_id,
            frames=expert_frames,
            num_seeds=EXPERT_SEEDS.get(env_id, 1) if args.expert_seeds is None else args.expert_seeds,
            save_dir=experts,
            episodes=max(50, args.demos),
            resume="auto",
            **common,
        )
    return compare_methods(
        env_id,
        ipmd_frames=ipmd_frames,
        expert_data=expert_data,
        demos=args.demos,
        num_seeds=args.num_seeds,
        save_dir=args.save_dir,
        resume=True,
        **common,
    )


HEADER = [
    "Environment",
    "Demos",
    "Random",
    "Expert",
    "IPMD frames",
    "IPMD return",
    "IPMD score",
    "BC score",
    "IQ-Learn",
]


def table_row(env_id: str, results: dict[str, Any]) -> list[str]:
    """One environment's cells: returns, then normalised IQM with its interval."""

    def score(method: dict[str, Any]) -> str:
        low, high = (float("nan") if end is None else end for end in method["normalized_ci95"])
        return f"{method['normalized_iqm']:.3f} [{low:.3f}, {high:.3f}]"

    ipmd, bc = results["methods"]["ipmd"], results["methods"]["bc"]
    published = PUBLISHED.get(env_id)
    return [
        env_id,
        str(results["demonstrations"]),
        f"{results['random_return']:.1f}",
        f"{results['expert_return']:.1f}",
        f"{ipmd['frames']:,}",
        f"{ipmd['return_mean']:.1f}",
        score(ipmd),
        score(bc),
        "" if published is None else f"{published[0]:,} of {published[1]:,} (500,000 frames)",
    ]


if __name__ == "__main__":
    run(main)
