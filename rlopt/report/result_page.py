"""The page of a comparison, `report.html`: everything that a reader asks of a result, in one file."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlopt.commands import called
from rlopt.logs.progress import format_seconds
from rlopt.report import plots
from rlopt.report.page import Page, Picture, Section, Table, Text, clip_of
from rlopt.report.results import FILES, results_notes, results_rows, results_title
from rlopt.report.scores import counted
from rlopt.report.settings_table import settings_of, settings_sections
from rlopt.report.statistics import shown

PAGE = "report.html"
CURVES = (
    "Lines: interquartile mean over the seeds, with its 95% interval as a band; thin lines: single seeds. "
    "Dashed: the expert; dotted: the random policy."
)


def result_page(
    results: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    directory: Path,
    command: Mapping[str, Any] | None = None,
) -> Page:
    """The page `PAGE` of the folder that `write_comparison` wrote to, with its pictures and the clip that is there, if any.

    They are read when the page is written. `command`: the flags of step 4; None: it was called from Python.
    """
    shown_as = {name: title for name, (title, _) in plots.appearance(results["methods"]).items()}
    titles = listed(list(shown_as.values()))
    _, _, bars, curves = (directory / name for name in FILES)
    header, *rows = results_rows(results)
    configs = results["config"].get("stages", {})
    methods = {title: name for name, title in shown_as.items() if name in configs}
    settings = {title: settings_of(configs[name]) for title, name in methods.items()}
    told = "It was called from Python." if command is None else command_line(called("compare", "python "), command)
    changed, others = settings_sections(settings, methods)
    table = Table("Results of the last evaluation.", rows, header)
    sections = [
        Section("Result", [_scores(rows, header, bars), table, *map(Text, results_notes(results))]),
        Section("Clip", clip_of(directory, f"Clip of an episode: {titles} and the expert's data, side by side.")),
        Section("Learning curves", [Picture(curves, f"Return of {titles} during training.", CURVES)]),
        Section("Demonstrations", [_demonstrations(results, stages)]),
        Section("Command", [Text(told, code=command is not None)]),
        changed,
        Section("Run", [_run(results, stages, shown_as), versions_table({"Version": results["versions"]})]),
        others,
    ]
    return Page(f"{results['env']}: {titles}", f"{results_title(results)}.", sections)


def command_line(program: str, flags: Mapping[str, Any]) -> str:
    """What to type to give a program (`python scripts/...`) these flags; None is not given."""
    words = program.split()
    for name, value in flags.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", *map(str, value if isinstance(value, list | tuple) else [value])]
    return shlex.join(words)


def versions_table(columns: Mapping[str, Mapping[str, str]]) -> Table:
    """Versions of Python and libraries, one column for each run."""
    names = dict.fromkeys(name for versions in columns.values() for name in versions)
    rows = [(name, *(versions.get(name, "-") for versions in columns.values())) for name in names]
    return Table("Versions of Python and of the libraries.", rows, ("Name", *columns))


def listed(words: Sequence[str]) -> str:
    """ "SAC, IPMD and BC"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _scores(rows: Sequence[Sequence[str]], header: Sequence[str], bars: Path) -> Picture:
    column = next(i for i, cell in enumerate(header) if cell.endswith("(IQM)"))
    what = header[column].removesuffix(" (IQM)").lower()
    values = ", ".join(f"{row[0]} {row[column]}" for row in rows)
    text = f"Bars of the {what} with 95% intervals: {values}."
    return Picture(bars, text, f"Bars: interquartile mean of the {what} over the seeds; dots: single seeds.")


def _demonstrations(results: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> Table:
    config = results["config"]
    source, digest = config.get("expert_data"), config.get("demonstrations_sha256")
    if source is None:  # an expert of this comparison's own
        expert = next((stage for stage in stages.values() if stage.get("demonstrations_sha256")), {})
        digest = expert.get("demonstrations_sha256")
        source = f"{expert.get('demonstrations', 'an expert')}, trained and recorded by this comparison"
    left_out = config.get("skip_demos", 0)
    learned = counted(results["demonstrations"], "demonstration")
    rows = [
        ("From", str(source)),
        ("SHA-256", digest or "not recorded"),
        ("Learned from", f"{learned}, after {left_out} that are left out" if left_out else learned),
        ("Expert's return", shown(results["expert_return"], 2, "not recorded")),
        ("Random policy's return", shown(results["random_return"], 2, "not recorded")),
    ]
    return Table("What the methods learned from.", rows)


def _run(results: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> Table:
    config = results["config"]
    arguments = " ".join(f"{key}={value}" for key, value in config.get("env_kwargs", {}).items())
    limit = config.get("max_episode_steps")
    rows = [
        ("Environment", results["env"]),
        *([("Arguments", arguments)] if arguments else []),
        *([("Time limit", f"{limit} steps")] if limit else []),
        ("Device", results["device"]),
        ("Seeds", ", ".join(map(str, results["seeds"]))),
        ("Training time", format_seconds(sum(stage["wall_seconds"] for stage in stages.values()))),
        *(
            (f"Folder of {titles[name]}", ", ".join(stage.get("directories", [stage["directory"]])))
            for name, stage in stages.items()
            if "directory" in stage
        ),
    ]
    return Table("Where it was made, and how long the trainings took together.", rows)
