"""Environments as the library sees them: actions in [-1, 1], float32, one TorchRL environment for all seeds."""

from typing import Any

from rlopt.envs.spec import EnvSpec, as_spec, env_seeds, env_spec, make_env

__all__ = ["EnvSpec", "TorchEnv", "as_seeds", "as_spec", "env_seeds", "env_spec", "make_env"]


def __getattr__(name: str) -> Any:
    """`TorchEnv` and `as_seeds`, which load TorchRL: an unknown environment is refused before that."""
    if name in ("TorchEnv", "as_seeds"):
        from rlopt.envs import torch_env

        return getattr(torch_env, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
