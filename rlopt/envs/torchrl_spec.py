"""A TorchRL environment, looked up: how one is made, what it shows and takes, and what is wrong with it, in a sentence."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.utils import NestedKey
from torch import Tensor
from torchrl.data import Bounded
from torchrl.envs import EnvBase, StepCounter, TransformedEnv

from rlopt.envs.checks import LARGEST_WIDTH
from rlopt.envs.spec import EnvSpec
from rlopt.envs.streams import Stream
from rlopt.envs.versions import import_refusal, one_line
from rlopt.errors import UserError

PREFIX = "torchrl:"
"""`torchrl:module:factory` names a TorchRL environment."""

_only: dict[tuple[Any, str], EnvBase] = {}
"""The environments of functions that make one of a size of its own: once in a process, because some can exist only once."""


class Keys(NamedTuple):
    """Under which names an environment has what rlopt reads."""

    observation: NestedKey
    action: NestedKey


def is_torchrl(source: Any) -> bool:
    """Whether a name, function or object stands for a TorchRL environment, as far as that is seen without calling it."""
    if isinstance(source, str):
        return source.startswith(PREFIX)
    return isinstance(source, EnvBase) or _makes_any_number(source) or any(source is known for known, _ in _only)


def _makes_any_number(source: Any) -> bool:
    if not callable(source):
        return False
    makers = [vars(base).get("__init__", base) for base in source.__mro__[:-1]] if inspect.isclass(source) else [source]
    try:  # the signature of a TorchRL class is that of its metaclass
        return any("num_envs" in inspect.signature(maker).parameters for maker in makers)
    except (TypeError, ValueError):  # something that is built in
        return False


def find(source: Any, kwargs: Mapping[str, Any]) -> Any:
    """What a spec keeps as its source: a function of `num_envs` and `device`, or the only environment that there is."""
    name = source
    if isinstance(source, str):
        module, _, attribute = source.removeprefix(PREFIX).partition(":")
        if not (module and attribute):
            raise UserError(f"--env {source} must be torchrl:module:factory.")
        try:
            source = importlib.import_module(module)
            for part in attribute.split("."):
                source = getattr(source, part)
        except ImportError as error:
            raise UserError(f"Environment {name!r}: {import_refusal(module, error)}{_own_mujoco(error)}") from error
        except AttributeError as error:
            raise UserError(f"Environment {name!r}: the module {module!r} has no {attribute!r}.") from error
    if isinstance(source, EnvBase) or _makes_any_number(source):
        return source
    key = source, repr(sorted(kwargs.items()))
    if key not in _only:
        _only[key] = _called(name, source, kwargs)
    return _only[key]


def remember(source: Any, kwargs: Mapping[str, Any], env: Any) -> None:
    """Take this environment for the only one of a function that has made it. Raises UserError if it is no TorchRL one."""
    if not isinstance(env, EnvBase):
        raise UserError(f"{source} makes a {type(env).__name__}, neither a gymnasium environment nor a TorchRL one.")
    _only[source, repr(sorted(kwargs.items()))] = env


def _called(name: Any, source: Callable[..., Any], kwargs: Mapping[str, Any]) -> EnvBase:
    name = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
    try:
        env = source(**kwargs)
    except Exception as error:  # an environment's constructor can raise anything
        raise UserError(f"Environment {name!r} cannot be made: {one_line(error)}.{_own_mujoco(error)}") from error
    if not isinstance(env, EnvBase):
        raise UserError(f"Environment {name!r} is a {type(env).__name__}, not a TorchRL environment (EnvBase).")
    return env


def _own_mujoco(error: BaseException) -> str:
    """What helps where TorchRL's own MuJoCo tasks fail for their physics."""
    text, cause = "", error.__cause__ or error.__context__
    for one in (error, cause):
        text += f" {one}"
    if "mujoco_torch" not in text and "mujoco-torch" not in text:
        return ""
    return (
        " TorchRL's own MuJoCo tasks use mujoco-torch by default, which does not import beside MuJoCo 4: give them "
        "backend='mujoco', or train on gymnasium's tasks, which are other ones."
    )


