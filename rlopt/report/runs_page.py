"""The page of run folders, finished or not: what `report.html` is of a comparison."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlopt.report import plots
from rlopt.report.page import Page, Picture, Section, Table, Text
from rlopt.report.result_page import CURVES, listed, versions_table
from rlopt.report.results import is_scored, score_cells, score_header
from rlopt.report.run_folders import Run, Runs
from rlopt.report.scores import counted
from rlopt.report.settings_table import settings_of, settings_sections
from rlopt.report.statistics import shown


def runs_page(runs: Runs, picture: Path | str, command: str) -> Page:
    """The page of runs whose curves are drawn in `picture`; `command` is what makes it again."""
    looks = plots.appearance(runs.standing)
    titles = listed([title for title, _ in looks.values()])
    columns = {label: run for name in looks for label, run in _labelled(looks[name][0], runs.groups[name]).items()}
    settings = {label: settings_of(run.record["config"]) for label, run in columns.items()}
    changed, others = settings_sections(settings, {label: run.method for label, run in columns.items()})
    versions = {
        label: {**run.record.get("versions", {}), "device": run.record.get("device", "-")}
        for label, run in columns.items()
    }
    sections = [
        Section("Learning curves", [Picture(Path(picture), f"Return of {titles} during training.", CURVES)]),
        Section("Result", [_standing(runs, looks)]),
        Section("Demonstrations", [_demonstrations(columns), _returns(runs)]),
        Section("Command", [Text(command, code=True)]),
        changed,
        Section("Runs", [_folders(columns), versions_table(versions)]),
        others,
    ]
    finished = [_state(run) for run in columns.values()].count("finished")
    verb = "is" if finished == 1 else "are"
    lead = f"{counted(len(columns), 'run')}, of which {finished} {verb} finished."
    return Page(f"{runs.env_id}: {titles}", lead, sections)


def _labelled(title: str, group: Any) -> dict[str, Run]:
    """Runs of one name by the heading of their column."""
    return {title if len(group) == 1 else f"{title} {run.folder.name}": run for run in group}


def _total(run: Run) -> int | None:
    """The frames or epochs at which a run ends; None where its settings do not tell."""
    return settings_of(run.record["config"]).get(run.unit)


def _state(run: Run) -> str:
    total = _total(run)
    if total is None or not len(run.x):
        return "not known"
    return "finished" if run.x[-1] >= total else "not finished"


def _standing(runs: Runs, looks: Mapping[str, tuple[str, str]]) -> Table:
    scored = is_scored(runs.expert.expert_return, runs.expert.random_return)
    rows = []
    for name, (title, _) in looks.items():
        now = runs.standing[name]
        unit = "frames" if "frames" in now else "epochs"
        rows.append((title, *score_cells(now, scored), f"{now[unit]:,} {unit}"))
    return Table(
        "Results of the last evaluation that all seeds of a name have.", rows, ("Name", *score_header(scored), "At")
    )


def _returns(runs: Runs) -> Text:
    expert, random = (
        shown(value, 2, "not recorded") for value in (runs.expert.expert_return, runs.expert.random_return)
    )
    return Text(f"Scores are between the random policy's return ({random}) and the expert's ({expert}).")


def _demonstrations(columns: Mapping[str, Run]) -> Table:
    rows = []
    for label, run in columns.items():
        config = run.record["config"]
        number, digest = config.get("demonstrations", "-"), config.get("demonstrations_sha256", "-")
        rows.append((label, run.expert_data or "-", str(number), str(digest)))
    return Table("What each run learned from.", rows, ("Run", "From", "Demonstrations", "SHA-256"))


def _folders(columns: Mapping[str, Run]) -> Table:
    rows = []
    for label, run in columns.items():
        total, reached = _total(run), int(run.x[-1]) if len(run.x) else 0
        done = f"{reached:,} {run.unit}" if total is None else f"{reached:,} of {total:,} {run.unit}"
        rows.append((label, str(run.folder), _state(run), done, ", ".join(run.returns)))
    return Table("Where each run is, and how far it has come.", rows, ("Run", "Folder", "State", "Trained", "Seeds"))
