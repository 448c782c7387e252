"""The former place of `rlopt.agents.saving`."""

from rlopt.agents.saving import load_agent, save_agent, take_seed

__all__ = ["load_agent", "save_agent", "take_seed"]
