"""The pictures: what is drawn is read back from the figure, not looked at."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from rlopt.agents.methods import METHODS
from rlopt.errors import UserError
from rlopt.report.plots import Curve, comparison_figure, drawing, learning_curves_figure
from rlopt.report.statistics import iqm, stratified_bootstrap_ci
from rlopt.report.study_plots import ablation_figure, study_figure

PNG = b"\x89PNG\r\n\x1a\n"


def method(scores, ci=None):
    scores = np.asarray(scores, dtype=float)
    low, high = stratified_bootstrap_ci(scores, resamples=100)
    return {
        "return_per_seed": list(scores * 1000 - 1200),
        "return_mean": float(scores.mean() * 1000 - 1200),
        "normalized_per_seed": list(scores),
        "normalized_iqm": iqm(scores),
        "normalized_ci95": [low, high] if ci is None else ci,
    }


def results(**scores):
    return {
        "env": "Pendulum-v1",
        "seeds": [42, 43, 44, 45],
        "demonstrations": 5,
        "expert_return": -200.0,
        "random_return": -1200.0,
        "methods": {name: value if isinstance(value, dict) else method(value) for name, value in scores.items()},
    }


GOOD = {"sac": [0.9, 1.0, 1.0, 1.1], "ipmd": [0.8, 0.9, 1.0, 1.0], "bc": [0.1, 0.6, 0.7, 0.9]}


def bars(figure):
    return figure.axes[0].patches


def dots(figure):
    """Every scatter's points, in the order of drawing."""
    return [collection.get_offsets() for collection in figure.axes[0].collections if len(collection.get_offsets())]


def test_bars_intervals_and_dots_stand_at_their_values(tmp_path):
    figure = comparison_figure(results(**GOOD), tmp_path / "out" / "comparison.png")
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(PNG)
    axes = figure.axes[0]
    assert [bar.get_height() for bar in bars(figure)] == pytest.approx([1.0, 0.95, 0.65])
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars(figure)] == ["#0072B2", "#D55E00", "#009E73"]
    assert len(axes.containers) == 6  # a bar and an error bar for each
    for place, name in enumerate(GOOD):
        low, high = stratified_bootstrap_ci(GOOD[name], resamples=100)
        segment = axes.containers[2 * place + 1].lines[2][0].get_segments()[0]
        np.testing.assert_allclose(segment, [[place, low], [place, high]])
    scores = [list(points[:, 1]) for points in dots(figure) if len(points) == 4]
    assert scores == list(GOOD.values())


def test_dots_are_apart_and_at_the_same_place_every_time(tmp_path):
    first, second = (comparison_figure(results(**GOOD), tmp_path / "comparison.png") for _ in range(2))
    for a, b in zip(dots(first), dots(second), strict=True):
        np.testing.assert_array_equal(a, b)
    places = [points[:, 0] for points in dots(first) if len(points) == 4]
    assert all(len(set(place)) == 4 and np.ptp(place) < 0.62 for place in places)


def test_the_picture_says_what_it_shows(tmp_path):
    axes = comparison_figure(results(**GOOD), tmp_path / "comparison.png").axes[0]
    assert axes.get_title() == "Pendulum-v1: 5 demonstrations, 4 seeds"
    assert "(return − random) / (expert − random)" in axes.get_ylabel()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0].startswith("SAC\n1.00 [")
    assert labels[0].endswith("]\nreturn −200")
    assert labels[2].endswith("return −625")
    assert {text.get_text() for text in axes.texts} == {"expert\n−200", "random\n−1200"}
    assert [line.get_ydata()[0] for line in axes.lines[:2]] == [1.0, 0.0]


def test_an_extreme_score_is_cut_off_and_written_out(tmp_path):
    figure = comparison_figure(results(**GOOD | {"bc": [-40.0, -0.5, -9.0, -5.0]}), tmp_path / "comparison.png")
    low, high = figure.axes[0].get_ylim()
    assert -1 < low < -0.75
    assert 1.1 < high < 1.3
    assert "cut off: −40 to −5" in [text.get_text() for text in figure.axes[0].texts]
    cut, inside = dots(figure)[-1], dots(figure)[-2]
    np.testing.assert_allclose(cut[:, 1], low)
    np.testing.assert_allclose(inside[:, 1], [-0.5])


def test_no_interval_for_one_seed_or_null(tmp_path):
    # NaN in memory, null in a results.json that was read back.
    single = results(sac=method([0.9], ci=[float("nan"), float("nan")]), bc=method([0.3], ci=[None, None]))
    axes = comparison_figure(single, tmp_path / "comparison.png").axes[0]
    assert len(axes.containers) == 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["SAC\n0.90\nreturn −300", "BC\n0.30\nreturn −900"]


