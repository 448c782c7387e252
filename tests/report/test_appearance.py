"""Titles and colours of what is drawn."""

import pytest

from rlopt.agents.methods import METHODS
from rlopt.report.plots import appearance


@pytest.mark.parametrize(
    "names", [["SAC", "IPMD", "GAIL", "SQIL", "BC"], ["gail", "sqil", "mine", "theirs"], [*METHODS, "mine", "theirs"]]
)
def test_no_two_of_a_picture_have_one_colour(names):
    looks = appearance(names)
    assert set(looks) == set(names)
    assert len({colour for _, colour in looks.values()}) == len(names)
