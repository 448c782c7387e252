"""Flags of the config classes: each field has one on every script, and its value arrives at the stage."""

import argparse
import dataclasses
import inspect
import re
from types import SimpleNamespace

import pytest

from rlopt.config import LoopConfig, RunOptions, Selection, TrainingConfig
from rlopt.experiments import ablations, comparison, expert, learners, studies
from rlopt.imitation import save_demonstrations
from rlopt.legacy import RENAMED

from .shared import BC, COLLECT, COMPARE, IPMD, help_entries, run_here
from .shared_config_flags import (
    ABLATIONS,
    BUDGETS,
    CONFIGS,
    DEFAULTS,
    DEMONSTRATIONS,
    METHODS,
    REPRODUCE,
    VALUES,
    fields_of,
    flag,
)
from .shared_errors import EXPERT, demonstrations

pytestmark = pytest.mark.usefixtures("tensorboard")
SCRIPTS = pytest.mark.parametrize("script", CONFIGS)


def docstrings(config):
    """The docstring under each field, of its class or of the base that has it."""
    found = {}
    for base in reversed(config.__mro__[:-1]):
        pairs = re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""', inspect.getsource(base), re.M | re.S)
        found |= {name: " ".join(text.split()).rstrip(".") for name, text in pairs}
    return found


def words(script, switches="on"):
    """A command line with every field of a script's config classes."""
    line = []
    for name in fields_of(script):
        text, _ = VALUES[name]
        if text is None:
            line.append(flag(name) if switches == "on" else flag(f"no_{name}"))
        else:
            line += [flag(name), *text.split()]
    return line


@pytest.fixture
def parser(monkeypatch):
    """The parser of a script."""

    class Built(Exception):
        pass

    def stop(self, *args, **kwargs):
        raise Built(self)

    def build(script):
        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", stop)
            with pytest.raises(Built) as caught:
                run_here(patch, script)
        return caught.value.args[0]

    return build


def test_every_field_has_a_value_here():
    configs = (*METHODS, LoopConfig, TrainingConfig, Selection, RunOptions)
    assert set(VALUES) == {field.name for config in configs for field in dataclasses.fields(config)}


@SCRIPTS
def test_every_field_has_a_flag_and_its_docstring_is_the_help(script, monkeypatch, capsys):
    entries, _ = help_entries(monkeypatch, capsys, script)
    for name, config in fields_of(script).items():
        text = docstrings(config)[name]
        assert text in entries[flag(name)], name
        default = DEFAULTS[script].get(name, getattr(config, name))
        shown = {True: "yes", False: "no"}[default] if isinstance(default, bool) else default
        shown = " ".join(map(str, shown)) if isinstance(shown, tuple) else shown
        if default is not None:
            assert re.search(rf"{re.escape(f'{text} (default: {shown}')}(, \w+: [^()]+)?\)$", entries[flag(name)]), name


def test_a_method_with_another_default_is_named(monkeypatch, capsys):
    entries, _ = help_entries(monkeypatch, capsys, "04_compare_methods.py")
    assert entries["--num-critics"].endswith("(default: 2, iqlearn: 1)")
    assert entries["--initial-alpha"].endswith("(default: 1.0, iqlearn: 0.01)")
    assert entries["--min-observation-std"].endswith("(default: 1.0, gail: 0.01)")


@SCRIPTS
def test_flags_of_fields_are_no_more_than_the_fields(script, parser):
    """Of the config classes that the script does not build, there is none."""
    others = set(VALUES) - set(fields_of(script)) - set(BUDGETS.get(script, ()))
    own = {"demos", "skip_demos", "subsample", "noise"}  # of a comparison and a study
    assert {action.dest for action in parser(script)._actions} & others <= own


# ------------------------------------------------------------------------------------------------ from flag to settings


class Called(Exception):
    """A stage's function was called."""


PLACES = {
    COLLECT: (expert, "collect_expert_data"),
    IPMD: (learners, "train_ipmd"),
    BC: (learners, "train_bc"),
    COMPARE: (comparison, "plan_comparison"),
    ABLATIONS: (ablations, "plan_ablations"),
    DEMONSTRATIONS: (studies, "plan_demonstrations"),
    REPRODUCE: (comparison, "plan_comparison"),
}


def called_with(script, line, monkeypatch):
    """The settings that a command line calls the stage's function with."""

    def function(*args, **settings):
        raise Called(settings)

    if script == REPRODUCE:  # the expert's settings are looked at in `test_reproduce`
        data = demonstrations("Pendulum-v1")
        recorded = SimpleNamespace(summary=lambda: save_demonstrations(data, "reproduced_results/experts/Pendulum-v1"))
        monkeypatch.setattr(expert, "collect_expert_data", lambda *args, **settings: recorded)
        line = ["--envs", "Pendulum-v1", *line]
    monkeypatch.setattr(*PLACES[script], function)
    with pytest.raises(Called) as caught:
        run_here(monkeypatch, script, *([EXPERT] if script in (IPMD, BC, ABLATIONS, DEMONSTRATIONS) else []), *line)
    return caught.value.args[0]


def flat(settings):
    """Every field's value, wherever the function gets it, and all that is given twice is the same."""
    found = {}
    for name, value in settings.items():
        if name in ("options", "selection"):
            found |= vars(value)
        elif name in ("agent_settings", "training_settings"):
            assert found.keys().isdisjoint(value)
            found |= value
        elif name in VALUES:
            found[name] = value
    return found


@SCRIPTS
@pytest.mark.parametrize("switches", ["on", "off"])
def test_every_value_arrives(script, switches, monkeypatch, workplace):
    found = flat(called_with(script, words(script, switches), monkeypatch))
    for name in fields_of(script):
        text, value = VALUES[name]
        value = value if text is not None else switches == "on"
        assert (found[name], type(found[name])) == (value, type(value)), name


@SCRIPTS
def test_no_flag_is_no_setting(script, monkeypatch, workplace):
    settings = called_with(script, [], monkeypatch)
    assert {**settings["agent_settings"]} == {}
    given = {**settings["training_settings"], **{k: v for k, v in settings.items() if k in DEFAULTS[script]}}
    assert given == DEFAULTS[script]
    assert settings["options"] == RunOptions()
    assert settings.get("selection", Selection()) == Selection()


# -------------------------------------------------------------------------------------------------------- former names


@SCRIPTS
def test_former_names_are_the_same_flag(script, parser):
    flags = parser(script)._option_string_actions
    former = {flag(old): flag(new) for old, new in RENAMED.items()}
    assert len(former) == 5
    former |= {"--lr": "--learning-rate", "--no-progress": "--no-show-progress", "--progress": "--show-progress"}
    for old, new in former.items():
        assert flags.get(old) is flags.get(new), old
        assert (new in flags) == (new.removeprefix("--no-").removeprefix("--").replace("-", "_") in fields_of(script))
    assert flags["--hidden-size"].dest == flags["--hidden-sizes"].dest


def test_former_names_before_the_demonstrations(monkeypatch, workplace):
    """`--hidden-size` takes one number, and not the path behind it."""

    def train(expert_data, **settings):
        raise Called(expert_data, settings)

    monkeypatch.setattr(learners, "train_ipmd", train)
    with pytest.raises(Called) as caught:
        run_here(monkeypatch, IPMD, "--anneal", 0.5, "--hidden-size", 16, EXPERT)
    path, settings = caught.value.args
    assert path == EXPERT
    assert settings["agent_settings"] == {"hidden_sizes": (16, 16)}
    assert settings["training_settings"] == {"lr_decay": 0.5, "seed": 43}
