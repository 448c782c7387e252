"""The four steps as functions, which the scripts call; `rlopt.experiments` has them."""

from rlopt.config import RunOptions
from rlopt.experiments.comparison import compare_methods
from rlopt.experiments.expert import collect_expert_data
from rlopt.experiments.frozen_reward import train_on_frozen_reward
from rlopt.experiments.learners import train_bc, train_ipmd, train_method
from rlopt.experiments.run import StageResult

__all__ = [
    "RunOptions",
    "StageResult",
    "collect_expert_data",
    "compare_methods",
    "train_bc",
    "train_ipmd",
    "train_method",
    "train_on_frozen_reward",
]
