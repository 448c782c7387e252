#!/usr/bin/env python3
"""Step 2: learn a reward and a policy from demonstrations alone (IPMD)."""

from rlopt.cli import learner_arguments, learner_parser, run
from rlopt.config import IPMDConfig, TrainingConfig


def main() -> None:
    """Parse, train, print."""
    parser = learner_parser(__doc__, IPMDConfig, TrainingConfig, seed=43)
    arguments = learner_arguments(parser, IPMDConfig, TrainingConfig)

    from rlopt.experiments.learners import train_ipmd

    print(f"Model: {train_ipmd(**arguments).directory / 'ipmd_model.pt'}")


if __name__ == "__main__":
    run(main)
