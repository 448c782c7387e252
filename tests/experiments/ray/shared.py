"""What the tests of cells on other machines share: cells of a moment, and machines that are this process."""

import json
import os
import signal
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from rlopt.config import RunOptions
from rlopt.cores import available_workers
from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.experiments.cells import Cell, Plan, Resources, Work
from rlopt.experiments.ray.perform import perform
from rlopt.logs.run_log import RunLog


def train_nothing(name, *, options, save_dir=None, steps=3, fail_at=None, error="sentence"):
    """Counts to `steps` in a run folder, with a checkpoint at each; fails once at `fail_at`, in a run that did not go on."""
    import torch

    parent = Path(options.log_dir) / "toy" / "Pendulum-v1"
    begun = sorted(parent.glob("*/checkpoint.pt"))
    folder = begun[-1].parent if begun else parent / "2026-01-31_09-05-00"
    done = int(begun[-1].read_text()) if begun else 0
    first = done
    with RunLog(folder, config={"toy": name}, title="Toy", total=steps, unit="steps", resume_at=done or None) as log:
        while done < steps:
            if fail_at == done and not begun:
                if error == "kill":
                    time.sleep(2)  # what was sent is on its way
                    os.kill(os.getpid(), signal.SIGKILL)
                raise {"sentence": UserError, "crash": MemoryError}[error](f"It failed at {done}.")
            done += 1
            log.metrics({"steps": done, "value": float(done)})
            (folder / "checkpoint.pt").write_text(str(done))
            log.saved()
            log.progress(done, value=float(done))
        (folder / f"{name}_model.pt").write_bytes(name.encode())
        (folder / "toy_seed1.pt").write_bytes(name.encode())
        (folder / "checkpoint.pt").unlink()
    where = {
        "cwd": os.getcwd(),
        "threads": torch.get_num_threads(),
        "workers": available_workers(),
        "process": os.getpid(),
    }
    return {"directory": str(folder), "demonstrations": None, "name": name, "first": first, **where}


def toy_plan(names, needs=None, log_dir="logs", **how):
    """A plan of toy cells; finished ones are in `kept`, which its results are."""
    kept = {}

    def prepare(name):
        if name in kept:
            return None
        call = partial(train_nothing, name, **how.get(name, {}))
        options = RunOptions(log_dir=log_dir, wandb=False, device="cpu")
        return Work(
            call, options, "toy/Pendulum-v1", partial(kept.__setitem__, name), {"toy": name}, env_spec("Pendulum-v1")
        )

    cells = [Cell(name, partial(prepare, name), (needs or {}).get(name, ()), Resources) for name in names]
    return Plan(cells, nullcontext, lambda: dict(kept)), kept


class Here:
    """Machines that are this process: a cell runs when it is asked whether it has ended."""

    def __init__(self):
        self.waiting, self.ended, self.mail, self.orders, self.cancelled = {}, {}, [], [], []

    def submit(self, order, needed):
        self.orders.append(order)
        self.waiting[len(self.orders)] = order
        return len(self.orders)

    def finished(self, references, seconds):
        for reference in references[:1]:
            order = self.waiting.pop(reference)
            try:
                self.ended[reference] = perform(order, self.mail.append)
            except Exception as error:
                self.ended[reference] = error
        return references[:1]

    def messages(self):
        mail, self.mail = self.mail, []
        return mail

    def outcome(self, reference):
        outcome = self.ended[reference]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self, reference):
        self.cancelled.append(reference)
        self.waiting.pop(reference, None)


def marks(logs):
    return [json.loads(path.read_text())["cell"] for path in sorted(Path(logs).rglob("cell.json"))]
