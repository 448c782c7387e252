#!/usr/bin/env bash
# torch 2.13.0: torch.compile of anything, and TorchRL's import, switch off the checks of all torch.distributions.
#
# A good guess: a policy that diverges is noticed, because Normal(mean, std) refuses a NaN mean or a negative std, and log_prob refuses
# a value outside the support: validate_args is on by default. But the first use of torch.compile sets that default to False for the whole
# process and for good, also where the compiled function has nothing to do with distributions and was not called yet. Importing
# torchrl.data 0.14.1, and with it most of TorchRL, has the same effect. Nothing is said. log_prob then gives NaN or -inf.
#
# It also works the other way round: torch.export of a policy that makes a Normal, be it for its mean alone, fails in a fresh
# process (the check depends on data) and works after TorchRL's import. validate_args=False or True in the constructor is
# heeded in all cases, and torch.distributions.Distribution.set_default_validate_args(True) switches the checks on again.
#
# Run: bash findings/torch_compile_stops_distribution_checks.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen:
#     fresh process: Normal(nan, -1) refused, export of a policy with a Normal fails (GuardOnDataDependentSymNode)
#     after a decorator torch.compile: Normal(nan, -1) accepted, export of a policy with a Normal works
#     after import torchrl.data: Normal(nan, -1) accepted, export of a policy with a Normal works
#     with validate_args=True: Normal(nan, -1) refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import sys

import torch
from torch.distributions import Normal

before = sys.argv[1]
if before == "a decorator torch.compile":
    torch.compile(lambda x: x + 1, backend="eager")
elif before == "import torchrl.data":
    import torchrl.data


class Policy(torch.nn.Module):
    def forward(self, observation):
        return Normal(observation, observation.exp()).mean


def normal(**kwargs):
    try:
        Normal(torch.tensor(float("nan")), torch.tensor(-1.0), **kwargs)
        return "accepted"
    except ValueError:
        return "refused"


answer = normal()
try:
    torch.export.export(Policy(), (torch.ones(1, 3),))
    export = "works"
except Exception as error:
    export = f"fails ({type(error).__name__})"
place = "fresh process" if before == "nothing" else f"after {before}"
print(f"{place}: Normal(nan, -1) {answer}, export of a policy with a Normal {export}")
assert answer == ("refused" if before == "nothing" else "accepted")
assert export == ("fails (GuardOnDataDependentSymNode)" if before == "nothing" else "works")
if before == "import torchrl.data":
    print(f"with validate_args=True: Normal(nan, -1) {normal(validate_args=True)}")
    assert normal(validate_args=True) == "refused"
PYTHON
for before in nothing "a decorator torch.compile" "import torchrl.data"; do
    "$folder/venv/bin/python" -W ignore ask.py "$before" 2> errors || { cat errors; exit 1; }
done
