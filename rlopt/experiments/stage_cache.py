"""Cache of finished stages on disk, for resuming an interrupted comparison or study."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlopt.errors import UserError
from rlopt.logs.files import load_safely, save_atomically
from rlopt.logs.run_folder import to_json
from rlopt.states import UNFIT


class StageCache:
    """Results by stage, written after each; those of other settings are not used.

    Args:
        path: the file.
        settings: what all the stages have in common.
        keep: use what is there; otherwise begin anew.
        same: settings in which what is there must agree, if it does in all others.
        check: of a stage's name and result, raises an exception if that is none.

    Raises UserError if they do not agree, or if the file is damaged or holds something else.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        keep: bool = True,
        same: Sequence[str] = (),
        check: Callable[[str, dict[str, Any]], None] = lambda name, result: None,
    ):
        self.path = path
        self.settings = to_json(settings)
        self.stages: dict[str, dict[str, Any]] = {}
        if keep and path.exists():
            state = load_safely(path, what="Finished stages", hint="Delete the file to begin anew.")
            try:
                _check_form(state, check)
            except UNFIT as error:
                raise UserError(
                    f"{path} holds no finished stages of rlopt ({error}): delete it to begin anew."
                ) from error
            if state["settings"] == self.settings:
                self.stages = state["stages"]
            elif self._differ_from(state["settings"]) <= set(same):
                raise UserError(
                    f"What is in {path.parent} was begun with other demonstrations: "
                    "give it the same ones, or leave out --resume."
                )
            else:
                names = ", ".join(sorted(self._differ_from(state["settings"])))
                logging.getLogger("rlopt").warning(
                    f"What is in {path.parent} was begun with other settings ({names}): it is begun anew."
                )

    def _differ_from(self, settings: Any) -> set[str]:
        """The settings that were others; all of them, where they were an earlier version's."""
        if not isinstance(settings, dict) or settings.keys() != self.settings.keys():
            return set(self.settings)
        return {key for key in self.settings if settings[key] != self.settings[key]}

    def get_or_run(self, name: str, run: Callable[[], dict[str, Any]], config: Any = None) -> dict[str, Any]:
        """The result called `name`, of a stage with this `config`: from the cache, or by running it now."""
        config = to_json(config)
        if name not in self.stages or self.stages[name]["config"] != config:
            self.stages[name] = {"config": config, "result": run()}
            save_atomically(self.path, {"settings": self.settings, "stages": self.stages})
        return self.stages[name]["result"]


def _check_form(state: Any, check: Callable[[str, dict[str, Any]], None]) -> None:
    """Raise an exception unless a file has what `get_or_run` writes: settings, and by stage a config and a result."""
    if not isinstance(state, dict) or not isinstance(state.get("stages"), dict) or "settings" not in state:
        raise ValueError("there are no settings or no stages")
    for name, stage in state["stages"].items():
        if not isinstance(stage, dict) or "config" not in stage or not isinstance(stage.get("result"), dict):
            raise ValueError(f"{name} has no config or no result")
        check(name, stage["result"])
