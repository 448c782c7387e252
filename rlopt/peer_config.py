"""Settings of the methods beside IPMD that learn from demonstrations in the environment: GAIL, IQ-Learn and SQIL.

This module imports nothing heavy, as `rlopt.config`. Networks, batches and steps are those of SAC's presets for all of them.
"""

from dataclasses import dataclass
from typing import Literal

from rlopt.checked import require
from rlopt.config import SACConfig


@dataclass(frozen=True, kw_only=True)
class GAILConfig(SACConfig):
    """GAIL on SAC (discriminator-actor-critic)."""

    expert_batch_size: int = 256
    """Expert transitions per seed and update."""
    reward_inputs: Literal["s", "sa", "sas", "ss"] = "sa"
    """Inputs of the reward network: state, action, next state."""
    discriminator_learning_rate: float = 3e-4
    """Adam's learning rate for the discriminators."""
    discriminator_penalty: float = 10.0
    """Penalty on discriminators whose slope between the policy's data and the expert's is not 1."""
    absorbing_states: bool = True
    """Value an episode's end as an absorbing state; without: zero."""
    min_observation_std: float = 0.01
    """Smallest standard deviation that observations are divided by."""

    sections = ("sac", "gail")
    positive = (*SACConfig.positive, *("expert_batch_size", "discriminator_learning_rate", "min_observation_std"))

    def __post_init__(self) -> None:
        super().__post_init__()
        penalty = self.discriminator_penalty
        require(penalty >= 0, f"discriminator_penalty must not be negative, and is {penalty}.")


@dataclass(frozen=True, kw_only=True)
class IQLearnConfig(SACConfig):
    """IQ-Learn, online, with the chi-squared divergence."""

    expert_batch_size: int = 256
    """Expert transitions per seed and update."""
    value_regularizer: float = 0.5
    """lambda: keeps rewards between -1/lambda and 1/lambda."""
    num_critics: int = 1
    """K, critics per seed; V is their minimum."""
    initial_alpha: float = 0.01
    """Temperature at the start."""
    tune_temperature: bool = False
    """Tune the temperature towards the target entropy, as SAC does; without: it stays."""
    actor_learning_rate: float = 3e-4
    """Adam's learning rate for actors."""

    sections = ("sac", "iqlearn")
    positive = (*SACConfig.positive, "expert_batch_size", "value_regularizer", "actor_learning_rate")


@dataclass(frozen=True, kw_only=True)
class SQILConfig(SACConfig):
    """SQIL: SAC on rewards of 1 for the expert's transitions and 0 for the policy's; half of a batch is the expert's."""

    sections = ("sac", "sqil")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.batch_size > 1, f"batch_size must be at least 2, a half for each side, and is {self.batch_size}.")
