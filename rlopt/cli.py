"""Command lines: flags from the fields of config classes.

Nothing heavy is imported here: `--help` and a wrong flag answer at once.
"""

import argparse
import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from rlopt.checked import accepted_types
from rlopt.commands import called, program
from rlopt.config import RunOptions, Selection
from rlopt.errors import UserError
from rlopt.legacy import RENAMED
from rlopt.script import run as run

# The flags that a newcomer reads first: they stand above the groups of the config classes.
_FIRST = (
    *("frames", "epochs", "num_seeds", "seed", "device", "demos", "batch_size", "learning_rate", "hidden_sizes"),
    *("updates_per_frame", "wandb"),
)
_OTHER_NAMES = {
    "learning_rate": ("lr",),
    "show_progress": ("progress",),
    **{new: (old.replace("_", "-"),) for old, new in RENAMED.items()},
}
"""Further names of a field's flag."""


class _Tuple(argparse.Action):
    """Stores a tuple in place of a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def width(text: str) -> tuple[int, int]:
    """`--hidden-size 64`: two hidden layers of this width."""
    return int(text), int(text)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the defaults that a flag's help does not tell, but not that a flag that is not given is None or False."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default is None or action.default is False or "(default: " in (action.help or "")
        return action.help if told else super()._get_help_string(action)


def make_parser(description: str | None, arguments: str = "") -> argparse.ArgumentParser:
    """A parser without flags; `arguments` are the positional ones, for its usage line."""
    usage = f"%(prog)s {arguments} [flags]"
    return argparse.ArgumentParser(program(), usage, description, formatter_class=_HelpFormatter)


@cache
def field_docs(config: type) -> dict[str, str]:
    """The docstrings under the fields of a dataclass and of its bases."""
    docs: dict[str, str] = {}
    for base in reversed(config.__mro__[:-1]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for field, text in itertools.pairwise(definition.body):  # type: ignore[attr-defined]
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                docs[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return docs


def add_config_flags(
    parser: argparse.ArgumentParser, *configs: type, skip: tuple[str, ...] = (), **defaults: Any
) -> None:
    """A flag for every field of the config classes, in a group for each class.

    A flag that is not given leaves the field to the environment's preset, else to the default that the help tells.

    Args:
        parser: gets the flags.
        configs: dataclasses. Of several with the same field, the first one describes the flag, and all get its value.
        skip: fields without a flag.
        **defaults: values of flags that are not given.
    """
    parser.epilog = "Where a flag is not given, the environment's preset holds, else the default."
    seen = set(skip)
    for config in configs:
        group = parser.add_argument_group((config.__doc__ or config.__name__).rstrip("."))
        hints, docs = get_type_hints(config), field_docs(config)
        for field in fields(config):
            if field.name in seen:
                continue
            seen.add(field.name)
            own = None if field.default is MISSING else field.default
            (parser if field.name in _FIRST else group).add_argument(
                *(f"--{name}" for name in (field.name.replace("_", "-"), *_OTHER_NAMES.get(field.name, ()))),
                dest=field.name,
                help=_help(docs[field.name], defaults.get(field.name, own), _others(field.name, own, configs)),
                default=defaults.get(field.name),
                **_argument(hints[field.name]),
            )
            if field.name == "hidden_sizes":
                text = "Width of two hidden layers"
                parser.add_argument("--hidden-size", dest=field.name, type=width, metavar="WIDTH", help=text)


def _others(name: str, default: Any, configs: Sequence[type]) -> dict[str, Any]:
    """Defaults of this field that are not the first one, by the method whose config class has them."""
    found = {}
    for config in configs:
        if sections := getattr(config, "sections", ()):
            found[sections[-1]] = getattr(config, name, default)
    return {method: value for method, value in found.items() if value != default}


def _help(text: str, default: Any, others: Mapping[str, Any]) -> str:
    """The help of a flag, with its default where there is one, and those of methods that have another."""
    if default is not None:
        of_methods = (f", {method}: {_shown(value)}" for method, value in others.items())
        text = f"{text.rstrip('.')} (default: {_shown(default)}{''.join(of_methods)})"
    return text.rstrip(".").replace("%", "%%")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _argument(hint: Any) -> dict[str, Any]:
    """What argparse is told of a field's type."""
    kind = next(kind for kind in accepted_types(hint) if kind is not type(None))
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if get_origin(kind) is tuple:
        return {"action": _Tuple, "type": get_args(kind)[0], "nargs": "+", "metavar": "WIDTH"}
    return {"type": kind, "metavar": {int: "N", float: "X"}.get(kind)}