def test_a_diverged_method_does_not_stop_the_picture(tmp_path):
    figure = comparison_figure(results(**GOOD | {"ipmd": method([np.nan] * 4)}), tmp_path / "comparison.png")
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_order_is_sac_ipmd_bc_then_others(tmp_path):
    shuffled = results(red=[0.5] * 4, bc=[0.6] * 4, sac=[1.0] * 4)
    labels = comparison_figure(shuffled, tmp_path / "comparison.png").axes[0].get_xticklabels()
    assert [label.get_text().split("\n")[0] for label in labels] == ["SAC", "BC", "red"]


def test_a_method_registered_later_has_its_title_and_colour_and_others_spare_ones(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "red", replace(METHODS["ipmd"], name="red", title="GAIL", colour="#112233"))
    shown = results(**{name: [0.5] * 4 for name in ("ours", "red", "theirs", "bc")})
    figure = comparison_figure(shown, tmp_path / "comparison.png")
    labels = [label.get_text().split("\n")[0] for label in figure.axes[0].get_xticklabels()]
    assert labels == ["BC", "GAIL", "ours", "theirs"]
    colours = [to_hex(bar.get_facecolor()) for bar in bars(figure)]
    assert colours[:2] == ["#009e73", "#112233"]
    assert len(set(colours)) == 4
    given = {name: Curve([0, 1], [[1.0], [2.0]]) for name in ("ours", "red", "bc")}
    legend = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["BC", "GAIL", "ours"]


def curves():
    rng = np.random.default_rng(0)
    frames, epochs = np.arange(6) * 1000, np.arange(1, 11)
    return {
        "sac": Curve(frames, rng.normal(-500, 50, (6, 4))),
        "ipmd": Curve(frames, rng.normal(-600, 50, (6, 4))),
        "bc": Curve(
            [5, 10],
            rng.normal(-700, 50, (2, 4)),
            "Epochs",
            loss=Curve(epochs, rng.uniform(0.01, 0.1, (10, 4)), "Epochs"),
        ),
    }


REFERENCES = {"expert_return": -200.0, "random_return": -1200.0, "env_id": "Pendulum-v1"}


def test_curves_show_iqm_interval_and_every_seed(tmp_path):
    given = curves()
    figure = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES)
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    online = figure.axes[0]
    labelled = {line.get_label(): line for line in online.lines}
    for name, label in (("sac", "SAC"), ("ipmd", "IPMD")):
        np.testing.assert_allclose(labelled[label].get_ydata(), iqm(given[name].values, axis=1))
        np.testing.assert_array_equal(labelled[label].get_xdata(), given[name].x)
    assert len(online.lines) == 2 * (4 + 1) + 2  # seeds and IQM of each, and the two levels
    low, high = stratified_bootstrap_ci(given["sac"].values[0], resamples=2000)
    at_start = [y for x, y in online.collections[0].get_paths()[0].vertices if x == 0]
    assert (min(at_start), max(at_start)) == pytest.approx((low, high))


def test_panels_by_x_label_and_loss(tmp_path):
    figure = learning_curves_figure(curves(), path=tmp_path / "curves.png", **REFERENCES)
    assert [axes.get_xlabel() for axes in figure.axes] == ["Frames per seed", "Epochs", "Epochs"]
    assert [axes.get_title() for axes in figure.axes] == ["", "BC", "BC loss"]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "linear", "log"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["SAC", "IPMD"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.get_suptitle() == "Pendulum-v1: IQM over 4 seeds, 95% interval"
    for axes in figure.axes[:2]:
        levels = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines[-2:]}
        assert levels == {-200.0: "--", -1200.0: ":"}


def test_a_loss_that_is_not_positive_has_a_linear_axis(tmp_path):
    given = {"bc": Curve([1, 2], [[1.0], [2.0]], "Epochs", loss=Curve([1, 2], [[0.5], [-0.5]], "Epochs"))}
    figure = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "linear"]


def test_a_single_point_is_a_level(tmp_path):
    given = curves() | {"bc": Curve([5000], [[-700.0, -800.0, -600.0, -700.0]])}
    (axes,) = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES).axes
    level = next(line for line in axes.lines if line.get_label() == "BC (final)")
    assert list(level.get_ydata()) == [-700.0, -700.0]


def test_one_seed_has_a_line_and_no_interval(tmp_path):
    given = {"ipmd": Curve([0, 1, 2], [[-900.0], [-500.0], [-300.0]]), "bc": Curve([2], [[-700.0]])}
    figure = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES)
    assert figure.get_suptitle() == "Pendulum-v1: 1 seed"
    line = next(line for line in figure.axes[0].lines if line.get_label() == "IPMD")
    assert list(line.get_ydata()) == [-900.0, -500.0, -300.0]


def test_a_plunging_return_does_not_flatten_the_rest(tmp_path):
    given = {"sac": Curve([0, 1, 2], [[-90_000.0], [-500.0], [-300.0]])}
    figure = learning_curves_figure(given, path=tmp_path / "curves.png", **REFERENCES)
    assert -2500 < figure.axes[0].get_ylim()[0] < -1200


