"""The legend above learning curves: it is inside of the picture, however many methods and however long their names."""

import pytest

from rlopt.report.plots import Curve, learning_curves_figure


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (("sac", "ipmd"), 1),
        (("sac", "ipmd", "bc", "gail", "iqlearn", "sqil"), 2),
        ([f"a run with another learning rate, {i}" for i in range(3)], 3),
    ],
)
def test_it_is_inside_of_the_picture(names, rows, tmp_path):
    curves = {name: Curve([0, 1], [[1.0], [2.0]]) for name in names}
    figure = learning_curves_figure(
        curves, expert_return=2.0, random_return=0.0, env_id="Pendulum-v1", path=tmp_path / "curves.png"
    )
    legend = figure.axes[0].get_legend()
    box, picture = legend.get_window_extent(), figure.bbox
    assert picture.x0 <= box.x0 < box.x1 <= picture.x1
    assert picture.y0 <= box.y0 < box.y1 <= picture.y1
    assert len({round(text.get_window_extent().y0) for text in legend.get_texts()}) == rows
