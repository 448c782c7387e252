"""Trained agents on disk: plain dicts of tensors and primitives that name their settings, so that a file is enough."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rlopt.agents.agent import Agent
from rlopt.agents.methods import get_method, method_of
from rlopt.errors import UserError
from rlopt.legacy import upgrade_agent, upgrade_settings
from rlopt.logs.files import load_safely, save_atomically

FORMAT, VERSION = "rlopt-model", 3


def save_agent(path: Path, agent: Agent, env_id: str, seeds: Sequence[int], **extra: Any) -> None:
    """Write an agent with its settings; `extra` holds further primitives (`best_seed=43`)."""
    state = {
        "format": FORMAT,
        "version": VERSION,
        "kind": method_of(agent).name,
        "env_id": env_id,
        "seeds": list(seeds),
        "observation_size": agent.observation_size,
        "action_size": agent.action_size,
        "config": asdict(agent.config),
        "agent": agent.state_dict(),
        **extra,
    }
    save_atomically(path, state)


def load_agent(path: str | Path, device: torch.device | str = "cpu") -> tuple[Agent, dict[str, Any]]:
    """An agent from its file, and what else the file says (`env_id`, `seeds`, ...).

    Raises UserError for a file that is missing, damaged or no model of rlopt.
    """
    state = load_safely(
        path, what="Model", hint="Train one with scripts/01_collect_expert_data.py or 02_train_ipmd.py."
    )
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("version") not in (2, VERSION):
        raise UserError(f"{path} is no model file of rlopt (format {FORMAT}, version {VERSION}).")
    try:
        method = get_method(state["kind"])
        if state["version"] == 2:
            state["agent"] = upgrade_agent(state["agent"], frozen=state["config"].get("freeze_reward", False))
            state["config"] = upgrade_settings(state["config"])
        agent = method.agent(
            method.config(**state["config"]),
            state["observation_size"],
            state["action_size"],
            num_seeds=len(state["seeds"]),
            device=device,
        )
        agent.load_state_dict(state["agent"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"Model {path} is damaged or of another version: {error}") from error
    return agent, {key: value for key, value in state.items() if key != "agent"}


def take_seed(state: Any, index: int, num_seeds: int) -> Any:
    """The state of seed `index` alone, as that of an agent with one seed.

    Tensors with a leading dimension of S*k are sliced; others (a standardiser's, a step count) are shared.
    """
    if isinstance(state, dict):
        shared = ("standardizer", "generator", "step")
        return {
            key: value if any(word in str(key) for word in shared) else take_seed(value, index, num_seeds)
            for key, value in state.items()
        }
    if isinstance(state, list):
        return [take_seed(value, index, num_seeds) for value in state]
    if isinstance(state, torch.Tensor) and state.ndim > 0:
        copies = len(state) // num_seeds
        return state[index * copies : (index + 1) * copies].clone()
    return state
