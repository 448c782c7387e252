"""What the library needs to know of an environment, and how one is made. Loads gymnasium, but no torch."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rlopt.envs.checks import check_spaces, close_env, look_once, wrappers
from rlopt.envs.variants import register_variants
from rlopt.envs.versions import import_refusal, mujoco_remedy, one_line, told
from rlopt.errors import ANYTHING, UserError

if TYPE_CHECKING:
    import gymnasium as gym


@dataclass(frozen=True, eq=False)
class EnvSpec:
    """An environment, looked up once. Every function that takes an environment takes this, or what `as_spec` takes."""

    env_id: str
    """The id as it was given, or the name of the function that makes it."""
    observation_size: int
    """O."""
    action_size: int
    """A."""
    action_low: np.ndarray
    """`[A]`, in the environment's units."""
    action_high: np.ndarray
    """`[A]`, in the environment's units."""
    max_episode_steps: int
    """The time limit."""
    source: Any = None
    """gymnasium's spec or the function: what a process that does not know the id makes it from."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of its constructor."""
    starts_alike: bool = False
    """Whether every reset with a seed gives the same start, so that episodes begin with a second one without a seed."""
    torchrl: bool = False
    """Whether it is a TorchRL environment: `source` is a function of `num_envs` and `device`, or the only one that there is."""

    @property
    def sizes(self) -> tuple[int, int]:
        """O and A."""
        return self.observation_size, self.action_size

    @property
    def name(self) -> str:
        """What folders are called by."""
        return folder_name(self.env_id, self.kwargs)

    def to_env_units(self, action: np.ndarray) -> np.ndarray:
        """Actions `[..., A]` from [-1, 1] to the environment's bounds, which rounding must not pass: some check that."""
        action = self.action_low + 0.5 * (action + 1) * (self.action_high - self.action_low)
        return np.minimum(action, self.action_high)

    def make(self) -> gym.Env:
        """One such gymnasium environment; a matrix or dict of observations is flattened, in the order of its space.

        Raises UserError for a TorchRL environment, and where it cannot be made.
        """
        if self.torchrl:
            raise UserError(f"{self.env_id} is a TorchRL environment: its observations are one vector.")
        return make_env(self.source, self.kwargs, self.max_episode_steps)


def folder_name(env_id: str, kwargs: Mapping[str, Any]) -> str:
    """The id without its module, and the keyword arguments."""
    return "_".join([base_id(env_id), *(f"{key}={value}" for key, value in kwargs.items())])


def base_id(env_id: str) -> str:
    """`Id-v0` of `module:Id-v0`."""
    return env_id.rpartition(":")[2]


@contextmanager
def _quiet_mujoco(entry_point: Any) -> Iterator[None]:
    """Send what MuJoCo's compiler (of 3.17 and 4.0) says of gymnasium's model files to the log; a user cannot change them."""
    if isinstance(entry_point, str) and not entry_point.startswith("rlopt.") and "mujoco" not in entry_point:
        yield
        return
    try:
        import mujoco
    except ImportError:  # the environment itself says what it needs
        yield
        return
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(logging.getLogger("rlopt.mujoco").info)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)


def _gymnasium_spec(source: Any) -> Any:
    """gymnasium's spec of an id (`module:Id` imports the module first), of a spec or of an environment; else the function."""
    import gymnasium as gym

    if isinstance(source, gym.Env):
        if source.spec is None:
            raise UserError(
                f"This {type(source).__name__} has no spec to make further ones from: give its class, or its id."
            )
        return source.spec
    if not isinstance(source, str):
        return source
    register_variants()
    module, _, env_id = source.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"Environment {source!r}: {import_refusal(module, error)}") from error
    return gym.spec(env_id)


def make_env(source: Any, kwargs: Mapping[str, Any] | None = None, max_episode_steps: int | None = None) -> gym.Env:
    """One gymnasium environment of an id, a spec or a function. Raises UserError, with the reason, where that fails."""
    import gymnasium as gym

    name = (
        source if isinstance(source, str) else getattr(source, "id", None) or getattr(source, "__name__", str(source))
    )
    try:
        with warnings.catch_warnings():  # dm_control, imported here, turns on every DeprecationWarning of the process
            spec = _gymnasium_spec(source)
        with _quiet_mujoco(getattr(spec, "entry_point", "")), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which a user asked for by name
            if isinstance(spec, gym.envs.registration.EnvSpec):
                limit = {} if max_episode_steps is None else {"max_episode_steps": max_episode_steps}
                env = gym.make(spec, disable_env_checker=True, **limit, **(kwargs or {}))
            else:
                env = spec(**(kwargs or {}))
                if max_episode_steps is not None and isinstance(env, gym.Env):
                    env = gym.wrappers.TimeLimit(env, max_episode_steps)
    except UserError:
        raise
    except ANYTHING as error:  # an environment's constructor can raise anything
        raise UserError(f"Environment {name!r} {_why_not(error)}") from error
    if not isinstance(env, gym.Env):
        return env
    space = env.observation_space
    return gym.wrappers.FlattenObservation(env) if _can_be_flattened(space) else env


