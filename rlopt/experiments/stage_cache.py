"""Cache of finished stages on disk, for resuming an interrupted comparison or study."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlopt.logs.files import load_safely, save_atomically
from rlopt.logs.run_folder import to_json


class StageCache:
    """Results by stage, written after each; those of other settings are not used.

    Args:
        path: the file.
        settings: what all the stages have in common.
        keep: use what is there; otherwise begin anew.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], keep: bool = True):
        self.path = path
        self.settings = to_json(settings)
        self.stages: dict[str, dict[str, Any]] = {}
        if keep and path.exists():
            state = load_safely(path, what="Finished stages", hint="Delete the file to begin anew.")
            if state["settings"] == self.settings:
                self.stages = state["stages"]

    def get_or_run(self, name: str, run: Callable[[], dict[str, Any]], config: Any = None) -> dict[str, Any]:
        """The result called `name`, of a stage with this `config`: from the cache, or by running it now."""
        config = to_json(config)
        if name not in self.stages or self.stages[name]["config"] != config:
            self.stages[name] = {"config": config, "result": run()}
            save_atomically(self.path, {"settings": self.settings, "stages": self.stages})
        return self.stages[name]["result"]
