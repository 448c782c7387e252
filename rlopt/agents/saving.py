"""Trained agents on disk: plain dicts of tensors and primitives that name their settings, so that a file is enough."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from rlopt.agents.agent import Agent
from rlopt.agents.methods import get_method, method_of
from rlopt.commands import called
from rlopt.errors import UserError
from rlopt.legacy import upgrade_agent, upgrade_settings
from rlopt.logs.files import load_safely, save_atomically
from rlopt.states import UNFIT, check_form, check_list, check_tensor, count_numbers, is_exactly

FORMAT, VERSION = "rlopt-model", 3


def save_agent(path: Path, agent: Agent, env_id: str, seeds: Sequence[int], **extra: Any) -> None:
    """Write an agent with its settings; `extra` holds further tensors and primitives (`best_seed=43`)."""
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
    state = load_safely(path, what="Model", hint=f"Train one with {called('collect')} or {called('ipmd')}.")
    known = isinstance(state, dict) and is_exactly(state.get("format"), FORMAT)
    if not known or not is_exactly(state.get("version"), 2, VERSION):
        raise UserError(f"{path} is no model file of rlopt (format {FORMAT}, version {VERSION}).")
    try:
        _check_head(state)
        method = get_method(state["kind"])
        if state["version"] == 2:
            state["agent"] = upgrade_agent(state["agent"], frozen=state["config"].get("freeze_reward", False))
            state["config"] = upgrade_settings(state["config"])
        config = method.config(**state["config"])
        _check_sizes(state, config)
        agent = method.agent(
            config, state["observation_size"], state["action_size"], num_seeds=len(state["seeds"]), device=device
        )
        agent.load_state_dict(state["agent"])
        _check_bounds(state)
        if "best_actor" in state:
            check_form(state["best_actor"], agent.policy.actor.state_dict(), "the best actor")
    except (*UNFIT, UserError) as error:
        raise UserError(f"Model {path} is damaged or of another version: {error}") from error
    return agent, {key: value for key, value in state.items() if key != "agent"}


def check_fits(what: Any, agent: Agent, where: str, sizes: tuple[int, int]) -> None:
    """Raise UserError, which calls the agent `what`, if the environment `where` has other O and A than it."""
    own = agent.observation_size, agent.action_size
    if own != sizes:
        raise UserError(
            f"{what} is for observations of size {own[0]} and actions of size {own[1]}, but {where} has {sizes[0]} and "
            f"{sizes[1]}."
        )


def _check_head(state: dict[str, Any]) -> None:
    for key, kind in (("kind", str), ("env_id", str), ("config", dict), ("agent", dict)):
        if not isinstance(state[key], kind):
            raise ValueError(f"{key} is a {type(state[key]).__name__}, not a {kind.__name__}")
    check_list(state["seeds"], "seeds", int)
    sizes = [state["observation_size"], state["action_size"]]
    check_list(sizes, "sizes", int)
    if min(sizes) < 1 or not state["seeds"]:
        raise ValueError(f"sizes {sizes} of {len(state['seeds'])} seeds")


def _check_bounds(state: dict[str, Any]) -> None:
    """Raise ValueError for action bounds that are none; files of earlier versions have no bounds."""
    bounds = [state[name] for name in ("action_low", "action_high") if name in state]
    for value in bounds:
        check_tensor(value, "a bound of actions", (state["action_size"],))
    if len(bounds) == 1 or (
        bounds and not (torch.isfinite(torch.stack(bounds)).all() and (bounds[0] < bounds[1]).all())
    ):
        raise ValueError("action_low and action_high are no bounds")


def _check_sizes(state: dict[str, Any], config: Any) -> None:
    """Raise ValueError if networks of the declared sizes would be larger than what the file holds: none is made then."""
    widths = [state["observation_size"], *config.hidden_sizes, state["action_size"]]
    declared = len(state["seeds"]) * getattr(config, "num_critics", 1) * sum(a * b for a, b in pairwise(widths))
    if declared > count_numbers(state["agent"]):
        raise ValueError("its networks are smaller than it says")


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
