"""Where the command runs: what comes back from a cell goes to the places that it would have written to here."""

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlopt.experiments.cells import Work
from rlopt.experiments.ray.mail import Snapshot
from rlopt.experiments.ray.packing import LAST, MARK, Packed, pack, unpack
from rlopt.experiments.ray.perform import LOGS, Order, Outcome, own_methods
from rlopt.imitation.files import read_expert_buffer, save_demonstrations
from rlopt.imitation.readers import Carried, load_demonstrations, source_name
from rlopt.logs.files import write_text_atomically
from rlopt.logs.run_folder import new_directory, to_json


class Landing:
    """The run folder of one cell, here.

    Args:
        cell: its name.
        work: what it has to do.
    """

    def __init__(self, cell: str, work: Work):
        self.cell, self.work = cell, work
        text = json.dumps(to_json(work.config), sort_keys=True)
        self.mark = json.dumps({"cell": cell, "sha256": hashlib.sha256(text.encode()).hexdigest()}) + "\n"
        self.logs = Path(work.options.log_dir)
        self.folder: Path | None = self._interrupted()
        """Where it is, once something has come or if it was there before."""
        self.name = "" if self.folder is None else self.folder.relative_to(self.logs).as_posix()
        """What the other machine calls it, below its logs."""

    def _interrupted(self) -> Path | None:
        marks = sorted((self.logs / self.work.folder).glob(f"*/{MARK}"), reverse=True)
        folders = (path.parent for path in marks if path.read_text() == self.mark)
        return next((folder for folder in folders if (folder / LAST).exists()), None)

    def order(self, attempt: int, cpus: int, modules: Packed | None) -> Order:
        """What to send: with the last checkpoint that is here."""
        work, begun = self.work, None
        arguments: dict[str, Any] = {"options": replace(work.options, log_dir=LOGS, show_progress=False)}
        if work.expert_data is not None:
            data = load_demonstrations(work.expert_data, env=work.spec)
            arguments["expert_data"] = Carried(source_name(work.expert_data), data)
        if work.save_dir is not None:
            arguments["save_dir"] = self._save_dir()
        if self.folder is not None and (self.folder / LAST).exists():
            begun, self.name = pack(self.folder), self.folder.relative_to(self.logs).as_posix()
        begun_in = self.name if begun else ""
        return Order(self.cell, attempt, work.call, arguments, cpus, begun, begun_in, modules, own_methods())

    def keep(self, snapshot: Snapshot) -> None:
        """A checkpoint has come."""
        unpack(snapshot.packed, self._place(snapshot.folder))

    def land(self, outcome: Outcome) -> dict[str, Any]:
        """All has come: the result, with the paths that it has here."""
        result, work = dict(outcome.result), self.work
        place = self._place(outcome.folder)
        unpack(outcome.packed, place, f"{LOGS}/{outcome.folder}")
        for path in place.glob("*_seed*.pt"):
            self._publish(path)
        if "directory" in result:
            result["directory"] = str(place)
        if work.save_dir is not None:
            result["demonstrations"] = str(self._save_demonstrations(outcome))
        elif "demonstrations" in result:
            is_path = isinstance(work.expert_data, str | Path)
            result["demonstrations"] = str(Path(work.expert_data)) if is_path else None
        (place / MARK).unlink(missing_ok=True)
        return result

    def _place(self, name: str) -> Path:
        """The folder here of a run folder there; a new one gets the same name, or one with `_2` behind it."""
        if self.folder is None or self.name != name:
            place = self.logs / name
            place.parent.mkdir(parents=True, exist_ok=True)
            self.folder, self.name = new_directory(place), name
            write_text_atomically(self.folder / MARK, self.mark)
        return self.folder

    def _publish(self, path: Path) -> None:
        """A policy of one seed is beside the run folders, too."""
        beside = path.parent.parent / path.name
        temporary = beside.with_name(f".{path.name}.{path.parent.name[-8:]}.part")
        temporary.write_bytes(path.read_bytes())
        temporary.replace(beside)

    def _save_dir(self) -> str:
        """Where the other machine writes demonstrations: as here, if that is below the folder where the command runs."""
        path = self.work.save_dir
        assert path is not None
        return "expert_data" if path.is_absolute() or ".." in path.parts else path.as_posix()

    def _save_demonstrations(self, outcome: Outcome) -> Path:
        assert self.work.save_dir is not None
        with tempfile.TemporaryDirectory() as folder:
            unpack(outcome.packed, Path(folder), f"{self._save_dir()}/{self.work.spec.name}")
            data = read_expert_buffer(Path(folder) / "expert_buffer.pt")
        return save_demonstrations(data, self.work.save_dir / self.work.spec.name)
