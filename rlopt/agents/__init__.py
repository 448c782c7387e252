"""The agents: SAC, IPMD and BC, each training S seeds in one update."""

from rlopt.agents.bc import BC
from rlopt.agents.ipmd import IPMD
from rlopt.agents.sac import SAC

__all__ = ["BC", "IPMD", "SAC"]
