"""The flags of the scripts that use a trained policy. Loads no torch."""

import argparse

from rlopt.cli import add_env_flags, make_parser


def policy_parser(description: str | None, *seed_names: str) -> argparse.ArgumentParser:
    """A parser that takes a model file, says whose policy in it, and in which environment."""
    parser = make_parser(description, "model")
    parser.add_argument("model", help="sac_expert.pt, ipmd_model.pt, bc_policy_seed44.pt or another method's")
    text = "whose policy, one of the model's seeds (default: the best one that the file names, else its first)"
    parser.add_argument(*seed_names, dest="policy_seed", type=int, metavar="N", help=text)
    text = "of a file of step 1: the policy of its best evaluation, which recorded the demonstrations, not the last one"
    parser.add_argument("--best", action="store_true", help=text)
    add_env_flags(parser, None, "the one that the model names")
    return parser


def check_model(path: str) -> None:
    """Raise UserError for a model that is not there, before anything heavy is loaded."""
    from rlopt.logs.files import check_exists

    check_exists(path, what="Model", hint="Train one with scripts/01_collect_expert_data.py or 02_train_ipmd.py.")
