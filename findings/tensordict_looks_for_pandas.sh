#!/usr/bin/env bash
# tensordict 0.14.3: TensorDict.from_dict looks for pandas at every call, on the disk where it is not installed.
#
# A good guess: TensorDict.from_dict(d) costs about what TensorDict(d) costs, and has nothing to do with pandas. But for every value it asks
# importlib whether pandas can be found, and imports it if so: a program that never uses pandas loads it at its first call. Where pandas
# is not installed, Python looks through all folders of its path each time: from_dict took 12 times as long as the constructor here.
# TorchRL 0.14.1 draws random actions that way (Composite.rand), so the random steps at the start of a training pay for it, too.
# With pandas installed and loaded, or with the constructor, there is no search.
#
# Run: bash findings/tensordict_looks_for_pandas.sh    (needs the package index; a minute, 1 GB in a temporary folder)
# Output seen (the times differ, and are not checked):
#     pandas is not installed: 3 searches in 3 calls, pandas loaded: False; from_dict 194 us, constructor 16 us
#     rand_action of TorchRL's Pendulum: 3 searches in 3 calls
#     pandas is installed: loaded by the first call: True; from_dict 58 us, constructor 23 us
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 tensordict==0.14.3 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import importlib.util
import sys
import time
from unittest import mock

import torch
from tensordict import TensorDict
from torchrl.envs.custom import PendulumEnv

torch.set_num_threads(1)
values = {"action": torch.zeros(3, 1)}


def searches(call):
    with mock.patch("importlib.util.find_spec", wraps=importlib.util.find_spec) as spy:
        for _ in range(3):
            call()
    return sum(asked.args[0] == "pandas" for asked in spy.call_args_list)


def microseconds(call, times=2000):
    call()
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times * 1e6


def from_dict():
    return TensorDict.from_dict(values, batch_size=[3])


def constructor():
    return TensorDict(values, batch_size=[3])


assert "pandas" not in sys.modules
if sys.argv[1:] == ["installed"]:
    from_dict()
    print(f"pandas is installed: loaded by the first call: {'pandas' in sys.modules}", end="")
    assert "pandas" in sys.modules
else:
    found = searches(from_dict)
    print(f"pandas is not installed: {found} searches in 3 calls, pandas loaded: {'pandas' in sys.modules}", end="")
    assert found >= 3 and searches(constructor) == 0
print(f"; from_dict {microseconds(from_dict):.0f} us, constructor {microseconds(constructor):.0f} us")
if not sys.argv[1:]:
    env = PendulumEnv()
    state = env.reset()
    found = searches(lambda: env.rand_action(state))
    print(f"rand_action of TorchRL's Pendulum: {found} searches in 3 calls")
    assert found >= 3
PYTHON
"$folder/venv/bin/python" -W ignore ask.py
"$folder/venv/bin/pip" -q install pandas==2.3.3
"$folder/venv/bin/python" -W ignore ask.py installed
