"""A TorchRL environment, looked up: what it shows and takes, and what is wrong with it, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict.utils import NestedKey
from torch import Tensor
from torchrl.data import Bounded
from torchrl.envs import EnvBase, StepCounter, TransformedEnv

from rlopt.envs.checks import LARGEST_WIDTH
from rlopt.envs.spec import EnvSpec, float32_bounds
from rlopt.envs.torchrl.source import base_of, copies, default_device, find, first_reset, make, name_of
from rlopt.envs.torchrl.streams import Stream
from rlopt.envs.versions import told
from rlopt.errors import ANYTHING, UserError, warn


class Keys(NamedTuple):
    """Under which names an environment has what rlopt reads."""

    observation: NestedKey
    action: NestedKey


def torchrl_spec(
    source: Any,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    device: str | None = None,
) -> EnvSpec:
    """Look a TorchRL environment up, and at two of its steps. Raises UserError if rlopt cannot train on it.

    Args:
        source: `torchrl:module:factory`, an environment of batch `[N]`, or a function that makes one.
        kwargs: keyword arguments of the function.
        max_episode_steps: a time limit, beside the environment's own.
        device: "cpu": the two steps are there; else on CUDA where there is one.
    """
    kwargs = dict(kwargs or {})
    found = find(source, kwargs)
    name = name_of(source)
    unknown = EnvSpec(name, 0, 0, np.zeros(0), np.zeros(0), 0, found, kwargs, torchrl=True)
    env = make(unknown, 2, device if device == "cpu" else default_device())
    try:
        keys = keys_of(env, name)
        low, high = _bounds(env, keys, name)
        limit = max_episode_steps or min(_own_limits(env), default=None)
        if limit is None:
            raise UserError(
                f"{name} has no time limit that rlopt sees, so that an episode may never end: give one with "
                "--max-episode-steps, or append TorchRL's StepCounter(max_steps=...)."
            )
        size = env.observation_spec[keys.observation].shape[-1]
        _look_once(env, name, keys, size)
    finally:
        if env is not found:
            env.close(raise_if_closed=False)
    return EnvSpec(name, size, len(low), low, high, limit, found, kwargs, torchrl=True)


def keys_of(env: EnvBase, name: str) -> Keys:
    """The names of observation and action. Raises UserError for what is not one flat vector of floating-point numbers."""
    batch = len(env.batch_size)
    if batch > 1 or (batch == 0 and env.batch_locked):
        raise UserError(f"{name} has the batch {[*env.batch_size]}; rlopt needs a batch of copies, [N].")
    observed = {
        key: spec
        for key, spec in env.observation_spec.items(include_nested=True, leaves_only=True)
        if spec.dtype.is_floating_point
    }
    if "observation" in observed:
        observed = {"observation": observed["observation"]}
    if len(observed) != 1 or any(len(spec.shape) != batch + 1 for spec in observed.values()):
        shapes = {key: [*spec.shape[batch:]] for key, spec in observed.items()}
        told = ", ".join(f"{key if isinstance(key, str) else '.'.join(key)} {shape}" for key, shape in shapes.items())
        raise UserError(
            f"{name} observes {told or 'no floating-point numbers'}; rlopt needs one flat vector, called 'observation' if "
            "there are others: TorchRL's CatTensors(in_keys=[...], out_key='observation') makes one."
        )
    nested_ends = any(not isinstance(key, str) for key in env.done_keys)
    if len(env.action_keys) != 1 or env.reward_keys != ["reward"] or nested_ends:
        raise UserError(f"{name} has several actions, rewards or ends of episodes (agents); rlopt needs one of each.")
    native = any(vars(layer).get("_torchrl_native_autoreset") for layer in (env, base_of(env)))
    if native or _hides_ends(env) or type(base_of(env)).__name__ == "IsaacLabWrapper":
        raise UserError(
            f"{name} resets its copies by itself and does not show the last observations of episodes, which rlopt needs: let "
            "TorchRL reset them (native_autoreset=False, where the wrapper has it)."
        )
    return Keys(next(iter(observed)), env.action_keys[0])


def _hides_ends(env: EnvBase) -> bool:
    """Whether a transform puts what a self-resetting environment shows in place of the last observations."""
    names = {type(transform).__name__ for transform in _transforms(env)}
    return bool(names & {"VecGymEnvTransform", "AutoResetTransform"})


def _transforms(env: Any) -> Iterator[Any]:
    while isinstance(env, TransformedEnv):
        yield from getattr(env.transform, "transforms", [env.transform])
        env = env.base_env


def _own_limits(env: EnvBase) -> list[int]:
    """Steps after which a StepCounter among the transforms cuts an episode off."""
    counters = [one for one in _transforms(env) if isinstance(one, StepCounter)]
    return [counter.max_steps for counter in counters if counter.max_steps is not None]


def _bounds(env: EnvBase, keys: Keys, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The bounds `[A]` of the action."""
    spec = env.full_action_spec[keys.action]
    batch = len(env.batch_size)
    if not spec.dtype.is_floating_point:
        raise UserError(
            f"{name} has the action spec {type(spec).__name__} of {spec.dtype}; rlopt needs continuous ones."
        )
    if not isinstance(spec, Bounded) or len(spec.shape) != batch + 1:
        raise UserError(
            f"{name} has the action spec {type(spec).__name__} of shape {[*spec.shape[batch:]]}; rlopt needs a flat vector "
            "with finite bounds (Bounded)."
        )
    low, high = (
        bound.expand(spec.shape).reshape(-1, spec.shape[-1]).cpu() for bound in (spec.space.low, spec.space.high)
    )
    if (low != low[0]).any() or (high != high[0]).any():
        raise UserError(f"{name}: the copies have action bounds of their own; rlopt needs the same for all.")
    width = high[0].double() - low[0].double()
    if not (torch.isfinite(width) & (width > 0) & (width < LARGEST_WIDTH)).all():
        raise UserError(
            f"{name} has the action bounds {low[0].tolist()} to {high[0].tolist()}; rlopt needs finite ones."
        )
    return float32_bounds(low[0].numpy(), high[0].numpy())


