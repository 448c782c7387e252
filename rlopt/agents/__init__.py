"""The agents, each training S seeds in one update, and the table of methods."""

from rlopt.agents.bc import BC
from rlopt.agents.ipmd import IPMD
from rlopt.agents.methods import METHODS, Method, get_method, method_of, register
from rlopt.agents.reward import EnvironmentReward, FrozenReward, LearnedReward
from rlopt.agents.sac import SAC

__all__ = [
    "BC",
    "IPMD",
    "METHODS",
    "SAC",
    "EnvironmentReward",
    "FrozenReward",
    "LearnedReward",
    "Method",
    "get_method",
    "method_of",
    "register",
]