def given(args: argparse.Namespace, *configs: type) -> dict[str, Any]:
    """The flags that were given of these config classes, as settings."""
    names = {field.name for config in configs for field in fields(config)}
    return {name: value for name, value in vars(args).items() if name in names and value is not None}


ConfigType = TypeVar("ConfigType")


def configured(args: argparse.Namespace, config: Callable[..., ConfigType]) -> ConfigType:
    """A config class with the flags that were given."""
    return config(**given(args, config))  # type: ignore[arg-type]


def learner_parser(description: str | None, *configs: type, **defaults: Any) -> argparse.ArgumentParser:
    """The parser of a step that learns from demonstrations, with the flags of these config classes."""
    parser = make_parser(description, "expert_data")
    parser.add_argument(
        "expert_data", nargs="?", help="expert_buffer.pt of step 1, or any other recording that rlopt reads"
    )
    add_env_flags(parser, None)
    add_start_flags(parser)
    add_config_flags(parser, Selection, *configs, RunOptions, **defaults)
    return parser


def learner_arguments(parser: argparse.ArgumentParser, agent: type, loop: type) -> dict[str, Any]:
    """Parse, and look at the input: the arguments of `train_method`, but its name."""
    args = parser.parse_args()
    as_before(args)
    if args.expert_data is not None:
        check_source(args.expert_data)
    elif args.resume is None:
        parser.error("expert_data is needed: the path of an expert_buffer.pt, or any other recording that rlopt reads")
    return {
        "expert_data": args.expert_data,
        "env_id": look_up_env(args),
        "agent_settings": given(args, agent),
        "training_settings": given(args, loop),
        "selection": configured(args, Selection),
        "resume": args.resume,
        "init_from": args.init_from,
        "options": configured(args, RunOptions),
    }


def check_source(source: str) -> None:
    """Raise UserError for demonstrations that are not there, before anything heavy is loaded."""
    if ":" not in source and not Path(source).is_dir():  # a folder is a format's
        from rlopt.logs.files import check_exists

        check_exists(source, what="Expert buffer", hint=f"Run {called('collect')} first.")


def add_start_flags(parser: argparse.ArgumentParser) -> None:
    """`--resume` and `--init-from`: what a run goes on from."""
    parser.add_argument(
        "--resume", metavar="FOLDER", help="log folder of a run that was stopped; its settings hold where none is given"
    )
    parser.add_argument("--init-from", metavar="MODEL", help="model file whose weights a new run starts from")


def as_before(args: argparse.Namespace) -> None:
    """Let a resumed run compute where it did, and log to W&B and TensorBoard if it did, where no flag says otherwise."""
    folder = None if args.resume is None else Path(args.resume)
    if folder is None or not (folder / "config.json").exists():
        return
    from rlopt.logs.run_folder import read_config

    if args.device is None:
        args.device = read_config(folder)["config"].get("device")
    if args.wandb is None:
        args.wandb = (folder / "wandb_run_id.txt").exists()
    if args.tensorboard is None:
        args.tensorboard = (folder / "tensorboard").exists()


def add_env_flags(
    parser: argparse.ArgumentParser, default: str | None, told: str = "the one that the demonstrations name"
) -> None:
    """`--env`, its keyword arguments and its time limit; `told` is what a `default` of None stands for."""
    text = f"gymnasium id, module:Id, or torchrl:module:factory (default: {default or told})"
    parser.add_argument("--env", default=default, help=text)
    parser.add_argument("--env-kwargs", nargs="+", metavar="KEY=VALUE", help="keyword arguments of the environment")
    parser.add_argument("--max-episode-steps", type=int, metavar="N", help="time limit (default: the environment's)")


def look_up_env(args: argparse.Namespace) -> Any:
    """The `EnvSpec` of the flags, None without `--env`. Raises UserError if it cannot be trained on; loads no torch."""
    if args.env is None:
        if args.env_kwargs or args.max_episode_steps:
            raise UserError("--env-kwargs and --max-episode-steps need --env.")
        return None
    pairs = [pair.partition("=") for pair in args.env_kwargs or ()]
    if any(not equals for _, equals, _ in pairs):
        raise UserError(f"--env-kwargs takes key=value, and is {' '.join(args.env_kwargs)}.")
    from rlopt.envs.spec import env_spec

    kwargs = {key: _literal(value) for key, _, value in pairs}
    return env_spec(args.env, kwargs, args.max_episode_steps, getattr(args, "device", None))


def _literal(text: str) -> Any:
    """A number, a truth value or a list where the text is one, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
