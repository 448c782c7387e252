"""Stage 4: an expert and the methods that learn from its demonstrations, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlopt.agents import get_method
from rlopt.agents.precision import settle_precision
from rlopt.checked import require_positive
from rlopt.config import RunOptions, SACConfig, Selection
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.cells import Plan, run_in_turn
from rlopt.experiments.comparison_cells import ComparisonCells
from rlopt.experiments.run import Settings, configure_methods, environment
from rlopt.imitation.readers import environment_of, prepare_demonstrations, source_name
from rlopt.logs.files import check_writable
from rlopt.logs.run_folder import timestamp
from rlopt.report.result_page import PAGE
from rlopt.report.results import FILES
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory


def plan_comparison(
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
    video: bool = True,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
    seeds_per_cell: int | None = None,
) -> Plan:
    """The cells of a comparison: an expert, then each method on its demonstrations; pictures, a table and the numbers.

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
        video: write `clip.gif`, the policies side by side, where something can draw them.
        options: device, logs, W&B.
        seeds_per_cell: cut each learner's seeds into cells of so many; None: all of them in one.

    Returns:
        The plan; what it collects is the content of `results.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    # every input is looked at now, not after an hour of training
    require_positive(
        bc_epochs=bc_epochs, demos=demos, **({} if seeds_per_cell is None else {"seeds_per_cell": seeds_per_cell})
    )
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
    common: dict[str, Any] = {
        **environment(spec),
        **{"expert_frames": expert_frames, "ipmd_frames": ipmd_frames, "bc_epochs": bc_epochs},
        **{"seed": seed, "num_seeds": num_seeds, "demos": demos, "skip_demos": skip_demos},
        "expert_data": None if given is None else source_name(expert_data),
        "demonstrations_sha256": None if given is None else given.digest,
        **{"agent_settings": agent_settings or {}, "training_settings": training_settings or {}},
    }
    cells = ComparisonCells(
        spec=spec,
        methods=chosen,
        experts=experts,
        configs=configs,
        expert_data=expert_data,
        given=given,
        selection=selection,
        common=common,
        directory=directory,
        options=options,
        resume=resume,
        command=command,
        seeds_per_cell=seeds_per_cell,
        video=video,
    )
    return cells.plan()


def compare_methods(env_id: str | EnvSpec | None = None, **arguments: Any) -> dict[str, Any]:
    """The content of `results.json` of a comparison whose cells run in turn; arguments as of `plan_comparison`."""
    return run_in_turn(plan_comparison(env_id, **arguments))