def _why_not(error: BaseException) -> str:
    """The end of the sentence that says that an environment cannot be made."""
    from gymnasium.error import DependencyNotInstalled, Error, NameNotFound, NamespaceNotFound

    if remedy := mujoco_remedy(error):
        return f"cannot be made: {remedy}"
    if isinstance(error, DependencyNotInstalled):
        return f"needs a package that is not installed: {error}"
    reason = one_line(error) if isinstance(error, Error) else told(error)
    unknown = isinstance(error, NameNotFound | NamespaceNotFound)
    own = " One of your own is given with its module: --env module:Id-v0." * unknown
    return f"cannot be made: {reason}" + "." * (reason[-1:] != "?") + own


def _can_be_flattened(space: gym.Space) -> bool:
    """Whether a space is a matrix, or a Dict or Tuple of vectors and matrices; a vector need not be, an image cannot."""
    from gymnasium.spaces import Box, Dict, Tuple

    parts = list(space.values()) if isinstance(space, Dict) else list(space) if isinstance(space, Tuple) else None
    if parts is None:
        return isinstance(space, Box) and len(space.shape) in (0, 2)
    return all((isinstance(part, Box) and len(part.shape) <= 2) or _can_be_flattened(part) for part in parts)


def env_spec(
    source: Any,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    device: str | None = None,
) -> EnvSpec:
    """Look an environment up, and at two of its steps.

    Args:
        source: a gymnasium id (`module:Id-v0` imports the module first), gymnasium's spec, an environment that has one, or a
            function or class that makes an environment; or a TorchRL environment (`rlopt.envs.torchrl.spec`).
        kwargs: keyword arguments of its constructor.
        max_episode_steps: a time limit in place of its own.
        device: "cpu": a TorchRL environment is looked at there; else on CUDA where there is one.

    Raises:
        UserError: there is no such environment, it cannot be made, or rlopt cannot train on it; the message says why.
    """
    import gymnasium as gym
    from gymnasium.spaces import Box

    if _may_be_torchrl(source):
        from rlopt.envs.torchrl.source import is_torchrl
        from rlopt.envs.torchrl.spec import torchrl_spec

        if is_torchrl(source):
            return torchrl_spec(source, kwargs, max_episode_steps, device)
    env = make_env(source, kwargs, max_episode_steps)
    if not isinstance(env, gym.Env):
        from rlopt.envs.torchrl.source import remember
        from rlopt.envs.torchrl.spec import torchrl_spec

        remember(source, kwargs or {}, env)
        return torchrl_spec(source, kwargs, max_episode_steps, device)
    name = source if isinstance(source, str) else env.spec.id if env.spec is not None else source.__name__
    with ExitStack() as stack:
        stack.callback(close_env, env, name)
        limit = _time_limit(env)
        check_spaces(env, name, limit)
        alike = look_once(env, name)
        observed, space = env.observation_space, env.action_space
        assert isinstance(observed, Box)
        assert isinstance(space, Box)
        assert limit is not None
        bounds = float32_bounds(space.low, space.high)
        sizes = observed.shape[0], space.shape[0]
        return EnvSpec(name, *sizes, *bounds, limit, _gymnasium_spec(source), dict(kwargs or {}), alike)


def float32_bounds(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds as float32; one that this would move outwards is the next number inwards."""
    lower, upper = low.astype(np.float32), high.astype(np.float32)
    inner = np.nextafter(lower, np.float32(np.inf)), np.nextafter(upper, np.float32(-np.inf))
    return np.where(lower < low, inner[0], lower), np.where(upper > high, inner[1], upper)


def _may_be_torchrl(source: Any) -> bool:
    """Whether it is worth loading TorchRL to see: names of gymnasium's are looked up without."""
    import gymnasium as gym

    if isinstance(source, str):
        return source.startswith("torchrl:")
    return not isinstance(source, gym.Env | gym.envs.registration.EnvSpec)


def _time_limit(env: gym.Env) -> int | None:
    """Steps after which a TimeLimit in the chain of wrappers cuts an episode off."""
    from gymnasium.wrappers import TimeLimit

    return min((layer._max_episode_steps for layer in wrappers(env) if isinstance(layer, TimeLimit)), default=None)


def as_spec(env: Any) -> EnvSpec:
    """The environment given, looked up if it is no `EnvSpec` of rlopt's."""
    return env if isinstance(env, EnvSpec) else env_spec(env)


def check_env_workers(env: EnvSpec, env_workers: int) -> None:
    """Raise UserError if processes are to step an environment that steps its copies by itself."""
    if env.torchrl and env_workers:
        raise UserError(f"--env-workers is for gymnasium's environments: {env.env_id} steps its copies by itself.")


def env_seeds(seeds: Sequence[int], num_envs: int) -> list[int]:
    """A reset seed for each of `num_envs` environments of every seed, seed-major; the same whatever the other seeds are."""
    return [int(n) for seed in seeds for n in np.random.SeedSequence(seed).generate_state(num_envs)]


def episode_seed(reset_seed: int, episode: int) -> int:
    """The seed of an environment's reset: the first one's is `reset_seed`, later ones follow from it."""
    return reset_seed if episode == 0 else int(np.random.SeedSequence((reset_seed, episode)).generate_state(1)[0])
