"""How many demonstrations are enough? Score against their number, all cells of a method in one stacked update."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlopt.agents import get_method
from rlopt.checked import require_positive
from rlopt.config import LoopConfig, RunOptions, Selection, TrainingConfig
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.cells import Plan, resources_of, run_in_turn
from rlopt.experiments.run import Settings, configure_methods, final_evaluation, train, training_run
from rlopt.experiments.study_cells import Stage, study_plan
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.readers import environment_of, prepare_demonstrations
from rlopt.logs.files import check_writable, write_text_atomically
from rlopt.logs.run_folder import to_json
from rlopt.report.scores import counted, score_summary, success_summary
from rlopt.report.study_plots import study_figure
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory


class GroupedExperts:
    """Different demonstrations for different seeds of one stacked update: seeds come in groups of equal size.

    Args:
        buffers: one expert buffer a group.
        group_size: seeds a group; S = groups * group_size.
    """

    def __init__(self, buffers: Sequence[ExpertReplayBuffer], group_size: int):
        self.buffers, self.group_size = list(buffers), group_size
        self.observation_size, self.action_size = buffers[0].observation_size, buffers[0].action_size

    def __len__(self) -> int:
        return max(len(buffer) for buffer in self.buffers)

    def sample_packed(self, num_updates: int, num_seeds: int, batch_size: int) -> Tensor:
        """Packed expert batches `[U, S, B, D]`, seed-major by group."""
        if num_seeds != len(self.buffers) * self.group_size:
            raise ValueError(f"{len(self.buffers)} groups of {self.group_size} seeds are not {num_seeds} seeds.")
        return torch.cat([b.sample_packed(num_updates, self.group_size, batch_size) for b in self.buffers], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """What samples are drawn from, by group."""
        return {str(i): buffer.state_dict() for i, buffer in enumerate(self.buffers)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        for i, buffer in enumerate(self.buffers):
            buffer.load_state_dict(state[str(i)])

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation `[O]` of the group with the most demonstrations; all share one standardiser."""
        return max(self.buffers, key=len).observation_statistics()


