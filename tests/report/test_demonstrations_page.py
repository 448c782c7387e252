"""The page that a person checks: what it says of data whose every number is known."""

from dataclasses import replace

import torch

from rlopt.report.demonstrations_page import (
    demonstrations_figure,
    demonstrations_page,
    describe,
    episode_returns,
    facts,
)

from ..imitation.shared_demonstrations import make
from .read_page import read_page


def page(data):
    return {line[:16].strip(): line[17:].strip() for line in describe(data).splitlines()}


def test_it_says_what_is_there():
    data = make(lengths=(3, 2))  # rewards 0, -1, -2 and -3, -4; every episode ends at a time limit
    assert episode_returns(data).tolist() == [-3, -7]
    told = page(data)
    assert told["episodes"] == "2, 5 transitions, 2 to 3 steps each"
    assert told["ends"] == "0 in a final state, 2 at a time limit, 0 are cut off without either"
    assert told["returns"] == "mean -5.00, from -7.00 to -3.00"
    assert told["expert's return"] == "-150.00"
    assert told["equal rows"] == "0.0%"
    assert told["observations"] == "2, of which 0 components never change"


def test_it_says_what_is_missing_or_odd():
    data = make(lengths=(4,))
    data = replace(
        data,
        reward=torch.zeros(4),
        expert_return=None,
        random_return=None,
        observation=torch.tensor([[0.0, 5.0]]).expand(4, 2),
        next_observation=torch.tensor([[0.0, 5.0]]).expand(4, 2),
        action=torch.zeros(4, 1),
    )
    told = page(data)
    assert told["returns"] == "not recorded (all rewards are zero)"
    assert told["expert's return"].startswith("not recorded")
    assert told["random policy"] == "not recorded"
    assert told["equal rows"] == "75.0%"
    assert told["observations"] == "2, of which 2 components never change: [0, 1]"


def test_the_picture_is_drawn(tmp_path):
    figure = demonstrations_figure(make(lengths=(3, 2)), tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5_000
    assert [panel.get_title() for panel in figure.axes] == [
        "Return",
        "Steps",
        "Observations of the first episode",
        "Actions of the first episode",
    ]


def test_the_page_says_what_the_text_says_and_the_digest(tmp_path):
    data = make(lengths=(3, 2))
    demonstrations_figure(data, tmp_path / "a.png")
    shown = read_page(demonstrations_page(data, "<mine>.npz", tmp_path / "a.png").html())
    rows = dict(shown.rows["What is in them"])
    assert rows == {"source": "<mine>.npz", **facts(data), "SHA-256": data.digest}
    assert shown.media[0]["src"].startswith("data:image/png;base64,iVBORw0KGgo")
