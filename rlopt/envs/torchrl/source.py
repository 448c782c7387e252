"""What stands for a TorchRL environment, and how one is made of it."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.envs import EnvBase, TransformedEnv

from rlopt.envs.spec import EnvSpec
from rlopt.envs.versions import import_refusal, told
from rlopt.errors import ANYTHING, UserError

PREFIX = "torchrl:"
"""`torchrl:module:factory` names a TorchRL environment."""

_only: dict[tuple[Any, str], EnvBase] = {}
"""The environments of functions that make one of a size of its own: once in a process, because some can exist only once."""


def is_torchrl(source: Any) -> bool:
    """Whether a name, function or object stands for a TorchRL environment, as far as that is seen without calling it."""
    if isinstance(source, str):
        return source.startswith(PREFIX)
    return isinstance(source, EnvBase) or _makes_any_number(source) or any(source is known for known, _ in _only)


def _makes_any_number(source: Any) -> bool:
    if not callable(source):
        return False
    source = source.func if isinstance(source, functools.partial) else source
    makers = [vars(base).get("__init__", base) for base in source.__mro__[:-1]] if inspect.isclass(source) else [source]
    try:  # the signature of a TorchRL class is that of its metaclass
        return any("num_envs" in inspect.signature(maker).parameters for maker in makers)
    except (TypeError, ValueError):  # something that is built in
        return False


def _says_that_it_makes_one(source: Any) -> bool:
    """Whether something is a class of environments, or a function that is annotated to return one."""
    try:
        kind = source if inspect.isclass(source) else get_type_hints(source).get("return")
    except (TypeError, NameError):
        return False
    return inspect.isclass(kind) and issubclass(kind, EnvBase)


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
    if isinstance(name, str) and not _says_that_it_makes_one(source):
        # the name and the arguments may be those of a file of somebody else's
        raise UserError(
            f"Environment {name!r}: rlopt calls only what has a parameter num_envs, or is annotated to return an EnvBase."
        )
    key = source, repr(sorted(kwargs.items()))
    if key not in _only:
        _only[key] = _called(name_of(name), source, kwargs)
    return _only[key]


def name_of(source: Any) -> str:
    """What an environment is called by."""
    if isinstance(source, str):
        return source
    if isinstance(source, EnvBase):
        return type(base_of(source)).__name__
    function = source.func if isinstance(source, functools.partial) else source
    return getattr(function, "__name__", type(function).__name__)


def base_of(env: Any) -> Any:
    """An environment without its transforms."""
    while isinstance(env, TransformedEnv):
        env = env.base_env
    return env


def remember(source: Any, kwargs: Mapping[str, Any], env: Any) -> None:
    """Take this environment for the only one of a function that has made it. Raises UserError if it is no TorchRL one."""
    if not isinstance(env, EnvBase):
        raise UserError(f"{source} makes a {type(env).__name__}, neither a gymnasium environment nor a TorchRL one.")
    _only[source, repr(sorted(kwargs.items()))] = env


def _called(name: str, source: Callable[..., Any], kwargs: Mapping[str, Any]) -> EnvBase:
    try:
        env = source(**kwargs)
    except ANYTHING as error:  # an environment's constructor can raise anything
        raise UserError(f"Environment {name!r} cannot be made: {told(error)}.{_own_mujoco(error)}") from error
    if not isinstance(env, EnvBase):
        raise UserError(f"Environment {name!r} is a {type(env).__name__}, not a TorchRL environment (EnvBase).")
    return env


def _own_mujoco(error: BaseException) -> str:
    """What helps where TorchRL's own MuJoCo tasks fail for their physics."""
    told = f"{error} {error.__cause__ or error.__context__}"
    if "mujoco_torch" not in told and "mujoco-torch" not in told:
        return ""
    return (
        " TorchRL's own MuJoCo tasks use mujoco-torch, which does not import beside MuJoCo 4, and are other ones than "
        "gymnasium's: for those use gymnasium's ids (--env Ant-v5)."
    )


def make(spec: EnvSpec, num_envs: int, device: torch.device | str) -> EnvBase:
    """An environment of so many copies, or the only one that there is."""
    if isinstance(spec.source, EnvBase):
        return spec.source
    env = _called(spec.env_id, spec.source, {"num_envs": num_envs, "device": torch.device(device), **spec.kwargs})
    if copies(env) not in (None, num_envs):
        raise UserError(f"{spec.env_id}: num_envs={num_envs} makes an environment of batch {[*env.batch_size]}.")
    return env


def default_device() -> torch.device:
    """Where an environment is looked at if nobody says where it will be: on CUDA where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def copies(env: EnvBase) -> int | None:
    """N of an environment of batch `[N]`; None for one that steps as many as it is given."""
    return None if not env.batch_locked and not env.batch_size else env.batch_size.numel()


def first_reset(env: EnvBase, num_envs: int) -> TensorDictBase:
    """The state after a reset of all copies."""
    return env.reset(TensorDict({}, [num_envs], device=env.device)) if copies(env) is None else env.reset()
