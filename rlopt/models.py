"""Trained agents as files; `rlopt.agents.saving` has it."""

from rlopt.agents.saving import load_agent, save_agent, take_seed

__all__ = ["load_agent", "save_agent", "take_seed"]
