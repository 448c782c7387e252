"""A policy's file, compared with the policy before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rlopt.errors import UserError
from rlopt.export.formats import check_format
from rlopt.export.plain import PlainPolicy
from rlopt.logs.files import atomic_file
from rlopt.policies import LoadedPolicy

NUM_OBSERVATIONS = 1000
"""On which the file is compared with the policy."""
TOLERANCE = 1e-4
"""How far its actions may be from the policy's, as a share of the width of their bounds: rounding of float32 is below."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    difference: float
    """The largest one to the policy's actions in float32, as a share of the width of their bounds."""
    precision_difference: float
    """Likewise, to the policy's actions in the precision of its training; 0 where that was float32."""


def export_policy(policy: LoadedPolicy, path: Path, format_name: str) -> Exported:
    """Write the policy of one seed in a format of `FORMATS`.

    Raises UserError if a package is missing, if the file does not do what the policy does, or if it cannot be written.
    """
    chosen = check_format(format_name)
    plain = PlainPolicy(policy)
    about = {"env_id": policy.spec.env_id, "method": policy.about["kind"], "seed": str(policy.seeds[0])}
    content = chosen.write(plain, about)
    observations = sample_observations(plain)
    as_trained = policy(observations)
    mlp = policy.policy.actor.mlp
    precision, mlp.dtype = mlp.dtype, torch.float32  # the file computes in float32
    try:
        actions = policy(observations)
    finally:
        mlp.dtype = precision
    width = policy.spec.action_high - policy.spec.action_low
    difference = float((abs(chosen.run(content, observations) - actions) / width).max())
    if not difference <= TOLERANCE:
        raise UserError(
            f"{path} is not written: its actions would differ from the policy's by up to {difference:.1e} of the bounds' "
            "width. Choose another --format."
        )
    with atomic_file(path) as file:
        file.write(content)
    return Exported(path, difference, float((abs(as_trained - actions) / width).max()))


def sample_observations(plain: PlainPolicy) -> np.ndarray:
    """Observations `[n, O]`, float32, around what the policy takes for common, near and far, beyond where it clips them."""
    rng = np.random.default_rng(0)
    reach = rng.choice([0.1, 1.0, 10.0], (NUM_OBSERVATIONS, 1))
    noise = rng.normal(size=(NUM_OBSERVATIONS, len(plain.mean))) * reach
    return (plain.mean.numpy() + plain.std.numpy() * noise).astype(np.float32)
