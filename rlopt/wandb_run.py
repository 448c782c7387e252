"""Weights & Biases, kept at arm's length: no prompt, no long wait, no noise, and a run never stops because of it.

WANDB_INTEGRATION.md is the user's side of this file. `runlog.RunLog` is the only caller.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlopt.checkpoint import write_text_atomically
from rlopt.errors import UserError

DEFAULT_ENTITY = "fywu"
RUN_ID_FILE = "wandb_run_id.txt"
INIT_SECONDS = 15.0
FINISH_SECONDS = 60.0  # what has not gone up by then stays on disk for `wandb sync`
_SEED_COLUMN = re.compile(r"(.+)_seed(\d+)")
# Why the entity could not be reached, by entity: a pipeline of several runs waits for W&B once, not once a run.
_unreachable: dict[str, str] = {}


@dataclass(frozen=True)
class WandbOptions:
    """Where a run goes on Weights & Biases."""

    project: str
    """For example `RLOpt-IPMD`."""
    entity: str | None = None
    """User or team; None: the environment variable WANDB_ENTITY, else `fywu`."""
    group: str | None = None
    """Runs that belong together; the seeds of one run are together already."""
    name: str | None = None
    """The run's display name; None: W&B makes one up."""
    mode: str | None = None
    """`online`, `offline` or `disabled`; None: the environment variable WANDB_MODE, else `online`."""
    run_id: str | None = None
    """None: a new one, kept in the run folder, so that a resumed run goes on with it."""


class WandbRun:
    """One W&B run, online or offline. Made by `start`; afterwards every failure is one warning and then silence."""

    def __init__(self, run: Any, warn: Callable[[str], None]):
        self._run: Any = run
        self._warn = warn
        # An offline run cannot be resumed, nor one that W&B never saw: then the caller logs the earlier rows again.
        self.lacks_history = not run.resumed

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Sends one row: `return_seed42` as `return/seed42`, with `return/mean` over the seeds beside it."""
        self._guarded(lambda run: run.log(by_seed(row), step=step))

    def finish(self, failed: bool) -> None:
        """Ends the run, waiting at most `FINISH_SECONDS` for the upload; marks it failed or finished."""
        self._guarded(lambda run: run.finish(exit_code=int(failed)))
        self._run = None

    def _guarded(self, act: Callable[[Any], object]) -> None:
        if self._run is None:
            return
        try:
            with _quiet():
                act(self._run)
        # wandb answers a lost service process with OSError, RuntimeError and exceptions of its own making; none of them
        # is worth a training run.
        except Exception as error:
            self._run = None
            self._warn(f"W&B: stopped logging ({_one_line(error)}); metrics.csv goes on.")


def start(
    options: WandbOptions,
    directory: Path,
    config: Mapping[str, Any],
    *,
    resuming: bool,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> WandbRun | None:
    """Begins a W&B run, offline where online cannot be had, and says in one line which.

    Args:
        options: where it goes.
        directory: the run's folder; W&B's files go to `wandb/` in it.
        config: JSON values.
        resuming: go on with the W&B run whose id is in the folder.
        say: takes the line.
        warn: takes the line when something is amiss.

    Returns:
        None where W&B is disabled, or not even an offline run can be had.
    """
    try:
        return _start(options, directory, config, resuming, say, warn)
    except UserError:
        raise
    # wandb raises what pydantic, its service process and its server raise, and W&B is never worth a training run.
    except Exception as error:
        warn(f"W&B: off ({_one_line(error)}); metrics.csv has everything.")
        return None


def _start(
    options: WandbOptions,
    directory: Path,
    config: Mapping[str, Any],
    resuming: bool,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> WandbRun | None:
    mode = options.mode or os.environ.get("WANDB_MODE")
    if mode == "disabled":
        return None
    import wandb  # here, because it takes a while and many runs do without

    with _quiet():
        mode = mode or wandb.setup().settings.mode  # `wandb offline` and `wandb disabled` leave it in a settings file
    if mode == "disabled":
        return None

    entity = options.entity or os.environ.get("WANDB_ENTITY") or DEFAULT_ENTITY
    id_file = directory / RUN_ID_FILE
    kept_id = id_file.read_text(encoding="utf-8").strip() if resuming and id_file.is_file() else None
    run_id = options.run_id or kept_id or uuid.uuid4().hex[:8]
    write_text_atomically(id_file, run_id + "\n")
    wanted: dict[str, Any] = {
        "init_timeout": INIT_SECONDS,
        "finish_timeout": FINISH_SECONDS,
        "silent": True,
        "console": "off",
        "reinit": "create_new",  # leaves a notebook's own run alone
    }
    settings = {name: value for name, value in wanted.items() if name in wandb.Settings.model_fields}

    def init(mode: Literal["online", "offline"]) -> Any:
        with _quiet():
            return wandb.init(
                project=options.project,
                entity=entity,
                group=options.group,
                name=options.name,
                id=run_id,
                resume="allow" if resuming else None,
                mode=mode,
                dir=str(directory),
                config=dict(config),
                settings=wandb.Settings(**settings),
            )

    offline = mode in ("offline", "dryrun")
    reason = "" if offline else _unreachable.get(entity, "")
    if not offline and not reason:
        try:
            if not _logged_in(wandb):
                reason = "not logged in"
            else:
                run = init("online")
                say(f"W&B: {run.url}")
                return WandbRun(run, warn)
        # No network, no access, a bad key, a server in trouble: each has its own exception, some private to wandb.
        except Exception as error:
            reason = f"cannot log to {entity}: {_one_line(error)}"
            _unreachable[entity] = reason
            if wandb.run is None:  # a notebook's own run must survive
                wandb.teardown()  # else an offline run can wait for the same dead server: wandb issue 9865
    run = init("offline")
    why = f"offline ({reason})" if reason else "offline"
    first = "`wandb login` and then " if reason == "not logged in" else ""
    say(f"W&B: {why}; upload later with {first}`wandb sync {run.settings.sync_dir}`")
    return WandbRun(run, warn)


def by_seed(row: Mapping[str, float]) -> dict[str, float]:
    """W&B's names for a row's columns: `x_seed42` becomes `x/seed42`, and `x/mean` stands beside the seeds.

    W&B draws what shares the part before the slash in one section. Without an `x_mean` the mean is taken here.
    """
    named: dict[str, float] = {}
    groups: dict[str, list[float]] = {}
    for column, value in row.items():
        match = _SEED_COLUMN.fullmatch(column)
        if match is None:
            named[column] = value
        else:
            named[f"{match[1]}/seed{match[2]}"] = value
            groups.setdefault(match[1], []).append(value)
    for name, values in groups.items():
        named[f"{name}/mean"] = named.pop(f"{name}_mean", sum(values) / len(values))
    return named


def _logged_in(wandb: Any) -> bool:
    """Whether wandb has credentials, without the prompt that `wandb.init` would show."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    if wandb.run is not None:
        return not wandb.run.offline
    with _quiet():
        if "prompt" in inspect.signature(wandb.login).parameters:
            return bool(wandb.login(prompt=False, verify=False))
        return bool(wandb.api.api_key)  # wandb before login(prompt=...)


@contextlib.contextmanager
def _quiet() -> Any:
    """Keeps off the screen what wandb prints before it has read that it is to be silent."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
