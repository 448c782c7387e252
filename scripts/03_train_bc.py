#!/usr/bin/env python3
"""Step 3: imitate the demonstrations by supervised regression (behaviour cloning)."""

from rlopt.cli import learner_arguments, learner_parser, run
from rlopt.config import BCConfig, LoopConfig


def main() -> None:
    """Parse, train, print."""
    parser = learner_parser(__doc__, BCConfig, LoopConfig, seed=44)
    arguments = learner_arguments(parser, BCConfig, LoopConfig)

    from rlopt.experiments.learners import train_bc

    print(f"Models: {train_bc(**arguments).directory.parent / 'bc_policy_seed*.pt'}")


if __name__ == "__main__":
    run(main)