def _look_once(env: EnvBase, name: str, keys: Keys, size: int) -> None:
    """Resets and two steps. Raises UserError for what cannot be trained on; starts that differ are a warning."""
    number, stream = copies(env) or 2, Stream(env.device)
    try:
        starts = []
        for seed in (1, 2, 1):
            stream.restart(seed)
            with stream:
                env.set_seed(seed)
                state = first_reset(env, number)
            starts.append(_checked(state.get(keys.observation), (number, size), name, "reset()"))
        for step in (1, 2):
            space = env.full_action_spec[keys.action].space
            middle = (space.low + 0.5 * (space.high - space.low)).expand(number, -1)
            with stream:
                state = env.step(state.set(keys.action, middle.clone()))
            following = state.get("next")
            _checked(following.get(keys.observation), (number, size), name, f"step {step}")
            _checked(following.get("reward"), (number, 1), name, f"step {step}", "reward")
            if following.get("done").any():
                break
            state = env.step_mdp(state)
    except UserError:
        raise
    except ANYTHING as error:  # an environment can raise anything
        raise UserError(f"{name}: a reset or step fails: {told(error)}.") from error
    first, other, again = starts
    if not torch.equal(first, again):
        warn(f"{name}: set_seed(seed) gives other starts each time, so evaluations of methods are not paired.")
    elif torch.equal(first, other):
        warn(f"{name}: every set_seed(seed) gives the same starts.")


def _checked(value: Tensor | None, shape: tuple[int, int], name: str, when: str, what: str = "observation") -> Tensor:
    if value is None or value.shape != shape:
        found = "none" if value is None else f"one of shape {[*value.shape]}"
        raise UserError(f"{name}: {when} should give a {what} of shape {[*shape]} and gives {found}.")
    if not torch.isfinite(value).all():
        raise UserError(f"{name}: {when} gives NaN or infinity as its {what}.")
    return value.clone()
