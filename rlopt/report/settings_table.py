"""Settings of several trainings side by side, as tables of a page: first those that differ from the defaults."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from rlopt.agents.methods import METHODS
from rlopt.config import LoopConfig, TrainingConfig
from rlopt.legacy import rename_settings
from rlopt.logs.run_folder import to_json
from rlopt.report.page import Section, Table

Settings = Mapping[str, Any]


def settings_of(config: Settings) -> dict[str, Any]:
    """The agent's and the loop's settings of a `config.json`, in one level and under today's names."""
    parts = (config.get(name) for name in ("agent", "training"))
    return {name: value for part in parts if isinstance(part, dict) for name, value in rename_settings(part).items()}


def default_settings(method: str) -> dict[str, Any]:
    """The defaults of a method's config classes, without presets; empty for a name that is no method's."""
    if method not in METHODS:
        return {}
    found = METHODS[method]
    loop = TrainingConfig if found.online else LoopConfig
    return to_json({**_defaults(found.config), **_defaults(loop)})


def settings_sections(settings: Mapping[str, Settings], methods: Mapping[str, str]) -> tuple[Section, Section]:
    """Two sections: the settings in which a training differs from its method's defaults, and the others.

    Args:
        settings: by the heading of its column, the settings of a training.
        methods: by the same headings, the method that it is of.
    """
    plain = {title: to_json(own) for title, own in settings.items()}
    defaults = {title: default_settings(methods[title]) for title in plain}
    names = list(dict.fromkeys(name for own in plain.values() for name in own))
    changed = [n for n in names if any(_differs(own, defaults[title], n) for title, own in plain.items())]
    same = [name for name in names if name not in changed]

    def table(caption: str, chosen: list[str]) -> list[Table]:
        rows = [(n, *(_cell(own, defaults[title], n) for title, own in plain.items())) for n in chosen]
        return [Table(caption, rows, ("Setting", *plain))] if rows else []

    first = "They come from the environment's preset and from the command. In brackets: the default."
    return (
        Section("Settings that differ from the defaults", table(first, changed)),
        Section("Settings at their defaults", table("A dash: this one has no such setting.", same)),
    )


def _defaults(config: Callable[..., Any]) -> dict[str, Any]:
    known = (field for field in fields(config) if field.default is not MISSING)  # type: ignore[arg-type]
    return {field.name: field.default for field in known}


def _differs(own: Settings, defaults: Settings, name: str) -> bool:
    return name in own and (name not in defaults or own[name] != defaults[name])


def _cell(own: Settings, defaults: Settings, name: str) -> str:
    if name not in own:
        return "-"
    if not _differs(own, defaults, name) or name not in defaults:
        return _words(own[name])
    return f"{_words(own[name])} ({_words(defaults[name])})"


def _words(value: Any) -> str:
    """A value as one types it: `yes`, `64 64`, `0.001`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_words, value))
    if value is None:
        return "automatic"
    return str(value)
