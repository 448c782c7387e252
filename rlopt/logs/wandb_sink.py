"""Weights & Biases, as in WANDB_INTEGRATION.md: no prompts, no long waits, and its failures never stop a run."""

import inspect
import io
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlopt.errors import UserError
from rlopt.logs.files import write_text_atomically
from rlopt.logs.sink import Say, by_seed, earlier_rows, one_line, step_of

DEFAULT_ENTITY = "fywu"
INIT_SECONDS = 15.0
FINISH_SECONDS = 60.0  # what is not uploaded by then stays on disk for `wandb sync`
# Entity -> why it could not be reached, so that a process of several runs waits for W&B once.
_unreachable: dict[str, str] = {}


@dataclass(frozen=True)
class WandbOptions:
    """Where a run goes on Weights & Biases."""

    project: str  #: for example RLOpt-IPMD
    entity: str | None = None  #: user or team; None: the environment variable WANDB_ENTITY, else fywu
    group: str | None = None  #: runs that belong together; the seeds of one run are together already
    name: str | None = None  #: the run's display name; None: W&B makes one up
    mode: str | None = None  #: online, offline or disabled; None: the environment variable WANDB_MODE, else online
    run_id: str | None = None  #: None: a new one, kept in the run folder, so that a resumed run continues it


class WandbSink:
    """One W&B run, online or, if W&B cannot be reached, offline; a failure is one warning, and ends the logging to W&B.

    W&B's files go to `wandb/` in `directory`. `resuming`: continue the W&B run whose id is in that folder, or send the rows
    of `metrics.csv` again. `info` is called with one line that says where the run is, `warning` with the warning.
    """

    def __init__(
        self, options: WandbOptions, directory: Path, config: Mapping[str, Any], resuming: bool, info: Say, warning: Say
    ):
        self._run: Any = None
        self._warning = warning
        with self._guard("off", "metrics.csv has everything"):
            self._run, where = _begin(options, directory, config, resuming)
        if self._run is None:
            return
        info(where)
        # an offline run cannot be resumed, nor one that W&B never received
        if not self._run.resumed and (directory / "metrics.csv").is_file():
            with self._guard("stopped logging", "metrics.csv goes on"):
                for row in earlier_rows(directory):
                    self.log(row)

    def log(self, row: Mapping[str, float]) -> None:
        """Sends one row under the names of `by_seed`; its first value is the step."""
        if self._run is not None:
            with self._guard("stopped logging", "metrics.csv goes on"):
                self._run.log(by_seed(row), step=step_of(row))

    def keep(self, name: str, kind: str, files: Sequence[Path]) -> None:
        """Sends files as an artifact of this name and type, from where they are: no copy of them is made here."""
        if self._run is not None:
            with self._guard("stopped logging", f"the {kind} is in {files[0].parent}"):
                import wandb

                # W&B takes letters, digits, dots, dashes and underscores
                artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)[:128], type=kind)
                for file in files:
                    artifact.add_file(str(file), policy="immutable", skip_cache=True)
                self._run.log_artifact(artifact)

    def show(self, what: Callable[[Any], Mapping[str, Any]]) -> None:
        """Sends numbers, pictures, tables and clips, which `what` makes with the module wandb."""
        if self._run is not None:
            with self._guard("stopped logging", "the files are on disk"):
                import wandb

                self._run.log(dict(what(wandb)))

    def close(self, failed: bool) -> None:
        """Ends the run as failed or finished; waits at most `FINISH_SECONDS` for the upload."""
        if self._run is not None:
            with self._guard("stopped logging", "metrics.csv goes on"):
                self._run.finish(exit_code=int(failed))

    @contextmanager
    def _guard(self, outcome: str, fallback: str) -> Iterator[None]:
        """Turns an error into a warning, and hides what wandb prints before it has read the setting `silent`."""
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
        except UserError:
            raise
        # wandb raises what pydantic, its service process and its server raise; none of it may stop the training.
        except Exception as error:
            self._run = None
            self._warning(f"W&B: {outcome} ({one_line(error)}); {fallback}.")


def _begin(options: WandbOptions, directory: Path, config: Mapping[str, Any], resuming: bool) -> tuple[Any, str]:
    """wandb's run, online if possible, and a line that says where it is; None if W&B is disabled."""
    mode = options.mode or os.environ.get("WANDB_MODE")
    if mode != "disabled":
        import wandb  # here, because it takes a while and many runs do without

        mode = mode or wandb.setup().settings.mode  # `wandb offline` and `wandb disabled` write a settings file
    if mode == "disabled":
        return None, ""

    entity = options.entity or os.environ.get("WANDB_ENTITY") or DEFAULT_ENTITY
    id_file = directory / "wandb_run_id.txt"
    kept_id = id_file.read_text(encoding="utf-8").strip() if resuming and id_file.is_file() else None
    run_id = options.run_id or kept_id or uuid.uuid4().hex[:8]
    write_text_atomically(id_file, run_id + "\n")
    wanted: dict[str, Any] = {
        "init_timeout": INIT_SECONDS,
        "finish_timeout": FINISH_SECONDS,
        "silent": True,
        "console": "off",
        "reinit": "create_new",  # does not end a notebook's own run
    }
    arguments: dict[str, Any] = {
        "project": options.project,
        "entity": entity,
        "group": options.group,
        "name": options.name,
        "id": run_id,
        "resume": "allow" if resuming else None,
        "dir": str(directory),
        "config": dict(config),
        "settings": {name: value for name, value in wanted.items() if name in wandb.Settings.model_fields},
    }
    offline = mode in ("offline", "dryrun")
    reason = "" if offline else _unreachable.get(entity, "")
    if not offline and not reason:
        try:
            if _logged_in(wandb):
                run = wandb.init(mode="online", **arguments)
                return run, f"W&B: {run.url}"
            reason = "not logged in"
        # No network, no access, a bad key, a server error: each has its own exception, some private to wandb.
        except Exception as error:
            reason = _unreachable[entity] = f"cannot log to {entity}: {one_line(error)}"
            if wandb.run is None:  # a teardown would end a notebook's own run
                wandb.teardown()  # else an offline run can wait for the same dead server: wandb issue 9865
    run = wandb.init(mode="offline", **arguments)
    why = f"offline ({reason})" if reason else "offline"
    first = "`wandb login` and then " if reason == "not logged in" else ""
    return run, f"W&B: {why}; upload later with {first}`wandb sync {run.settings.sync_dir}`"


def _logged_in(wandb: Any) -> bool:
    """Whether wandb has credentials, without the prompt that `wandb.init` would show."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    if wandb.run is not None:
        return not wandb.run.offline
    if "prompt" in inspect.signature(wandb.login).parameters:
        return bool(wandb.login(prompt=False, verify=False))
    return bool(wandb.api.api_key)  # wandb before login(prompt=...)
