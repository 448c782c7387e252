"""The cells of a comparison: what each of them trains, what it keeps, and what all of them come to."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.agents import Method, get_method
from rlopt.config import RunOptions, Selection
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.experiments.cells import Cell, Plan, Work, resources_of, seed_groups_of
from rlopt.experiments.clip import write_clip
from rlopt.experiments.expert import expert_summary
from rlopt.experiments.learners import learner_summary
from rlopt.experiments.run import environment
from rlopt.experiments.stage_cache import StageCache
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.files import find_demonstrations
from rlopt.imitation.readers import prepare_demonstrations, source_name
from rlopt.logs.files import tell_how_to_go_on
from rlopt.logs.lock import only_process_in
from rlopt.logs.run_folder import to_json
from rlopt.report.result_page import PAGE, result_page
from rlopt.report.results import comparison_results, write_comparison
from rlopt.report.summaries import merged_summaries
from rlopt.report.wandb_results import share_results
from rlopt.states import check_list
from rlopt.training import History
from rlopt.training.compile_ahead import Later, compiled_ahead


@dataclass
class ComparisonCells:
    """A comparison whose input was looked at: an expert, if none is given, and the methods that learn from it."""

    spec: EnvSpec
    methods: Sequence[Method]
    """Experts first."""
    experts: Sequence[Method]
    """Those that are trained with reward; none where demonstrations are given."""
    configs: Mapping[str, dict[str, Any]]
    """`agent` and `training` of each method, by name."""
    expert_data: Any
    """The user's demonstrations, if any."""
    given: Demonstrations | None
    """The part of them that the methods learn from."""
    selection: Selection
    common: Mapping[str, Any]
    """What all stages have in common, for `results.json`."""
    directory: Path
    options: RunOptions
    resume: bool
    command: Mapping[str, Any] | None
    seeds_per_cell: int | None = None
    video: bool = True
    """Whether a clip of the policies is made."""
    cache: StageCache = field(init=False)
    """There while the plan is opened."""

    def plan(self) -> Plan:
        """The cells, in the order in which they can run."""
        return Plan([self._cell(*each) for each in self._parts()], self._opened, self._collect)

    def _parts(self) -> Iterator[tuple[Method, range]]:
        for method in self.methods:
            for group in seed_groups_of(method, self.common["num_seeds"], self.seeds_per_cell):
                yield method, group

    def _name(self, method: Method, group: range) -> str:
        return cell_name(self.spec.name, method, group, self.common["seed"], self.common["num_seeds"])

    def _stage(self, method: Method, group: range) -> str:
        """A cell's name in the cache."""
        return self._name(method, group).removeprefix(f"{self.spec.name}/")

    def _cell(self, method: Method, group: range) -> Cell:
        config = self._config(method, group)
        before, device = self._expert_of(method), self.options.device
        return Cell(
            self._name(method, group),
            partial(self._prepare, method, group),
            () if before is None else (f"{self.spec.name}/{before.name}",),
            partial(resources_of, config["agent"], config["training"], self.spec.sizes, device, self._episodes()),
        )

    def _expert_of(self, method: Method) -> Method | None:
        """The expert that a method learns from: the last one; of an expert, the one before it."""
        others = self.experts[: self.experts.index(method)] if method in self.experts else self.experts
        return others[-1] if others else None

    def _config(self, method: Method, group: range, expert: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the cache compares: settings and, where one was trained, the expert."""
        config = dict(self.configs[method.name])
        if len(group) < self.common["num_seeds"]:
            seeds = {"seed": self.common["seed"] + group[0], "num_seeds": len(group)}
            config["training"] = replace(config["training"], **seeds)
        # the others learn from its demonstrations: with another expert they are made anew
        return config if expert is None else {**config, "expert": expert["directory"]}

    def _episodes(self) -> int:
        return max(50, self.common["skip_demos"] + self.common["demos"])

    @contextmanager
    def _opened(self, alone: str | None) -> Iterator[None]:
        stage = None if alone is None else alone.removeprefix(f"{self.spec.name}/")
        held = only_process_in(self.directory) if stage is None else nullcontext()
        with tell_how_to_go_on(lambda: "add --resume to the command"), held:
            # what a stage's own config has not
            names = (*environment(self.spec), "demos", "skip_demos", "demonstrations_sha256")
            self.cache = StageCache(
                self.directory / "stages.pt",
                {name: self.common[name] for name in names},
                keep=self.resume,
                same=("demonstrations_sha256",),
                check=check_summary,
                command=self.command,
                alone=stage,
            )
            if stage is None:
                self.cache.save()
            yield

    def _prepare(self, method: Method, group: range) -> Work | None:
        before = self._expert_of(method)
        expert = None if before is None else self._finished(before)
        config, stage = self._config(method, group, expert), self._stage(method, group)
        kept = self.cache.find(stage, config)
        if kept is not None:  # before its demonstrations are read
            check_finite(method.title, kept)
            return None
        settings = {"agent_settings": vars(config["agent"]), "training_settings": vars(config["training"])}
        how: dict[str, Any] = {**settings, "resume": "auto" if self.resume else None}
        work = Work(
            partial(expert_summary, self.spec, episodes=self._episodes(), **how),
            self.options,
            f"{method.name}/{self.spec.name}",
            partial(self._keep, method, stage, config),
            {
                **config,
                **{name: self.cache.settings[name] for name in ("demos", "skip_demos", "demonstrations_sha256")},
            },
            self.spec,
        )
        if method in self.experts:
            return replace(work, save_dir=Path("expert_data"), beside=partial(compiled_ahead, self._later()))
        call = partial(learner_summary, method.name, env_id=self.spec, selection=self.selection, **how)
        return replace(work, call=call, expert_data=self._demonstrations(expert))

    def _keep(self, method: Method, stage: str, config: Any, result: dict[str, Any]) -> None:
        self.cache.keep(stage, config, result)
        check_finite(method.title, result)

    def _finished(self, expert: Method) -> dict[str, Any]:
        if expert.name not in self.cache.stages:
            raise UserError(
                f"The expert's cell is not finished: run {self.spec.name}/{expert.name} before those that learn from it."
            )
        return self.cache.stages[expert.name]["result"]

    def _later(self) -> list[Later]:
        """What is compiled beside an expert's training."""
        if self.options.device != "cpu" or self.seeds_per_cell is not None:
            return []
        learners = [method for method in self.methods if method.online and method not in self.experts]
        configs = [(method.name, self.configs[method.name]) for method in learners]
        return [Later(name, config["agent"], config["training"], self.spec.sizes) for name, config in configs]

    def _demonstrations(self, expert: Mapping[str, Any] | None) -> Any:
        """The user's demonstrations, or those of the expert's stage."""
        if expert is None:
            digest = None if self.given is None else self.given.digest
            return same_demonstrations(self.expert_data, self.spec, digest, self.selection)
        return same_demonstrations(expert["demonstrations"], self.spec, expert.get("demonstrations_sha256"), None)

    def _collect(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {}
        for method, group in self._parts():
            found.setdefault(method.name, []).append(self.cache.stages[self._stage(method, group)]["result"])
        stages = {name: merged_summaries(summaries) for name, summaries in found.items()}
        whole = range(self.common["num_seeds"])
        configs = {}
        for method in self.methods:
            before = self._expert_of(method)
            configs[method.name] = self._config(method, whole, None if before is None else stages[before.name])
        expert_data = self._demonstrations(stages[self.experts[-1].name] if self.experts else None)
        results = comparison_results(
            stages,
            env_id=self.spec.env_id,
            device=self.options.device,
            seeds=[self.common["seed"] + i for i in whole],
            demonstrations=self.common["demos"],
            data=prepare_demonstrations(expert_data, self.spec),
            config={**self.common, "stages": to_json(configs)},
        )
        write_comparison(results, stages, self.directory)
        write_clip(found, self.spec, results["seeds"], self.directory, self.video)
        result_page(results, stages, self.directory, self.command).write(self.directory / PAGE)
        share_results(results, self.directory, self.options, self.resume)  # last: it takes all that is in the folder
        return results


def cell_name(env: str, method: Method, group: range, seed: int, num_seeds: int) -> str:
    """`ENV/METHOD`, and the seeds if they are not all that the method has."""
    return f"{env}/{method.name}" + ("" if len(group) == num_seeds else f"/seeds-{seed + group[0]}-{seed + group[-1]}")


def same_demonstrations(expert_data: Any, spec: EnvSpec, digest: str | None, selection: Selection | None) -> Any:
    """The demonstrations with this digest: as they are or, where another run of step 1 replaced them, what it kept of them.

    Args:
        expert_data: the user's, or the `expert_buffer.pt` of the comparison's own expert.
        spec: the environment.
        digest: of the part that the methods learn from or, of an own expert, of the whole; None: not known.
        selection: that part; None: an own expert's.

    Raises:
        UserError: they are gone.
    """
    if digest is None:  # stages that an earlier version finished
        return expert_data
    if selection is not None:
        found = expert_data if prepare_demonstrations(expert_data, spec, selection).digest == digest else None
    else:
        found = find_demonstrations(Path(expert_data), digest)
    if found is None:
        raise UserError(
            f"{source_name(expert_data)} no longer holds the demonstrations that this comparison began with: "
            "put them back and add --resume, or begin anew without it."
        )
    return found


def check_finite(title: str, stage: Mapping[str, Any]) -> None:
    """Raise UserError for returns that are no numbers: a failure, and no result."""
    if not np.isfinite(np.asarray(stage["returns"], float)).all():
        raise UserError(
            f"{title} ended with returns that are NaN or infinite: mend what makes them so, and begin anew without --resume."
        )


def check_summary(name: str, summary: dict[str, Any]) -> None:
    """Raise an exception for what is not the `summary` of the stage of this name."""
    check_list(summary["returns"], "returns", list)
    seeds, episodes = len(summary["returns"]), len(summary["returns"][0])
    for row in summary["returns"]:
        check_list(row, "returns", float, length=episodes)
    method = get_method(name.partition("/")[0])
    History.restored(summary["history"], method.unit, seeds)
    source = str | None if method.from_demonstrations else str
    kinds = {"directory": str, "wall_seconds": float, "demonstrations": source, "reward_recovery": dict | None}
    new = {"successes": list | None, "demonstrations_sha256": str | None}  # an earlier version had none
    for key, kind in {**kinds, **new}.items():
        if not isinstance(summary.get(key), kind) or (key not in summary and key not in new):
            raise ValueError(f"{key} is missing, or is a {type(summary.get(key)).__name__}")