def make(spec: EnvSpec, num_envs: int, device: torch.device | str) -> EnvBase:
    """An environment of so many copies, or the only one that there is."""
    if isinstance(spec.source, EnvBase):
        return spec.source
    env = _called(spec.env_id, spec.source, {"num_envs": num_envs, "device": torch.device(device), **spec.kwargs})
    if copies(env) not in (None, num_envs):
        raise UserError(f"{spec.env_id}: num_envs={num_envs} makes an environment of batch {[*env.batch_size]}.")
    return env


def copies(env: EnvBase) -> int | None:
    """N of an environment of batch `[N]`; None for one that steps as many as it is given."""
    return None if not env.batch_locked and not env.batch_size else env.batch_size.numel()


def first_reset(env: EnvBase, num_envs: int) -> TensorDictBase:
    """The state after a reset of all copies."""
    return env.reset(TensorDict({}, [num_envs], device=env.device)) if copies(env) is None else env.reset()


def torchrl_spec(
    source: Any,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    device: torch.device | str | None = None,
) -> EnvSpec:
    """Look a TorchRL environment up, and at two of its steps. Raises UserError if rlopt cannot train on it.

    Args:
        source: `torchrl:module:factory`, an environment of batch `[N]`, or a function that makes one.
        kwargs: keyword arguments of the function.
        max_episode_steps: a time limit, beside the environment's own.
        device: where the two steps are; by default on CUDA where there is one.
    """
    kwargs = dict(kwargs or {})
    found = find(source, kwargs)
    name = source if isinstance(source, str) else getattr(source, "__name__", None) or type(_base(found)).__name__
    unknown = EnvSpec(name, 0, 0, np.zeros(0), np.zeros(0), 0, found, kwargs, torchrl=True)
    env = make(unknown, 2, device or ("cuda" if torch.cuda.is_available() else "cpu"))
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


def _base(env: Any) -> Any:
    while isinstance(env, TransformedEnv):
        env = env.base_env
    return env


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
    if (
        len(env.action_keys) != 1
        or env.reward_keys != ["reward"]
        or env.done_keys != [*filter(_is_name, env.done_keys)]
    ):
        raise UserError(f"{name} has several actions, rewards or ends of episodes (agents); rlopt needs one of each.")
    native = any(vars(layer).get("_torchrl_native_autoreset") for layer in (env, _base(env)))
    if native or _hides_ends(env) or type(_base(env)).__name__ == "IsaacLabWrapper":
        raise UserError(
            f"{name} resets its copies by itself and does not show the last observations of episodes, which rlopt needs: let "
            "TorchRL reset them (native_autoreset=False, where the wrapper has it)."
        )
    return Keys(next(iter(observed)), env.action_keys[0])


def _is_name(key: NestedKey) -> bool:
    return isinstance(key, str)


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
    return low[0].numpy().astype(np.float32), high[0].numpy().astype(np.float32)


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
                state = env.step(state.set(keys.action, middle.to(state.device, copy=True)))
            following = state.get("next")
            _checked(following.get(keys.observation), (number, size), name, f"step {step}")
            _checked(following.get("reward"), (number, 1), name, f"step {step}", "reward")
            if following.get("done").any():
                break
            state = env.step_mdp(state)
    except UserError:
        raise
    except Exception as error:  # an environment can raise anything
        raise UserError(f"{name}: a reset or step fails: {type(error).__name__}: {one_line(error)}.") from error
    first, other, again = starts
    if not torch.equal(first, again):
        _warn(f"{name}: set_seed(seed) gives other starts each time, so evaluations of methods are not paired.")
    elif torch.equal(first, other):
        _warn(f"{name}: every set_seed(seed) gives the same starts.")


def _checked(value: Tensor | None, shape: tuple[int, int], name: str, when: str, what: str = "observation") -> Tensor:
    if value is None or value.shape != shape:
        found = "none" if value is None else f"one of shape {[*value.shape]}"
        raise UserError(f"{name}: {when} should give a {what} of shape {[*shape]} and gives {found}.")
    if not torch.isfinite(value).all():
        raise UserError(f"{name}: {when} gives NaN or infinity as its {what}.")
    return value.clone()


def _warn(message: str) -> None:
    logging.getLogger("rlopt").warning(message)
