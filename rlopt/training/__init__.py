"""The two loops: online (in an environment) and offline (on demonstrations alone)."""

from rlopt.training.monitor import History, NotFiniteError
from rlopt.training.offline import train_offline
from rlopt.training.online import train_online

__all__ = ["History", "NotFiniteError", "train_offline", "train_online"]
