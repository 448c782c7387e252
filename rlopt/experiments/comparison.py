"""Stage 4: an expert and the methods that learn from its demonstrations, side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.agents import get_method
from rlopt.agents.precision import settle_precision
from rlopt.checked import require_positive
from rlopt.config import RunOptions, SACConfig, Selection
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.errors import UserError
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.expert import collect_expert_data
from rlopt.experiments.learners import train_method
from rlopt.experiments.run import Settings, StageResult, configure_methods, environment
from rlopt.experiments.stage_cache import StageCache
from rlopt.imitation.files import find_demonstrations
from rlopt.imitation.readers import environment_of, prepare_demonstrations, source_name
from rlopt.logs.files import check_writable, tell_how_to_go_on
from rlopt.logs.lock import only_process_in
from rlopt.logs.run_folder import timestamp, to_json
from rlopt.report.result_page import PAGE, write_result_page
from rlopt.report.results import FILES, comparison_results, write_comparison
from rlopt.report.wandb_results import share_results
from rlopt.states import check_list
from rlopt.training import History
from rlopt.training.compile_ahead import Later, compiled_ahead
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory


def compare_methods(
    env_id: str | EnvSpec | None = None,
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
    command: Mapping[str, Any] | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """An expert, then each method on its demonstrations; pictures, a table and the numbers.

    Args:
        env_id: a gymnasium id or a spec; None: the one that `expert_data` names, else Pendulum-v1.
        methods: names of `rlopt.agents.METHODS`.
        expert_frames: frames per seed of the expert.
        ipmd_frames: frames per seed of each method that learns in the environment.
        bc_epochs: epochs of each method that learns from demonstrations alone.
        save_dir: `{save_dir}/{env}/` gets `report.html`, `comparison.png`, `learning_curves.png`, `results.txt` and `.json`.
        expert_data: demonstrations to use in place of training an expert; anything that `load_demonstrations` reads.
        seed: seed i of every method uses `seed + i`.
        num_seeds: S.
        demos: demonstrations that the methods learn from.
        skip_demos: how many at the file's start to leave out.
        agent_settings: fields of config classes that differ from the environment's preset; each method gets those it has.
        training_settings: fields of `TrainingConfig` that do, likewise.
        resume: keep the stages that an interrupted comparison finished with the same settings, and go on.
        command: the flags of a script, kept in the folder: its `--resume FOLDER` needs no other.
        options: device, logs, W&B.

    Returns:
        The content of `results.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    # every input is looked at now, not after an hour of training
    require_positive(bc_epochs=bc_epochs, demos=demos)
    selection = Selection(demos=demos, skip_demos=skip_demos)
    asked = None if env_id is None else as_spec(env_id)
    given = None if expert_data is None else prepare_demonstrations(expert_data, asked, selection)
    spec = (asked or as_spec("Pendulum-v1")) if given is None else environment_of(given, asked)
    directory = Path(save_dir) / spec.name
    check_whole_episode(spec, ipmd_frames, "--ipmd-frames")
    chosen = [get_method(name) for name in methods]
    experts = [method for method in chosen if not method.from_demonstrations and expert_data is None]
    if expert_data is None:
        check_whole_episode(spec, expert_frames, "--expert-frames")
        experts = experts or [get_method("sac")]
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
            from_states=given is not None and not given.action_size,
            seed=seed,
            num_seeds=num_seeds,
        ).items()
    }
    device = str(choose_device(options.device))
    for config in configs.values():
        if isinstance(config["agent"], SACConfig):
            config["agent"] = settle_precision(config["agent"], device)
        check_memory(config["agent"], config["training"], spec.sizes, device)
    check_writable(directory, "stages.pt", *FILES, PAGE)
    for method in chosen:
        check_writable(Path(options.log_dir) / method.name / spec.name)
    if experts:
        check_writable(Path("expert_data") / spec.name, "expert_buffer.pt", "metadata.pt", "README.txt")
    options = replace(options, device=device, wandb_group=options.wandb_group or f"compare-{spec.name}-{timestamp()}")
    how: dict[str, Any] = {"options": options, "resume": "auto" if resume else None}
    common: dict[str, Any] = {
        **environment(spec),
        **{"expert_frames": expert_frames, "ipmd_frames": ipmd_frames, "bc_epochs": bc_epochs},
        **{"seed": seed, "num_seeds": num_seeds, "demos": demos, "skip_demos": skip_demos},
        "expert_data": None if given is None else source_name(expert_data),
        "demonstrations_sha256": None if given is None else given.digest,
        **{"agent_settings": agent_settings or {}, "training_settings": training_settings or {}},
    }
    with tell_how_to_go_on(lambda: "add --resume to the command"), only_process_in(directory):
        same = ("demonstrations_sha256",)
        # what a stage's own config has not
        data = {name: common[name] for name in (*environment(spec), "demos", "skip_demos", *same)}
        cache = StageCache(directory / "stages.pt", data, keep=resume, same=same, check=check_summary, command=command)
        cache.save()
        stages: dict[str, Any] = {}
        digest = None if given is None else given.digest
        for method in chosen:
            config = configs[method.name]
            how |= {"agent_settings": vars(config["agent"]), "training_settings": vars(config["training"])}
            later: list[Later] = []
            if method in experts:
                run = partial(collect_expert_data, spec, episodes=max(50, skip_demos + demos), **how)
                if device == "cpu":
                    learners = [other for other in chosen if other.online and other not in experts]
                    how_each = [(other.name, configs[other.name]) for other in learners]
                    later = [Later(name, each["agent"], each["training"], spec.sizes) for name, each in how_each]
            else:
                expert_data = _same_demonstrations(expert_data, spec, digest, None if given is None else selection)
                run = partial(train_method, method.name, expert_data, env_id=spec, selection=selection, **how)
            stages[method.name] = stage = cache.get_or_run(method.name, partial(_summary, run, later), config)
            _check_finite(method.title, stage)
            if method in experts:  # the others learn from its demonstrations: with another expert they are made anew
                expert_data, digest = stage["demonstrations"], stage.get("demonstrations_sha256")
                for other in configs.values():
                    other |= {} if other is config else {"expert": stage["directory"]}
        expert_data = _same_demonstrations(expert_data, spec, digest, None if given is None else selection)
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
        write_result_page(results, stages, directory, command)
        share_results(results, directory, options, resume)  # last: it takes all that is in the folder
    return results


def _same_demonstrations(expert_data: Any, spec: EnvSpec, digest: str | None, selection: Selection | None) -> Any:
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


def _check_finite(title: str, stage: Mapping[str, Any]) -> None:
    """Raise UserError for returns that are no numbers: a failure, and no result."""
    if not np.isfinite(np.asarray(stage["returns"], float)).all():
        raise UserError(
            f"{title} ended with returns that are NaN or infinite: mend what makes them so, and begin anew without --resume."
        )


def _summary(run: Callable[[], StageResult], later: Sequence[Later]) -> dict[str, Any]:
    """What a stage came to; the updates of `later` ones are compiled beside it."""
    with compiled_ahead(later):
        return run().summary()


def check_summary(name: str, summary: dict[str, Any]) -> None:
    """Raise an exception for what is not the `summary` of the stage of this name."""
    check_list(summary["returns"], "returns", list)
    seeds, episodes = len(summary["returns"]), len(summary["returns"][0])
    for row in summary["returns"]:
        check_list(row, "returns", float, length=episodes)
    method = get_method(name)
    History.restored(summary["history"], method.unit, seeds)
    source = str | None if method.from_demonstrations else str
    kinds = {"directory": str, "wall_seconds": float, "demonstrations": source, "reward_recovery": dict | None}
    new = {"successes": list | None, "demonstrations_sha256": str | None}  # an earlier version had none
    for key, kind in {**kinds, **new}.items():
        if not isinstance(summary.get(key), kind) or (key not in summary and key not in new):
            raise ValueError(f"{key} is missing, or is a {type(summary.get(key)).__name__}")
