"""The cells of an expert with a budget of its own, and of the comparisons of those that learn from its demonstrations."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rlopt.agents import METHODS, Method, get_method
from rlopt.config import LoopConfig, RunOptions
from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.experiments import comparison
from rlopt.experiments.cells import Cell, Plan, Resources, Work, resources_of, seed_groups_of
from rlopt.experiments.comparison_cells import cell_name
from rlopt.experiments.expert import expert_summary
from rlopt.experiments.run import configure_method, configure_methods
from rlopt.training.devices import choose_device


def results_folder(save_dir: str | Path, demos: int) -> Path:
    """`save_dir`; `save_dir/demos-N` for more than one demonstration."""
    return Path(save_dir) if demos == 1 else Path(save_dir) / f"demos-{demos}"


@dataclass
class ExpertFirst:
    """One environment, and one comparison for each number of demonstrations.

    The expert is finished when its demonstrations are there; a comparison keeps what it finished.
    """

    env_id: str
    experts: Path
    """The demonstrations go to `experts/ENV`."""
    expert: Mapping[str, Any]
    """Arguments of `collect_expert_data`, `frames` and `num_seeds` among them."""
    learners: Mapping[str, Any]
    """Arguments of `plan_comparison`, but for the demonstrations; `methods` and `save_dir` among them."""
    demos: Sequence[int]
    """How many demonstrations they learn from: one comparison each, in `results_folder(save_dir, demos)`."""
    skip_demos: Callable[[Path, int], int]
    """Of the demonstrations, how many to leave out, if a comparison uses so many."""
    options: RunOptions
    show: Callable[[int, dict[str, Any]], object]
    """Gets a number of demonstrations, and what its comparison came to."""
    alone: str | None = field(default=None, init=False)
    comparisons: dict[int, Plan] = field(default_factory=dict, init=False)
    """Those that are planned and opened, by their number of demonstrations."""
    stack: ExitStack = field(init=False)

    def plan(self) -> Plan:
        """The expert's cell, and the learners', which need it: `ENV/METHOD`, for N > 1 demonstrations `ENV/demos-N/METHOD`."""
        name = f"{self.env_id}/sac"
        cells = [Cell(name, self._prepare_expert, (), self._of_expert)]
        seed, seeds, group_size = (self.learners[key] for key in ("seed", "num_seeds", "seeds_per_cell"))
        for demos, method in itertools.product(self.demos, self._methods):
            place = results_folder(self.env_id, demos).as_posix()
            for group in seed_groups_of(method, seeds, group_size):
                inner, outer = (cell_name(each, method, group, seed, seeds) for each in (self.env_id, place))
                prepare = partial(self._prepare_learner, demos, inner)
                resources = partial(self._of_learner, method, len(group))
                cells.append(Cell(outer, prepare, (name,), resources))
        return Plan(cells, self._opened, self._collect)

    def _of_expert(self) -> Resources:
        own = {
            name: self.expert[name] for name in ("agent_settings", "training_settings", "frames", "seed", "num_seeds")
        }
        settings = configure_method(METHODS["sac"], self.env_id, **own)
        return self._resources(*settings, self.expert["episodes"])

    def _of_learner(self, method: Method, num_seeds: int) -> Resources:
        settings = (self.learners["agent_settings"], self.learners["training_settings"])
        frames = self.learners["ipmd_frames"]
        configs = configure_methods(
            self._methods, self.env_id, *settings, lambda each: frames if each.online else 1, num_seeds=num_seeds
        )
        return self._resources(*configs[method.name])

    def _resources(self, config: Any, training: LoopConfig, episodes: int = 0) -> Resources:
        device = str(choose_device(self.options.device))
        return resources_of(config, training, env_spec(self.env_id).sizes, device, episodes)

    @property
    def _methods(self) -> list[Method]:
        """Those that learn from demonstrations."""
        chosen = [get_method(name) for name in self.learners["methods"]]
        return [method for method in chosen if method.from_demonstrations]

    @property
    def expert_data(self) -> Path:
        """The demonstrations."""
        return self.experts / self.env_id / "expert_buffer.pt"

    @contextmanager
    def _opened(self, alone: str | None) -> Iterator[None]:
        self.alone, self.comparisons = alone, {}
        with ExitStack() as self.stack:
            yield

    def _prepare_expert(self) -> Work | None:
        if self.expert_data.exists():
            return None
        call = partial(expert_summary, self.env_id, resume="auto", **self.expert)
        folder = f"sac/{self.env_id}"
        spec = env_spec(self.env_id)
        return Work(call, self.options, folder, lambda result: None, self.expert, spec, save_dir=self.experts)

    def _prepare_learner(self, demos: int, name: str) -> Work | None:
        return next(cell for cell in self._comparison(demos, name).cells if cell.name == name).prepare()

    def _comparison(self, demos: int, name: str | None = None) -> Plan:
        """Planned as soon as the demonstrations are there, and opened as long as this plan is: alone for the cell `name`."""
        if demos not in self.comparisons:
            if not self.expert_data.exists():
                raise UserError(f"{self.env_id}/sac is not finished: run this cell before those that learn from it.")
            plan = comparison.plan_comparison(
                self.env_id,
                expert_data=self.expert_data,
                demos=demos,
                skip_demos=self.skip_demos(self.expert_data, demos),
                resume=True,
                options=self.options,
                **{**self.learners, "save_dir": results_folder(self.learners["save_dir"], demos)},
            )
            self.stack.enter_context(plan.opened(name if self.alone else None))
            self.comparisons[demos] = plan
        return self.comparisons[demos]

    def _collect(self) -> dict[str, Any]:
        results = {str(demos): self._comparison(demos).collect() for demos in self.demos}
        for demos in self.demos:
            self.show(demos, results[str(demos)])
        return results
