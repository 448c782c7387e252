"""Studies that a reader of a paper would ask for: how many demonstrations, and which parts of IPMD matter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from rlopt.agents import BC, IPMD
from rlopt.checkpoint import check_writable, write_text_atomically
from rlopt.config import BCConfig, IPMDConfig, TrainingConfig, configure
from rlopt.devices import choose_device
from rlopt.errors import UserError
from rlopt.finished import FinishedStages
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.plots import counted
from rlopt.results import score_summary
from rlopt.runlog import to_json
from rlopt.stages import (
    RunOptions,
    check_whole_episode,
    final_evaluation,
    prepare_demonstrations,
    reward_recovery,
    training_run,
)
from rlopt.study_plots import ablation_figure, study_figure
from rlopt.training import train_offline, train_online


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

    def sample_stacked(self, num_seeds: int, batch_size: int) -> TensorDict:
        """Expert transitions `[S, B]`, seed-major by group."""
        if num_seeds != len(self.buffers) * self.group_size:
            raise ValueError(f"{len(self.buffers)} groups of {self.group_size} seeds are not {num_seeds} seeds.")
        return torch.cat([buffer.sample_stacked(self.group_size, batch_size) for buffer in self.buffers])

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation `[O]` of the group with the most demonstrations; all share one standardiser."""
        return max(self.buffers, key=len).observation_statistics()


# ---------------------------------------------------------------------------------------------- demonstration efficiency


