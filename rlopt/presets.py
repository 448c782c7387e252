"""Settings that suit one environment, by section: SAC and IPMD share `sac`, so that neither method is favoured.

A config class names the sections that it reads (`sections`); a field that no section names keeps its default.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from rlopt.checked import require
from rlopt.envs.variants import VARIANTS

Preset = Mapping[str, Mapping[str, Any]]
"""Section ("sac", "ipmd", "bc", "training") to fields."""

# Few joints: small networks learn as well, and an update costs a tenth.
_SMALL: Preset = {
    "sac": {"hidden_sizes": (64, 64), "batch_size": 128, "learning_rate": 1e-3, "actor_ema_tau": 0.005},
    "bc": {"hidden_sizes": (64, 64)},
    "training": {"updates_per_frame": 0.5, "warmup_frames": 1_000},
}
# The learning rate of Tianshou's MuJoCo benchmark. With 3e-4 Walker2d's SAC reached 838 points in 250,000 frames, Hopper's
# 1,358 in 207,000.
_LOCOMOTION: Preset = {"sac": {"learning_rate": 1e-3}}
# A beginner falls long before it walks, so expert data are mixed in from the start. A walker still falls at some moments of its
# training: the evaluated policy is a mean over 5,000 updates, and recent failures are soon in every batch.
_WALKING: Preset = {
    "sac": {**_LOCOMOTION["sac"], "actor_ema_tau": 2e-4},
    "ipmd": {"expert_ratio": 0.5, "recent_ratio": 0.5},
}
# Many joints beside contact forces: fine scales show posture. Ants on their backs had an entropy of 4.7, walking ones of -7.7:
# at a temperature of 0.3 that difference is worth more than the reward.
_MANY_JOINTS = {
    **_WALKING["ipmd"],
    "standardize_observations": True,
    "min_observation_std": 0.1,
    "entropy_backup": False,
}

PRESETS: dict[str, Preset] = {
    # Target critics four times as fast: there in half the frames.
    "Pendulum-v1": {**_SMALL, "sac": {**_SMALL["sac"], "batch_size": 64, "tau": 0.02}},
    "InvertedPendulum-v5": _SMALL,
    "InvertedDoublePendulum-v5": _SMALL,
    "Reacher-v5": _SMALL,
    # A swimmer's stroke pays off over hundreds of steps: with gamma = 0.99 SAC never finds it.
    "Swimmer-v5": {**_SMALL, "sac": {**_SMALL["sac"], "gamma": 0.999}},
    # Critics with layer norm bear two updates a frame and targets that follow faster, and learn in fewer frames. Far from the
    # expert a steeper reward is at its bound, the same everywhere, and a new learner gets no signal there.
    "HalfCheetah-v5": {
        "sac": {**_LOCOMOTION["sac"], "layer_norm": True, "tau": 0.02, "batch_size": 128},
        "ipmd": {"lipschitz_constant": 0.25},
        "training": {"updates_per_frame": 2.0},
    },
    "Hopper-v5": _WALKING,
    "Walker2d-v5": _WALKING,
    "Ant-v5": {**_WALKING, "ipmd": {**_MANY_JOINTS, "lipschitz_constant": 0.25}},
    # 348 observations, forces of hundreds: random data are 27 to 65 units away, where a steeper reward is at its bound. Without
    # the expert's bound critics gave 190 to expert states that no learner reached, where the rewards add up to 50.
    "Humanoid-v5": {**_WALKING, "ipmd": {**_MANY_JOINTS, "lipschitz_constant": 0.1, "expert_bound": True}},
}
"""Environments with settings of their own; any other gets the defaults of the config classes."""


def preset(env_id: str) -> Preset:
    """The preset of an environment (of the original one, for changed dynamics); empty if there is none."""
    env_id = env_id.rpartition(":")[2]
    return PRESETS.get(VARIANTS[env_id].base if env_id in VARIANTS else env_id, {})


ConfigType = TypeVar("ConfigType")


def configure(
    kind: Callable[..., ConfigType], env_id: str, settings: Mapping[str, Any] | None = None, **overrides: Any
) -> ConfigType:
    """`kind` (a config class) from the environment's preset, then `settings`, then `overrides`; None overrides nothing.

    Raises UserError for a field that `kind` does not have.
    """
    given = {name: value for part in (settings or {}, overrides) for name, value in part.items() if value is not None}
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown, name = sorted(set(given) - known), getattr(kind, "__name__", kind)
    require(not unknown, f"{name} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    chosen: dict[str, Any] = {}
    for section in getattr(kind, "sections", ()):
        chosen |= preset(env_id).get(section, {})
    return kind(**{**chosen, **given})
