"""rlopt: how much of an expert can be had from its demonstrations? SAC, IPMD and BC, all seeds in one update."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlopt.policies import load_policy as load_policy

# TorchRL logs notes on its own features at import and at work; its errors still reach the screen.
os.environ.setdefault("RL_LOGGING_LEVEL", "ERROR")

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`load_policy`, which loads torch."""
    if name == "load_policy":
        from rlopt.policies import load_policy

        return load_policy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
