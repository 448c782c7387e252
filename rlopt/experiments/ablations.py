"""Which parts of IPMD matter? One thing changed at a time."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rlopt.agents import get_method
from rlopt.config import IPMDConfig, RunOptions, Selection, TrainingConfig, configure
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.errors import UserError
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.cells import Plan, resources_of, run_in_turn
from rlopt.experiments.reward_recovery import reward_recovery
from rlopt.experiments.run import Settings, final_evaluation, train, training_run
from rlopt.experiments.study_cells import Stage, study_plan
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.readers import environment_of, prepare_demonstrations
from rlopt.logs.files import check_writable, write_text_atomically
from rlopt.logs.run_folder import to_json
from rlopt.report.scores import counted, score_summary, success_summary
from rlopt.report.study_plots import ablation_figure
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory

ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no gradient penalty": {"gradient_penalty": 0.0, "lipschitz_constant": 1.0},
    "no value regulariser": {"value_regularizer": 0.01},
    "expert ratio 0.5": {"expert_ratio": 0.5},
    "recent data 0.5": {"recent_ratio": 0.5},
    "1/eta = 0.1": {"inverse_eta": 0.1},
    "1/eta = 1": {"inverse_eta": 1.0},
    "1/eta = 1, period 1000": {"inverse_eta": 1.0, "mirror_period": 1000},
    "average reward": {"average_reward": True, "expert_bound": False},
    "reward r(s)": {"reward_inputs": "s"},
    "reward r(s, a, s')": {"reward_inputs": "sas"},
    "zero at the end": {"absorbing_states": False},
}
"""What each ablation changes in `IPMDConfig`. A regulariser of exactly zero has no bounded optimum: 0.01 stands for none."""


def plan_ablations(
    expert_data: Any,
    *,
    env: EnvSpec | str | None = None,
    names: Sequence[str] = tuple(ABLATIONS),
    demos: int = 1,
    frames: int = 30_000,
    seed: int = 42,
    num_seeds: int = 5,
    save_dir: str | Path = "study_results",
    agent_settings: Settings = None,
    training_settings: Settings = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> Plan:
    """IPMD with one thing changed at a time: score and reward recovery. Finished ones are kept, so it can go on.

    Args:
        expert_data: the demonstrations, anything that `load_demonstrations` reads.
        env: where to learn; None: the environment that they name.
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
        The cells, one an ablation; what they come to is the content of `ablations.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device, method = choose_device(options.device), get_method("ipmd")
    spec = None if env is None else as_spec(env)
    data = prepare_demonstrations(expert_data, spec, Selection(demos=demos))
    spec = environment_of(data, spec)
    unknown = sorted(set(names) - set(ABLATIONS))
    if unknown:
        raise UserError(f"Unknown ablation {', '.join(unknown)}; there are: {', '.join(ABLATIONS)}.")
    check_whole_episode(spec, frames)
    directory = Path(save_dir) / spec.name
    budget = {"frames": frames, "num_seeds": num_seeds, "seed": seed}
    training = configure(TrainingConfig, spec.env_id, training_settings, **budget)
    configs = {name: configure(IPMDConfig, spec.env_id, agent_settings, **ABLATIONS[name]) for name in names}
    for config in configs.values():
        check_memory(config, training, spec.sizes, device)
    check_writable(directory)
    learned_from = {"demonstrations_sha256": data.digest}
    shared = to_json({"training": training, "demos": demos, "expert_return": data.expert_return, **learned_from})

    def write(cells: dict[str, Any]) -> dict[str, Any]:
        results = {"env": spec.env_id, **shared, "random_return": data.random_return, "ablations": cells}
        write_text_atomically(directory / "ablations.json", json.dumps(to_json(results), indent=2) + "\n")
        ablation_figure(
            cells,
            title=f"{spec.name}: IPMD, {counted(demos, 'demonstration')}, {frames:,} frames, {counted(num_seeds, 'seed')}",
            path=directory / "ablations.png",
            scored=data.expert_return is not None,
        )
        return results

    stages = {
        name: Stage(
            partial(_ablate, name, config, training, data, spec, str(device)),
            f"{method.name}/{spec.name}",
            config,
            partial(resources_of, config, training, spec.sizes, str(device)),
        )
        for name, config in configs.items()
    }
    return study_plan("ablations", spec, directory / "ablations.pt", shared, stages, options, write)


def _ablate(
    name: str,
    config: IPMDConfig,
    training: TrainingConfig,
    data: Demonstrations,
    spec: EnvSpec,
    device: str,
    *,
    options: RunOptions,
) -> dict[str, Any]:
    """Train IPMD with one thing changed."""
    method, seeds = get_method("ipmd"), {"num_seeds": training.num_seeds, "seed": training.seed}
    agent = method.agent(config, *spec.sizes, **seeds, device=choose_device(device))
    expert = ExpertReplayBuffer(data, device=device, seed=training.seed)
    settings = {"ablation": name, "agent": agent.config, "training": training, "device": device}
    settings |= {"demonstrations_sha256": data.digest}
    with training_run(method, spec, settings, training.frames, options, "auto") as (log, checkpoints):
        log.info(f"Ablation: {name}")
        history = train(agent, spec, training, expert, log, **checkpoints)
        final = final_evaluation(agent, spec, training)
        cell = score_summary(final.returns.mean(1), data) | success_summary(final.successes)
    recovery = reward_recovery(agent, spec, **training.playing)
    return {**cell, "frames": history.x, "returns": history.returns, "pearson": recovery["pearson"]}


def run_ablations(expert_data: Any, **arguments: Any) -> dict[str, Any]:
    """The content of `ablations.json` of ablations that run in turn; arguments as of `plan_ablations`."""
    return run_in_turn(plan_ablations(expert_data, **arguments))
