"""The notebook runs from top to bottom, with small budgets; what is shown in it comes from such a run."""

import ast
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"
TINY = {"DEMONSTRATIONS": 2, "FRAMES": 1_280, "EPOCHS": 2, "SEEDS": 2}


def read():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return {cell.id: cell for cell in notebook.cells}, notebook


def texts(cell):
    """What a cell shows, one text for each output."""
    return [output.text if output.output_type == "stream" else output.data["text/plain"] for output in cell.outputs]


def pictures(cells):
    return [
        name
        for name, cell in cells.items()
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", ())
    ]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The cells after a run with small budgets, by name."""
    folder = tmp_path_factory.mktemp("notebook")
    cells, notebook = read()
    cells["parameters"].source = "\n".join(f"{name} = {value}" for name, value in TINY.items())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(folder / name))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return folder, cells


def test_the_budgets_are_those_of_the_notebook():
    cells, _ = read()
    assert cells["parameters"].metadata["tags"] == ["parameters"]
    assert [line.targets[0].id for line in ast.parse(cells["parameters"].source).body] == list(TINY)


def test_its_cells_run(tmp_path, monkeypatch, capsys):
    """Here, without Jupyter."""
    cells, _ = read()
    cells["parameters"].source = "\n".join(f"{name} = {value}" for name, value in TINY.items())
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    names = {}
    for name, cell in cells.items():
        if cell.cell_type == "code":
            exec(compile(cell.source.replace("%matplotlib inline", ""), name, "exec"), names)
    plt.close("all")
    shown = capsys.readouterr().out
    assert "20, 4,000 transitions, 200 to 200 steps each" in shown
    assert "\nCorrelation with the true reward on new episodes of the policy: " in shown
    assert {path.name for path in (tmp_path / "logs" / "notebook").iterdir()} == {"ipmd", "bc"}


@pytest.mark.slow
def test_it_runs_and_shows_curves_and_both_rewards(executed):
    folder, cells = executed
    assert "20, 4,000 transitions, 200 to 200 steps each" in texts(cells["recording"])[0]
    assert pictures(cells) == ["curves", "reward"]
    said = texts(cells["recovery"])[0]
    assert said.startswith("Correlation with the true reward on new episodes of the policy: ")
    assert {path.name for path in folder.iterdir()} >= {"logs"}
    assert {path.name for path in (folder / "logs" / "notebook").iterdir()} == {"ipmd", "bc"}


@pytest.mark.slow
def test_progress_is_one_line_that_changes(executed):
    """At the end of a cell it says how it ended; the log has what it said meanwhile."""
    _, cells = executed
    for name, unit in (("ipmd", "1,280 frames after"), ("bc", "2 epochs after")):
        title = f"{name.upper()} Pendulum-v1: "
        progress = [text for text in texts(cells[name]) if text.startswith(title)]
        assert len(progress) == 1, texts(cells[name])
        assert progress[0].startswith(title + unit)
        assert texts(cells[name])[0] == progress[0]
        assert len(texts(cells[name])) <= 3


def test_what_is_shown_in_the_repository_comes_from_a_whole_run():
    """Of all cells, in their order, without errors, and small."""
    cells, _ = read()
    ran = [cell for cell in cells.values() if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))
    assert {output.output_type for cell in ran for output in cell.outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert pictures(cells) == ["curves", "reward"]
    assert texts(cells["ipmd"])[0].startswith("IPMD Pendulum-v1: 20,")
    assert NOTEBOOK.stat().st_size < 400_000
