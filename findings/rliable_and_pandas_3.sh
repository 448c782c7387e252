#!/usr/bin/env bash
# rliable 1.2.0: what pip installs today cannot be imported, because arch 7 (which it asks for) does not work with pandas 3.
#
# A good guess: `pip install rliable`, then `from rliable import library`: both packages declare lower bounds of pandas alone
# (1.0 and 1.4), and rliable asks for arch below 8. So pip takes pandas 3. But arch 7 calls a private helper of pandas (a decorator
# for renamed arguments) in the way of pandas 2, while its module is read, and the import ends with a TypeError that names neither
# rliable nor arch's bound. With pandas 2 beside it everything works: interquartile mean and probability of improvement below.
#
# Run: bash findings/rliable_and_pandas_3.sh    (needs the package index; a minute, 700 MB in a temporary folder)
# Output seen:
#     pandas 3: deprecate_kwarg() missing 1 required positional argument: 'new_arg_name'
#     pandas 2: interquartile mean 2.5, probability of improvement 0.8125
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install rliable==1.2.0 arch==7.2.0 pandas==3.1.1 scipy numpy
cd "$folder"
if "$folder/venv/bin/python" -W ignore -c "from rliable import library" 2>error; then echo "it can be imported now"; exit 1; fi
told=$(tail -n 1 error)
echo "pandas 3: ${told#TypeError: }"
[[ $told == TypeError:*deprecate_kwarg* ]]
"$folder/venv/bin/pip" -q install pandas==2.3.3
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from rliable import library, metrics

scores = np.array([[1.0], [2.0], [3.0], [4.0]])
others = np.array([[0.0], [1.5], [2.5], [0.5]])
middle = metrics.aggregate_iqm(scores)
better, _ = library.get_interval_estimates({"x,y": (scores, others)}, metrics.probability_of_improvement, reps=50)
print(f"pandas 2: interquartile mean {middle}, probability of improvement {better['x,y']}")
assert (middle, float(better["x,y"])) == (2.5, 0.8125)
PYTHON
