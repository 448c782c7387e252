"""The results of a comparison on Weights & Biases: a run of their own, beside those of the methods in its group."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlopt.agents.methods import METHODS
from rlopt.config import RunOptions
from rlopt.errors import say, warn
from rlopt.logs.run_folder import to_json
from rlopt.logs.wandb_sink import WandbOptions, WandbSink
from rlopt.report.page import CLIPS
from rlopt.report.result_page import PAGE
from rlopt.report.results import FILES

PROJECT = "RLOpt-Comparison"
COLUMNS = ("Method", "Return", "Score (IQM)", "Low", "High", "Worst seed", "Seconds")


def share_results(results: Mapping[str, Any], directory: Path, options: RunOptions, resuming: bool) -> None:
    """Send what is in a folder of results to W&B: pictures, table and clip to look at, and all files as one artifact.

    Args:
        results: the content of `results.json`.
        directory: the folder; W&B's own files go to `wandb/` in it.
        options: whether to, and where.
        resuming: go on with the W&B run that the folder names.
    """
    if not options.wandb:
        return
    config = {
        **{name: results[name] for name in ("device", "versions", "config")},
        "title": f"{results['env']}: results",
    }
    where = WandbOptions(project=PROJECT, entity=options.wandb_entity, group=options.wandb_group)
    sink = WandbSink(where, directory, to_json(config), resuming, say, warn)
    files = [directory / name for name in (*FILES, PAGE, *CLIPS) if (directory / name).is_file()]
    clip = next((file for file in files if file.name in CLIPS), None)

    def shown(wandb: Any) -> dict[str, Any]:
        pictures = {file.stem: wandb.Image(str(file)) for file in files if file.suffix == ".png"}
        clips = {} if clip is None else {"clip": wandb.Video(str(clip), format=clip.suffix[1:])}
        table = wandb.Table(columns=list(COLUMNS), data=results_rows(results))
        return {**scores(results), **pictures, **clips, "results": table}

    sink.show(shown)
    sink.keep(f"comparison-{directory.name}", "results", files)
    sink.close(False)


def results_rows(results: Mapping[str, Any]) -> list[list[Any]]:
    """One row of `COLUMNS` per method; None for what is not defined."""
    rows = []
    for name, entry in results["methods"].items():
        low, high = entry["normalized_ci95"]
        numbers = [entry["return_mean"], entry["normalized_iqm"], low, high, min(entry["normalized_per_seed"])]
        rows.append([METHODS[name].title, *to_json(numbers), entry["wall_seconds"]])
    return rows


def scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by which W&B sorts and draws comparisons: every method's return and score."""
    keys = {"return": "return_mean", "score": "normalized_iqm"}
    return {f"{name}/{told}": entry[key] for name, entry in results["methods"].items() for told, key in keys.items()}
