"""rlopt: how much of an expert can be had from its demonstrations? SAC, IPMD and BC, all seeds in one update."""

import os

# TorchRL logs notes on its own features at import and at work; its errors still reach the screen.
os.environ.setdefault("RL_LOGGING_LEVEL", "ERROR")

__version__ = "0.1.0"
