"""`minari:ID` in place of a path: a dataset reaches every step that reads demonstrations."""

import pytest
import torch

from rlopt.imitation.minari import to_minari

from ..imitation.shared_demonstrations import make
from .shared import COMPARE, replace_training, run_here
from .shared_errors import READERS


class Trained(Exception):
    """Training would begin."""


@pytest.fixture
def dataset(workplace, monkeypatch):
    """Two episodes of three and two steps, under the name that a command line has for them."""
    pytest.importorskip("minari")
    pytest.importorskip("h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(workplace / "minari"))
    to_minari(make((3, 2), observation_size=3), "test/expert-v0")
    return "minari:test/expert-v0"


@pytest.mark.parametrize("script", READERS)
@pytest.mark.parametrize(("demos", "rows"), [(2, [0, 1, 2, 3, 4]), (1, [0, 1, 2])])
def test_a_minari_dataset_is_what_is_learned_from(script, demos, rows, dataset, monkeypatch):
    def online(agent, spec, config, source, **how):
        raise Trained(source)

    def offline(agent, source, **how):
        raise Trained(source)

    replace_training(monkeypatch, online, offline)
    env = ["--env", "Pendulum-v1"] if script == COMPARE else []  # else the one that the dataset names
    with pytest.raises(Trained) as caught:
        run_here(monkeypatch, script, *READERS[script], dataset, *env, "--demos", demos, "--device", "cpu")
    source = caught.value.args[0]
    assert len(source) == len(rows)
    sample = source.sample(200)
    assert sample["observation"][:, 0].unique().tolist() == rows
    assert sample["action"].unique().tolist() == pytest.approx([2 * row / 5 - 1 for row in rows])  # in [-1, 1] again
    moved = torch.where(
        torch.isin(sample["observation"][:, :1], torch.tensor([2.0, 4.0])), 0.5, 1.0
    )  # an episode's last
    assert torch.equal(sample["next", "observation"], sample["observation"] + moved)


@pytest.mark.parametrize("script", READERS)
def test_a_dataset_that_is_not_there(script, dataset, refused):
    message = refused(script, *READERS[script], "minari:test/nothing-v0")
    assert message == "Minari dataset test/nothing-v0 is not here: minari download test/nothing-v0."
