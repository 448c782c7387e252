"""Whether the frames of a training are enough for its environment."""

from contextlib import closing
from functools import cache

from rlopt.checked import require_positive
from rlopt.envs.checks import ends_by_itself
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError, warn


def check_whole_episode(spec: EnvSpec, frames: int, flag: str = "--frames") -> None:
    """Raise UserError, naming `flag`, if `frames` are fewer than the time limit and no episode ends before it.

    Where episodes end by themselves, the time limit is a safety cap: that no training can reach it is a warning.
    """
    require_positive(**{flag.removeprefix("--").replace("-", "_"): frames})
    if frames < spec.max_episode_steps and not _has_safety_cap(spec, frames):
        raise UserError(
            f"{frames} frames are too few for one whole episode of {spec.env_id} (up to {spec.max_episode_steps} steps): "
            f"raise {flag}."
        )


@cache
def _has_safety_cap(spec: EnvSpec, frames: int) -> bool:
    """Whether a random episode ends within `frames`; a warning, once, says that the time limit will not be reached."""
    if spec.torchrl:
        from rlopt.envs.torchrl.copies import ends_by_itself as torchrl_ends

        ends = torchrl_ends(spec, frames)
    else:
        with closing(spec.make()) as env:
            ends = ends_by_itself(env, frames)
    if ends:
        warn(
            f"The time limit of {spec.env_id} ({spec.max_episode_steps:,} steps) is above the {frames:,} frames of the "
            "training, so no episode of the training can end by it."
        )
    return ends
