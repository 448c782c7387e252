"""All cells of a command on many machines: what is ready is sent, what comes back is kept, what fails is tried again."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlopt.errors import UserError, say
from rlopt.experiments.cells import Plan, Resources, Work
from rlopt.experiments.ray.attempts import Attempts, sentence_of
from rlopt.experiments.ray.cluster import Cluster
from rlopt.experiments.ray.landing import Landing
from rlopt.experiments.ray.mail import Progress, Snapshot, Started
from rlopt.experiments.ray.modules import own_modules
from rlopt.experiments.ray.perform import own_methods
from rlopt.logs.board import Board

WAIT_SECONDS = 0.5
CANCEL_SECONDS = 60.0
"""What interrupted cells have for their last checkpoint."""


class Dispatch:
    """The cells of some plans, and how each of them stands.

    Args:
        machines: they run the cells.
        plans: what is to be done.
        needed: what a cell asks for, of its name and what it could use.
        live: draw a table where the output is a terminal.
    """

    def __init__(
        self,
        machines: Cluster,
        plans: Sequence[Plan],
        needed: Callable[[str, Resources], Resources],
        live: bool = True,
    ):
        self.machines, self.plans, self.needed = machines, plans, needed
        self.cells = {cell.name: cell for plan in plans for cell in plan.cells}
        self.board = Board(list(self.cells), live, say)
        self.attempts = {name: Attempts() for name in self.cells}
        self.resources: dict[str, Resources] = {}
        self.works: dict[str, Work] = {}
        self.landings: dict[str, Landing] = {}
        self.running: dict[Any, str] = {}
        """Cell by reference."""
        self.results: dict[int, dict[str, Any]] = {}
        """By number of the plan."""

    def run(self) -> list[dict[str, Any]]:
        """What the plans come to, once all cells are finished.

        Raises:
            UserError: cells failed; the others are finished and kept.
            KeyboardInterrupt: all is kept, and the same command goes on.
        """
        # all of them, before any is sent: what fits on no machine is refused at once
        self.resources = {name: self.needed(name, cell.resources()) for name, cell in self.cells.items()}
        with ExitStack() as stack:
            for plan in self.plans:
                stack.enter_context(plan.opened(None))
            with self.board:
                try:
                    while self._send_what_is_ready():
                        self._take_what_has_come(WAIT_SECONDS)
                        self.board.draw()
                except BaseException:
                    self._cancel()
                    raise
        failed = {name: row.note for name, row in self.board.rows.items() if row.state == "failed"}
        if failed:
            told = "; ".join(f"{name}: {note.rstrip('.')}" for name, note in failed.items())
            raise UserError(
                f"{len(failed)} of {len(self.cells)} cells failed ({told}). The others are kept, and the same command goes on."
            )
        return [self.results[number] for number in range(len(self.plans))]

    def _send_what_is_ready(self) -> bool:
        """Send cells whose needs are finished, and collect plans whose cells are; whether anything still runs."""
        moved = True
        while moved:  # a cell that is finished already makes others ready
            moved = False
            for name, cell in self.cells.items():
                states = [self.board.rows[need].state for need in cell.needs]
                if self.board.rows[name].state != "waiting" or set(states) - {"finished", "failed"}:
                    continue
                moved = True
                if "failed" in states:
                    self.board.change(name, "failed", f"needs {cell.needs[states.index('failed')]}, which failed")
                else:
                    self._begin(name)
        for number, plan in enumerate(self.plans):
            done = all(self.board.rows[cell.name].state == "finished" for cell in plan.cells)
            if done and number not in self.results:
                self.results[number] = plan.collect()
        return bool(self.running)

    def _begin(self, name: str) -> None:
        try:
            work = self.cells[name].prepare()
            if work is None:
                self.board.change(name, "finished", "was there already")
                return
            self.works[name], self.landings[name] = work, Landing(name, work)
            self._send(name)
        except UserError as error:
            self.board.change(name, "failed", str(error))

    def _send(self, name: str, note: str = "") -> None:
        attempt, needed, spec = self.attempts[name].number, self.resources[name], self.works[name].spec
        modules = own_modules([spec], own_methods(), Path.cwd())
        order = self.landings[name].order(attempt, needed.cpus, modules)
        self.running[self.machines.submit(order, needed)] = name
        self.board.change(name, "queued", note, attempt=attempt, where="")

    def _take_what_has_come(self, seconds: float) -> None:
        ended = self.machines.finished(list(self.running), seconds)
        for message in self.machines.messages():
            self._read(message)
        for reference in ended:
            self._end(self.running.pop(reference), reference)

    def _read(self, message: Any) -> None:
        name, row = message.cell, self.board.rows[message.cell]
        if name not in self.running.values() or message.attempt != self.attempts[name].number:
            return  # of an earlier try
        if isinstance(message, Started):
            self.board.change(name, "running", where=message.where)
        elif isinstance(message, Progress):
            row.done, row.total, row.unit, row.latest = message.done, message.total, message.unit, message.latest
        elif isinstance(message, Snapshot):
            self.landings[name].keep(message)
            self.attempts[name].progressed()

    def _end(self, name: str, reference: Any) -> None:
        try:
            outcome = self.machines.outcome(reference)
        except Exception as error:  # whatever a cell, a worker or a machine ended with
            if self.attempts[name].failed(error):
                self._send(name, f"failed ({sentence_of(error)}) and is tried again")
            else:
                self.board.change(name, "failed", sentence_of(error))
            return
        try:
            self.works[name].keep(self.landings[name].land(outcome))
            self.board.change(name, "finished", done=self.board.rows[name].total)
        except UserError as error:
            self.board.change(name, "failed", str(error))

    def _cancel(self) -> None:
        """Interrupt all cells, and keep their last checkpoints."""
        if not self.running:
            return
        say("Interrupted: the cells keep a checkpoint; Ctrl-C again stops at once.")
        for reference in self.running:
            self.machines.cancel(reference)
        until = time.monotonic() + CANCEL_SECONDS
        references = list(self.running)
        while references and time.monotonic() < until:
            ended = self.machines.finished(references, WAIT_SECONDS)
            for message in self.machines.messages():
                self._read(message)
            references = [reference for reference in references if reference not in ended]
        for message in self.machines.messages():
            self._read(message)