def study_demonstrations(
    expert_data: str | Path,
    *,
    counts: Sequence[int] = (1, 5, 25),
    frames: int = 50_000,
    bc_epochs: int = 100,
    seed: int = 42,
    num_seeds: int = 5,
    subsample: int = 1,
    noise: float = 0.0,
    save_dir: str | Path = "study_results",
    agent_settings: Mapping[str, Any] | None = None,
    training_settings: Mapping[str, Any] | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
) -> dict[str, Any]:
    """Score against the number of demonstrations, for IPMD and BC, each method's cells in one stacked update.

    Args:
        expert_data: an `expert_buffer.pt` with at least `max(counts)` demonstrations.
        counts: numbers of demonstrations.
        frames: environment frames per seed of IPMD.
        bc_epochs: epochs of BC.
        seed: seed i of a count uses `seed + i`, plus `num_seeds` for every further count.
        num_seeds: seeds per cell.
        subsample: keep every n-th transition of each demonstration.
        noise: standard deviation of Gaussian noise on the expert's actions.
        save_dir: `{save_dir}/{env}/demonstrations.json` and `demonstrations.png` are written.
        agent_settings: fields of `IPMDConfig` that differ from the environment's preset.
        training_settings: fields of `TrainingConfig` that do.
        options: device, logs, W&B.

    Returns:
        The content of `demonstrations.json`: scores by method and count, with intervals.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device = choose_device(options.device)
    cells = [prepare_demonstrations(expert_data, demos=count, subsample=subsample, noise=noise) for count in counts]
    data = cells[0]
    env_id, sizes = data.env_id, (data.observation_size, data.action_size)
    check_whole_episode(env_id, frames)
    directory = Path(save_dir) / env_id
    check_writable(directory)
    total = num_seeds * len(counts)
    training = configure(TrainingConfig, env_id, training_settings, frames=frames, num_seeds=total, seed=seed)
    buffers = [ExpertReplayBuffer(cell, device=device, seed=seed + i) for i, cell in enumerate(cells)]
    experts = GroupedExperts(buffers, num_seeds)
    config = configure(IPMDConfig, env_id, agent_settings)
    settings = {"env": env_id, "device": str(device), "counts": counts, "agent": config, "training": training}

    returns: dict[str, np.ndarray] = {}
    ipmd = IPMD(config, *sizes, num_seeds=total, seed=seed, device=device)
    ipmd.set_expert_buffer(experts)
    with training_run("ipmd", "RLOpt-IPMD", env_id, settings, frames, options) as (log, _):
        train_online(ipmd, env_id, training, log=log)
        returns["ipmd"] = final_evaluation(ipmd, env_id)
    bc = BC(configure(BCConfig, env_id, epochs=bc_epochs), *sizes, num_seeds=total, seed=seed, device=device)
    bc_settings = settings | {"agent": bc.config}
    with training_run("bc", "RLOpt-BC", env_id, bc_settings, bc_epochs, options, unit="epochs") as (log, _):
        train_offline(bc, experts, log=log, seeds=training.seeds)
        returns["bc"] = final_evaluation(bc, env_id)

    results: dict[str, Any] = {
        **{"env": env_id, "counts": list(counts), "num_seeds": num_seeds, "subsample": subsample, "noise": noise},
        **{"expert_return": data.expert_return, "random_return": data.random_return, "frames": frames},
        "methods": {
            name: [score_summary(group.mean(1), data) for group in np.split(values, len(counts))]
            for name, values in returns.items()
        },
        "settings": settings,
    }
    write_text_atomically(directory / "demonstrations.json", json.dumps(to_json(results), indent=2) + "\n")
    study_figure(
        results["methods"],
        [str(count) for count in counts],
        title=f"{env_id}: {num_seeds} seeds per point",
        x_label="Demonstrations" if subsample == 1 else f"Demonstrations, every {subsample}th transition",
        path=directory / "demonstrations.png",
    )
    return results


# ------------------------------------------------------------------------------------------------------------- ablations

ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no gradient penalty": {"gradient_penalty": 0.0},
    "no value regulariser": {"value_regularizer": 0.01},
    "expert's share 0.5": {"expert_share": 0.5},
    "recent data 0.5": {"recent_share": 0.5},
    "1/eta = 0.1": {"inverse_eta": 0.1},
    "1/eta = 1": {"inverse_eta": 1.0},
    "1/eta = 1, period 1000": {"inverse_eta": 1.0, "mirror_period": 1000},
    "average reward": {"average_reward": True},
    "reward r(s)": {"reward_inputs": "s"},
    "reward r(s, a, s')": {"reward_inputs": "sas"},
    "zero at the end": {"absorbing_states": False},
}
"""What each ablation changes in `IPMDConfig`. A regulariser of exactly zero has no bounded optimum: 0.01 stands for none."""


def run_ablations(
    expert_data: str | Path,
    *,
    names: Sequence[str] = tuple(ABLATIONS),
    demos: int = 1,
    frames: int = 30_000,
    seed: int = 42,
    num_seeds: int = 5,
    save_dir: str | Path = "study_results",
    agent_settings: Mapping[str, Any] | None = None,
    training_settings: Mapping[str, Any] | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
) -> dict[str, Any]:
    """IPMD with one thing changed at a time: score and reward recovery. Finished ones are kept, so it can go on.

    Args:
        expert_data: an `expert_buffer.pt`.
        names: of `ABLATIONS`.
        demos: demonstrations to learn from.
        frames: environment frames per seed.
        seed: seed i uses `seed + i`.
        num_seeds: S.
        save_dir: `{save_dir}/{env}/ablations.json` and `ablations.png` are written.
        agent_settings: fields of `IPMDConfig` that differ from the environment's preset in every run.
        training_settings: fields of `TrainingConfig` that do.
        options: device, logs, W&B.

    Returns:
        The content of `ablations.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device = choose_device(options.device)
    data = prepare_demonstrations(expert_data, demos=demos)
    unknown = sorted(set(names) - set(ABLATIONS))
    if unknown:
        raise UserError(f"Unknown ablation {', '.join(unknown)}; there are: {', '.join(ABLATIONS)}.")
    env_id, sizes = data.env_id, (data.observation_size, data.action_size)
    check_whole_episode(env_id, frames)
    directory = Path(save_dir) / env_id
    check_writable(directory)
    training = configure(TrainingConfig, env_id, training_settings, frames=frames, num_seeds=num_seeds, seed=seed)
    configs = {name: configure(IPMDConfig, env_id, agent_settings, **ABLATIONS[name]) for name in names}
    shared = to_json({"training": training, "demos": demos, "expert_return": data.expert_return})
    finished = FinishedStages(directory / "ablations.pt", shared)

    def ablate(name: str, config: IPMDConfig) -> dict[str, Any]:
        agent = IPMD(config, *sizes, num_seeds=num_seeds, seed=seed, device=device)
        agent.set_expert_buffer(ExpertReplayBuffer(data, device=device, seed=seed))
        settings = {"ablation": name, "agent": config, "training": training, "device": str(device)}
        with training_run("ipmd", "RLOpt-IPMD", env_id, settings, frames, options) as (log, _):
            log.info(f"Ablation: {name}")
            history = train_online(agent, env_id, training, log=log)
            cell = score_summary(final_evaluation(agent, env_id).mean(1), data)
        recovery = reward_recovery(agent, env_id)
        return {**cell, "frames": history.x, "returns": history.returns, "pearson": recovery["pearson"]}

    cells = {name: finished.get_or_run(name, partial(ablate, name, config), config) for name, config in configs.items()}
    results = {"env": env_id, **shared, "random_return": data.random_return, "ablations": cells}
    write_text_atomically(directory / "ablations.json", json.dumps(to_json(results), indent=2) + "\n")
    ablation_figure(
        cells,
        title=f"{env_id}: IPMD, {counted(demos, 'demonstration')}, {frames:,} frames, {num_seeds} seeds",
        path=directory / "ablations.png",
    )
    return results