def plan_demonstrations(
    expert_data: Any,
    *,
    env: EnvSpec | str | None = None,
    counts: Sequence[int] = (1, 5, 25),
    methods: Sequence[str] = ("ipmd", "bc"),
    frames: int = 50_000,
    bc_epochs: int = 100,
    seed: int = 42,
    num_seeds: int = 5,
    subsample: int = 1,
    noise: float = 0.0,
    save_dir: str | Path = "study_results",
    agent_settings: Settings = None,
    training_settings: Settings = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> Plan:
    """Score against the number of demonstrations; each method's points train in one stacked update, which is a cell.

    Finished methods are kept, so it can go on.

    Args:
        expert_data: at least `max(counts)` demonstrations, in anything that `load_demonstrations` reads.
        env: where to learn; None: the environment that they name.
        counts: numbers of demonstrations.
        methods: names of `rlopt.agents.METHODS`.
        frames: environment frames per seed of each method that learns in the environment.
        bc_epochs: epochs of each method that learns from demonstrations alone.
        seed: seed i of a count uses `seed + i`, plus `num_seeds` for every further count.
        num_seeds: seeds per cell.
        subsample: keep every n-th transition of each demonstration.
        noise: standard deviation of Gaussian noise on the expert's actions.
        save_dir: `{save_dir}/{env}/demonstrations.json` and `demonstrations.png` are written.
        agent_settings: fields of config classes that differ from the environment's preset; each method gets those it has.
        training_settings: fields of `TrainingConfig` that do, likewise.
        options: device, logs, W&B.

    Returns:
        The cells; what they come to is the content of `demonstrations.json`: scores by method and count, with intervals.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    require_positive(bc_epochs=bc_epochs)
    device, chosen = choose_device(options.device), [get_method(name) for name in methods]
    spec = None if env is None else as_spec(env)
    whole = prepare_demonstrations(expert_data, spec)
    spec = environment_of(whole, spec)
    cells = [
        prepare_demonstrations(whole, spec, Selection(demos=count, subsample=subsample, noise=noise))
        for count in counts
    ]
    data, total = cells[0], num_seeds * len(counts)
    check_whole_episode(spec, frames)
    directory = Path(save_dir) / spec.name
    configs = configure_methods(
        chosen,
        spec.env_id,
        agent_settings,
        training_settings,
        lambda method: frames if method.online else bc_epochs,
        from_states=not whole.action_size,
        seed=seed,
        num_seeds=total,
    )
    for config, training in configs.values():
        check_memory(config, training, spec.sizes, device)
    check_writable(directory)
    digests = [cell.digest for cell in cells]
    shared = {"counts": list(counts), "num_seeds": num_seeds, "demonstrations_sha256": digests}

    def write(found: dict[str, Any]) -> dict[str, Any]:
        scores = {name: result["scores"] for name, result in found.items()}
        results: dict[str, Any] = {
            **{"env": spec.env_id, "counts": list(counts), "num_seeds": num_seeds},
            **{"subsample": subsample, "noise": noise, "frames": frames},
            **{"expert_return": data.expert_return, "random_return": data.random_return},
            "demonstrations_sha256": digests,
            "methods": scores,
            "settings": {name: {"agent": agent, "training": training} for name, (agent, training) in configs.items()},
        }
        write_text_atomically(directory / "demonstrations.json", json.dumps(to_json(results), indent=2) + "\n")
        study_figure(
            scores,
            [str(count) for count in counts],
            title=f"{spec.name}: {counted(num_seeds, 'seed')} per point",
            x_label="Demonstrations" if subsample == 1 else f"Demonstrations, every {subsample}th transition",
            path=directory / "demonstrations.png",
            scored=data.expert_return is not None,
        )
        return results

    stages = {
        name: Stage(
            partial(_study, name, agent, training, cells, spec, str(device), shared),
            f"{name}/{spec.name}",
            {"agent": agent, "training": training},
            partial(resources_of, agent, training, spec.sizes, str(device)),
        )
        for name, (agent, training) in configs.items()
    }
    return study_plan("demonstrations", spec, directory / "demonstrations.pt", shared, stages, options, write)


def _study(
    name: str,
    config: Any,
    training: LoopConfig,
    cells: Sequence[Demonstrations],
    spec: EnvSpec,
    device: str,
    shared: Mapping[str, Any],
    *,
    options: RunOptions,
) -> dict[str, Any]:
    """Train a method on all numbers of demonstrations at once."""
    method, total, seed = get_method(name), training.num_seeds, training.seed
    buffers = [ExpertReplayBuffer(cell, device=device, seed=seed + i) for i, cell in enumerate(cells)]
    agent = method.agent(config, *spec.sizes, num_seeds=total, seed=seed, device=choose_device(device))
    record = {"device": device, **shared, "agent": agent.config, "training": training}
    length = training.frames if isinstance(training, TrainingConfig) else config.epochs
    with training_run(method, spec, record, length, options, "auto") as (log, checkpoints):
        train(agent, spec, training, GroupedExperts(buffers, total // len(cells)), log, **checkpoints)
        final = final_evaluation(agent, spec, training)
    groups = np.split(np.arange(total), len(cells))  # the seeds of each count
    return {
        "scores": [
            score_summary(final.returns[group].mean(1), cells[0])
            | success_summary(None if final.successes is None else final.successes[group])
            for group in groups
        ]
    }


def study_demonstrations(expert_data: Any, **arguments: Any) -> dict[str, Any]:
    """The content of `demonstrations.json` of a study whose cells run in turn; arguments as of `plan_demonstrations`."""
    return run_in_turn(plan_demonstrations(expert_data, **arguments))
