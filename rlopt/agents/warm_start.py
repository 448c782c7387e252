"""A trained model as the start of a new run."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlopt.agents.agent import Agent
from rlopt.agents.saving import check_fits, load_agent
from rlopt.errors import UserError
from rlopt.networks import Actor

ACTORS = ("actor", "ema_actor", "mirror_actor")


def start_from(agent: Agent, path: str | Path) -> None:
    """Let new learners begin as a saved model is.

    A model of the same method gives all that it learned: networks, temperatures, optimisers. One of another method gives its
    policy, which acts alike from the first step on; that of BC has no deviation that was trained. A model of one seed starts
    every seed. Standardisers must have been fitted before.

    Raises:
        UserError: the model is missing, damaged, of another environment's sizes or of other widths, or has another number of
            seeds.
    """
    model, _ = load_agent(path, agent.device)
    check_fits(path, model, "this environment", (agent.observation_size, agent.action_size))
    if model.num_seeds not in (1, agent.num_seeds):
        raise UserError(
            f"{path} holds {model.num_seeds} seeds: use --num-seeds {model.num_seeds}, or a model of one seed."
        )
    widths, own_widths = tuple(model.config.hidden_sizes), tuple(agent.config.hidden_sizes)
    if widths != own_widths:
        raise UserError(f"{path} has hidden layers of widths {widths}, not {own_widths}: use --hidden-sizes to match.")
    if type(model) is type(agent):
        agent.load_state_dict(_for_seeds(model.state_dict(), agent.state_dict()))
        return
    for holder in (agent, getattr(agent, "sac", None)):
        for name in ACTORS:
            if isinstance(actor := getattr(holder, name, None), Actor):
                _act_alike(actor, model.policy.actor)


def _for_seeds(state: Any, own: Any) -> Any:
    """A state of one seed for as many as `own` has; what is random stays its own."""
    if isinstance(own, dict):
        return {name: value if name == "generator" else _for_seeds(state[name], value) for name, value in own.items()}
    if isinstance(own, list):
        return [_for_seeds(*pair) for pair in zip(state, own, strict=True)]
    if isinstance(own, Tensor) and own.ndim and len(state) != len(own):
        return state.repeat(len(own) // len(state), *[1] * (own.ndim - 1))  # [S*k, ...], seed-major
    return state


@torch.no_grad()
def _act_alike(actor: Actor, model: Actor) -> None:
    """Give an actor the weights with which it acts as another one, which may scale observations in another way.

    The first layer sees (x - m) / s where the model's sees (x - m') / s':  W = W' s / s',  b = b' + (m - m') / s' W'.
    """
    own, other = actor.scaling, model.scaling
    ratio, shift = own.std / other.std, (own.mean - other.mean) / other.std
    for layer, source in zip(actor.mlp.layers, model.mlp.layers, strict=True):
        layer.weight.copy_(source.weight.expand_as(layer.weight))
        layer.bias.copy_(source.bias.expand_as(layer.bias))
    first, source = actor.mlp.layers[0], model.mlp.layers[0]
    first.weight.copy_((source.weight * ratio.unsqueeze(-1)).expand_as(first.weight))
    first.bias.copy_((source.bias + (shift @ source.weight).unsqueeze(1)).expand_as(first.bias))
