"""The cells of a study: stages that need none of each other, and a file of what is finished."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rlopt.config import RunOptions
from rlopt.envs.spec import EnvSpec
from rlopt.experiments.cells import Cell, Plan, Resources, Work
from rlopt.experiments.stage_cache import StageCache, slug
from rlopt.logs.files import tell_how_to_go_on
from rlopt.logs.lock import only_process_in


@dataclass(frozen=True)
class Stage:
    """One training of a study."""

    call: Callable[..., dict[str, Any]]
    """As of `Work`."""
    folder: str
    """As of `Work`."""
    config: Any
    """With another one it is made anew."""
    resources: Callable[[], Resources]


def study_plan(
    name: str,
    spec: EnvSpec,
    path: Path,
    shared: Mapping[str, Any],
    stages: Mapping[str, Stage],
    options: RunOptions,
    write: Callable[[dict[str, Any]], dict[str, Any]],
) -> Plan:
    """The plan of a study.

    Args:
        name: of the study; a cell's name is `ENV/STUDY/STAGE`.
        spec: the environment.
        path: the file of finished stages, in the folder of the results.
        shared: what all stages have in common.
        stages: by name.
        options: device, logs, W&B.
        write: of the results by stage, writes what they come to and returns it.
    """
    names = {f"{spec.name}/{name}/{slug(stage)}": stage for stage in stages}
    caches: list[StageCache] = []

    @contextmanager
    def opened(alone: str | None) -> Iterator[None]:
        held = only_process_in(path.parent) if alone is None else nullcontext()
        with tell_how_to_go_on(lambda: "start the same command again, which goes on"), held:
            caches[:] = [StageCache(path, shared, alone=None if alone is None else names[alone])]
            yield

    def prepare(stage: str) -> Work | None:
        if caches[0].find(stage, stages[stage].config) is not None:
            return None
        keep = partial(caches[0].keep, stage, stages[stage].config)
        config = {"stage": stage, "config": stages[stage].config, **shared}
        return Work(stages[stage].call, options, stages[stage].folder, keep, config, spec)

    cells = [Cell(cell, partial(prepare, stage), (), stages[stage].resources) for cell, stage in names.items()]
    return Plan(cells, opened, lambda: write({stage: caches[0].stages[stage]["result"] for stage in stages}))
