"""The former place of what the stages share; scripts and notebooks of users import it from here."""

from rlopt.config import RunOptions
from rlopt.experiments.run import StageResult
from rlopt.imitation.readers import prepare_demonstrations

__all__ = ["RunOptions", "StageResult", "prepare_demonstrations"]
