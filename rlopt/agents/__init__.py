"""The agents, each training S seeds in one update, and the table of methods."""

from rlopt.agents.bc import BC
from rlopt.agents.gail import GAIL, Discriminator
from rlopt.agents.ipmd import IPMD
from rlopt.agents.iqlearn import IQLearn
from rlopt.agents.methods import METHODS, Method, get_method, method_of, register
from rlopt.agents.reward import EnvironmentReward, FrozenReward, LearnedReward
from rlopt.agents.sac import SAC
from rlopt.agents.sqil import SQIL

__all__ = [
    "BC",
    "GAIL",
    "IPMD",
    "METHODS",
    "SAC",
    "SQIL",
    "Discriminator",
    "EnvironmentReward",
    "FrozenReward",
    "IQLearn",
    "LearnedReward",
    "Method",
    "get_method",
    "method_of",
    "register",
]
