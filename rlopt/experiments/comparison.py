"""Stage 4: an expert and the methods that learn from its demonstrations, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rlopt.agents import get_method
from rlopt.checked import require_positive
from rlopt.config import RunOptions, Selection
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.experiments.expert import collect_expert_data
from rlopt.experiments.learners import train_method
from rlopt.experiments.run import Settings, StageResult, check_whole_episode, configure_methods, environment
from rlopt.experiments.stage_cache import StageCache
from rlopt.imitation.readers import prepare_demonstrations, source_name
from rlopt.logs.files import check_writable
from rlopt.logs.run_folder import timestamp, to_json
from rlopt.report.results import comparison_results, write_comparison
from rlopt.training.devices import choose_device


def compare_methods(
    env_id: str | EnvSpec = "Pendulum-v1",
    *,
    methods: Sequence[str] = ("sac", "ipmd", "bc"),
    expert_frames: int = 100_000,
    ipmd_frames: int = 100_000,
    bc_epochs: int = 100,
    save_dir: str | Path = "comparison_results",
    expert_data: Any = None,
    seed: int = 42,
    num_seeds: int = 5,
    demos: int = 5,
    skip_demos: int = 0,
    agent_settings: Settings = None,
    training_settings: Settings = None,
    resume: bool = False,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """An expert, then each method on its demonstrations; pictures, a table and the numbers.

    Args:
        env_id: a gymnasium id or a spec.
        methods: names of `rlopt.agents.METHODS`.
        expert_frames: frames per seed of the expert.
        ipmd_frames: frames per seed of each method that learns in the environment.
        bc_epochs: epochs of each method that learns from demonstrations alone.
        save_dir: `{save_dir}/{env}/` gets `comparison.png`, `learning_curves.png`, `results.txt`, `results.json`.
        expert_data: demonstrations to use in place of training an expert; anything that `load_demonstrations` reads.
        seed: seed i of every method uses `seed + i`.
        num_seeds: S.
        demos: demonstrations that the methods learn from.
        skip_demos: how many at the file's start to leave out.
        agent_settings: fields of config classes that differ from the environment's preset; each method gets those it has.
        training_settings: fields of `TrainingConfig` that do, likewise.
        resume: keep the stages that an interrupted comparison with the same settings finished, and go on.
        options: device, logs, W&B.

    Returns:
        The content of `results.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    spec = as_spec(env_id)
    directory = Path(save_dir) / spec.name
    # every input is looked at now, not after an hour of training
    require_positive(bc_epochs=bc_epochs, demos=demos)
    check_whole_episode(spec, ipmd_frames, "--ipmd-frames")
    selection = Selection(demos=demos, skip_demos=skip_demos)
    chosen = [get_method(name) for name in methods]
    experts = [method for method in chosen if not method.from_demonstrations and expert_data is None]
    if expert_data is None:
        check_whole_episode(spec, expert_frames, "--expert-frames")
        experts = experts or [get_method("sac")]
    digest = None if expert_data is None else prepare_demonstrations(expert_data, spec, selection).digest
    chosen = [*experts, *(method for method in chosen if method.from_demonstrations)]
    # by stage, presets included: a stage that was finished with other ones is made anew
    configs: dict[str, dict[str, Any]] = {
        name: {"agent": agent, "training": training}
        for name, (agent, training) in configure_methods(
            chosen,
            spec.env_id,
            agent_settings,
            training_settings,
            lambda m: (ipmd_frames if m.from_demonstrations else expert_frames) if m.online else bc_epochs,
            seed=seed,
            num_seeds=num_seeds,
        ).items()
    }
    check_writable(directory)
    device = str(choose_device(options.device))
    options = replace(options, device=device, wandb_group=options.wandb_group or f"compare-{spec.name}-{timestamp()}")
    how: dict[str, Any] = {"options": options, "resume": "auto" if resume else None}
    common: dict[str, Any] = {
        **environment(spec),
        **{"expert_frames": expert_frames, "ipmd_frames": ipmd_frames, "bc_epochs": bc_epochs},
        **{"seed": seed, "num_seeds": num_seeds, "demos": demos, "skip_demos": skip_demos},
        **{"expert_data": None if expert_data is None else source_name(expert_data), "demonstrations_sha256": digest},
        **{"agent_settings": agent_settings or {}, "training_settings": training_settings or {}},
    }
    cache = StageCache(directory / "stages.pt", common, keep=resume)

    stages: dict[str, Any] = {}
    for method in chosen:
        config = configs[method.name]
        how |= {"agent_settings": vars(config["agent"]), "training_settings": vars(config["training"])}
        if method in experts:
            run = partial(collect_expert_data, spec, episodes=max(50, skip_demos + demos), **how)
        else:
            assert expert_data is not None
            run = partial(train_method, method.name, expert_data, env_id=spec, selection=selection, **how)
        stages[method.name] = stage = cache.get_or_run(method.name, partial(_summary, run), config)
        if method in experts:  # the others learn from its demonstrations: with another expert they are made anew
            expert_data = stage["demonstrations"]
            for other in configs.values():
                other |= {} if other is config else {"expert": stage["directory"]}
    results = comparison_results(
        stages,
        env_id=spec.env_id,
        device=device,
        seeds=[seed + i for i in range(num_seeds)],
        demonstrations=demos,
        data=prepare_demonstrations(expert_data, spec),
        config={**common, "stages": to_json(configs)},
    )
    write_comparison(results, stages, directory)
    return results


def _summary(run: Callable[[], StageResult]) -> dict[str, Any]:
    return run().summary()
