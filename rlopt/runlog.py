"""The record of a run: console, log file, metrics and progress; `rlopt.logs` has it."""

from rlopt.logs.progress import format_seconds
from rlopt.logs.run_folder import library_versions, new_run_directory, read_metrics, timestamp, to_json
from rlopt.logs.run_log import RunLog
from rlopt.logs.wandb_sink import WandbOptions

__all__ = ["RunLog", "WandbOptions", "format_seconds", "library_versions", "new_run_directory", "read_metrics"]
__all__ += ["timestamp", "to_json"]