def test_a_study_has_a_line_per_method_and_a_dot_per_seed(tmp_path):
    names = ("red", "bc", "sac", "ipmd")  # more than two, and one that is not registered
    cells = {name: [method([0.1 * i, 0.5, 0.9]), method([0.7, 0.8, 0.9])] for i, name in enumerate(names)}
    figure = study_figure(cells, ["1", "5"], title="t", x_label="Demonstrations", path=tmp_path / "study.png")
    assert (tmp_path / "study.png").read_bytes().startswith(PNG)
    (axes,) = figure.axes
    labelled = {line.get_label(): line for line in axes.lines}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["SAC", "IPMD", "BC", "red"]
    for name, label in (("red", "red"), ("ipmd", "IPMD")):
        assert list(labelled[label].get_ydata()) == [cell["normalized_iqm"] for cell in cells[name]]
    assert labelled["IPMD"].get_color() == "#D55E00"
    places = {round(float(line.get_xdata()[0]), 3) for line in labelled.values() if len(line.get_xdata()) == 2}
    assert len(places) == 4 * 2 + 1  # each method beside the others at both ticks, and the references
    dots = [list(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "None"]
    assert [cell["normalized_per_seed"] for cell in cells["bc"]] == dots[4:6]
    levels = {text.get_text(): text.xy[1] for text in axes.texts}
    assert levels == {"expert": 1.0, "random": 0.0}


def test_an_ablation_has_a_bar_a_correlation_and_its_seeds(tmp_path):
    cells = {"default": method([0.8, 1.0]) | {"pearson": 0.9}, "1/eta = 1": method([-3.0, 0.5]) | {"pearson": None}}
    (axes,) = ablation_figure(cells, title="Pendulum-v1: IPMD", path=tmp_path / "ablations.png").axes
    assert (tmp_path / "ablations.png").read_bytes().startswith(PNG)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.9, -1.25])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["default", "1/eta = 1"]
    assert [text.get_text() for text in axes.texts] == ["0.90   r = 0.90", "-1.25   r = not defined"]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None"] == [
        [0.8, 1.0],
        [-3.0, 0.5],
    ]
    assert axes.get_xlim() == (-0.5, 1.1)  # one bad seed does not flatten the others


def test_a_drawing_that_fails_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="no"), drawing(tmp_path / "x.png", 1, 1):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_pyplot_is_left_alone(tmp_path):
    comparison_figure(results(**GOOD), tmp_path / "comparison.png")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_failed_write_keeps_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "comparison.png"
    figure = comparison_figure(results(**GOOD), path)
    before = path.read_bytes()

    def fail(self, file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(figure), "savefig", fail)
    with pytest.raises(UserError, match="No space left"):
        comparison_figure(results(**GOOD), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["comparison.png"]


def test_returns_are_drawn_where_there_are_no_scores(tmp_path):
    nan = float("nan")
    entry = {"normalized_per_seed": [nan] * 4, "normalized_iqm": nan, "normalized_ci95": [nan, nan], "pearson": 0.5}
    entry |= {"return_per_seed": [-300.0, -200.0, -200.0, -100.0], "return_mean": -200.0}
    figure = comparison_figure(results(bc=entry) | {"expert_return": None}, tmp_path / "comparison.png")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in bars(figure)] == [-200.0]
    assert dots(figure)[-1][:, 1].tolist() == entry["return_per_seed"]
    assert axes.get_ylabel() == "Return, IQM with 95% interval"
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() != "None"][:1] == [-1200.0]
    assert "random\n−1200" in [text.get_text() for text in axes.texts]
    assert not any("expert" in text.get_text() for text in axes.texts)
    assert axes.get_ylim()[0] < -1200 < 0 < axes.get_ylim()[1]
    assert axes.get_xticklabels()[0].get_text().startswith("BC\n−200 [−")

    study = study_figure({"bc": [entry]}, ["1"], title="t", x_label="x", path=tmp_path / "study.png", scored=False)
    assert study.axes[0].get_ylabel() == "Return, IQM with 95% interval"
    assert study.axes[0].lines[0].get_ydata().tolist() == [-200.0]  # no line for expert and random
    ablations = ablation_figure({"default": entry}, title="t", path=tmp_path / "ablations.png", scored=False)
    assert ablations.axes[0].patches[0].get_width() == -200.0
    assert ablations.axes[0].get_xlabel().startswith("Return")


@pytest.mark.parametrize("known", [[], ["expert"], ["random"]])
def test_curves_without_a_level(known, tmp_path):
    levels = {
        f"{name}_return": REFERENCES[f"{name}_return"] if name in known else None for name in ("expert", "random")
    }
    figure = learning_curves_figure(curves(), path=tmp_path / "curves.png", **REFERENCES | levels)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts} - {""}
    assert texts == set(known)
    values = [value for curve in curves().values() for value in np.ravel(curve.values)]
    low, high = figure.axes[0].get_ylim()
    assert low < min(values)
    assert high > max(values)
