"""Imitation in a notebook: demonstrations, the agents that learn from them, and their settings."""

from rlopt.agents.bc import BC
from rlopt.agents.ipmd import IPMD
from rlopt.config import BCConfig, IPMDConfig
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.files import save_demonstrations
from rlopt.imitation.readers import load_demonstrations

__all__ = [
    "BC",
    "IPMD",
    "BCConfig",
    "Demonstrations",
    "ExpertReplayBuffer",
    "IPMDConfig",
    "from_episodes",
    "load_demonstrations",
    "save_demonstrations",
]
