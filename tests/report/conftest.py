"""What the tests of reports share: an expert whose returns are known, and run folders."""

import numpy as np
import pytest

from rlopt.imitation.files import save_demonstrations
from rlopt.logs.run_log import RunLog

from .shared import demonstrations


@pytest.fixture
def expert(tmp_path):
    """Random 0, expert 100."""
    return str(save_demonstrations(demonstrations(), tmp_path / "data"))


@pytest.fixture
def make_run(tmp_path):
    """Writes a run folder with rows of (x, a return per seed)."""

    def make(name, rows, *, title="IPMD Pendulum-v1", unit="frames", first_seed=1, **config):
        config = {"env": "Pendulum-v1", "device": "cpu", **config}
        with RunLog(tmp_path / name, config=config, title=title, total=100, unit=unit, show_progress=False) as log:
            for x, *returns in rows:
                seeds = {f"return_seed{first_seed + i}": value for i, value in enumerate(returns)}
                log.metrics({unit: x, "return_mean": np.mean(returns), **seeds, "bc_loss_mean": 0.5})
        return str(tmp_path / name)

    return make
